import { backoffDelay, type BackoffDelayOptions, type Jitter } from '@hs/retry-budget'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const jitters: Jitter[] = ['full', 'equal', 'decorrelated', 'none']
const options = { attempt: 1, baseMs: 100, maxMs: 1_000 }

describe('backoffDelay (RB-5)', () => {
  const cases: [Partial<BackoffDelayOptions> & { jitter: Jitter }, u: number, expected: number][] = [
    [{ jitter: 'none' }, 0.9, 100],
    [{ jitter: 'none', attempt: 3 }, 0, 400],
    [{ jitter: 'none', attempt: 3, factor: 3 }, 0, 900],
    [{ jitter: 'none', attempt: 3, factor: 1 }, 0, 100],
    [{ jitter: 'none', attempt: 5 }, 0, 1_000],
    [{ jitter: 'none', baseMs: 0, attempt: 5_000 }, 0, 0],
    [{ jitter: 'full' }, 0, 0],
    [{ jitter: 'full' }, 0.5, 50],
    [{ jitter: 'full', attempt: 2 }, 0.25, 50],
    [{ jitter: 'full', attempt: 10 }, 0.5, 500],
    [{ jitter: 'equal' }, 0, 50],
    [{ jitter: 'equal' }, 0.5, 75],
    [{ jitter: 'equal', attempt: 10 }, 0.5, 750],
    [{ jitter: 'decorrelated' }, 0, 100],
    [{ jitter: 'decorrelated' }, 0.5, 200],
    [{ jitter: 'decorrelated', attempt: 9, previousMs: 200 }, 0.5, 350],
    [{ jitter: 'decorrelated', previousMs: 10 }, 0.5, 100],
    [{ jitter: 'decorrelated', previousMs: 900 }, 0.9, 1_000],
  ]
  it.each(cases)('%j with the die at %d is %d ms', (given, u, expected) => {
    expect(backoffDelay({ ...options, ...given }, u)).toBeCloseTo(expected, 9)
  })

  it('is finite, and between the bounds of its jitter, for every attempt number', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...jitters),
        fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constantFrom(1_000, 1e6, Number.MAX_SAFE_INTEGER)),
        fc.double({ min: 0, max: 1e5, noNaN: true }),
        fc.double({ min: 0, max: 1e6, noNaN: true }),
        fc.double({ min: 1, max: 10, noNaN: true }),
        fc.double({ min: 0, max: 1e6, noNaN: true }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (jitter, attempt, baseMs, extraMs, factor, previousMs, u) => {
          const maxMs = baseMs + extraMs
          const delay = backoffDelay({ jitter, attempt, baseMs, maxMs, factor, previousMs }, u)
          const ceiling = baseMs === 0 ? 0 : Math.min(maxMs, baseMs * factor ** (attempt - 1))
          const lowest = { full: 0, equal: ceiling / 2, decorrelated: baseMs, none: ceiling }[jitter]
          const highest = jitter === 'decorrelated' ? maxMs : ceiling
          expect(delay).toBeGreaterThanOrEqual(lowest)
          expect(delay).toBeLessThanOrEqual(highest)
        },
      ),
      { examples: [['equal', 1, 7.4e-323, 0, 1, 0, 0.9375]] },
    )
  })

  it('spreads delays at the cap, too', () => {
    const capped = { jitter: 'full', attempt: 50, baseMs: 100, maxMs: 1_000 } as const
    expect([0.1, 0.5, 0.9].map((u) => backoffDelay(capped, u))).toEqual([100, 500, 900])
  })

  it.each([
    { ...options, jitter: 'full', baseMs: NaN },
    { ...options, jitter: 'none', baseMs: -1 },
    { ...options, jitter: 'none', baseMs: Infinity, maxMs: Infinity },
  ] as const)('refuses %j, which makes no delay', (bad) => {
    expect(() => backoffDelay(bad, 0.5)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})
