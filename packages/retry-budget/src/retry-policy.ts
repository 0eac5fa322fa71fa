/**
 * Repeats a call that fails: what may be repeated, after which delay, until when, and paid by whom.
 * Guarantee: an attempt never starts after the deadline; a run that has settled leaves no timer and no listener.
 * A run that succeeds at once makes nothing but its context and its promise, and reads no clock.
 */
import { ErrorReporter, HsError } from '@hs/core'
import { Attempt, type AttemptContext } from './attempt.js'
import { BoundedAttempt } from './bounded-attempt.js'
import { RetryCounts, type RetryPolicySnapshot } from './retry-counts.js'
import { RetryError } from './retry-error.js'
import { parseRetryOptions, type RetryOptions, type RetrySettings } from './retry-options.js'
import { RetryRun, type AttemptFunction, type RetryRunOwner } from './retry-run.js'
import { RetryDecisions, type RetryDecision, type RetrySession } from './retry-session.js'
import { checkCall, hasOwnTerms, termsOf, type RetryCall, type RetryTerms } from './retry-terms.js'

/** After this the callbacks of what had settled before have run. */
const oneTurn = /* @__PURE__ */ Promise.resolve()

/** One for each kind of call; keeps nothing of its runs but counts. */
export class RetryPolicy {
  readonly #settings: RetrySettings
  readonly #reporter: ErrorReporter
  /** The terms of a call that brings none, where they are the same for every run. */
  readonly #standing: RetryTerms | undefined
  readonly #counts = new RetryCounts()
  readonly #owner: RetryRunOwner
  /**
   * One of each that live as long as the policy. With none alive at a garbage collection V8 forgets what an attempt
   * looks like, and throws away the code that it has optimised for them: runs were half as fast after each.
   */
  readonly #specimens: readonly object[]

  /** @throws ConfigError */
  constructor(options?: RetryOptions) {
    this.#settings = parseRetryOptions(options)
    const { clock, random, logger, onRetry, maxElapsedMs } = this.#settings
    this.#reporter = new ErrorReporter({ clock, random, logger })
    this.#standing = maxElapsedMs === Infinity ? termsOf(this.#settings, {}) : undefined
    const guarded = onRetry && this.#reporter.guard('RetryPolicy.onRetry', onRetry)
    this.#owner = { settings: this.#settings, counts: this.#counts, onRetry: guarded }
    const terms = termsOf(this.#settings, {})
    this.#specimens = [
      new BoundedAttempt(0, terms, undefined),
      new RetryDecisions(this.#settings, terms),
      new RetryRun(this.#owner, () => {}, terms, undefined),
    ]
  }

  /**
   * Calls `fn` until it succeeds or should not be called again. A rejection is one of these: what `fn` failed with, as
   * it is, if that is permanent; a `RetryError`; the reason of `call.signal`.
   * @throws HsError `'INVALID_ARGUMENT'`, as a rejection, for a call that cannot be used.
   */
  run<T>(fn: (context: AttemptContext) => T | PromiseLike<T>, call?: RetryCall): Promise<T> {
    try {
      if (typeof fn !== 'function') throw new HsError('INVALID_ARGUMENT', `run needs a function, found ${typeof fn}`)
      const terms = this.#termsOf(call)
      const signal = call?.signal
      this.#counts.runs++
      if (terms.isTimed || signal !== undefined) return this.#runBounded(fn, terms, signal)
      return this.#runUnbounded(fn, terms)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * The same decisions for callers that own their time: state machines. Deposits now, for the first attempt.
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  session(call?: Omit<RetryCall, 'signal'>): RetrySession {
    const terms = this.#termsOf(call)
    const decisions = new RetryDecisions(this.#settings, terms)
    terms.budget?.deposit()
    this.#counts.runs++
    this.#counts.attempts++
    return {
      get attempts() {
        return decisions.attempts
      },
      fail: (error) => this.#decide(decisions, error),
    }
  }

  /** What a dashboard shows. */
  snapshot(): RetryPolicySnapshot {
    return this.#counts.snapshot()
  }

  #termsOf(call: RetryCall | undefined): RetryTerms {
    if (call !== undefined) checkCall(call)
    if (this.#standing !== undefined && (call === undefined || !hasOwnTerms(call))) return this.#standing
    return termsOf(this.#settings, call ?? {})
  }

  async #runUnbounded<T>(fn: AttemptFunction<T>, terms: RetryTerms): Promise<T> {
    terms.budget?.deposit()
    this.#counts.attempts++
    const context = new Attempt(1, terms)
    try {
      const value = await fn(context)
      this.#counts.successes++
      return value
    } catch (error) {
      return this.#goOn(fn, terms, undefined, context, error)
    }
  }

  /** Not async, for that would take another promise. */
  #runBounded<T>(fn: AttemptFunction<T>, terms: RetryTerms, signal: AbortSignal | undefined): Promise<T> {
    if (signal?.aborted) {
      this.#counts.giveUps.aborted++
      throw signal.reason
    }
    const { deadlineMs, startedAtMs = -Infinity } = terms
    if (startedAtMs >= deadlineMs) {
      this.#counts.giveUps.deadline++
      throw new RetryError('deadline', { attempts: 0, elapsedMs: 0 })
    }
    terms.budget?.deposit()
    this.#counts.attempts++
    const attempt = new BoundedAttempt<T>(1, terms, signal)
    attempt.start(fn)
    return oneTurn.then(() => {
      if (!attempt.hasSucceeded) return this.#waitFor(attempt, fn, terms, signal)
      this.#counts.successes++
      return attempt.take()
    })
  }

  async #waitFor<T>(
    attempt: BoundedAttempt<T>,
    fn: AttemptFunction<T>,
    terms: RetryTerms,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    await attempt.whenOver()
    try {
      const value = attempt.take()
      this.#counts.successes++
      return value
    } catch (error) {
      return this.#goOn(fn, terms, signal, attempt.context, error)
    }
  }

  #goOn<T>(
    fn: AttemptFunction<T>,
    terms: RetryTerms,
    signal: AbortSignal | undefined,
    first: Attempt,
    error: unknown,
  ): Promise<T> {
    return new RetryRun(this.#owner, fn, terms, signal).goOn(first, error)
  }

  #decide(decisions: RetryDecisions, error: unknown): RetryDecision {
    const decision = decisions.fail(error)
    if (decision.retry) this.#counts.retry()
    else this.#counts.giveUps[decision.reason]++
    if (decisions.lastError !== error) this.#reporter.report('RetryPolicy.classify', decisions.lastError)
    return decision
  }
}
