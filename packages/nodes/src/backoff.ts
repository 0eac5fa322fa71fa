/** Full jitter: a random wait up to a bound that doubles with each failure, so that many callers do not come at once. */
import type { Random } from '@hs/core'

export interface Backoff {
  readonly baseMs: number
  readonly maxMs: number
}

/** @param failures so far, from 1. */
export function fullJitterMs({ baseMs, maxMs }: Backoff, failures: number, random: Random): number {
  return random.next() * Math.min(maxMs, baseMs * 2 ** Math.min(failures - 1, 30))
}
