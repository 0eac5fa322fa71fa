/**
 * How long to wait before the next attempt: a ceiling that grows by a factor up to a cap, and jitter below it. The cap
 * comes before the jitter, so that delays at the cap still spread.
 * Source: M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): full jitter does the least work
 * in all.
 */
import { assertNever, HsError } from '@hs/core'

/** Uniform below the ceiling; in its upper half; up to three times the previous delay; none. */
export type Jitter = 'full' | 'equal' | 'decorrelated' | 'none'

export interface BackoffDelayOptions {
  readonly jitter: Jitter
  /** Which failure this follows, from 1. */
  readonly attempt: number
  /** Ceiling after the first failure, in milliseconds, 0 or more. */
  readonly baseMs: number
  /** Highest delay, in milliseconds, 0 or more. */
  readonly maxMs: number
  /** By what the ceiling grows with each failure, from 1. @default 2 */
  readonly factor?: number
  /** The delay before, for `'decorrelated'`. @default baseMs */
  readonly previousMs?: number
}

/**
 * A delay in milliseconds, finite for every attempt number.
 * @param u the die: 0 <= u < 1.
 * @throws HsError `'INVALID_ARGUMENT'` if what is given makes no delay.
 */
export function backoffDelay(options: BackoffDelayOptions, u: number): number {
  const delayMs = jittered(options, u)
  if (delayMs >= 0 && delayMs < Infinity) return delayMs
  throw new HsError(
    'INVALID_ARGUMENT',
    `backoffDelay needs times from 0 and 0 <= u < 1, found u ${u} and a delay of ${delayMs}`,
  )
}

function jittered(options: BackoffDelayOptions, u: number): number {
  const { jitter, baseMs, maxMs } = options
  switch (jitter) {
    case 'none':
      return ceilingMs(options)
    case 'full':
      return u * ceilingMs(options)
    case 'equal': {
      const ceiling = ceilingMs(options)
      const half = ceiling / 2
      // Of the smallest doubles two halves may be more than the whole.
      return Math.min(ceiling, half + u * half)
    }
    case 'decorrelated': {
      const { previousMs = baseMs } = options
      return Math.min(maxMs, baseMs + u * (Math.max(baseMs, 3 * previousMs) - baseMs))
    }
    default:
      return assertNever(jitter)
  }
}

function ceilingMs({ attempt, baseMs, maxMs, factor = 2 }: BackoffDelayOptions): number {
  // The power may be infinite, and 0 times that is no number.
  return baseMs === 0 ? 0 : Math.min(maxMs, baseMs * factor ** (attempt - 1))
}
