/**
 * Splits a whole number in proportion to weights, exactly: no unit is lost or invented by rounding.
 * Source: Hamilton's method of largest remainders (Balinski and Young, "Fair Representation"); bounds are resolved on
 * real numbers first, as CSS resolves flexible lengths (css-flexbox-1, section 9.7), then shares are rounded.
 */
import { invalidArgument, requireInteger } from './arguments.js'

export interface ApportionBounds {
  /** Least share, of all or of each; integers from 0. @default 0 */
  min?: number | readonly number[]
  /** Greatest share, of all or of each; integers from 0, or Infinity. @default Infinity */
  max?: number | readonly number[]
}

/**
 * Shares that add up to exactly `min(total, Σmax)`. Among equal remainders the earlier index gets the unit.
 * Weights are finite numbers from 0; if all that may still grow are 0, they count as equal.
 * @throws HsError `'INVALID_ARGUMENT'` for arguments out of range, and if `total < Σmin`.
 */
export function apportion(total: number, weights: readonly number[], bounds: ApportionBounds = {}): number[] {
  requireInteger('total', total)
  for (const weight of weights) {
    if (!(weight >= 0 && weight < Infinity)) throw invalidArgument(`weights: expected numbers >= 0, found ${weight}`)
  }
  const { mins, maxs, target } = checkedBounds(total, weights.length, bounds)
  if (weights.length === 0) return []
  if (weights.length === 1) return [target]
  const safe = scaled(weights, target)
  const { shares, open, left } = resolveBounds(target, safe, mins, maxs)
  round(shares, open, left, safe, mins, maxs)
  return shares
}

/** Weights so large that their products would lose units, or overflow, are brought to the range from 0 to 1. */
function scaled(weights: readonly number[], target: number): readonly number[] {
  const largest = weights.reduce((most, weight) => Math.max(most, weight), 0)
  if (largest * Math.max(1, target) * weights.length <= Number.MAX_SAFE_INTEGER) return weights
  return weights.map((weight) => weight / largest)
}

interface CheckedBounds {
  readonly mins: readonly number[]
  readonly maxs: readonly number[]
  /** What the shares add up to. */
  readonly target: number
}

function checkedBounds(total: number, count: number, { min = 0, max = Infinity }: ApportionBounds): CheckedBounds {
  const mins = typeof min === 'number' ? new Array<number>(count).fill(min) : min
  const maxs = typeof max === 'number' ? new Array<number>(count).fill(max) : max
  if (mins.length !== count || maxs.length !== count) {
    throw invalidArgument(`expected ${count} bounds, found ${mins.length} minima and ${maxs.length} maxima`)
  }
  let minSum = 0
  let maxSum = 0
  for (let index = 0; index < count; index++) {
    const least = mins[index] ?? 0
    const most = maxs[index] ?? 0
    requireInteger('min', least)
    if (most !== Infinity) requireInteger('max', most)
    if (least > most) throw invalidArgument(`bounds ${index}: min ${least} is above max ${most}`)
    minSum += least
    maxSum += most
  }
  if (total < minSum) throw invalidArgument(`total ${total} is below the sum of the minima, ${minSum}`)
  return { mins, maxs, target: Math.min(total, maxSum) }
}

interface Resolved {
  /** The final share of those held at a bound. */
  readonly shares: number[]
  /** Indices of those that share the rest in proportion, in ascending order. */
  readonly open: readonly number[]
  /** What they share. */
  readonly left: number
}

/** Holds at its bound whoever would break it, on the side whose violations weigh more, until nobody would. */
function resolveBounds(
  target: number,
  weights: readonly number[],
  mins: readonly number[],
  maxs: readonly number[],
): Resolved {
  const shares = new Array<number>(weights.length).fill(0)
  let open = Array.from(weights.keys())
  let left = target
  for (;;) {
    const weightOf = weigher(weights, open)
    const weightSum = open.reduce((sum, index) => sum + weightOf(index), 0)
    let violation = 0
    for (const index of open) {
      const share = (left * weightOf(index)) / weightSum
      violation += clamp(share, mins[index] ?? 0, maxs[index] ?? Infinity) - share
    }
    const next: number[] = []
    let held = 0
    for (const index of open) {
      const share = (left * weightOf(index)) / weightSum
      const least = mins[index] ?? 0
      const most = maxs[index] ?? Infinity
      const bound = share < least && violation >= 0 ? least : share > most && violation <= 0 ? most : null
      if (bound === null) {
        next.push(index)
        continue
      }
      shares[index] = bound
      held += bound
    }
    if (next.length === open.length) return { shares, open, left }
    open = next
    left -= held
    if (open.length === 0) return { shares, open, left }
  }
}

/** Largest remainders: everyone the whole part of its share, and the rest to the largest fractions. */
function round(
  shares: number[],
  open: readonly number[],
  left: number,
  weights: readonly number[],
  mins: readonly number[],
  maxs: readonly number[],
): void {
  if (open.length === 0) return
  const weightOf = weigher(weights, open)
  const weightSum = open.reduce((sum, index) => sum + weightOf(index), 0)
  const remainders = new Map<number, number>()
  let rest = left
  for (const index of open) {
    const { whole, remainder } = divide(left, weightOf(index), weightSum)
    const share = clamp(whole, mins[index] ?? 0, maxs[index] ?? Infinity)
    shares[index] = share
    remainders.set(index, remainder)
    rest -= share
  }
  const byRemainder = [...open].sort((a, b) => (remainders.get(b) ?? 0) - (remainders.get(a) ?? 0) || a - b)
  // One pass is enough, unless weights are so far apart that a double lost whole units.
  while (rest > 0) {
    for (const index of byRemainder) {
      const share = shares[index] ?? 0
      if (rest === 0 || share >= (maxs[index] ?? Infinity)) continue
      shares[index] = share + 1
      rest--
    }
  }
  while (rest < 0) {
    for (const index of byRemainder.toReversed()) {
      const share = shares[index] ?? 0
      if (rest === 0 || share <= (mins[index] ?? 0)) continue
      shares[index] = share - 1
      rest++
    }
  }
}

/** `total * weight / weightSum` as a whole part and a remainder; exact as long as the product is. */
function divide(total: number, weight: number, weightSum: number): { whole: number; remainder: number } {
  const product = total * weight
  if (Number.isSafeInteger(product) && Number.isSafeInteger(weightSum)) {
    const remainder = product % weightSum
    return { whole: (product - remainder) / weightSum, remainder }
  }
  const share = product / weightSum
  const whole = Math.floor(share)
  return { whole, remainder: (share - whole) * weightSum }
}

function weigher(weights: readonly number[], open: readonly number[]): (index: number) => number {
  const allZero = open.every((index) => weights[index] === 0)
  return allZero ? () => 1 : (index) => weights[index] ?? 0
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most)
}
