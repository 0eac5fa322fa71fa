/** When to come back: a ceiling that doubles up to a limit, and jitter below it, as `@hs/retry-budget` has them. */
import type { Random } from '@hs/core'
import { backoffDelay } from '@hs/retry-budget'
import * as z from 'zod'

export interface Backoff {
  /** Ceiling of the first wait, in milliseconds. */
  readonly baseMs: number
  /** Ceiling of every wait, in milliseconds. */
  readonly maxMs: number
}

/** Uniform in [0, ceiling): spreads most, and does the least work in all. */
export function fullJitterMs(backoff: Backoff, doublings: number, random: Random): number {
  return backoffDelay({ ...backoff, jitter: 'full', attempt: doublings + 1 }, random.next())
}

/** Uniform in [ceiling/2, ceiling): never at once. */
export function equalJitterMs(backoff: Backoff, doublings: number, random: Random): number {
  return backoffDelay({ ...backoff, jitter: 'equal', attempt: doublings + 1 }, random.next())
}

/** The schema of an option that is a backoff, with its defaults. */
export function backoffSchema(baseMs: number, maxMs: number) {
  return z
    .strictObject({ baseMs: z.number().positive().default(baseMs), maxMs: z.number().positive().default(maxMs) })
    .refine((backoff) => backoff.baseMs <= backoff.maxMs, { error: 'expected baseMs <= maxMs' })
    .default(() => ({ baseMs, maxMs }))
}
