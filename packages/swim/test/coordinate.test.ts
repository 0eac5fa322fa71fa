import type { HsError } from '@hs/core'
import { ConfigError } from '@hs/core'
import { coordinateQuality, distanceMs, rttUpperBoundMs, type Coordinate } from '@hs/swim'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const at = (vec: number[], rest: Partial<Coordinate> = {}): Coordinate => ({
  vec,
  heightMs: 0,
  adjustmentMs: 0,
  error: 0.1,
  ...rest,
})

describe('distanceMs (SWIM-40)', () => {
  it.each([
    ['the way between the points', at([0, 0]), at([3, 4]), 5],
    ['and both heights', at([0, 0], { heightMs: 10 }), at([3, 4], { heightMs: 2 }), 17],
    ['and both adjustments', at([0, 0], { adjustmentMs: -1 }), at([3, 4], { adjustmentMs: -2 }), 2],
    ['but not when they leave nothing', at([0, 0], { adjustmentMs: -3 }), at([3, 4], { adjustmentMs: -2 }), 5],
    ['one place', at([7, 7], { heightMs: 1 }), at([7, 7], { heightMs: 1 }), 2],
  ])('is %s', (_, a, b, expected) => {
    expect(distanceMs(a, b)).toBeCloseTo(expected, 12)
    expect(distanceMs(b, a)).toBe(distanceMs(a, b))
  })

  it('refuses coordinates of different spaces', () => {
    expect(() => distanceMs(at([1]), at([1, 2]))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as HsError,
    )
  })
})

describe('rttUpperBoundMs (SWIM-40)', () => {
  it.each([
    // d = 100, sigma = 100 · √(0.3² + 0.4²) = 50
    ['two deviations above the distance', at([0], { error: 0.3 }), at([100], { error: 0.4 }), undefined, 200],
    ['as many as asked for', at([0], { error: 0.3 }), at([100], { error: 0.4 }), 3, 250],
    ['at least a deviation of 1 ms', at([0], { error: 0 }), at([100], { error: 0 }), undefined, 102],
    ['at most a deviation of 500 ms', at([0], { error: 1.5 }), at([1_000], { error: 1.5 }), undefined, 2_000],
    ['at most 10 s', at([0]), at([50_000]), undefined, 10_000],
    ['at least 1 ms', at([0]), at([0]), 0, 1],
    ['100 and two of 50 without the one', undefined, at([0]), undefined, 200],
    ['100 and two of 50 without the other', at([0]), undefined, undefined, 200],
    ['100 alone without deviations', undefined, undefined, 0, 100],
  ])('is %s', (_, a, b, sigmas, expected) => {
    expect(rttUpperBoundMs(a, b, sigmas === undefined ? undefined : { sigmas })).toBeCloseTo(expected, 9)
  })

  it('refuses options that make no sense', () => {
    expect(() => rttUpperBoundMs(undefined, undefined, { sigmas: -1 })).toThrow(ConfigError)
  })

  it('lies within 1 and 10,000 ms and never below the distance that is within', () => {
    const coordinate = fc.record({
      vec: fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 3, maxLength: 3 }),
      heightMs: fc.double({ min: 0, max: 1e4, noNaN: true }),
      adjustmentMs: fc.double({ min: -1e4, max: 1e4, noNaN: true }),
      error: fc.double({ min: 0, max: 10, noNaN: true }),
    })
    fc.assert(
      fc.property(coordinate, coordinate, (a, b) => {
        const bound = rttUpperBoundMs(a, b)
        expect(bound).toBeGreaterThanOrEqual(Math.min(10_000, distanceMs(a, b)))
        expect(bound).toBeGreaterThanOrEqual(1)
        expect(bound).toBeLessThanOrEqual(10_000)
      }),
    )
  })
})

describe('coordinateQuality (SWIM-40)', () => {
  it.each([
    [{ samples: 10, error: 0.2, ageMs: 300_000 }, 1],
    [{ samples: 500, error: 0, ageMs: 0 }, 1],
    [{ samples: 5, error: 0.2, ageMs: 0 }, 0.5],
    [{ samples: 10, error: 0.8, ageMs: 0 }, 0.25],
    [{ samples: 10, error: 0.1, ageMs: 600_000 }, 0.5],
    [{ samples: 5, error: 0.4, ageMs: 600_000 }, 0.125],
    [{ samples: 0, error: 1.5, ageMs: 0 }, 0],
  ])('of %o is %d', (x, expected) => {
    expect(coordinateQuality(x)).toBeCloseTo(expected, 12)
  })

  it('takes other measures', () => {
    const options = { minSamples: 20, goodError: 0.5, ttlMs: 1_000 }
    expect(coordinateQuality({ samples: 10, error: 1, ageMs: 2_000 }, options)).toBeCloseTo(0.125, 12)
    expect(() => coordinateQuality({ samples: 1, error: 1, ageMs: 1 }, { goodError: 0 })).toThrow(ConfigError)
  })
})
