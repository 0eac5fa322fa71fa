/** Full jitter: a random wait up to a bound that doubles with each failure, so that many callers do not come at once. */
import type { Random } from '@hs/core'
import { backoffDelay } from '@hs/retry-budget'

export interface Backoff {
  readonly baseMs: number
  readonly maxMs: number
}

/** @param failures so far, from 1. */
export function fullJitterMs(backoff: Backoff, failures: number, random: Random): number {
  return backoffDelay({ ...backoff, jitter: 'full', attempt: failures }, random.next())
}
