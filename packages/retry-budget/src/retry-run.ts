/** A run from its first failure on. Most runs have none, so this is made only then. */
import { Attempt, type AttemptContext } from './attempt.js'
import { BoundedAttempt } from './bounded-attempt.js'
import type { RetryCounts } from './retry-counts.js'
import { RetryError, type GiveUpReason } from './retry-error.js'
import type { RetryEvent, RetrySettings } from './retry-options.js'
import { RetryDecisions } from './retry-session.js'
import type { RetryTerms } from './retry-terms.js'

/** What a run calls. */
export type AttemptFunction<T> = (context: AttemptContext) => T | PromiseLike<T>

/** What all runs of a policy share. */
export interface RetryRunOwner {
  readonly settings: RetrySettings
  readonly counts: RetryCounts
  readonly onRetry: ((event: RetryEvent) => void) | undefined
}

export class RetryRun<T> {
  readonly #owner: RetryRunOwner
  readonly #fn: AttemptFunction<T>
  readonly #terms: RetryTerms
  readonly #signal: AbortSignal | undefined

  constructor(owner: RetryRunOwner, fn: AttemptFunction<T>, terms: RetryTerms, signal: AbortSignal | undefined) {
    this.#owner = owner
    this.#fn = fn
    this.#terms = terms
    this.#signal = signal
  }

  /** @param first the attempt that has failed with `firstError`. */
  async goOn(first: Attempt, firstError: unknown): Promise<T> {
    const { settings, counts, onRetry } = this.#owner
    this.#throwIfAborted()
    const { clock, deadlineMs } = this.#terms
    const startedAtMs = this.#terms.startedAtMs ?? first.noticedAtMs ?? clock.now()
    const decisions = new RetryDecisions(settings, this.#terms)
    let error = firstError
    for (;;) {
      const decision = decisions.fail(error)
      error = decisions.lastError
      if (!decision.retry) throw this.#end(decision.reason, decisions.attempts, startedAtMs, error)
      const { attempt, delayMs } = decision
      onRetry?.({ attempt, delayMs, error })
      await this.#sleep(delayMs)
      // Timers may be late; what was withdrawn is lost then, which errs to the safe side.
      if (clock.now() >= deadlineMs) throw this.#end('deadline', attempt - 1, startedAtMs, error)
      counts.retry()
      try {
        const value = await this.#attempt(attempt)
        counts.successes++
        return value
      } catch (thrown) {
        this.#throwIfAborted()
        error = thrown
      }
    }
  }

  async #attempt(number: number): Promise<T> {
    if (!this.#terms.isTimed && this.#signal === undefined) return this.#fn(new Attempt(number, this.#terms))
    const attempt = new BoundedAttempt<T>(number, this.#terms, this.#signal)
    attempt.start(this.#fn)
    await attempt.whenOver()
    return attempt.take()
  }

  async #sleep(delayMs: number): Promise<void> {
    try {
      await this.#terms.clock.sleep(delayMs, this.#signal)
    } catch (error) {
      this.#throwIfAborted()
      throw error
    }
  }

  #throwIfAborted(): void {
    if (!this.#signal?.aborted) return
    this.#owner.counts.giveUps.aborted++
    throw this.#signal.reason
  }

  /** What the run rejects with. */
  #end(reason: GiveUpReason, attempts: number, startedAtMs: number, cause: unknown): unknown {
    this.#owner.counts.giveUps[reason]++
    if (reason === 'permanent') return cause
    return new RetryError(reason, { attempts, elapsedMs: this.#terms.clock.now() - startedAtMs, cause })
  }
}
