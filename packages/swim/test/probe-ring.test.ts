import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { SeededRandom } from '@hs/core/testing'
import { ProbeRing } from '../src/probe-ring.js'

const member = (name: string) => ({ name, ringIndex: -1 })

describe('ProbeRing (SWIM-12)', () => {
  it('reaches everyone once a round', () => {
    const ring = new ProbeRing<ReturnType<typeof member>>(new SeededRandom(1))
    for (const name of 'abcdefghij') ring.add(member(name))
    for (let round = 0; round < 3; round++) {
      const reached = Array.from({ length: 10 }, () => ring.next()?.name)
      expect(reached.sort()).toEqual([...'abcdefghij'])
    }
  })

  it('reaches nobody when it is empty', () => {
    const ring = new ProbeRing(new SeededRandom(1))
    expect([ring.next(), ring.pick(), ring.size]).toEqual([undefined, undefined, 0])
  })

  it('lets who is to be probed at once go first, reached in this round or not', () => {
    const ring = new ProbeRing<ReturnType<typeof member>>(new SeededRandom(2))
    const all = [...'abcdef'].map(member)
    for (const one of all) ring.add(one)
    ring.next()
    ring.next()
    for (const one of all) {
      ring.advance(one)
      expect(ring.next()).toBe(one)
    }
  })

  it('starves nobody, though one joins every period: 2(n - 1) periods at most', () => {
    const ring = new ProbeRing<ReturnType<typeof member>>(new SeededRandom(3))
    const lastReached = new Map<string, number>()
    for (const name of 'abcdefgh') {
      ring.add(member(name))
      lastReached.set(name, 0)
    }
    for (let period = 1; period < 2_000; period++) {
      const next = ring.next()
      if (next === undefined) throw new Error('the ring is not empty')
      const bound = 2 * ring.size
      expect(period - (lastReached.get(next.name) ?? period)).toBeLessThanOrEqual(bound)
      lastReached.set(next.name, period)
      ring.add(member(`new${period}`))
      lastReached.set(`new${period}`, period)
      if (period % 2 === 0) {
        const gone = ring.pick()
        if (gone !== undefined) {
          ring.remove(gone)
          lastReached.delete(gone.name)
        }
      }
    }
    const waiting = Math.max(...[...lastReached.values()].map((at) => 2_000 - at))
    expect(waiting).toBeLessThanOrEqual(2 * ring.size)
  })

  it('agrees with a set about who is in it, whatever comes and goes, and repeats nobody within a round', () => {
    const command = fc.oneof(
      fc.record({ do: fc.constant('toggle' as const), i: fc.nat(15) }),
      fc.record({ do: fc.constant('next' as const) }),
      fc.record({ do: fc.constant('advance' as const), i: fc.nat(15) }),
    )
    fc.assert(
      fc.property(fc.array(command, { maxLength: 100 }), fc.nat(), (commands, seed) => {
        const ring = new ProbeRing<ReturnType<typeof member>>(new SeededRandom(seed))
        const pool = Array.from({ length: 16 }, (_, i) => member(`m${i}`))
        const inside = new Set<ReturnType<typeof member>>()
        for (const c of commands) {
          const one = c.do === 'next' ? ring.next() : pool[c.i]
          if (one === undefined) continue
          if (c.do === 'advance') ring.advance(one)
          if (c.do === 'toggle') {
            if (inside.has(one)) ring.remove(one)
            else ring.add(one)
            if (!inside.delete(one)) inside.add(one)
          }
          expect(new Set(ring)).toEqual(inside)
          expect(ring.size).toBe(inside.size)
          for (const x of pool) expect(x.ringIndex).toBe([...ring].indexOf(x))
        }
      }),
    )
  })
})
