import { DecodeError, HsError } from '@hs/core'
import { SeededRandom } from '@hs/core/testing'
import fc from 'fast-check'
import { TDigest } from 'tdigest'
import { describe, expect, it } from 'vitest'
import {
  exponentialSketch,
  sketchFromWire,
  summarize,
  tdigestSketch,
  type QuantileSketch,
  type SketchFactory,
} from '../src/index.js'
import { ListedTDigest } from '../src/listed-tdigest.js'

const factories: [string, SketchFactory][] = [
  ['tdigest', tdigestSketch()],
  ['exponential', exponentialSketch()],
]

function logNormal(n: number, seed: number): number[] {
  const random = new SeededRandom(seed)
  return Array.from({ length: n }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random.next()))
    return Math.exp(radius * Math.cos(2 * Math.PI * random.next()))
  })
}

function filled<S extends QuantileSketch>(sketch: S, samples: Iterable<number>): S {
  for (const sample of samples) sketch.add(sample)
  return sketch
}

/** The share of samples below the estimate, minus q. */
function rankError(sorted: readonly number[], estimate: number, q: number): number {
  const below = sorted.filter((x) => x < estimate).length
  const upTo = sorted.filter((x) => x <= estimate).length
  const want = q * sorted.length
  return Math.max(0, below - want, want - upTo) / sorted.length
}

describe.each(factories)('%s sketch (WSTAT-1)', (_, factory) => {
  it('keeps count, sum, min and max exactly', () => {
    const sketch = factory.create()
    expect([sketch.count, sketch.sum, sketch.min, sketch.max]).toEqual([0, 0, Infinity, -Infinity])
    sketch.add(3)
    sketch.add(0)
    sketch.add(7, 4)
    expect([sketch.count, sketch.sum, sketch.min, sketch.max]).toEqual([6, 31, 0, 7])
    expect([sketch.quantile(0), sketch.quantile(1)]).toEqual([0, 7])
  })

  it('has no quantile when empty, and no summary', () => {
    expect(factory.create().quantile(0.5)).toBeUndefined()
    expect(summarize(factory.create())).toBeUndefined()
  })

  it('gives the same quantiles for the same calls, to the last bit', () => {
    const once = () => filled(factory.create(), logNormal(20_000, 5))
    const [a, b] = [once(), once()]
    for (let q = 0; q <= 1; q += 0.001) expect(a.quantile(q)).toBe(b.quantile(q))
  })

  it.each([Number.NaN, -1, Infinity, '3', undefined])('refuses the sample %s and changes nothing', (value) => {
    const sketch = factory.create()
    expect(() => sketch.add(value as number)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(sketch.count).toBe(0)
  })

  it.each([0, -1, 1.5, Number.NaN])('refuses the weight %s and changes nothing', (weight) => {
    const sketch = factory.create()
    expect(() => sketch.add(1, weight)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(sketch.count).toBe(0)
  })

  it.each([-0.1, 1.1, Number.NaN])('refuses the quantile %s', (q) => {
    expect(() => filled(factory.create(), [1]).quantile(q)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })

  it('merges into itself only, and counts everything', () => {
    const a = filled(factory.create(), logNormal(5_000, 1))
    const b = filled(factory.create(), logNormal(3_000, 2))
    const before = JSON.stringify(b.toWire())
    a.merge(b)
    expect(a.count).toBe(8_000)
    expect(JSON.stringify(b.toWire())).toBe(before)
    a.merge(a)
    expect(a.count).toBe(16_000)
  })

  it('clones into an independent copy', () => {
    const a = filled(factory.create(), logNormal(700, 3))
    const copy = a.clone()
    expect(copy.toWire()).toEqual(a.clone().toWire())
    copy.add(1e6)
    expect([a.count, a.max < 1e6]).toEqual([700, true])
  })

  it('comes back from the wire as it was, by its factory and by sketchFromWire', () => {
    for (const samples of [[], [0], [5, 5, 5], logNormal(20_000, 4)]) {
      const sketch = filled(factory.create(), samples)
      const wire: unknown = JSON.parse(JSON.stringify(sketch.toWire()))
      for (const back of [factory.fromWire(wire), sketchFromWire(wire)]) {
        expect(back.toWire()).toEqual(sketch.toWire())
        for (const q of [0, 0.01, 0.5, 0.99, 1]) expect(back.quantile(q)).toBe(sketch.quantile(q))
      }
    }
  })

  it('turns any JSON into a sketch or a DecodeError', () => {
    const mutated = fc
      .tuple(fc.constantFrom('k', 's', 'm', 'c', 'e', 'z', 'o', 'b'), fc.jsonValue())
      .map(([key, value]) => ({ ...filled(factory.create(), [1, 2, 300]).toWire(), [key]: value }))
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), mutated), (wire) => {
        try {
          const sketch = sketchFromWire(wire)
          expect(sketch.count).toBeGreaterThanOrEqual(0)
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('t-digest sketch (WSTAT-2)', () => {
  it('is exact for few samples: type 5 of Hyndman and Fan', () => {
    const sketch = filled(tdigestSketch().create(), [40, 10, 30, 20])
    expect([0.125, 0.25, 0.5, 0.75, 0.9].map((q) => sketch.quantile(q))).toEqual([10, 15, 25, 35, 40])
  })

  it.each(['random', 'ascending', 'descending', 'merged from 40 parts'])(
    'keeps its rank errors for 40,000 samples in %s order',
    (order) => {
      const samples = logNormal(40_000, 11)
      const sorted = [...samples].sort((a, b) => a - b)
      const sketch = tdigestSketch().create()
      if (order === 'merged from 40 parts') {
        for (let i = 0; i < 40; i++)
          sketch.merge(filled(tdigestSketch().create(), samples.slice(i * 1_000, i * 1_000 + 1_000)))
      } else if (order === 'random') filled(sketch, samples)
      else filled(sketch, order === 'ascending' ? sorted : [...sorted].reverse())
      for (const [q, bound] of [
        [0.5, 0.01],
        [0.95, 0.006],
        [0.99, 0.003],
        [0.999, 0.001],
      ] as const)
        expect(rankError(sorted, sketch.quantile(q) ?? NaN, q)).toBeLessThan(bound)
    },
  )

  it('is exact up to 255 samples, whatever was read in between', () => {
    const samples = logNormal(255, 21)
    const sketch = tdigestSketch().create()
    for (const [i, sample] of samples.entries()) {
      sketch.add(sample)
      const sorted = samples.slice(0, i + 1).sort((a, b) => a - b)
      for (const q of [0.01, 0.3, 0.5, 0.99]) {
        const h = Math.min(Math.max(q * sorted.length - 0.5, 0), i)
        const [below = NaN, above = below] = sorted.slice(Math.floor(h), Math.floor(h) + 2)
        expect(sketch.quantile(q)).toBeCloseTo(below + (h - Math.floor(h)) * (above - below), 12)
      }
    }
  })

  it('takes equal samples together, as the package does', () => {
    const samples = [5, 1, 5, 9, 5, 1, 2]
    const [sketch, digest] = [filled(tdigestSketch().create(), samples), new TDigest(0.01, 0)]
    for (const sample of samples) digest.push(sample)
    for (let q = 0.01; q < 1; q += 0.01) expect(sketch.quantile(q)).toBe(digest.percentile(q))
    expect(sketch.toWire()).toMatchObject({ c: [1, 2, 2, 1, 5, 3, 9, 1] })
  })

  it.each(['random', 'ascending', 'repeating'])(
    'holds the centroids of the package, to the last bit, for samples in %s order',
    (order) => {
      const samples = logNormal(5_000, 22)
      if (order === 'ascending') samples.sort((a, b) => a - b)
      const [listed, digest] = [new ListedTDigest(0.02), new TDigest(0.02, 0)]
      for (const sample of samples) {
        const value = order === 'repeating' ? Math.floor(sample * 4) : sample
        listed.push(value)
        digest.push(value)
      }
      expect(listed.toArray()).toEqual(digest.toArray())
      for (let q = 0; q <= 1; q += 0.01) expect(listed.percentile(q)).toBe(digest.percentile(q))
    },
  )

  it('is the other sketch when it was empty before', () => {
    const part = filled(tdigestSketch().create(), logNormal(11 * 256, 23))
    const whole = tdigestSketch().create()
    whole.merge(part)
    expect(whole.toWire()).toEqual(part.toWire())
  })

  it('never sends more centroids than it may', () => {
    const factory = tdigestSketch({ delta: 0.1, maxCentroids: 100 })
    const sketch = factory.create()
    for (let i = 0; i < 50_000; i++) sketch.add(i)
    const wire = sketch.toWire() as unknown as { c: number[] }
    expect(wire.c.length / 2).toBeLessThanOrEqual(100)
    const finer = filled(tdigestSketch().create(), logNormal(20_000, 6))
    expect((factory.fromWire(finer.toWire()).toWire() as unknown as { c: number[] }).c.length).toBeLessThanOrEqual(200)
  })

  it('refuses a bound that its delta cannot keep', () => {
    expect(() => tdigestSketch({ delta: 0.01, maxCentroids: 500 })).toThrow(/maxCentroids/)
    expect(() => tdigestSketch({ delta: 0.2 })).toThrow(/delta/)
  })

  it('does not take in a sketch of another kind', () => {
    const call = () => tdigestSketch().create().merge(exponentialSketch().create())
    expect(call).toThrow(expect.objectContaining({ code: 'SKETCH_MISMATCH', details: { expected: 't', found: 'e' } }))
    expect(() => exponentialSketch().create().merge(tdigestSketch().create())).toThrow(HsError)
  })
})

describe('exponential sketch (WSTAT-3..5)', () => {
  const bucketOf = (value: number, scale: number) =>
    filled(exponentialSketch({ scale }).create(), [value]).buckets().offset

  it.each([-4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8])(
    'puts powers of two into the bucket below, at scale %i',
    (scale) => {
      for (let exponent = -1_021; exponent < 1_024; exponent += 17) {
        expect(bucketOf(2 ** exponent, scale)).toBe(Math.ceil(exponent * 2 ** scale) - 1)
        expect(bucketOf(2 ** exponent * (1 + Number.EPSILON), scale)).toBe(Math.floor(exponent * 2 ** scale))
      }
    },
  )

  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'divides an octave at the true boundaries, to the last bit, at scale %i',
    (scale) => {
      // In whole numbers: x > 2^(k / n) exactly when x^n > 2^k.
      const n = 2 ** scale
      for (let k = 0; k <= n; k++) {
        const near = 2 ** (k / n)
        for (const x of [near - Number.EPSILON, near, near + Number.EPSILON]) {
          const isAbove = BigInt(x * 2 ** 52) ** BigInt(n) > 1n << BigInt(k + 52 * n)
          expect(bucketOf(x, scale)).toBe(isAbove ? k : k - 1)
          expect(bucketOf(x * 2 ** -40, scale)).toBe((isAbove ? k : k - 1) - 40 * n)
        }
      }
    },
  )

  it('agrees with logarithms away from the boundaries, at every scale', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-300, max: 1e300, noNaN: true }), fc.integer({ min: -4, max: 8 }), (x, scale) => {
        const exact = Math.log2(x) * 2 ** scale
        if (Math.abs(exact - Math.round(exact)) < 1e-6) return
        expect(bucketOf(x, scale)).toBe(Math.floor(exact))
      }),
    )
  })

  it('counts zero and subnormal samples as zero', () => {
    const sketch = filled(exponentialSketch().create(), [0, 5e-324, 2 ** -1022, 1])
    expect(sketch.buckets().zeroCount).toBe(2)
    expect(sketch.count).toBe(4)
  })

  it('keeps the relative error at 0.54 % at scale 6', () => {
    const samples = logNormal(20_000, 8)
    const sorted = [...samples].sort((a, b) => a - b)
    const sketch = filled(exponentialSketch().create(), samples)
    for (const q of [0.01, 0.25, 0.5, 0.9, 0.99, 0.999]) {
      const exact = sorted[Math.floor(q * (sorted.length - 1))] ?? NaN
      expect(Math.abs((sketch.quantile(q) ?? NaN) - exact) / exact).toBeLessThanOrEqual(0.00542)
    }
  })

  it('holds any range of doubles in 160 buckets', () => {
    const sketch = filled(exponentialSketch({ scale: 8, maxBuckets: 160 }).create(), [2 ** -1022, Number.MAX_VALUE, 1])
    expect(sketch.scale).toBe(-4)
    expect(sketch.buckets().counts.reduce((a, b) => a + b)).toBe(3)
    expect(sketch.quantile(0.9)).toBeGreaterThan(0)
  })

  it('merges in any order and grouping to the very same buckets', () => {
    const factory = exponentialSketch({ maxBuckets: 160 })
    const parts = fc.array(fc.array(fc.double({ min: 0, max: 1e12, noNaN: true }), { maxLength: 30 }), {
      minLength: 1,
      maxLength: 6,
    })
    fc.assert(
      fc.property(parts, fc.integer({ min: 0, max: 5 }), (lists, cut) => {
        const whole = filled(factory.create(), lists.flat()).buckets()
        const sketches = lists.map((list) => filled(factory.create(), list))
        const [left, right] = [factory.create(), factory.create()]
        sketches.slice(0, cut).forEach((s) => left.merge(s))
        sketches
          .slice(cut)
          .reverse()
          .forEach((s) => right.merge(s))
        right.merge(left)
        expect(right.buckets()).toEqual(whole)
        expect(whole.zeroCount + whole.counts.reduce((a, b) => a + b, 0)).toBe(right.count)
      }),
    )
  })

  it('takes a list as it takes one sample after the other, or nothing of it', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -0, noNaN: true, noDefaultInfinity: true })), (samples) => {
        const [one, list] = [exponentialSketch().create(), exponentialSketch().create()]
        filled(one, samples)
        list.addAll(samples)
        expect(list.toWire()).toEqual(one.toWire())
        expect(() => list.addAll([...samples, -1])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
        expect(list.toWire()).toEqual(one.toWire())
      }),
    )
  })

  it('counts beyond 32 bits, added, merged and from the wire', () => {
    const many = 2 ** 40
    const sketch = filled(exponentialSketch().create(), [1, 3])
    sketch.add(3, many)
    const part = exponentialSketch().create()
    part.add(3, 2 ** 32 - 1)
    part.merge(part)
    sketch.merge(part)
    sketch.merge(filled(exponentialSketch().create(), [3, 0]))
    part.addAll([3, 3, 3])
    expect(part.buckets().counts).toEqual([2 ** 33 + 1])
    const counts = [1, many + 2 ** 33]
    const back = sketchFromWire(JSON.parse(JSON.stringify(sketch.toWire())))
    for (const each of [sketch, sketch.clone(), back] as (typeof sketch)[]) {
      expect(each.buckets().counts.filter((count) => count > 0)).toEqual(counts)
      expect([each.count, each.buckets().zeroCount]).toEqual([many + 2 ** 33 + 2, 1])
      expect(each.quantile(0.5)).toBeCloseTo(3, 1)
    }
  })

  it('is small on the wire', () => {
    const sketch = filled(exponentialSketch().create(), logNormal(20_000, 9))
    expect(JSON.stringify(sketch.toWire()).length).toBeLessThan(6_000)
  })

  it.each<[Record<string, unknown>, string]>([
    [{ b: [-3, 1] }, 'begins with a gap'],
    [{ b: [1, -3] }, 'ends with a gap'],
    [{ b: [1, -65_536, 1] }, 'is too wide'],
    [{ b: [1, 0, 1] }, 'has an empty entry'],
    [{ e: 9 }, 'has no such scale'],
    [{ z: -1 }, 'has a negative count'],
    [{ m: [] }, 'lost its extremes'],
    [{ m: [3, 1] }, 'has its extremes swapped'],
    [{ o: 1e9 }, 'lies beyond all doubles'],
  ])('refuses %j: it %s', (change) => {
    const wire = { ...filled(exponentialSketch().create(), [1, 2]).toWire(), ...change }
    expect(() => sketchFromWire(wire)).toThrow(DecodeError)
  })
})
