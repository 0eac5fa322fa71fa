import { SeededRandom } from '@hs/core/testing'
import { DotContext, VectorClock } from '@hs/crdt'
import { assertJoinLaws } from '@hs/crdt/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { reach, vectorClock } from './support/subjects.js'

const MAX = Number.MAX_SAFE_INTEGER
const code = (code: string): unknown => expect.objectContaining({ code })

describe('VectorClock (CRDT-14)', () => {
  it('numbers events and knows which history came first', () => {
    const a = new VectorClock()
    expect([a.tick('a'), a.tick('a'), a.get('a'), a.get('b'), a.size]).toEqual([1, 2, 2, 0, 1])
    const b = a.clone()
    expect([a.compare(b), b.tick('b'), a.compare(b), b.compare(a)]).toEqual(['equal', 1, 'before', 'after'])
    a.tick('a')
    expect([a.compare(b), a.observe('b', 0), a.observe('b', 5), a.observe('b', 4)]).toEqual([
      'concurrent',
      false,
      true,
      false,
    ])
    expect(a.takeDelta()?.toWire()).toEqual({ v: ['a', 3, 'b', 5] })
  })

  it('compares as the definition says', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const [a, b] = reach(vectorClock, new SeededRandom(seed)) as [VectorClock, VectorClock]
        const ids = [...a.toWire().v, ...b.toWire().v].filter((x) => typeof x === 'string')
        const below = ids.every((id) => a.get(id) <= b.get(id))
        const above = ids.every((id) => a.get(id) >= b.get(id))
        const expected = below ? (above ? 'equal' : 'before') : above ? 'after' : 'concurrent'
        expect(a.compare(b)).toBe(expected)
      }),
    )
  })

  it('refuses an event beyond 2^53 - 1, bad names and numbers', () => {
    const clock = new VectorClock({ maxEntries: 1 })
    clock.observe('a', MAX)
    clock.takeDelta()
    expect(() => clock.tick('a')).toThrow(code('CRDT_OVERFLOW'))
    expect(() => clock.tick('b')).toThrow(code('LIMIT_EXCEEDED'))
    expect(() => clock.tick('')).toThrow(code('INVALID_ARGUMENT'))
    for (const bad of [-1, 1.5, NaN, 2 ** 53]) expect(() => clock.observe('a', bad)).toThrow(code('INVALID_ARGUMENT'))
    expect(() => clock.compare({} as VectorClock)).toThrow(code('INVALID_ARGUMENT'))
    expect([clock.get('a'), clock.takeDelta()]).toEqual([MAX, null])
    for (const wire of [{}, { v: ['a'] }, { v: ['a', 1, 'a', 2] }, { v: ['a', -1] }, { v: [1, 1] }]) {
      expect(() => VectorClock.fromWire(wire)).toThrow(code('DECODE_ERROR'))
    }
    expect(VectorClock.fromWire({ v: ['a', 0] }).size).toBe(0)
  })
})

describe('DotContext (CRDT-14)', () => {
  it('says nothing of what is before a gap', () => {
    const context = new DotContext()
    expect([context.add('a', 3), context.add('a', 3), context.contains('a', 3), context.contains('a', 2)]).toEqual([
      true,
      false,
      true,
      false,
    ])
    expect([context.gaps, context.add('a', 1), context.gaps, context.toWire()]).toEqual([
      1,
      true,
      1,
      { v: ['a', 1], d: ['a', 3] },
    ])
    expect([context.add('a', 2), context.gaps, context.toWire()]).toEqual([true, 0, { v: ['a', 3] }])
    expect([context.next('a'), context.next('b'), context.contains('b', 1)]).toEqual([4, 1, true])
  })

  it('is the set of the dots that were added, in whichever order and however merged', () => {
    const dots = fc.array(fc.tuple(fc.constantFrom('a', 'b', '__proto__'), fc.integer({ min: 1, max: 40 })), {
      maxLength: 60,
    })
    fc.assert(
      fc.property(dots, dots, dots, (...lists) => {
        const contexts = lists.map((list) => {
          const context = new DotContext()
          for (const [replica, counter] of list) context.add(replica, counter)
          return context
        }) as [DotContext, DotContext, DotContext]
        const subject = {
          join: (x: DotContext, y: DotContext) => {
            const joined = x.clone()
            joined.merge(y)
            return joined
          },
          equals: (x: DotContext, y: DotContext) => x.equals(y),
          show: (x: DotContext) => x.toWire(),
        }
        assertJoinLaws(subject, ...contexts)
        const all = subject.join(subject.join(contexts[0], contexts[1]), contexts[2])
        const expected = new Set(lists.flat().map(([replica, counter]) => `${replica} ${counter}`))
        for (const replica of ['a', 'b', '__proto__', 'c']) {
          for (let counter = 0; counter <= 41; counter++) {
            expect(all.contains(replica, counter)).toBe(expected.has(`${replica} ${counter}`))
          }
        }
        expect(DotContext.fromWire(JSON.parse(JSON.stringify(all.toWire()))).equals(all)).toBe(true)
        const before = all.clone()
        expect([all.merge(all), all.merge(before)]).toEqual([false, false])
      }),
    )
  })

  it('keeps ranges, so that thousands of dots beyond one gap are little, in any order', () => {
    const random = new SeededRandom(1)
    const dots = random.shuffle(Array.from({ length: 5_000 }, (_, i) => i + 2))
    const context = new DotContext({ maxEntries: 5_000 })
    const half = new DotContext()
    for (const [i, dot] of dots.entries()) (i % 2 === 0 ? context : half).add('a', dot)
    context.merge(half)
    expect(context.gaps).toBe(5_000)
    context.add('a', 1)
    expect(context.toWire()).toEqual({ v: ['a', 5_001] })
  })

  it('takes 2^53 - 1 from the wire at no cost, and gives no dot beyond', () => {
    const context = DotContext.fromWire({ v: ['a', MAX], d: ['b', MAX, 'b', 1] })
    expect([context.contains('a', MAX - 1), context.gaps, context.contains('b', 2)]).toEqual([true, 1, false])
    expect(() => context.next('a')).toThrow(code('CRDT_OVERFLOW'))
    expect(() => context.next('b')).toThrow(code('CRDT_OVERFLOW'))
    const other = new DotContext()
    other.add('a', 5)
    expect([other.merge(context), other.equals(context)]).toEqual([true, true])
  })

  it('bounds replicas and gaps, and half-merges nothing', () => {
    const context = new DotContext({ maxEntries: 2 })
    context.add('a', 3)
    context.add('a', 5)
    expect(() => context.add('a', 7)).toThrow(code('LIMIT_EXCEEDED'))
    expect(() => context.add('b', 3)).toThrow(code('LIMIT_EXCEEDED'))
    expect(context.add('a', 4)).toBe(true)
    const other = new DotContext()
    for (const dot of [1, 8, 10]) other.add('a', dot)
    expect(() => context.merge(other)).toThrow(code('LIMIT_EXCEEDED'))
    expect(context.toWire()).toEqual({ v: [], d: ['a', 3, 'a', 4, 'a', 5] })
    other.add('a', 9)
    expect(context.merge(other)).toBe(true)
  })

  it('refuses bad arguments and wire forms', () => {
    const context = new DotContext()
    for (const bad of [0, -1, 1.5, NaN, 2 ** 53]) expect(() => context.add('a', bad)).toThrow(code('INVALID_ARGUMENT'))
    expect(() => context.add('', 1)).toThrow(code('INVALID_ARGUMENT'))
    expect(() => context.next('')).toThrow(code('INVALID_ARGUMENT'))
    expect(() => context.merge({} as DotContext)).toThrow(code('INVALID_ARGUMENT'))
    expect(context.equals(new DotContext())).toBe(true)
    for (const wire of [
      {},
      { v: ['a'] },
      { v: ['a', 1, 'a', 2] },
      { v: [], d: ['a', 0] },
      { v: [], d: ['a', 3, 'a', 3] },
      { v: ['a', 3], d: ['a', 2] },
      { v: [], d: ['a', 2 ** 53] },
      { v: [], d: ['a', 3, 'b', 3, 'c', 3] },
    ]) {
      expect(() => DotContext.fromWire(wire, { maxEntries: 2 })).toThrow(code('DECODE_ERROR'))
    }
  })
})
