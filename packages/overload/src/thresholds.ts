/** Where a measure becomes busy, stressed, overloaded; or where a fill asks for throttling, batching, rejection. */
import * as z from 'zod'

/** Strictly ascending, positive, finite. */
export type Thresholds = readonly [busy: number, stressed: number, overloaded: number]

/**
 * A schema of them. What is wrong is one issue under the path of all three, for it is seldom one number's fault.
 * @param atMost none may be above it
 */
export function thresholdsSchema(atMost = Infinity): z.ZodType<Thresholds> {
  const bound = atMost < Infinity ? ` of at most ${atMost}` : ''
  return z
    .custom<Thresholds>((x) => areThresholds(x, atMost), `expected three ascending, positive, finite numbers${bound}`)
    .transform(([busy, stressed, overloaded]): Thresholds => Object.freeze([busy, stressed, overloaded] as const))
}

/** How many of them `value` reaches, 0 to 3; none if it is NaN. */
export function reached(value: number, [first, second, third]: Thresholds): number {
  if (value >= third) return 3
  if (value >= second) return 2
  return value >= first ? 1 : 0
}

function areThresholds(value: unknown, atMost: number): boolean {
  if (!Array.isArray(value) || value.length !== 3) return false
  let previous = 0
  for (const threshold of value as unknown[]) {
    if (typeof threshold !== 'number' || !(threshold > previous && threshold < Infinity && threshold <= atMost)) {
      return false
    }
    previous = threshold
  }
  return true
}
