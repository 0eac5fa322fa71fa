/**
 * When a job has run out of time: a deadline that granted extensions move, and, if asked for, a longest silence.
 * `'local'` decides alone; `'coordinated'` reports and waits for the decision of whoever coordinates several
 * datacenters, and decides alone only when none has come for `fallbackMs`.
 * Guarantee: it ends once; a decision with an older fence than one already seen changes nothing. Between machines it
 * moves as durations, so no clock is compared with another machine's.
 */
import { DecodeError, parseOptions, runtimeShape, type Clock, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import { requireDuration, requireInteger } from './arguments.js'
import { TOLERANCE_MS } from './due-queue.js'

export interface JobTimeoutOptions extends RuntimeOptions {
  /** From now to the deadline, in milliseconds. */
  timeoutMs: number
  /** @default 'local' */
  mode?: 'local' | 'coordinated'
  /** Longest silence: no progress, no extension. @default off */
  stuckMs?: number
  /** How long a report may stay unanswered. @default 300_000 */
  fallbackMs?: number
}

export type TimeoutCheck =
  | { readonly kind: 'ok'; readonly nextCheckMs: number }
  | { readonly kind: 'expire'; readonly reason: 'deadline' | 'stuck' | 'coordinator-unreachable' }
  /** Tell the coordinator; said once. */
  | { readonly kind: 'report'; readonly reason: 'deadline' | 'stuck' }
  /** It was told; nothing has come yet. */
  | { readonly kind: 'reported'; readonly nextCheckMs: number }
  | { readonly kind: 'done' }

/** Plain data; all times are durations at the moment of `toWire`. */
export interface TimeoutWire {
  readonly mode: 'local' | 'coordinated'
  /** Below 0: that long past the deadline. */
  readonly remainingMs: number
  readonly stuckMs: number | null
  readonly silentMs: number
  readonly fallbackMs: number
  readonly reportedForMs: number | null
  /** The highest decision seen, -1 for none. */
  readonly fence: number
  readonly over: boolean
}

const optionsSchema = /* @__PURE__ */ z.strictObject({
  timeoutMs: z.number().positive(),
  mode: z.enum(['local', 'coordinated']).default('local'),
  stuckMs: z.number().positive().optional(),
  fallbackMs: z.number().positive().default(300_000),
  ...runtimeShape,
})

const wireSchema = /* @__PURE__ */ z.object({
  mode: z.enum(['local', 'coordinated']),
  remainingMs: z.number(),
  stuckMs: z.number().positive().nullable(),
  silentMs: z.number().min(0),
  fallbackMs: z.number().positive(),
  reportedForMs: z.number().min(0).nullable(),
  fence: z.int().min(-1),
  over: z.boolean(),
})

export class JobTimeout {
  readonly #clock: Clock
  readonly #mode: 'local' | 'coordinated'
  readonly #stuckMs: number | null
  readonly #fallbackMs: number
  #deadlineAtMs: number
  #lastSignAtMs: number
  #reportedAtMs: number | null = null
  #fence = -1
  #over = false

  /** @throws ConfigError */
  constructor(options: JobTimeoutOptions) {
    const { clock, timeoutMs, mode, stuckMs, fallbackMs } = parseOptions(optionsSchema, options, 'JobTimeout')
    this.#clock = clock
    this.#mode = mode
    this.#stuckMs = stuckMs ?? null
    this.#fallbackMs = fallbackMs
    this.#lastSignAtMs = clock.now()
    this.#deadlineAtMs = this.#lastSignAtMs + timeoutMs
  }

  /** Something has moved. */
  progress(): void {
    this.#lastSignAtMs = this.#clock.now()
  }

  /** The deadline is `ms` later; counts as progress. @throws HsError `'INVALID_ARGUMENT'` */
  extend(ms: number): void {
    requireDuration('ms', ms)
    this.#deadlineAtMs += ms
    this.progress()
  }

  /**
   * What is to be done now. `'expire'` and `'report'` are said once; if progress or an extension comes after the report,
   * it is `'ok'` again.
   */
  check(): TimeoutCheck {
    if (this.#over) return { kind: 'done' }
    const now = this.#clock.now()
    const leftMs = this.#leftMs(now)
    if (leftMs > TOLERANCE_MS) {
      this.#reportedAtMs = null
      return { kind: 'ok', nextCheckMs: leftMs }
    }
    const reason = this.#deadlineAtMs <= now + TOLERANCE_MS ? 'deadline' : 'stuck'
    if (this.#mode === 'local') {
      this.#over = true
      return { kind: 'expire', reason }
    }
    if (this.#reportedAtMs === null) {
      this.#reportedAtMs = now
      return { kind: 'report', reason }
    }
    const untilFallbackMs = this.#reportedAtMs + this.#fallbackMs - now
    if (untilFallbackMs > TOLERANCE_MS) return { kind: 'reported', nextCheckMs: untilFallbackMs }
    this.#over = true
    return { kind: 'expire', reason: 'coordinator-unreachable' }
  }

  /**
   * The coordinator's decision: it is over. False if it was over already, or if `fence` is below the highest seen.
   * @param fence @default the highest seen
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  declare(fence: number = Math.max(0, this.#fence)): boolean {
    requireInteger('fence', fence)
    if (this.#over || fence < this.#fence) return false
    this.#fence = fence
    this.#over = true
    return true
  }

  /** It does not matter any more. */
  stop(): void {
    this.#over = true
  }

  toWire(): TimeoutWire {
    const now = this.#clock.now()
    return {
      mode: this.#mode,
      remainingMs: this.#deadlineAtMs - now,
      stuckMs: this.#stuckMs,
      silentMs: now - this.#lastSignAtMs,
      fallbackMs: this.#fallbackMs,
      reportedForMs: this.#reportedAtMs === null ? null : now - this.#reportedAtMs,
      fence: this.#fence,
      over: this.#over,
    }
  }

  /** Goes on where another one stood, on this machine's clock. @throws DecodeError */
  static fromWire(wire: TimeoutWire, options: RuntimeOptions = {}): JobTimeout {
    const parsed = wireSchema.safeParse(wire)
    if (!parsed.success) {
      const issue = parsed.error.issues[0]
      throw new DecodeError(`JobTimeout: ${issue?.message ?? 'malformed'}`, { path: issue?.path.join('.') ?? '' })
    }
    const { mode, remainingMs, stuckMs, silentMs, fallbackMs, reportedForMs, fence, over } = parsed.data
    const stuck = stuckMs === null ? {} : { stuckMs }
    const timeout = new JobTimeout({ ...options, mode, timeoutMs: 1, fallbackMs, ...stuck })
    const now = timeout.#clock.now()
    timeout.#deadlineAtMs = now + remainingMs
    timeout.#lastSignAtMs = now - silentMs
    timeout.#reportedAtMs = reportedForMs === null ? null : now - reportedForMs
    timeout.#fence = fence
    timeout.#over = over
    return timeout
  }

  /** To the deadline or to the end of the longest silence, whichever comes first. */
  #leftMs(now: number): number {
    const untilDeadlineMs = this.#deadlineAtMs - now
    if (this.#stuckMs === null) return untilDeadlineMs
    return Math.min(untilDeadlineMs, this.#lastSignAtMs + this.#stuckMs - now)
  }
}
