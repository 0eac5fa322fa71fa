import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { apportion } from '@hs/jobs'

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)
const weights = fc.array(fc.nat(1_000), { minLength: 1, maxLength: 20 })

describe('apportion (JOBS-6)', () => {
  it.each<[number, number[], Parameters<typeof apportion>[2], number[]]>([
    [10, [1, 1, 1], {}, [4, 3, 3]],
    [10, [3, 2, 1], {}, [5, 3, 2]],
    [0, [1, 2], {}, [0, 0]],
    [5, [], {}, []],
    [7, [0, 0], {}, [4, 3]],
    [7, [0, 1], {}, [0, 7]],
    [10, [1, 2, 3], { min: 2, max: 4 }, [2, 4, 4]],
    [10, [1, 1], { max: [2, 3] }, [2, 3]],
    [9, [100, 1, 1], { min: 1 }, [7, 1, 1]],
    [6, [1, 0], { max: [4, 9] }, [4, 2]],
    [100, [1, 1, 1, 1], { min: [70, 0, 0, 0] }, [70, 10, 10, 10]],
    [3, [0.5, 0.25, 0.25], {}, [1, 1, 1]],
  ])('splits %d by %j within %j as %j', (total, given, bounds, expected) => {
    expect(apportion(total, given, bounds)).toEqual(expected)
  })

  it('adds up exactly and stays within the quota: each share is the exact one, rounded up or down', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), weights, (total, given) => {
        const shares = apportion(total, given)
        expect(sum(shares)).toBe(total)
        const weightSum = sum(given)
        if (weightSum === 0) return
        for (const [index, share] of shares.entries()) {
          const product = total * given[index]!
          expect(share).toBeGreaterThanOrEqual(Math.floor(product / weightSum))
          expect(share).toBeLessThanOrEqual(Math.ceil(product / weightSum))
        }
      }),
    )
  })

  it('gives what is left by the largest remainder, to the earlier index among equal ones', () => {
    fc.assert(
      fc.property(
        fc.nat(1_000),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 10 }),
        (total, given) => {
          const weightSum = sum(given)
          const remainders = given.map((weight) => (total * weight) % weightSum)
          const whole = given.map((weight) => Math.floor((total * weight) / weightSum))
          const order = given.map((_, index) => index).sort((a, b) => remainders[b]! - remainders[a]! || a - b)
          for (const index of order.slice(0, total - sum(whole))) whole[index]!++
          expect(apportion(total, given)).toEqual(whole)
        },
      ),
    )
  })

  const bounded = fc
    .array(fc.record({ weight: fc.nat(100), min: fc.nat(20), more: fc.nat(30) }), { minLength: 1, maxLength: 12 })
    .chain((entries) => fc.record({ entries: fc.constant(entries), extra: fc.nat(400) }))

  it('keeps every bound and adds up to min(total, Σmax)', () => {
    fc.assert(
      fc.property(bounded, ({ entries, extra }) => {
        const min = entries.map((entry) => entry.min)
        const max = entries.map((entry) => entry.min + entry.more)
        const total = sum(min) + extra
        const shares = apportion(
          total,
          entries.map(({ weight }) => weight),
          { min, max },
        )
        expect(sum(shares)).toBe(Math.min(total, sum(max)))
        for (const [index, share] of shares.entries()) {
          expect(share).toBeGreaterThanOrEqual(min[index]!)
          expect(share).toBeLessThanOrEqual(max[index]!)
        }
      }),
    )
  })

  it('is fair between whoever is at no bound: a larger weight never has less', () => {
    fc.assert(
      fc.property(bounded, ({ entries, extra }) => {
        const min = entries.map((entry) => entry.min)
        const max = entries.map((entry) => entry.min + entry.more)
        const shares = apportion(
          sum(min) + extra,
          entries.map(({ weight }) => weight),
          { min, max },
        )
        for (const [a, first] of entries.entries()) {
          for (const [b, second] of entries.entries()) {
            const isFree = shares[a]! < max[a]! && shares[b]! > min[b]!
            if (isFree && first.weight >= second.weight && second.weight > 0) {
              expect(shares[a]! + 1).toBeGreaterThanOrEqual(shares[b]!)
            }
          }
        }
      }),
    )
  })

  it('loses no unit of numbers that a double holds only just', () => {
    const total = Number.MAX_SAFE_INTEGER
    expect(sum(apportion(total, [1, 1]))).toBe(total)
    const shares = apportion(1_000_000_007, [1e300, 1e-300, 3])
    expect(sum(shares)).toBe(1_000_000_007)
  })

  it.each<[string, () => unknown]>([
    ['a total below the minima', () => apportion(3, [1, 1], { min: 2 })],
    ['a negative total', () => apportion(-1, [1])],
    ['a total that is no integer', () => apportion(1.5, [1])],
    ['a negative weight', () => apportion(1, [-1])],
    ['a weight that is no number', () => apportion(1, [NaN])],
    ['an endless weight', () => apportion(1, [Infinity])],
    ['bounds for others', () => apportion(1, [1, 1], { min: [0] })],
    ['a minimum above the maximum', () => apportion(9, [1], { min: 2, max: 1 })],
  ])('refuses %s', (_what, call) => {
    expect(call).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})
