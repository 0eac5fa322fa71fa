/** The laws that every type keeps, on states that changes and merges lead to. */
import { HsError } from '@hs/core'
import { SeededRandom } from '@hs/core/testing'
import type { Crdt } from '@hs/crdt'
import { assertConverges, assertJoinLaws, assertMonotone, crdtSubject } from '@hs/crdt/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { forEachType, reach, type Subject } from './support/subjects.js'

/** `HS_CRDT_SEEDS=10000` for the whole campaign. */
const SEEDS = Number(process.env['HS_CRDT_SEEDS'] ?? 60)
const RUNS = 150

const states = <S extends Crdt<S>>(subject: Subject<S>) =>
  fc.integer().map((seed) => reach(subject, new SeededRandom(seed)) as [S, S, S])

forEachType((subject) => {
  describe(`${subject.name} (CRDT-1..5)`, () => {
    const join = crdtSubject<ReturnType<typeof subject.create>>()

    it('joins: commutative, associative, idempotent, monotone', () => {
      fc.assert(
        fc.property(states(subject), ([a, b, c]) => assertJoinLaws(join, a, b, c)),
        { numRuns: RUNS },
      )
    })

    it('only moves up, and every change is in the delta, merges included', () => {
      fc.assert(
        fc.property(states(subject), fc.integer(), ([state, other], seed) => {
          state.takeDelta()
          const before = state.clone()
          const peer = state.clone()
          const random = new SeededRandom(seed)
          subject.mutate(state, random, 0)
          state.merge(other)
          subject.mutate(state, random, 0)
          assertMonotone(join, before, state)
          const delta = state.takeDelta()
          expect(delta === null).toBe(state.equals(before))
          if (delta !== null) expect(peer.merge(delta)).toBe(true)
          expect(peer.equals(state)).toBe(true)
          expect(state.takeDelta()).toBeNull()
          // The delta is part of the state: nothing is new in it, and so an echo ends.
          if (delta !== null) expect(state.merge(delta)).toBe(false)
          expect(state.takeDelta()).toBeNull()
        }),
        { numRuns: RUNS },
      )
    })

    it('passes on only what a merge changed', () => {
      fc.assert(
        fc.property(states(subject), ([a, b]) => {
          a.takeDelta()
          b.takeDelta()
          const changed = a.merge(b)
          const delta = a.takeDelta()
          expect(delta !== null).toBe(changed)
          if (delta !== null) expect(b.clone().merge(delta)).toBe(!b.equals(join.join(b, delta)))
          expect(a.merge(b)).toBe(false)
          expect(a.takeDelta()).toBeNull()
        }),
        { numRuns: RUNS },
      )
    })

    it('is the same after a journey as JSON, and a clone has an empty delta', () => {
      fc.assert(
        fc.property(states(subject), ([state]) => {
          const back = subject.decode(JSON.parse(JSON.stringify(state.toWire())), 0)
          expect(back.equals(state) && state.equals(back)).toBe(true)
          expect(back.toWire()).toEqual(state.toWire())
          expect(back.takeDelta()).toBeNull()
          expect(state.clone().takeDelta()).toBeNull()
          const delta = state.takeDelta()
          if (delta === null) return
          expect(delta.takeDelta()).toBeNull()
          expect(subject.decode(JSON.parse(JSON.stringify(delta.toWire())), 0).equals(delta)).toBe(true)
        }),
        { numRuns: RUNS },
      )
    })

    it('merged with itself, or with a clone, changes nothing', () => {
      const [state] = reach(subject, new SeededRandom(1)) as [ReturnType<typeof subject.create>]
      state.takeDelta()
      expect(state.merge(state)).toBe(false)
      expect(state.merge(state.clone())).toBe(false)
      expect(state.takeDelta()).toBeNull()
    })

    it('does not share anything with a clone', () => {
      fc.assert(
        fc.property(states(subject), fc.integer(), ([state], seed) => {
          const wire = JSON.stringify(state.toWire())
          const copy = state.clone()
          const random = new SeededRandom(seed)
          for (let i = 0; i < 5; i++) subject.mutate(copy, random, 0)
          expect(JSON.stringify(state.toWire())).toBe(wire)
        }),
        { numRuns: RUNS },
      )
    })

    it('takes any JSON for a state or refuses it with DECODE_ERROR, and merges what it took', () => {
      const [target] = reach(subject, new SeededRandom(2)) as [ReturnType<typeof subject.create>]
      fc.assert(
        fc.property(fc.jsonValue(), (wire) => {
          const state = decodeOrNull(subject, wire)
          if (state !== null) target.clone().merge(state)
        }),
        { numRuns: RUNS },
      )
    })

    it('takes a mutated wire form or refuses it with DECODE_ERROR, and its merge throws nothing but LimitError', () => {
      fc.assert(
        fc.property(states(subject), fc.integer(), ([state, other], seed) => {
          const random = new SeededRandom(seed)
          const wire = mutateJson(JSON.parse(JSON.stringify(state.toWire())), random)
          const taken = decodeOrNull(subject, wire)
          if (taken === null) return
          const before = other.clone()
          try {
            other.merge(taken)
          } catch (error) {
            if (!HsError.is(error, 'CRDT_MISMATCH')) throw error
            return
          }
          assertMonotone(join, before, other)
          const again = subject.decode(JSON.parse(JSON.stringify(other.toWire())), 0)
          expect(again.equals(other)).toBe(true)
          other.takeDelta()?.toWire()
        }),
        { numRuns: 4 * RUNS },
      )
    })

    it('refuses another type', () => {
      const state = subject.create(0)
      for (const stranger of [{}, null, undefined, 5, Object.create(state)] as never[]) {
        expect(() => state.merge(stranger)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
        expect(state.equals(stranger)).toBe(false)
      }
    })

    it('converges on a network that loses, repeats and reorders', { timeout: 3_600_000 }, () => {
      let deltas = 0
      for (let seed = 1; seed <= SEEDS; seed++) {
        const loss = (seed % 10) / 10
        deltas += assertConverges({ ...subject, seed, loss, steps: 60, replicas: 2 + (seed % 3) }).deltas
      }
      expect(deltas).toBeGreaterThan(SEEDS)
    })
  })
})

function decodeOrNull<S extends Crdt<S>>(subject: Subject<S>, wire: unknown): S | null {
  try {
    return subject.decode(wire, 0)
  } catch (error) {
    expect(error).toMatchObject({ code: 'DECODE_ERROR' })
    return null
  }
}

const STRANGE = [null, true, -1, 0, 1, 2, 1.5, 2 ** 53 - 1, 2 ** 53, 1e300, '', 'a', '__proto__', '~x', [], {}, [1]]

/** One value of it becomes another, one is left out or one is doubled. */
function mutateJson(value: unknown, random: SeededRandom): unknown {
  if (typeof value !== 'object' || value === null || random.int(8) === 0) return random.pick(STRANGE)
  if (!Array.isArray(value)) {
    const keys = Object.keys(value)
    if (keys.length === 0) return value
    const key = random.pick(keys)
    return { ...value, [key]: mutateJson((value as Record<string, unknown>)[key], random) }
  }
  const list = [...(value as unknown[])]
  const at = random.int(list.length + 1)
  if (random.int(4) === 0) list.splice(at, 1 + random.int(3))
  else if (random.int(4) === 0) list.push(...list.slice(at))
  else list[at] = mutateJson(list[at], random)
  return list
}
