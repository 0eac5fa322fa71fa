import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { systemRandom } from '@hs/core'
import { Xoshiro128 } from '../src/xoshiro.js'

/** The same generator written for reading, on bigints. */
const M32 = 0xffff_ffffn
const rotl = (x: bigint, k: bigint) => ((x << k) | (x >> (32n - k))) & M32

function* xoshiroOracle([...s]: bigint[]): Generator<number, never> {
  let [s0, s1, s2, s3] = s as [bigint, bigint, bigint, bigint]
  for (;;) {
    yield Number((rotl((s1 * 5n) & M32, 7n) * 9n) & M32)
    const t = (s1 << 9n) & M32
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= t
    s3 = rotl(s3, 11n)
  }
}

function* splitMixOracle(seed: bigint): Generator<bigint, never> {
  const M64 = 2n ** 64n - 1n
  let state = seed & M64
  for (;;) {
    state = (state + 0x9e3779b97f4a7c15n) & M64
    let z = state
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & M64
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & M64
    yield z ^ (z >> 31n)
  }
}

function oracle(seed: bigint): Generator<number, never> {
  const mix = splitMixOracle(seed)
  const [x, y] = [mix.next().value, mix.next().value]
  return xoshiroOracle([x & M32, x >> 32n, y & M32, y >> 32n])
}

function take<T>(from: Iterator<T, never>, n: number): T[] {
  return Array.from({ length: n }, () => from.next().value)
}

function oracleInt(outputs: Iterator<number, never>, n: number): number {
  let mask = 0
  while (mask < n - 1) mask = mask * 2 + 1
  for (;;) {
    const drawn = Number(BigInt(outputs.next().value) & BigInt(mask))
    if (drawn < n) return drawn
  }
}

const seeds = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })

describe('xoshiro128** (CORE-9)', () => {
  it('is compared with an oracle that gives the published outputs', () => {
    expect(take(xoshiroOracle([1n, 2n, 3n, 4n]), 6)).toEqual([11520, 0, 5927040, 70819200, 2031721883, 1637235492])
    expect(take(splitMixOracle(1_234_567n), 3)).toEqual([
      6457827717110365317n,
      3203168211198807973n,
      9817491932198370423n,
    ])
  })

  it('next() joins two outputs to 53 bits', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const random = new Xoshiro128(seed)
        const outputs = oracle(seed)
        for (let i = 0; i < 20; i++) {
          const [a, b] = take(outputs, 2) as [number, number]
          expect(random.next()).toBe(((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53)
        }
      }),
    )
  })

  it('int() masks and redraws, over its whole range', () => {
    const limits = fc.oneof(
      fc.integer({ min: 1, max: 2 ** 32 }),
      fc.integer({ min: 0, max: 32 }).map((k) => 2 ** k),
      fc.integer({ min: 1, max: 31 }).map((k) => 2 ** k + 1),
    )
    fc.assert(
      fc.property(seeds, fc.array(limits, { minLength: 1, maxLength: 20 }), (seed, ns) => {
        const random = new Xoshiro128(seed)
        const outputs = oracle(seed)
        for (const n of ns) expect(random.int(n)).toBe(oracleInt(outputs, n))
      }),
    )
  })

  it('int(1) is 0 and takes one output', () => {
    const random = new Xoshiro128(7n)
    const outputs = oracle(7n)
    outputs.next()
    expect(random.int(1)).toBe(0)
    expect(random.int(2 ** 32)).toBe(outputs.next().value)
  })

  it('pick() is int(length) and shuffle() is Fisher-Yates from the last index down, in place', () => {
    fc.assert(
      fc.property(seeds, fc.array(fc.integer(), { minLength: 1, maxLength: 30 }), (seed, xs) => {
        expect(new Xoshiro128(seed).pick(xs)).toBe(xs[new Xoshiro128(seed).int(xs.length)])
        const outputs = oracle(seed)
        const expected = [...xs]
        for (let i = xs.length - 1; i > 0; i--) {
          const j = oracleInt(outputs, i + 1)
          ;[expected[i], expected[j]] = [expected[j]!, expected[i]!]
        }
        const shuffled = [...xs]
        expect(new Xoshiro128(seed).shuffle(shuffled)).toBe(shuffled)
        expect(shuffled).toEqual(expected)
      }),
    )
  })

  it.each([0, -1, 1.5, 2 ** 32 + 1, NaN, Infinity])('int(%s) is an invalid argument', (n) => {
    expect(() => new Xoshiro128(1n).int(n)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it('pick() of nothing is an invalid argument', () => {
    expect(() => new Xoshiro128(1n).pick([])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})

describe('systemRandom', () => {
  it('draws in range, and differently each time', () => {
    const drawn = Array.from({ length: 100 }, () => systemRandom.next())
    expect(drawn.every((x) => x >= 0 && x < 1)).toBe(true)
    expect(new Set(drawn).size).toBe(100)
    expect(systemRandom.int(3)).toBeLessThan(3)
    expect(['a', 'b']).toContain(systemRandom.pick(['a', 'b']))
    expect(systemRandom.shuffle([1, 2, 3]).sort()).toEqual([1, 2, 3])
    expect(() => systemRandom.int(0)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it('is seeded by each process anew, when it first draws', async () => {
    const seeding = vi.spyOn(crypto, 'getRandomValues')
    vi.resetModules()
    const { systemRandom: other } = await import('../src/random.js')
    expect(seeding).not.toHaveBeenCalled()
    const drawn = [other.next(), other.next()]
    expect(seeding).toHaveBeenCalledTimes(1)
    vi.resetModules()
    const { systemRandom: third } = await import('../src/random.js')
    expect([third.next(), third.next()]).not.toEqual(drawn)
    seeding.mockRestore()
  })
})
