import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '@hs/core/testing'

const MASK_32 = 0xffffffffn
const MASK_64 = (1n << 64n) - 1n

/** The definition of CORE-9 in whole numbers, slowly. */
class Reference {
  readonly #state: [bigint, bigint, bigint, bigint]

  constructor(seed: bigint) {
    let state = seed & MASK_64
    const splitMix = () => {
      state = (state + 0x9e3779b97f4a7c15n) & MASK_64
      let z = state
      z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK_64
      z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK_64
      return z ^ (z >> 31n)
    }
    const x = splitMix()
    const y = splitMix()
    this.#state = [x & MASK_32, x >> 32n, y & MASK_32, y >> 32n]
  }

  draw(): bigint {
    const s = this.#state
    const rotate = (value: bigint, by: bigint) => ((value << by) | (value >> (32n - by))) & MASK_32
    const result = (rotate((s[1] * 5n) & MASK_32, 7n) * 9n) & MASK_32
    const t = (s[1] << 9n) & MASK_32
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = rotate(s[3], 11n)
    return result
  }

  next(): number {
    const a = this.draw()
    const b = this.draw()
    return Number((a >> 5n) * 2n ** 26n + (b >> 6n)) / 2 ** 53
  }

  int(n: number): number {
    let mask = 0n
    while (mask < BigInt(n) - 1n) mask = mask * 2n + 1n
    for (;;) {
      const drawn = this.draw() & mask
      if (drawn < BigInt(n)) return Number(drawn)
    }
  }
}

function fnv1a(text: string): bigint {
  let hash = 0xcbf29ce484222325n
  for (const byte of Buffer.from(text, 'utf8')) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & MASK_64
  return hash
}

describe('SeededRandom (CORE-9)', () => {
  it('draws what the definition says, for any seed and any order of calls', () => {
    const call = fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 2 ** 32 }))
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
        fc.array(call, { maxLength: 60 }),
        (seed, calls) => {
          const random = new SeededRandom(seed)
          const reference = new Reference(seed)
          for (const n of calls) {
            if (n === null) expect(random.next()).toBe(reference.next())
            else expect(random.int(n)).toBe(reference.int(n))
          }
        },
      ),
    )
  })

  it('keeps the stream of a seed between releases', () => {
    const random = new SeededRandom(42)
    expect(Array.from({ length: 4 }, () => random.int(1_000_000))).toEqual([547370, 260816, 333919, 990886])
    expect(new SeededRandom('replay').next()).toBe(0.16249903573984192)
  })

  it('takes integers and bigints modulo 2^64, and strings by FNV-1a of their UTF-8', () => {
    expect(new SeededRandom(0).seed).toBe('0000000000000000')
    expect(new SeededRandom(-1).seed).toBe('ffffffffffffffff')
    expect(new SeededRandom(2n ** 64n + 255n).seed).toBe('00000000000000ff')
    expect(new SeededRandom('').seed).toBe('cbf29ce484222325')
    expect(new SeededRandom('a').seed).toBe('af63dc4c8601ec8c')
    for (const text of ['node/a/1', 'ünïcödé', '雪', '😀'])
      expect(new SeededRandom(text).seed).toBe(fnv1a(text).toString(16).padStart(16, '0'))
    expect(new SeededRandom(7).next()).toBe(new SeededRandom(7n).next())
  })

  it('draws int(1) as one draw', () => {
    const a = new SeededRandom(1)
    const b = new SeededRandom(1)
    expect(a.int(1)).toBe(0)
    b.int(2 ** 32)
    expect(a.next()).toBe(b.next())
  })

  it('stays in its ranges', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 2 ** 32 }), (seed, n) => {
        const random = new SeededRandom(seed)
        for (let i = 0; i < 20; i++) {
          const real = random.next()
          expect(real >= 0 && real < 1).toBe(true)
          const whole = random.int(n)
          expect(Number.isInteger(whole) && whole >= 0 && whole < n).toBe(true)
        }
      }),
    )
  })

  it('is uniform: every value of int comes about as often', () => {
    const random = new SeededRandom('uniform')
    for (const n of [3, 7, 10]) {
      const counts = new Array<number>(n).fill(0)
      for (let i = 0; i < 10_000 * n; i++) counts[random.int(n)]!++
      // Six standard deviations.
      for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(600)
    }
  })

  it('picks xs[int(length)] and shuffles from the last index down, in place', () => {
    const a = new SeededRandom(5)
    const b = new SeededRandom(5)
    const xs = ['a', 'b', 'c', 'd', 'e']
    expect(a.pick(xs)).toBe(xs[b.int(5)])
    const expected = [...xs]
    for (let i = 4; i > 0; i--) {
      const j = b.int(i + 1)
      const moved = expected[i]!
      expected[i] = expected[j]!
      expected[j] = moved
    }
    expect(a.shuffle(xs)).toBe(xs)
    expect(xs).toEqual(expected)
    expect(a.shuffle([])).toEqual([])
  })

  it('refuses bad arguments and draws nothing for them', () => {
    const random = new SeededRandom(1)
    for (const n of [0, -1, 1.5, NaN, Infinity, 2 ** 32 + 1])
      expect(() => random.int(n)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => random.pick([])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(random.next()).toBe(new SeededRandom(1).next())
  })

  it('refuses other seeds', () => {
    for (const seed of [1.5, NaN, Infinity, undefined, null, {}, true])
      expect(() => new SeededRandom(seed as number)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })
})

describe('SeededRandom.fork (CORE-10)', () => {
  it('is new SeededRandom(seed/label), whatever was drawn before', () => {
    const random = new SeededRandom(99)
    const before = random.fork('node/a')
    for (let i = 0; i < 10; i++) random.next()
    const after = random.fork('node/a')
    const named = new SeededRandom(`${random.seed}/node/a`)
    expect(before.seed).toBe(named.seed)
    expect([before.next(), before.next()]).toEqual([after.next(), after.next()])
    expect(random.fork('node/b').seed).not.toBe(named.seed)
  })

  it('draws nothing from its parent', () => {
    const random = new SeededRandom(99)
    random.fork('x')
    expect(random.next()).toBe(new SeededRandom(99).next())
  })
})
