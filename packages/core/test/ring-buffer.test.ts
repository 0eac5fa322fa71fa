import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../src/errors.js'
import { RingBuffer } from '../src/ring-buffer.js'
import { collectGarbage } from './collect-garbage.js'

describe('RingBuffer (CORE-27)', () => {
  it('keeps the latest items and gives back the one that had to go', () => {
    const buffer = new RingBuffer<string>(3)
    expect(['a', 'b', 'c', 'd', 'e'].map((item) => buffer.push(item))).toEqual([
      undefined,
      undefined,
      undefined,
      'a',
      'b',
    ])
    expect(buffer.toArray()).toEqual(['c', 'd', 'e'])
    expect([buffer.size, buffer.capacity]).toEqual([3, 3])
  })

  it.each([
    [0, 'c'],
    [2, 'e'],
    [-1, 'e'],
    [-3, 'c'],
    [3, undefined],
    [-4, undefined],
    [0.5, undefined],
    [Number.NaN, undefined],
  ])('has at %s: %s', (index, expected) => {
    const buffer = new RingBuffer<string>(3)
    for (const item of ['a', 'b', 'c', 'd', 'e']) buffer.push(item)
    expect(buffer.at(index)).toBe(expected)
  })

  it('keeps undefined as an item', () => {
    const buffer = new RingBuffer<undefined>(2)
    buffer.push(undefined)
    expect(buffer.size).toBe(1)
    buffer.shift()
    expect(buffer.size).toBe(0)
  })

  it('iterates over what was in it when the iteration began', () => {
    const buffer = new RingBuffer<number>(3)
    for (const item of [1, 2, 3]) buffer.push(item)
    const seen: number[] = []
    for (const item of buffer) {
      seen.push(item)
      buffer.push(item + 10)
    }
    expect(seen).toEqual([1, 2, 3])
    expect([...buffer]).toEqual([11, 12, 13])
  })

  it('takes no memory for a capacity that is not used', () => {
    const buffers = Array.from({ length: 1_000 }, () => new RingBuffer<number>(2 ** 30))
    for (const buffer of buffers) expect(buffer.push(1)).toBeUndefined()
  })

  it('does not keep alive what has left', async () => {
    const buffer = new RingBuffer<object>(4)
    const weak = [0, 1, 2].map((index) => {
      const item = { index }
      buffer.push(item)
      return new WeakRef(item)
    })
    buffer.shift()
    buffer.shift()
    await collectGarbage()
    expect(weak.map((ref) => ref.deref()?.index)).toEqual([undefined, undefined, 2])
    buffer.clear()
    await collectGarbage()
    expect(weak[2]?.deref()).toBeUndefined()
  })

  it.each([0, -1, 1.5, Number.NaN, Infinity, '3', undefined])('refuses the capacity %s', (bad) => {
    expect(() => new RingBuffer(bad as number)).toThrow(ConfigError)
  })

  it('does what an array does that is cut to the capacity', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.constant('push' as const) },
      { weight: 4, arbitrary: fc.constant('shift' as const) },
      { weight: 1, arbitrary: fc.constant('clear' as const) },
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.array(step, { maxLength: 200 }), (capacity, steps) => {
        const buffer = new RingBuffer<number>(capacity)
        const oracle: number[] = []
        for (const [item, kind] of steps.entries()) {
          if (kind === 'push') {
            oracle.push(item)
            expect(buffer.push(item)).toBe(oracle.length > capacity ? oracle.shift() : undefined)
          }
          if (kind === 'shift') expect(buffer.shift()).toBe(oracle.shift())
          if (kind === 'clear') {
            buffer.clear()
            oracle.length = 0
          }
          expect(buffer.size).toBe(oracle.length)
          expect(buffer.toArray()).toEqual(oracle)
          for (let i = -oracle.length - 1; i <= oracle.length; i++) expect(buffer.at(i)).toBe(oracle.at(i))
        }
      }),
    )
  })
})
