import { LWWMap, LWWRegister, MaxRegister, type Json } from '@hs/crdt'
import { assertJoinLaws, crdtSubject } from '@hs/crdt/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const code = (code: string): unknown => expect.objectContaining({ code })
const BAD_TIMES = [0, -1, 1.5, NaN, 2 ** 53, '1', undefined] as number[]
const NO_JSON = [
  undefined,
  NaN,
  Infinity,
  1n,
  () => 1,
  Symbol('x'),
  new Date(),
  new Map(),
  [undefined],
  { a: { b: NaN } },
]

describe('MaxRegister', () => {
  it('holds the largest value', () => {
    const register = new MaxRegister()
    expect([register.value, register.snapshot(), register.toWire()]).toEqual([undefined, { value: null }, { m: null }])
    expect([register.advance(-3.5), register.advance(-4), register.advance(-3.5), register.value]).toEqual([
      true,
      false,
      false,
      -3.5,
    ])
    expect(register.takeDelta()?.toWire()).toEqual({ m: -3.5 })
    expect(register.takeDelta()).toBeNull()
    expect(Object.isFrozen(register.snapshot())).toBe(true)
  })

  it('refuses what is no finite number', () => {
    for (const bad of [NaN, Infinity, '1', null] as number[]) {
      expect(() => new MaxRegister().advance(bad)).toThrow(code('INVALID_ARGUMENT'))
    }
    for (const wire of [{}, { m: 'x' }, { m: NaN }, null, [], { m: true }]) {
      expect(() => MaxRegister.fromWire(wire)).toThrow(code('DECODE_ERROR'))
    }
    expect(MaxRegister.fromWire({ m: null }).value).toBeUndefined()
  })

  it('knows one zero', () => {
    const register = new MaxRegister()
    register.advance(-0)
    expect(Object.is(register.value, 0)).toBe(true)
  })
})

describe('LWWRegister (CRDT-11, 12)', () => {
  it('holds the last write by time, then writer', () => {
    const register = new LWWRegister<string>()
    expect([register.value, register.time, register.writer, register.toWire()]).toEqual([undefined, 0, '', {}])
    expect(register.set('a', 5, 'w')).toBe(true)
    expect(register.set('b', 4, 'z')).toBe(false)
    expect(register.set('b', 5, 'v')).toBe(false)
    expect(register.set('a', 5, 'w')).toBe(false)
    expect(register.set('b', 5, 'x')).toBe(true)
    expect(register.toWire()).toEqual({ t: 5, w: 'x', v: 'b' })
    expect(register.snapshot()).toEqual({ value: 'b', time: 5, writer: 'x' })
    expect(new LWWRegister().snapshot()).toEqual({ value: null, time: 0, writer: '' })
  })

  it('orders writers by UTF-16 units', () => {
    const register = new LWWRegister<number>()
    register.set(1, 1, '\uffff')
    expect(register.set(2, 1, '😀')).toBe(false)
  })

  it('settles every tie of time and writer, whichever side merges', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (x, y, z) => {
        const [a, b, c] = [x, y, z].map((value) => written(value as Json)) as [LWWRegister, LWWRegister, LWWRegister]
        assertJoinLaws(crdtSubject<LWWRegister>(), a, b, c)
      }),
    )
    const low = written({ b: 1, a: 2 })
    const same = written({ a: 2, b: 1 })
    expect([low.equals(same), low.merge(same), low.merge(written([1]))]).toEqual([true, false, false])
  })

  it('keeps a frozen copy of the value', () => {
    const value = { list: [1, { deep: true }] }
    const register = new LWWRegister<Json>()
    register.set(value, 1, 'w')
    value.list.push(2)
    expect(register.value).toEqual({ list: [1, { deep: true }] })
    expect(Object.isFrozen((register.value as { list: unknown[] }).list[1])).toBe(true)
    const proto = JSON.parse('{"__proto__":{"x":1}}') as Json
    register.set(proto, 2, 'w')
    expect(JSON.stringify(register.toWire())).toBe('{"t":2,"w":"w","v":{"__proto__":{"x":1}}}')
    expect(({} as { x?: number }).x).toBeUndefined()
  })

  it('refuses what is no JSON, a bad time or writer, and keeps what it had', () => {
    const register = written('kept')
    register.takeDelta()
    for (const bad of NO_JSON) expect(() => register.set(bad as Json, 9, 'w')).toThrow(code('INVALID_ARGUMENT'))
    for (const bad of BAD_TIMES) expect(() => register.set(1, bad, 'w')).toThrow(code('INVALID_ARGUMENT'))
    for (const bad of ['', 'x'.repeat(257), 5] as string[]) {
      expect(() => register.set(1, 9, bad)).toThrow(code('INVALID_ARGUMENT'))
    }
    const cycle: unknown[] = []
    cycle.push(cycle)
    expect(() => register.set(cycle as never, 9, 'w')).toThrow(code('INVALID_ARGUMENT'))
    expect([register.value, register.takeDelta()]).toEqual(['kept', null])
  })

  it.each([
    [null],
    [[]],
    [new Date(0)],
    [{ t: 1 }],
    [{ v: 1 }],
    [{ t: 0, w: 'w', v: 1 }],
    [{ t: 1, w: '', v: 1 }],
    [{ t: 101, w: 'w', v: 1 }],
    [{ t: 1, w: 'w', v: NaN }],
    [{ t: 1, w: 'w', v: JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) as unknown }],
  ])('refuses a wire form', (wire) => {
    expect(() => LWWRegister.fromWire(wire, { maxTime: 100 })).toThrow(code('DECODE_ERROR'))
  })
})

describe('LWWMap (CRDT-11..13)', () => {
  it('holds the last write of each key', () => {
    const map = new LWWMap<number>()
    expect([map.set('b', 1, 2, 'w'), map.set('a', 2, 1, 'w'), map.set('b', 9, 1, 'w')]).toEqual([true, true, false])
    expect([map.get('b'), map.has('b'), map.keys(), map.size]).toEqual([1, true, ['a', 'b'], 2])
    expect(map.entry('b')).toEqual({ value: 1, time: 2, writer: 'w' })
    expect(map.snapshot()).toEqual({
      entries: [
        { key: 'a', value: 2 },
        { key: 'b', value: 1 },
      ],
    })
    expect(Object.isFrozen(map.snapshot().entries[0])).toBe(true)
  })

  it('keeps a deletion until it is forgotten', () => {
    const map = new LWWMap<number>()
    map.set('a', 1, 1, 'w')
    expect(map.forget('a')).toBe(false)
    expect(map.delete('a', 1, 'w')).toBe(false) // a value beats a deletion of the same time and writer
    expect(map.delete('a', 2, 'w')).toBe(true)
    expect([map.get('a'), map.has('a'), map.size, map.tombstones]).toEqual([undefined, false, 0, 1])
    expect(map.entry('a')).toEqual({ value: undefined, time: 2, writer: 'w' })
    expect(map.toWire()).toEqual({ e: [], d: ['a', 2, 'w'] })
    expect(map.set('a', 5, 2, 'w')).toBe(true)
    expect([map.size, map.tombstones]).toEqual([1, 0])
    map.delete('a', 3, 'w')
    expect([map.forget('a'), map.forget('a'), map.tombstones, map.entry('a')]).toEqual([true, false, 0, undefined])
  })

  it('tells of a deletion in its delta, though it was forgotten before', () => {
    const map = new LWWMap<number>()
    map.set('a', 1, 1, 'w')
    const peer = map.clone()
    map.delete('a', 2, 'w')
    map.forget('a')
    map.set('a', 9, 1, 'older')
    expect(peer.merge(map.takeDelta() ?? new LWWMap())).toBe(true)
    expect(peer.has('a')).toBe(false)
  })

  it('deletes what it never had, so that it stays deleted', () => {
    const map = new LWWMap<number>()
    expect(map.delete('a', 5, 'w')).toBe(true)
    const late = new LWWMap<number>()
    late.set('a', 1, 4, 'z')
    expect([map.merge(late), map.has('a')]).toEqual([false, false])
  })

  it('counts tombstones towards maxEntries, and half-merges nothing', () => {
    const map = new LWWMap<number>({ maxEntries: 2 })
    map.set('a', 1, 1, 'w')
    map.delete('b', 1, 'w')
    map.takeDelta()
    const other = new LWWMap<number>()
    other.set('a', 2, 2, 'w')
    other.set('c', 3, 3, 'w')
    expect(() => map.merge(other)).toThrow(code('LIMIT_EXCEEDED'))
    expect(() => map.set('c', 1, 1, 'w')).toThrow(code('LIMIT_EXCEEDED'))
    expect(() => map.delete('c', 1, 'w')).toThrow(code('LIMIT_EXCEEDED'))
    expect([map.get('a'), map.takeDelta()]).toEqual([1, null])
    map.forget('b')
    expect(map.merge(other)).toBe(true)
  })

  it('refuses bad arguments and keeps what it had', () => {
    const map = new LWWMap()
    for (const bad of ['', 'x'.repeat(257), 5] as string[]) {
      expect(() => map.set(bad, 1, 1, 'w')).toThrow(code('INVALID_ARGUMENT'))
      expect(() => map.delete(bad, 1, 'w')).toThrow(code('INVALID_ARGUMENT'))
      expect(() => map.set('a', 1, 1, bad)).toThrow(code('INVALID_ARGUMENT'))
      expect(() => map.forget(bad)).toThrow(code('INVALID_ARGUMENT'))
    }
    for (const bad of BAD_TIMES) expect(() => map.delete('a', bad, 'w')).toThrow(code('INVALID_ARGUMENT'))
    for (const bad of NO_JSON) expect(() => map.set('a', bad as Json, 1, 'w')).toThrow(code('INVALID_ARGUMENT'))
    expect([map.size, map.tombstones, map.takeDelta()]).toEqual([0, 0, null])
  })

  it.each([
    [{}],
    [{ d: [] }],
    [{ e: ['a', 1, 'w'] }],
    [{ e: ['a', 1, 'w', 1, 'a', 2, 'w', 1] }],
    [{ e: ['a', 1, 'w', 1], d: ['a', 2, 'w'] }],
    [{ e: ['a', 101, 'w', 1] }],
    [{ e: [], d: ['a', 101, 'w'] }],
    [{ e: [], d: ['a', 1] }],
    [{ e: ['a', 1, 'w', undefined] }],
    [{ e: ['a', 1, 'w', 1, 'b', 1, 'w', 1], d: ['c', 1, 'w', 'd', 1, 'w'] }],
  ])('refuses %j', (wire) => {
    expect(() => LWWMap.fromWire(wire, { maxTime: 100, maxEntries: 3 })).toThrow(code('DECODE_ERROR'))
  })
})

function written(value: Json): LWWRegister {
  const register = new LWWRegister()
  register.set(value, 1, 'w')
  return register
}
