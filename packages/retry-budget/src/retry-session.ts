/**
 * The decisions of a run, one failure after the other: whether to try again, and after which delay. Neither timers nor
 * promises; the clock is read only where there is a deadline.
 */
import { HsError } from '@hs/core'
import { backoffDelay } from './backoff-delay.js'
import { classifyFailure } from './classify-failure.js'
import { isFailureKind, type Failure } from './failure.js'
import type { GiveUpReason } from './retry-error.js'
import type { RetrySettings } from './retry-options.js'
import type { RetryTerms } from './retry-terms.js'

export type RetryDecision =
  | { readonly retry: true; /** The coming one, from 2. */ readonly attempt: number; readonly delayMs: number }
  | { readonly retry: false; readonly reason: GiveUpReason }

/** What `RetryPolicy.session` gives to callers that own their time. */
export interface RetrySession {
  /** Attempts started: the first one, and each that a decision allowed. */
  readonly attempts: number
  /** The latest attempt failed: what now. */
  fail(error: unknown): RetryDecision
}

/** The session within a run. */
export class RetryDecisions implements RetrySession {
  readonly #settings: RetrySettings
  readonly #terms: RetryTerms
  #attempts = 1
  /** Of this run only, so that concurrent runs do not mix their delays. */
  #previousMs: number | undefined
  #lastError: unknown

  constructor(settings: RetrySettings, terms: RetryTerms) {
    this.#settings = settings
    this.#terms = terms
  }

  get attempts(): number {
    return this.#attempts
  }

  /** The latest failure: what `fail` was given, or what `classify` threw about it. */
  get lastError(): unknown {
    return this.#lastError
  }

  /** The budget is asked last, so that a retry that would not happen anyway costs nothing. */
  fail(error: unknown): RetryDecision {
    this.#lastError = error
    const { maxAttempts, maxRetryAfterMs } = this.#settings
    const { clock, deadlineMs, budget } = this.#terms
    const failure = this.#judge(error)
    if (!this.#mayRepeat(failure)) return { retry: false, reason: 'permanent' }
    if (this.#attempts >= maxAttempts) return { retry: false, reason: 'attempts' }
    const { retryAfterMs = 0 } = failure
    if (retryAfterMs > maxRetryAfterMs) return { retry: false, reason: 'retry-after' }
    const backoffMs = this.#backoff(failure)
    const delayMs = retryAfterMs + backoffMs
    if (deadlineMs < Infinity && clock.now() + delayMs >= deadlineMs) return { retry: false, reason: 'deadline' }
    if (budget !== undefined && !budget.tryWithdraw()) return { retry: false, reason: 'budget' }
    this.#previousMs = backoffMs
    this.#attempts++
    return { retry: true, attempt: this.#attempts, delayMs }
  }

  #judge(error: unknown): Failure {
    const { classify, clock } = this.#settings
    if (classify === undefined) return classifyFailure(error, clock.wallNow())
    try {
      return classifyWith(classify, error)
    } catch (thrown) {
      this.#lastError = withCause(thrown, error)
      return { kind: 'permanent' }
    }
  }

  #mayRepeat({ kind, notExecuted }: Failure): boolean {
    if (kind === 'transient') return this.#terms.idempotent || notExecuted === true
    return kind === 'throttled' // it was refused, so it has not run
  }

  #backoff({ kind }: Failure): number {
    const { jitter, factor, baseMs, throttledBaseMs, maxMs, random } = this.#settings
    const isThrottled = kind === 'throttled'
    const base = isThrottled ? throttledBaseMs : baseMs
    const options = {
      jitter,
      factor,
      attempt: this.#attempts,
      baseMs: base,
      maxMs: isThrottled ? Math.max(maxMs, throttledBaseMs) : maxMs,
      previousMs: this.#previousMs ?? base,
    }
    return backoffDelay(options, jitter === 'none' ? 0 : random.next())
  }
}

/**
 * Asks a classifier of the user's.
 * @throws what it throws; HsError `'INVALID_ARGUMENT'` if it returns no failure.
 */
export function classifyWith(classify: (error: unknown) => unknown, error: unknown): Failure {
  const answer = classify(error)
  if (isFailureKind(answer)) return { kind: answer }
  if (isFailure(answer)) return answer
  throw new HsError('INVALID_ARGUMENT', 'classify must return a failure, or its kind: transient, throttled, permanent')
}

function isFailure(answer: unknown): answer is Failure {
  if (typeof answer !== 'object' || answer === null) return false
  const { kind, retryAfterMs } = answer as Partial<Record<keyof Failure, unknown>>
  return isFailureKind(kind) && (retryAfterMs === undefined || (typeof retryAfterMs === 'number' && retryAfterMs >= 0))
}

/** The error that a classifier threw, with the one it was to judge as its cause if it has none. */
export function withCause(thrown: unknown, cause: unknown): unknown {
  const canCarry =
    thrown instanceof Error && thrown.cause === undefined && thrown !== cause && Object.isExtensible(thrown)
  if (canCarry) Object.defineProperty(thrown, 'cause', { value: cause, configurable: true, writable: true })
  return thrown
}
