/**
 * When to come back: a ceiling that doubles up to a limit, and jitter below it.
 * Source: M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
 */
import type { Random } from '@hs/core'
import * as z from 'zod'

export interface Backoff {
  /** Ceiling of the first wait, in milliseconds. */
  readonly baseMs: number
  /** Ceiling of every wait, in milliseconds. */
  readonly maxMs: number
}

/** `min(maxMs, baseMs * 2^doublings)`; finite for every number of doublings. */
function backoffCeilingMs({ baseMs, maxMs }: Backoff, doublings: number): number {
  return Math.min(maxMs, baseMs * 2 ** Math.min(doublings, 60))
}

/** Uniform in [0, ceiling): spreads most, and does the least work in all. */
export function fullJitterMs(backoff: Backoff, doublings: number, random: Random): number {
  return random.next() * backoffCeilingMs(backoff, doublings)
}

/** Uniform in [ceiling/2, ceiling): never at once. */
export function equalJitterMs(backoff: Backoff, doublings: number, random: Random): number {
  const half = backoffCeilingMs(backoff, doublings) / 2
  return half + random.next() * half
}

/** The schema of an option that is a backoff, with its defaults. */
export function backoffSchema(baseMs: number, maxMs: number) {
  return z
    .strictObject({ baseMs: z.number().positive().default(baseMs), maxMs: z.number().positive().default(maxMs) })
    .refine((backoff) => backoff.baseMs <= backoff.maxMs, { error: 'expected baseMs <= maxMs' })
    .default(() => ({ baseMs, maxMs }))
}
