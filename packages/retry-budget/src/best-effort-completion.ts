/**
 * Finishing a job with what there is when some of its targets never report: `decideCompletion` with the time added.
 * Guarantee: it completes exactly once, at its deadline at the latest; one timer for the deadline and one for
 * stragglers, none of which is left then, and nothing polls.
 */
import {
  deepFreeze,
  deferred,
  ErrorReporter,
  HsError,
  parseOptions,
  runtimeShape,
  type Clock,
  type RuntimeOptions,
  type Timer,
} from '@hs/core'
import * as z from 'zod'
import { decideCompletion, type CompletionReason } from './decide-completion.js'

export interface BestEffortResult {
  readonly reason: CompletionReason
  /** As many as had to succeed did. */
  readonly success: boolean
  /** Not all succeeded. */
  readonly partial: boolean
  /** In the order of the targets, like the other two. */
  readonly succeeded: readonly string[]
  readonly failed: readonly string[]
  /** Targets that did not report. */
  readonly missing: readonly string[]
}

export interface BestEffortOptions extends RuntimeOptions {
  /** Who is to report; distinct, at least one. */
  targets: readonly string[]
  /** Successes that are enough, 1 to the number of targets. @default 1 */
  minSuccesses?: number
  /** From construction, in milliseconds, above 0, at most an hour. @default 300_000 */
  deadlineMs?: number
  /** Once the minimum is there, how long to wait for the rest, in milliseconds; 0 is not at all. @default until the deadline */
  stragglerMs?: number
  /** Called once, in the step in which it completes. What it throws is reported. */
  onComplete?: (result: BestEffortResult) => void
}

export interface BestEffortCompletionSnapshot {
  readonly state: 'waiting' | 'complete'
  readonly succeeded: readonly string[]
  readonly failed: readonly string[]
  readonly missing: readonly string[]
  /** Until the deadline; 0 once it is complete. */
  readonly remainingMs: number
  /** Reports that came after completion. */
  readonly late: number
  readonly result: BestEffortResult | null
}

type Outcome = 'succeeded' | 'failed'

const HOUR_MS = 3_600_000

const schema = /* @__PURE__ */ (() => {
  const onComplete = z.custom<NonNullable<BestEffortOptions['onComplete']>>(
    (x) => typeof x === 'function',
    'expected a function',
  )
  return z
    .strictObject({
      ...runtimeShape,
      targets: z
        .array(z.string())
        .min(1)
        .refine((targets) => new Set(targets).size === targets.length, 'expected distinct targets'),
      minSuccesses: z.int().min(1).default(1),
      deadlineMs: z.number().positive().max(HOUR_MS).default(300_000),
      stragglerMs: z.number().min(0).max(HOUR_MS).optional(),
      onComplete: onComplete.optional(),
    })
    .refine(({ targets, minSuccesses }) => targets.length === 0 || minSuccesses <= targets.length, {
      path: ['minSuccesses'],
      message: 'expected at most the number of targets',
    })
})()

/** Waits for reports until `decideCompletion` says that it is over. */
export class BestEffortCompletion {
  /** Resolves when it is complete; never rejects. */
  readonly done: Promise<BestEffortResult>
  readonly #complete: (result: BestEffortResult) => void
  readonly #clock: Clock
  readonly #minSuccesses: number
  readonly #stragglerMs: number | undefined
  readonly #deadlineAtMs: number
  readonly #deadlineTimer: Timer
  #stragglerTimer: Timer | undefined = undefined
  /** In the order of the targets. */
  readonly #outcomes = new Map<string, Outcome | 'missing'>()
  readonly #counts = { succeeded: 0, failed: 0 }
  #late = 0
  #result: BestEffortResult | undefined = undefined

  /** @throws ConfigError */
  constructor(options: BestEffortOptions) {
    const settings = parseOptions(schema, options, 'BestEffortCompletion')
    const { clock, random, logger, targets, minSuccesses, deadlineMs, stragglerMs, onComplete } = settings
    const { promise, resolve } = deferred<BestEffortResult>()
    const tell =
      onComplete && new ErrorReporter({ clock, random, logger }).guard('BestEffortCompletion.onComplete', onComplete)
    this.done = promise
    this.#complete = (result) => {
      resolve(result)
      tell?.(result)
    }
    this.#clock = clock
    this.#minSuccesses = minSuccesses
    this.#stragglerMs = stragglerMs
    for (const target of targets) this.#outcomes.set(target, 'missing')
    this.#deadlineAtMs = clock.now() + deadlineMs
    this.#deadlineTimer = clock.setTimer(deadlineMs, () => this.#decide({ deadlinePassed: true }))
  }

  /** Undefined until it is complete. */
  get result(): BestEffortResult | undefined {
    return this.#result
  }

  /**
   * A target's report; a later one replaces it until completion, after which every report is `'late'`.
   * @throws HsError `'INVALID_ARGUMENT'` for an outcome that is none.
   */
  record(target: string, outcome: Outcome): 'recorded' | 'updated' | 'duplicate' | 'late' | 'unknown-target' {
    if (outcome !== 'succeeded' && outcome !== 'failed') throw notAnOutcome(outcome)
    if (this.#result !== undefined) {
      this.#late++
      return 'late'
    }
    const before = this.#outcomes.get(target)
    if (before === undefined) return 'unknown-target'
    if (before === outcome) return 'duplicate'
    this.#outcomes.set(target, outcome)
    this.#counts[outcome]++
    if (before !== 'missing') this.#counts[before]--
    this.#decide({ stragglersPassed: this.#stragglerMs === 0 })
    return before === 'missing' ? 'recorded' : 'updated'
  }

  /** Completes it now, with the reason `'cancelled'`. */
  cancel(): void {
    if (this.#result === undefined) this.#completeWith('cancelled')
  }

  /** What a dashboard shows. */
  snapshot(): BestEffortCompletionSnapshot {
    const isWaiting = this.#result === undefined
    return deepFreeze({
      state: isWaiting ? 'waiting' : 'complete',
      succeeded: this.#with('succeeded'),
      failed: this.#with('failed'),
      missing: this.#with('missing'),
      remainingMs: isWaiting ? Math.max(0, this.#deadlineAtMs - this.#clock.now()) : 0,
      late: this.#late,
      result: this.#result ?? null,
    })
  }

  #decide(passed: { deadlinePassed?: boolean; stragglersPassed?: boolean }): void {
    const reason = decideCompletion({
      targets: this.#outcomes.size,
      minSuccesses: this.#minSuccesses,
      ...this.#counts,
      ...passed,
    })
    if (reason !== null) this.#completeWith(reason)
    else this.#minimumChanged()
  }

  /** The stragglers' time runs while the minimum is there; a success that is taken back may end it. */
  #minimumChanged(): void {
    if (this.#counts.succeeded < this.#minSuccesses) {
      this.#stragglerTimer?.cancel()
      this.#stragglerTimer = undefined
      return
    }
    if (this.#stragglerMs === undefined) return
    this.#stragglerTimer ??= this.#clock.setTimer(this.#stragglerMs, () => this.#decide({ stragglersPassed: true }))
  }

  #completeWith(reason: CompletionReason): void {
    this.#deadlineTimer.cancel()
    this.#stragglerTimer?.cancel()
    const succeeded = this.#with('succeeded')
    this.#result = deepFreeze({
      reason,
      success: succeeded.length >= this.#minSuccesses,
      partial: succeeded.length < this.#outcomes.size,
      succeeded,
      failed: this.#with('failed'),
      missing: this.#with('missing'),
    })
    this.#complete(this.#result)
  }

  #with(outcome: Outcome | 'missing'): string[] {
    return [...this.#outcomes].filter(([, found]) => found === outcome).map(([target]) => target)
  }
}

function notAnOutcome(outcome: unknown): HsError {
  return new HsError('INVALID_ARGUMENT', `An outcome is 'succeeded' or 'failed', found ${String(outcome)}`)
}
