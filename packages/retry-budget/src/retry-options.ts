/** What a `RetryPolicy` is told, and how that is checked. */
import { parseOptions, runtimeShape, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import type { Jitter } from './backoff-delay.js'
import { isBudget, type Budget } from './budget.js'
import type { Failure, FailureKind } from './failure.js'

export interface RetryEvent {
  /** The coming one, from 2. */
  readonly attempt: number
  readonly delayMs: number
  /** What the last attempt failed with. */
  readonly error: unknown
}

export interface RetryOptions extends RuntimeOptions {
  /** The first one included, 1 to 100. @default 3 */
  maxAttempts?: number
  /** Ceiling of the delay after the first transient failure, in milliseconds, 0 or more. @default 50 */
  baseMs?: number
  /** The same after a throttled one. @default 1_000 */
  throttledBaseMs?: number
  /** Highest backoff, in milliseconds, at least `baseMs`; after a throttled failure at least `throttledBaseMs`. @default 20_000 */
  maxMs?: number
  /** By what the ceiling grows, 1 to 10. @default 2 */
  factor?: number
  /** @default 'full' */
  jitter?: Jitter
  /** Longest wait a server may ask for, in milliseconds, 0 or more; a longer one ends the run. @default 60_000 */
  maxRetryAfterMs?: number
  /** Time limit of each attempt, in milliseconds, above 0. @default Infinity */
  attemptTimeoutMs?: number
  /** Time limit of the whole run, waits included, in milliseconds, above 0. @default Infinity */
  maxElapsedMs?: number
  /** False: a transient failure is repeated only if the request cannot have run. @default true */
  idempotent?: boolean
  /** Who pays for retries. @default nobody: every retry is free */
  budget?: Budget
  /** @default classifyFailure */
  classify?: (error: unknown) => Failure | FailureKind
  /** Told before the wait; what it throws is reported. */
  onRetry?: (event: RetryEvent) => void
}

const isFunction = (x: unknown) => typeof x === 'function'

const schema = /* @__PURE__ */ (() => {
  const delayMs = (byDefault: number) => z.number().min(0).default(byDefault)
  const limitMs = () =>
    z
      .custom<number>((x) => typeof x === 'number' && x > 0, 'expected milliseconds above 0, or Infinity')
      .default(Infinity)
  return z
    .strictObject({
      ...runtimeShape,
      maxAttempts: z.int().min(1).max(100).default(3),
      baseMs: delayMs(50),
      throttledBaseMs: delayMs(1_000),
      maxMs: delayMs(20_000),
      factor: z.number().min(1).max(10).default(2),
      jitter: z.enum(['full', 'equal', 'decorrelated', 'none']).default('full'),
      maxRetryAfterMs: delayMs(60_000),
      attemptTimeoutMs: limitMs(),
      maxElapsedMs: limitMs(),
      idempotent: z.boolean().default(true),
      budget: z.custom<Budget>(isBudget, 'expected a budget with deposit, canWithdraw, tryWithdraw').optional(),
      classify: z.custom<NonNullable<RetryOptions['classify']>>(isFunction, 'expected a function').optional(),
      onRetry: z.custom<NonNullable<RetryOptions['onRetry']>>(isFunction, 'expected a function').optional(),
    })
    .refine(({ baseMs, maxMs }) => baseMs <= maxMs, {
      path: ['maxMs'],
      message: 'expected at least baseMs',
      // Beside what else is wrong, so that all of it is named at once.
      when: ({ value }) => isBelow(value),
    })
})()

/** Whether both are numbers, whatever else the options are. */
function isBelow(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { baseMs, maxMs } = value as { baseMs?: unknown; maxMs?: unknown }
  return typeof baseMs === 'number' && typeof maxMs === 'number'
}

/** The options with their defaults. */
export type RetrySettings = z.output<typeof schema>

/** @throws ConfigError */
export function parseRetryOptions(options: RetryOptions | undefined): RetrySettings {
  return parseOptions(schema, options, 'RetryPolicy')
}
