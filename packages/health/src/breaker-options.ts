/** What a breaker is told, and how that is checked. */
import { ErrorReporter, HsError, runtimeShape, type Clock, type Random, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import { CallWindow, TimeWindow, type BreakerWindow } from './breaker-window.js'

export interface CircuitBreakerOptions extends RuntimeOptions {
  /** Which results count: the last 1 to 10,000, or those of so many milliseconds. @default { ms: 30_000 } */
  window?: { calls: number } | { ms: number }
  /** Fewer results than these in the window never open it by their rate; at least 1. @default 10 */
  minCalls?: number
  /** Share of failures in the window that opens it, above 0, at most 1. @default 0.5 */
  failureRate?: number
  /** Failures in a row that open it, whatever the volume; 0 is never. @default 5 */
  consecutiveFailures?: number
  /** How long it stays open, in milliseconds, above 0; doubled with every half-open time that failed. @default 10_000 */
  openMs?: number
  /** The longest it stays open, in milliseconds, at least `openMs`. @default 60_000 */
  maxOpenMs?: number
  /** By up to what share it stays open longer, at random, 0 to 1. @default 0.1 */
  openJitter?: number
  /** Calls admitted half-open, at least 1; all must succeed. @default 3 */
  probes?: number
  /** After how long a call admitted half-open counts as failed, in milliseconds, above 0. @default 30_000 */
  probeTimeoutMs?: number
  /** A success that took longer counts as a failure, in milliseconds, above 0. @default Infinity */
  slowMs?: number
  /** Which errors of `run` count as failures. @default all but an AbortError and core's `'CANCELLED'` */
  isFailure?: (error: unknown) => boolean
}

/** The fields of the options, for schemas that have more. */
const shape = /* @__PURE__ */ (() => ({
  ...runtimeShape,
  window: z
    .strictObject({ calls: z.int().min(1).max(10_000).optional(), ms: z.number().positive().optional() })
    .refine(({ calls, ms }) => (calls === undefined) !== (ms === undefined), 'expected either calls or ms')
    .default({ ms: 30_000 }),
  minCalls: z.int().min(1).default(10),
  failureRate: z.number().positive().max(1).default(0.5),
  consecutiveFailures: z.int().min(0).default(5),
  openMs: z.number().positive().default(10_000),
  maxOpenMs: z.number().positive().default(60_000),
  openJitter: z.number().min(0).max(1).default(0.1),
  probes: z.int().min(1).default(3),
  probeTimeoutMs: z.number().positive().default(30_000),
  slowMs: z
    .custom<number>((x) => typeof x === 'number' && x > 0, 'expected milliseconds above 0, or Infinity')
    .default(Infinity),
  isFailure: z
    .custom<(error: unknown) => boolean>((x) => typeof x === 'function', 'expected a function')
    .default(() => isFailureByDefault),
}))()

/** The rule across fields, for whatever else is wrong as well. */
const opensInOrder = {
  check: ({ openMs, maxOpenMs }: { openMs: number; maxOpenMs: number }) => openMs <= maxOpenMs,
  issue: {
    path: ['maxOpenMs'],
    message: 'expected at least openMs',
    when: ({ value }: { value: unknown }) => hasNumbers(value),
  },
}

export const breakerSchema = /* @__PURE__ */ (() =>
  z.strictObject(shape).refine(opensInOrder.check, opensInOrder.issue))()

export const registrySchema = /* @__PURE__ */ (() =>
  z
    .strictObject({ ...shape, maxPeers: z.int().min(1).default(10_000) })
    .refine(opensInOrder.check, opensInOrder.issue))()

function hasNumbers(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { openMs, maxOpenMs } = value as { openMs?: unknown; maxOpenMs?: unknown }
  return typeof openMs === 'number' && typeof maxOpenMs === 'number'
}

/** An abort says nothing about the one who was called. */
function isFailureByDefault(error: unknown): boolean {
  if (HsError.is(error, 'CANCELLED')) return false
  return typeof error !== 'object' || error === null || (error as { name?: unknown }).name !== 'AbortError'
}

/** What a breaker is told, checked; all breakers of a registry share one. */
export class BreakerSettings {
  readonly clock: Clock
  readonly random: Random
  readonly reporter: ErrorReporter
  /** Whether it matters when a result came. */
  readonly readsClock: boolean
  /** Whether successes are timed. */
  readonly watchesTime: boolean
  readonly minCalls: number
  readonly failureRate: number
  /** Infinity if failures in a row do not count. */
  readonly consecutiveFailures: number
  readonly openMs: number
  readonly maxOpenMs: number
  readonly openJitter: number
  readonly probes: number
  readonly probeTimeoutMs: number
  readonly slowMs: number
  readonly isFailure: (error: unknown) => boolean
  readonly #window: { calls?: number | undefined; ms?: number | undefined }

  constructor(options: z.output<typeof breakerSchema>) {
    const { clock, random, logger, window, consecutiveFailures } = options
    this.clock = clock
    this.random = random
    this.reporter = new ErrorReporter({ clock, random, logger })
    this.#window = window
    this.watchesTime = options.slowMs < Infinity
    this.readsClock = this.watchesTime || window.calls === undefined
    this.minCalls = options.minCalls
    this.failureRate = options.failureRate
    this.consecutiveFailures = consecutiveFailures === 0 ? Infinity : consecutiveFailures
    this.openMs = options.openMs
    this.maxOpenMs = options.maxOpenMs
    this.openJitter = options.openJitter
    this.probes = options.probes
    this.probeTimeoutMs = options.probeTimeoutMs
    this.slowMs = options.slowMs
    this.isFailure = options.isFailure
  }

  newWindow(nowMs: number): BreakerWindow {
    const { calls, ms } = this.#window
    return calls === undefined ? new TimeWindow(ms as number, nowMs) : new CallWindow(calls)
  }

  /** How long it stays open the `opening`-th time in a row, from 1, in milliseconds. */
  drawOpenMs(opening: number): number {
    const { openMs, maxOpenMs, openJitter, random } = this
    const longest = Math.min(maxOpenMs, openMs * 2 ** (opening - 1))
    return openJitter === 0 ? longest : longest * (1 + openJitter * random.next())
  }
}
