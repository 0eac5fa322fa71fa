/**
 * An attempt that its time limit or the caller's signal may end while it runs. It is over at once then, whether or not
 * `fn` heeds its signal; what that does later, also a rejection, is dropped. Once it is over, no timer and no listener
 * of it is left.
 *
 * A listener costs ten times what all the rest does, so the caller's signal is listened to only when the attempt has
 * not settled within the microtasks of its start, or has read its own signal.
 */
import { TimeoutError, unwatchAbort, watchAbort, type AbortWatcher, type Timer } from '@hs/core'
import { Attempt, type AttemptContext } from './attempt.js'
import type { RetryTerms } from './retry-terms.js'

export class BoundedAttempt<T> implements AbortWatcher {
  readonly context: Attempt
  readonly #terms: RetryTerms
  readonly #signal: AbortSignal | undefined
  #state: 'running' | 'succeeded' | 'failed' = 'running'
  #outcome: unknown = undefined
  #timer: Timer | undefined = undefined
  #isWatching = false
  #onOver: (() => void) | undefined = undefined

  constructor(attempt: number, terms: RetryTerms, signal: AbortSignal | undefined) {
    this.#terms = terms
    this.#signal = signal
    this.context = new Attempt(attempt, terms, this)
  }

  start(fn: (context: AttemptContext) => T | PromiseLike<T>): void {
    if (this.#terms.isTimed) this.#limitTime()
    try {
      Promise.resolve(fn(this.context)).then(
        (value) => this.#settle('succeeded', value),
        (error: unknown) => this.#settle('failed', error),
      )
    } catch (error) {
      this.#settle('failed', error)
    }
  }

  get isOver(): boolean {
    return this.#state !== 'running'
  }

  get hasSucceeded(): boolean {
    return this.#state === 'succeeded'
  }

  /** Resolves when it is over. */
  whenOver(): Promise<void> {
    if (this.isOver) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onOver = resolve
      this.#watch()
    })
  }

  /** What it came to, once it is over; throws what it failed with. */
  take(): T {
    if (this.#state === 'failed') throw this.#outcome
    return this.#outcome as T
  }

  /** For the caller's signal. */
  onAbort(): void {
    this.#end(this.#signal?.reason)
  }

  /** For the context: whoever looks at the signal sees an abort in the same step. */
  onSignalRead(): void {
    this.#watch()
  }

  #limitTime(): void {
    const { clock, deadlineMs, attemptTimeoutMs } = this.#terms
    const nowMs = clock.now()
    this.context.noticedAtMs = nowMs
    const limitMs = Math.min(attemptTimeoutMs, deadlineMs - nowMs)
    this.#timer = clock.setTimer(limitMs, () => this.#end(new TimeoutError(`Attempt ${this.context.attempt}`, limitMs)))
  }

  #watch(): void {
    const signal = this.#signal
    if (signal === undefined || this.#isWatching || this.isOver) return
    if (signal.aborted) {
      this.onAbort()
      return
    }
    this.#isWatching = true
    watchAbort(signal, this)
  }

  /** An abort that nobody listened for yet comes before what the attempt came to. */
  #settle(state: 'succeeded' | 'failed', outcome: unknown): void {
    if (this.isOver) return
    if (this.#signal?.aborted) this.onAbort()
    else this.#finish(state, outcome)
  }

  #end(error: unknown): void {
    if (this.isOver) return
    this.#finish('failed', error)
    this.context.abort(error)
  }

  #finish(state: 'succeeded' | 'failed', outcome: unknown): void {
    this.#state = state
    this.#outcome = outcome
    this.#timer?.cancel()
    if (this.#isWatching && this.#signal !== undefined) unwatchAbort(this.#signal, this)
    this.#onOver?.()
  }
}
