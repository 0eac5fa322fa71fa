import { msgpackCodec } from '@hs/core'
import { SeededRandom } from '@hs/core/testing'
import { ORSet, type ORSetWire } from '@hs/crdt'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'

const MAX = Number.MAX_SAFE_INTEGER
const code = (code: string): unknown => expect.objectContaining({ code })
const codec = msgpackCodec(z.unknown())

describe('ORSet (CRDT-15..18)', () => {
  it('adds, removes and iterates', () => {
    const set = new ORSet('a')
    for (const element of ['x', 'y', '__proto__']) set.add(element)
    expect([set.size, set.has('x'), set.has('z'), [...set], [...set.values()]]).toEqual([
      3,
      true,
      false,
      ['x', 'y', '__proto__'],
      ['x', 'y', '__proto__'],
    ])
    expect([set.remove('x'), set.remove('x'), set.snapshot()]).toEqual([
      true,
      false,
      { size: 2, values: ['__proto__', 'y'] },
    ])
    set.clear()
    expect([set.size, set.toWire()]).toEqual([0, { r: ['a'], v: [0, 3], e: [] }])
    expect(Object.isFrozen(set.snapshot().values)).toBe(true)
  })

  it('lets an add win over a concurrent removal', () => {
    const a = new ORSet('a')
    a.add('x')
    const b = a.clone('b')
    a.remove('x')
    b.add('x')
    a.merge(b)
    b.merge(a)
    expect([a.has('x'), b.has('x'), a.equals(b)]).toEqual([true, true, true])
  })

  it('sends a removal, and no delta brings a removed element back', () => {
    const [a, b] = [new ORSet('a'), new ORSet('b')]
    a.add('x')
    const added = a.takeDelta() as ORSet
    b.merge(added)
    a.remove('x')
    const removed = a.takeDelta() as ORSet
    expect(removed.size).toBe(0)
    expect([b.merge(removed), b.has('x')]).toEqual([true, false])
    expect([b.merge(added), b.has('x')]).toEqual([false, false])
    expect(b.takeDelta()?.equals(removed)).toBe(true)
  })

  it('takes an element that was removed before it was heard of', () => {
    const [a, b] = [new ORSet('a'), new ORSet('b')]
    a.add('x')
    const added = a.takeDelta() as ORSet
    a.remove('x')
    b.merge(a.takeDelta() as ORSet)
    expect([b.merge(added), b.size]).toEqual([false, 0])
  })

  it("supersedes a replica's older dot of the same element, also where a lost delta has left both", () => {
    const [a, b] = [new ORSet('a'), new ORSet('b')]
    a.add('x')
    b.merge(a.takeDelta() as ORSet)
    a.remove('x')
    a.takeDelta() // lost
    a.add('x')
    b.merge(a.takeDelta() as ORSet)
    expect(b.toWire().e).toEqual([['x', 0, 2]])
    a.remove('x')
    b.merge(a.takeDelta() as ORSet)
    expect(b.has('x')).toBe(false)
    const late = ORSet.fromWire({ r: ['a'], v: [0, 2], e: [['x', 0, 1, 0, 2]] }, 'b')
    expect(late.toWire().e).toEqual([['x', 0, 2]])
  })

  it('keeps the newest dot of each replica that added an element', () => {
    const a = new ORSet('a')
    const b = new ORSet('b')
    a.add('x')
    b.add('x')
    a.merge(b)
    a.add('x')
    expect(a.toWire()).toEqual({ r: ['a', 'b'], v: [0, 2, 1, 1], e: [['x', 0, 2, 1, 1]] })
    a.merge(b)
    expect(a.size).toBe(1)
    a.remove('x')
    expect([a.merge(b), a.size]).toEqual([false, 0])
  })

  it('has deltas of just the dots that were touched', () => {
    const set = new ORSet('a')
    for (let i = 0; i < 20; i++) set.add(`e${i}`)
    set.takeDelta()
    set.add('new')
    set.remove('e3')
    const delta = set.takeDelta() as ORSet
    expect(delta.toWire()).toEqual({ r: ['a'], v: [], e: [['new', 0, 21]], d: [0, 4, 0, 21] })
    expect(set.takeDelta()).toBeNull()
  })

  it('sends an add to a thousand in 48 bytes, the thousand in 14,900, and what is left of 20,000 removals in 64', () => {
    const set = new ORSet('replica-a')
    for (let i = 0; i < 1_000; i++) set.add(`item-${i}`)
    set.takeDelta()
    set.add('item-x')
    expect(codec.encode(set.takeDelta()?.toWire()).length).toBeLessThanOrEqual(48)
    set.remove('item-x')
    expect(codec.encode(set.toWire()).length).toBeLessThanOrEqual(14_900)
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 1_000; i++) set.add(`item-${i}`)
      for (let i = 0; i < 1_000; i++) set.remove(`item-${i}`)
    }
    expect(codec.encode(set.toWire()).length).toBeLessThanOrEqual(64)
    expect(codec.encode(set.takeDelta()?.toWire()).length).toBeLessThanOrEqual(64)
  })

  it('passes a hostile context of 2^53 - 1 on without counting to it', () => {
    const set = new ORSet('me')
    set.merge(oneDot('evil', 7, 'x'))
    set.takeDelta()
    set.merge(ORSet.fromWire({ r: ['evil'], v: [0, MAX], e: [['y', 0, MAX]] }, 'me'))
    expect([...set]).toEqual(['y'])
    const delta = set.takeDelta() as ORSet
    expect(delta.toWire()).toEqual({ r: ['evil'], v: [0, MAX], e: [['y', 0, MAX]] })
    expect(set.merge(delta)).toBe(false)
    const own = ORSet.fromWire({ r: ['me'], v: [0, MAX], e: [] }, 'me')
    expect(() => own.add('x')).toThrow(code('CRDT_OVERFLOW'))
    expect([own.size, own.takeDelta()]).toEqual([0, null])
  })

  it('keeps little in mind where nobody takes deltas, in whatever order elements go', () => {
    const random = new SeededRandom(3)
    const set = new ORSet('a')
    const peer = new ORSet('b')
    const names = Array.from({ length: 2_000 }, (_, i) => `e${i}`)
    for (const name of names) set.add(name)
    peer.merge(set)
    for (const name of random.shuffle(names.slice())) if (name !== 'e7') set.remove(name)
    const delta = set.takeDelta() as ORSet
    expect(delta.toWire()).toEqual({ r: ['a'], v: [0, 2_000], e: [['e7', 0, 8]] })
    peer.merge(delta)
    expect([...peer]).toEqual(['e7'])
  })

  it('keeps apart the dots of an element that many replicas add and remove', () => {
    const random = new SeededRandom(7)
    const names = Array.from({ length: 60 }, (_, i) => `r${i}`)
    const hub = new ORSet('hub')
    const peer = new ORSet('peer')
    for (const name of random.shuffle(names.slice())) {
      const one = new ORSet(name)
      one.add('x')
      hub.merge(one)
    }
    peer.merge(ORSet.fromWire(JSON.parse(JSON.stringify(hub.toWire())), 'peer'))
    peer.takeDelta()
    const rest = new Set(names)
    for (const name of random.shuffle(names.slice())) {
      // Its own dot only: `one` knows of no other.
      const one = new ORSet(name)
      one.add('x')
      one.remove('x')
      expect(hub.merge(one)).toBe(true)
      rest.delete(name)
      const { r, e } = hub.toWire()
      expect(e.flatMap((row) => row.slice(1)).filter((_, i) => i % 2 === 0)).toHaveLength(rest.size)
      expect(new Set(e.flatMap((row) => row.slice(1)).flatMap((n, i) => (i % 2 === 0 ? [r[Number(n)]] : [])))).toEqual(
        rest,
      )
      if (rest.size % 7 === 0) hub.add('x')
      if (rest.size % 7 === 0) hub.merge(hubless(hub))
      peer.merge(hub.takeDelta() ?? hub)
      expect(peer.equals(hub) && hub.equals(peer.clone())).toBe(true)
    }
    expect([hub.size, peer.size]).toEqual([0, 0])
    peer.add('x')
    hub.merge(peer)
    expect(hub.toWire().e).toEqual([['x', hub.toWire().r.indexOf('peer'), 1]])
  })

  it('takes an element with very many dots in, on, apart and out again, each in time linear in their number', () => {
    const indices = Array.from({ length: 40_000 }, (_, i) => i)
    const context = { r: indices.map((i) => `r${i}`), v: indices.flatMap((i) => [i, 1]) }
    const wire = { ...context, e: [['x', ...indices.flatMap((i) => [i, 1])]] }
    const set = new ORSet('a')
    expect(set.merge(ORSet.fromWire(wire, 'b'))).toBe(true)
    const text = JSON.stringify(wire)
    expect(JSON.stringify(set.toWire()) === text).toBe(true)
    expect(JSON.stringify(set.takeDelta()?.toWire()) === text).toBe(true)
    expect(set.clone().equals(set)).toBe(true)
    const removed = { r: context.r.slice().reverse(), v: context.v, e: [] }
    expect(set.merge(ORSet.fromWire(removed, 'c'))).toBe(true)
    expect([set.size, set.toWire().e]).toEqual([0, []])
  })

  it('bounds elements and replicas, and half-merges nothing', () => {
    const set = new ORSet('a', { maxEntries: 2 })
    set.add('x')
    set.add('y')
    set.takeDelta()
    set.add('x')
    const wire = set.toWire()
    const other = set.clone('b')
    const wide = ORSet.fromWire(other.toWire(), 'b')
    wide.remove('y')
    wide.add('z')
    wide.add('w')
    expect(() => set.merge(wide)).toThrow(code('LIMIT_EXCEEDED'))
    expect(() => set.add('z')).toThrow(code('LIMIT_EXCEEDED'))
    expect(set.toWire()).toEqual(wire)
    expect(set.takeDelta()?.toWire().e).toEqual([['x', 0, 3]])
    wide.remove('w') // now it takes away as much as it brings
    expect([set.merge(wide), [...set].sort()]).toEqual([true, ['x', 'z']])
    expect(() =>
      ORSet.fromWire(
        {
          ...wire,
          e: [
            ['x', 0, 1],
            ['y', 0, 2],
            ['z', 0, 3],
          ],
        },
        'a',
        { maxEntries: 2 },
      ),
    ).toThrow(code('DECODE_ERROR'))
  })

  it('clones under another replica id', () => {
    const set = new ORSet('a')
    set.add('x')
    const copy = set.clone('b')
    expect([copy.replica, set.clone().replica, copy.equals(set)]).toEqual(['b', 'a', true])
    copy.add('y')
    expect([set.has('y'), copy.takeDelta()?.toWire()]).toEqual([false, { r: ['b'], v: [0, 1], e: [['y', 0, 1]] }])
    expect(() => set.clone('')).toThrow(code('INVALID_ARGUMENT'))
    expect(() => new ORSet('')).toThrow(code('INVALID_ARGUMENT'))
    expect(() => ORSet.fromWire(set.toWire(), '')).toThrow(code('INVALID_ARGUMENT'))
  })

  it('refuses bad elements', () => {
    const set = new ORSet('a')
    for (const bad of ['', 'x'.repeat(257), 5, undefined] as string[]) {
      expect(() => set.add(bad)).toThrow(code('INVALID_ARGUMENT'))
      expect(() => set.remove(bad)).toThrow(code('INVALID_ARGUMENT'))
    }
    expect(set.takeDelta()).toBeNull()
  })

  const good: ORSetWire = { r: ['a', 'b'], v: [0, 2], e: [['x', 0, 1, 1, 3]], d: [1, 3] }
  it.each([
    ['no object', null],
    ['nothing', {}],
    ['no replicas', { ...good, r: undefined }],
    ['a replica twice', { ...good, r: ['a', 'a'] }],
    ['an odd vector', { ...good, v: [0] }],
    ['an index twice', { ...good, v: [0, 1, 0, 2] }],
    ['an index of nobody', { ...good, v: [2, 1] }],
    ['a negative index', { ...good, v: [-1, 1] }],
    ['a dot outside the context', { ...good, e: [['x', 0, 3]] }],
    ['a dot in a gap', { ...good, e: [['x', 1, 2]] }],
    [
      'a dot used twice',
      {
        ...good,
        e: [
          ['x', 0, 1],
          ['y', 0, 1],
        ],
      },
    ],
    [
      'a dot used twice, later',
      {
        ...good,
        e: [
          ['x', 0, 2],
          ['y', 0, 1],
          ['z', 0, 2],
        ],
      },
    ],
    ['a dot twice in a row', { ...good, e: [['x', 0, 1, 0, 1]] }],
    [
      'an element twice',
      {
        ...good,
        e: [
          ['x', 0, 1],
          ['x', 0, 2],
        ],
      },
    ],
    ['an element without dots', { ...good, e: [['x']] }],
    ['half a dot', { ...good, e: [['x', 0]] }],
    ['no row', { ...good, e: ['x'] }],
    ['an empty element', { ...good, e: [['', 0, 1]] }],
    ['a dot 0', { ...good, e: [['x', 0, 0]] }],
    ['a single dot twice', { ...good, d: [1, 3, 1, 3] }],
    ['a fraction', { ...good, d: [1, 3.5] }],
    ['a sparse row', { ...good, e: [[, 0, 1]] }],
  ])('refuses %s', (_, wire) => {
    expect(ORSet.fromWire(good, 'c').size).toBe(1)
    expect(() => ORSet.fromWire(wire, 'c')).toThrow(code('DECODE_ERROR'))
  })

  it('is what the set with tombstones is, on random histories of three replicas', () => {
    const op = fc.record({
      replica: fc.integer({ min: 0, max: 2 }),
      kind: fc.constantFrom('add', 'add', 'remove', 'merge', 'delta', 'clear'),
      element: fc.constantFrom('x', 'y', 'z', '__proto__'),
    })
    fc.assert(
      fc.property(fc.array(op, { maxLength: 80 }), (ops) => {
        const sets = [0, 1, 2].map((i) => new ORSet(`r${i}`))
        const oracles = [0, 1, 2].map(() => new TombstoneSet())
        for (const [n, { replica, kind, element }] of ops.entries()) {
          const set = sets[replica] as ORSet
          const oracle = oracles[replica] as TombstoneSet
          const other = (replica + 1 + (n % 2)) % 3
          if (kind === 'add') {
            set.add(element)
            oracle.add(element, `${n}`)
          } else if (kind === 'remove') {
            expect(set.remove(element)).toBe(oracle.remove(element))
          } else if (kind === 'clear') {
            set.clear()
            for (const value of oracle.values()) oracle.remove(value)
          } else if (kind === 'merge') {
            set.merge(sets[other] as ORSet)
            oracle.merge(oracles[other] as TombstoneSet)
          } else {
            // A delta to every other replica is a merge of what they have not heard of, if all arrive.
            const delta = set.takeDelta()
            for (const [i, peer] of sets.entries()) {
              if (i === replica) continue
              peer.merge(set)
              if (delta !== null) expect(peer.merge(delta)).toBe(false)
              oracles[i]?.merge(oracle)
            }
          }
          for (const [i, each] of sets.entries()) {
            expect([...each].sort()).toEqual(oracles[i]?.values())
            expect(each.size).toBe(oracles[i]?.values().length)
          }
        }
      }),
    )
  })
})

/** What removes the hub's own dots of `x`, and no others. */
function hubless(hub: ORSet): ORSet {
  const { r, v } = hub.toWire()
  const index = r.indexOf('hub')
  const at = v.findIndex((n, i) => i % 2 === 0 && n === index)
  return ORSet.fromWire({ r: ['hub'], v: [0, v[at + 1]], e: [] }, 'z')
}

/** The OR-set as it was first described: every add has a tag, and removed tags are kept for ever. */
class TombstoneSet {
  readonly #added = new Map<string, string>()
  readonly #removed = new Set<string>()

  add(element: string, tag: string): void {
    this.#added.set(tag, element)
  }

  remove(element: string): boolean {
    const tags = [...this.#added].filter(([tag, each]) => each === element && !this.#removed.has(tag))
    for (const [tag] of tags) this.#removed.add(tag)
    return tags.length > 0
  }

  merge(other: TombstoneSet): void {
    for (const [tag, element] of other.#added) this.#added.set(tag, element)
    for (const tag of other.#removed) this.#removed.add(tag)
  }

  values(): string[] {
    const live = [...this.#added].filter(([tag]) => !this.#removed.has(tag)).map(([, element]) => element)
    return [...new Set(live)].sort()
  }
}

function oneDot(replica: string, counter: number, element: string): ORSet {
  return ORSet.fromWire({ r: [replica], v: [], e: [[element, 0, counter]], d: [0, counter] }, replica)
}
