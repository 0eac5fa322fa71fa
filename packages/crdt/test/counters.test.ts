import { HsError, msgpackCodec } from '@hs/core'
import { SeededRandom } from '@hs/core/testing'
import { GCounter, PNCounter } from '@hs/crdt'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { gCounter, reach } from './support/subjects.js'

const MAX = Number.MAX_SAFE_INTEGER
const code = (code: string): unknown => expect.objectContaining({ code })
const BAD_COUNTS = [-1, NaN, Infinity, 1.5, 2 ** 53, '1', null] as number[]
const BAD_NAMES = ['', 'x'.repeat(257), 5, null, undefined] as string[]

describe('GCounter (CRDT-6..8)', () => {
  it('counts by slot and sums', () => {
    const counter = new GCounter()
    counter.increment('a')
    counter.increment('b', 4)
    counter.increment('a', 2)
    expect([counter.value, counter.exactValue, counter.get('a'), counter.get('unknown')]).toEqual([7, 7n, 3, 0])
    expect(counter.slots()).toEqual(['a', 'b'])
    expect(counter.snapshot()).toEqual({
      value: 7,
      slots: [
        { slot: 'a', count: 3 },
        { slot: 'b', count: 4 },
      ],
    })
  })

  it('counts a cumulative total once, through however many relays', () => {
    const gateA = new GCounter()
    const gateB = new GCounter()
    for (const gate of [gateA, gateB, gateA, gateB]) gate.advance('dc', 500)
    gateA.merge(gateB)
    gateA.merge(gateB)
    expect(gateA.value).toBe(500)
    expect(gateA.advance('dc', 499)).toBe(false)
    expect(gateA.advance('dc', 501)).toBe(true)
    expect(gateA.advance('new', 0)).toBe(false)
    expect(gateA.slots()).toEqual(['dc'])
  })

  it.each(BAD_COUNTS)('refuses the amount or total %s and keeps state and delta', (bad) => {
    const counter = new GCounter()
    counter.increment('a', 2)
    expect(() => counter.increment('a', bad)).toThrow(code('INVALID_ARGUMENT'))
    expect(() => counter.increment('new', bad)).toThrow(code('INVALID_ARGUMENT'))
    expect(() => counter.advance('a', bad)).toThrow(code('INVALID_ARGUMENT'))
    expect(counter.toWire()).toEqual({ c: ['a', 2] })
    expect(counter.takeDelta()?.toWire()).toEqual({ c: ['a', 2] })
  })

  it.each(BAD_NAMES.map((bad) => [String(bad).length, bad] as const))('refuses a name of %i characters', (_, bad) => {
    const counter = new GCounter()
    for (const call of [
      () => counter.increment(bad),
      () => counter.increment(bad, 0),
      () => counter.advance(bad, 0),
      () => counter.fold(bad, 'a'),
      () => counter.fold('a', bad),
      () => counter.forget(bad),
    ]) {
      expect(call).toThrow(code('INVALID_ARGUMENT'))
    }
    expect(counter.takeDelta()).toBeNull()
  })

  it('takes names like __proto__ and an increment by nothing, which is no change', () => {
    const counter = new GCounter()
    counter.increment('__proto__', 3)
    counter.increment('x', 0)
    const bytes = msgpackCodec(z.unknown()).encode(counter.toWire())
    expect(GCounter.fromWire(msgpackCodec(z.unknown()).decode(bytes)).get('__proto__')).toBe(3)
    expect(counter.slots()).toEqual(['__proto__'])
  })

  it('saturates the sum, which stays exact, and refuses a slot beyond', () => {
    const counter = new GCounter()
    counter.increment('a', MAX)
    counter.increment('b', MAX - 1)
    expect([counter.value, counter.exactValue]).toEqual([MAX, 2n * BigInt(MAX) - 1n])
    counter.takeDelta()
    expect(() => counter.increment('a', 1)).toThrow(code('CRDT_OVERFLOW'))
    expect([counter.get('a'), counter.takeDelta()]).toEqual([MAX, null])
    counter.increment('b')
    counter.fold('b', 'c')
    counter.forget('b')
    expect(counter.exactValue).toBe(2n * BigInt(MAX))
    expect(() => counter.fold('a', 'c')).toThrow(code('CRDT_OVERFLOW'))
    expect(counter.get('a')).toBe(MAX)
  })

  it('keeps the sum that its slots say, whatever happens to them', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        for (const state of reach(gCounter, new SeededRandom(seed))) {
          const sum = state.slots().reduce((total, slot) => total + state.get(slot), 0)
          expect(state.value).toBe(sum)
          expect(state.exactValue).toBe(BigInt(sum))
        }
      }),
    )
  })

  it('throws nothing but LimitError beyond maxEntries, and half-merges nothing', () => {
    const counter = new GCounter({ maxEntries: 2 })
    counter.increment('a', 5)
    counter.increment('b')
    counter.takeDelta()
    counter.increment('b')
    const other = new GCounter()
    other.increment('a', 9)
    other.increment('c')
    expect(() => counter.merge(other)).toThrow(code('LIMIT_EXCEEDED'))
    expect(() => counter.increment('c')).toThrow(code('LIMIT_EXCEEDED'))
    expect(() => counter.fold('a', 'c')).toThrow(code('LIMIT_EXCEEDED'))
    expect(counter.toWire()).toEqual({ c: ['a', 5, 'b', 2] })
    expect(counter.takeDelta()?.toWire()).toEqual({ c: ['b', 2] })
    expect(() => GCounter.fromWire(other.toWire(), { maxEntries: 1 })).toThrow(code('DECODE_ERROR'))
    expect(() => new GCounter({ maxNameLength: 2 }).merge(withSlot('abc'))).toThrow(code('LIMIT_EXCEEDED'))
  })

  it('has limits that are checked', () => {
    for (const limits of [{ maxEntries: 0 }, { maxNameLength: 1.5 }, { maxTime: NaN }, { max: 1 }, null, []]) {
      expect(() => new GCounter(limits as object)).toThrow(code('CONFIG_INVALID'))
    }
    expect(new GCounter({ maxEntries: undefined } as object).value).toBe(0)
  })

  it('freezes its snapshot', () => {
    const snapshot = withSlot('a').snapshot()
    expect(Object.isFrozen(snapshot) && Object.isFrozen(snapshot.slots) && Object.isFrozen(snapshot.slots[0])).toBe(
      true,
    )
  })
})

describe('folding slots (CRDT-9, 10)', () => {
  it('moves the rest of a slot, without a change of the value', () => {
    const counter = new GCounter()
    counter.increment('dead', 5)
    counter.increment('live', 2)
    counter.takeDelta()
    expect(counter.fold('dead', 'live')).toBe(5)
    expect([counter.value, counter.get('dead'), counter.get('live')]).toEqual([7, 0, 7])
    expect(counter.fold('dead', 'live')).toBe(0)
    expect(counter.takeDelta()?.toWire()).toEqual({ c: ['dead', 5, 'live', 7], f: ['dead', 'live', 5] })
    expect(counter.fold('unknown', 'live')).toBe(0)
    expect([counter.fold('live', 'live'), counter.takeDelta()]).toEqual([0, null])
  })

  it('is exact when two replicas fold the same slot at once, and when more of it surfaces later', () => {
    const a = withSlot('dead', 5)
    const b = a.clone()
    const late = a.clone()
    late.increment('dead', 3)
    a.fold('dead', 'a')
    b.fold('dead', 'b')
    a.merge(b)
    b.merge(a)
    expect([a.value, b.value, a.get('dead')]).toEqual([5, 5, -5])
    a.merge(late)
    expect(a.value).toBe(8)
    const single = withSlot('dead', 5)
    single.fold('dead', 'a')
    single.merge(late)
    expect(single.fold('dead', 'a')).toBe(3)
    expect([single.value, single.get('a')]).toEqual([8, 8])
  })

  it('forgets a slot that contributes nothing, and a peer that has it brings it back without harm', () => {
    const counter = withSlot('dead', 5)
    expect(counter.forget('dead')).toBe(false)
    counter.fold('dead', 'live')
    const peer = counter.clone()
    expect(counter.forget('dead')).toBe(true)
    expect(counter.forget('dead')).toBe(false)
    expect([counter.slots(), counter.value, counter.toWire()]).toEqual([['live'], 5, { c: ['live', 5] }])
    counter.merge(peer)
    expect([counter.value, counter.equals(peer)]).toEqual([5, true])
  })

  it('decodes what it sends within its own limits, forgotten slots that its folds name included', () => {
    const limits = { maxEntries: 3 }
    const counter = new GCounter(limits)
    counter.increment('a', 5)
    counter.fold('a', 'b')
    counter.fold('b', 'c')
    counter.forget('b')
    counter.increment('d')
    expect(GCounter.fromWire(counter.toWire(), limits).equals(counter)).toBe(true)
    const more = { c: ['a', 1, 'b', 1, 'c', 1, 'd', 1] }
    expect(() => GCounter.fromWire(more, limits)).toThrow(expect.objectContaining({ code: 'DECODE_ERROR' }))
  })

  it('forgets a link of a chain of folds', () => {
    const counter = withSlot('a', 5)
    counter.fold('a', 'b')
    counter.fold('b', 'c')
    expect(counter.forget('b')).toBe(true)
    expect([counter.value, counter.slots()]).toEqual([5, ['a', 'c']])
    const back = GCounter.fromWire(counter.toWire())
    expect([back.value, back.equals(counter)]).toEqual([5, true])
  })

  it('never lets a peer count twice, though the delta of the fold was lost', () => {
    const counter = withSlot('dead', 5)
    const peer = counter.clone()
    counter.takeDelta()
    counter.fold('dead', 'live')
    counter.takeDelta() // lost
    counter.increment('live')
    peer.merge(counter.takeDelta() ?? new GCounter())
    expect(peer.value).toBe(6)
  })

  it('keeps its value whatever is folded and forgotten', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = new SeededRandom(seed)
        const [state] = reach(gCounter, random) as [GCounter]
        const { exactValue } = state
        for (let i = 0; i < 10; i++) {
          const slot = random.pick([...state.slots(), 'w0'])
          if (random.int(2) === 0) state.fold(slot, `into${random.int(3)}`)
          else state.forget(slot)
          expect(state.exactValue).toBe(exactValue)
          expect(GCounter.fromWire(state.toWire()).equals(state)).toBe(true)
        }
      }),
    )
  })

  it('keeps what was forgotten out of the delta of nobody who waits for it, and out of memory', () => {
    const counter = new GCounter()
    for (let i = 0; i < 1_000; i++) {
      counter.increment(`s${i}`)
      counter.fold(`s${i}`, 'live')
      counter.forget(`s${i}`)
    }
    expect(counter.slots()).toEqual(['live'])
    expect(counter.takeDelta()?.slots().length).toBeLessThan(100)
  })
})

describe('GCounter on the wire (CRDT-5, 9)', () => {
  it('refuses what is malformed', () => {
    const malformed: unknown[][] = [
      [null],
      [5],
      ['c'],
      [[]],
      [{}],
      [new Map([['c', []]])],
      [{ c: 'a1' }],
      [{ c: ['a'] }],
      [{ c: ['a', 1, 'a', 1] }],
      [{ c: ['a', -1] }],
      [{ c: ['a', 1.5] }],
      [{ c: ['a', 2 ** 53] }],
      [{ c: ['a', '1'] }],
      [{ c: ['', 1] }],
      [{ c: ['x'.repeat(257), 1] }],
      [{ c: [1, 'a'] }],
      [{ c: [,] }],
      [{ c: new Array(2 ** 31) }],
      [{ c: ['a', 1], f: null }],
      [{ c: ['a', 1], f: ['a', 'b', 1] }],
      [{ c: ['a', 1], f: ['b', 'a', 1] }],
      [{ c: ['a', 1], f: ['a', 'a', 1] }],
      [{ c: ['a', 1, 'b', 1], f: ['a', 'b'] }],
      [{ c: ['a', 1, 'b', 1], f: ['a', 'b', 1, 'a', 'b', 1] }],
      [
        {
          get c() {
            throw new Error('no')
          },
        },
      ],
    ]
    for (const [wire] of malformed) expect(() => GCounter.fromWire(wire)).toThrow(code('DECODE_ERROR'))
  })

  it('names the place', () => {
    const error = caught(() => GCounter.fromWire({ c: ['a', 1, 'b', -1] }))
    expect(error).toMatchObject({ path: 'c.3', reason: 'schema' })
  })

  it('ignores fields it does not know, and takes what another realm made', () => {
    const wire = JSON.parse('{"c":["a",1],"z":1,"__proto__":{"f":1}}') as unknown
    expect(GCounter.fromWire(wire).value).toBe(1)
    expect(GCounter.fromWire(Object.assign(Object.create(null), { c: ['a', 0] })).slots()).toEqual([])
  })
})

describe('PNCounter', () => {
  it('counts up and down', () => {
    const counter = new PNCounter()
    counter.increment('a', 5)
    counter.decrement('a', 7)
    counter.decrement('b')
    expect([counter.value, counter.exactValue, counter.get('a'), counter.snapshot()]).toEqual([
      -3,
      -3n,
      -2,
      { value: -3 },
    ])
    expect(counter.toWire()).toEqual({ p: { c: ['a', 5] }, n: { c: ['a', 7, 'b', 1] } })
    expect(Object.isFrozen(counter.snapshot())).toBe(true)
  })

  it('saturates both ways', () => {
    const counter = new PNCounter()
    for (const slot of ['a', 'b']) counter.decrement(slot, MAX)
    expect([counter.value, counter.exactValue]).toEqual([-MAX, -2n * BigInt(MAX)])
    expect(() => counter.decrement('a')).toThrow(code('CRDT_OVERFLOW'))
    for (const slot of ['c', 'd', 'e', 'f']) counter.increment(slot, MAX)
    expect(counter.value).toBe(MAX)
  })

  it('folds both halves or neither, and forgets when neither contributes', () => {
    const counter = new PNCounter()
    counter.increment('dead', 5)
    counter.decrement('dead', 2)
    expect(counter.forget('dead')).toBe(false)
    expect(counter.fold('dead', 'live')).toBe(3)
    expect([counter.value, counter.get('dead'), counter.get('live')]).toEqual([3, 0, 3])
    expect(counter.forget('dead')).toBe(true)
    expect([counter.value, counter.forget('dead')]).toEqual([3, false])
    counter.decrement('live', MAX - 2)
    counter.increment('other', 4)
    counter.decrement('other', 1)
    const before = counter.clone()
    counter.takeDelta()
    expect(() => counter.fold('other', 'live')).toThrow(code('CRDT_OVERFLOW'))
    expect([counter.equals(before), counter.takeDelta()]).toEqual([true, null])
  })

  it('merges both halves or neither', () => {
    const counter = new PNCounter({ maxEntries: 1 })
    counter.increment('a')
    counter.decrement('a')
    const other = new PNCounter()
    other.increment('a', 9)
    other.decrement('b')
    expect(() => counter.merge(other)).toThrow(code('LIMIT_EXCEEDED'))
    expect(counter.toWire()).toEqual({ p: { c: ['a', 1] }, n: { c: ['a', 1] } })
    expect(counter.takeDelta()?.equals(counter)).toBe(true)
  })

  it.each([[{}], [{ p: { c: [] } }], [{ p: [], n: { c: [] } }], [{ p: { c: [] }, n: { c: ['a', -1] } }]])(
    'refuses %j',
    (wire) => {
      expect(() => PNCounter.fromWire(wire)).toThrow(code('DECODE_ERROR'))
    },
  )

  it.each(BAD_COUNTS)('refuses the amount %s', (bad) => {
    const counter = new PNCounter()
    expect(() => counter.increment('a', bad)).toThrow(code('INVALID_ARGUMENT'))
    expect(() => counter.decrement('a', bad)).toThrow(code('INVALID_ARGUMENT'))
    expect(counter.takeDelta()).toBeNull()
  })
})

function withSlot(slot: string, count = 1): GCounter {
  const counter = new GCounter()
  counter.increment(slot, count)
  return counter
}

function caught(call: () => unknown): HsError {
  try {
    call()
  } catch (error) {
    if (HsError.is(error)) return error
  }
  throw new Error('nothing was thrown')
}
