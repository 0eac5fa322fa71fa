/**
 * Cuts the tail of a call's latency: when an attempt is slow, another starts beside it, and the first success wins.
 * Only for calls that may run twice.
 * Source: J. Dean and L. A. Barroso, "The Tail at Scale" (CACM 2013); gRPC A6.
 */
import {
  HsError,
  parseOptions,
  runtimeShape,
  unwatchAbort,
  watchAbort,
  type AbortWatcher,
  type RuntimeOptions,
  type Timer,
} from '@hs/core'
import * as z from 'zod'
import { Attempt, type AttemptContext } from './attempt.js'
import { isBudget, type Budget } from './budget.js'
import { classifyFailure } from './classify-failure.js'
import type { Failure, FailureKind } from './failure.js'
import { classifyWith, withCause } from './retry-session.js'
import { isSignal } from './retry-terms.js'

export interface HedgeOptions extends RuntimeOptions {
  /**
   * How long to wait for an answer before another attempt starts, in milliseconds, 0 or more. A function is asked each
   * time, for example for the 95th percentile of a digest; what it returns that is no finite number means not to hedge.
   */
  delayMs: number | (() => number)
  /** Attempts beside the first, 1 to 10. @default 1 */
  maxHedges?: number
  /** Pays for each attempt but the first, which deposits. @default nobody */
  budget?: Budget
  /** @default classifyFailure */
  classify?: (error: unknown) => Failure | FailureKind
  /** Aborting it rejects at once, with its reason. */
  signal?: AbortSignal
}

const schema = /* @__PURE__ */ (() => {
  const isFunction = (x: unknown) => typeof x === 'function'
  const isDelay = (x: unknown) => isFunction(x) || (typeof x === 'number' && x >= 0 && x < Infinity)
  return z.strictObject({
    ...runtimeShape,
    delayMs: z.custom<HedgeOptions['delayMs']>(isDelay, 'expected milliseconds from 0, or a function'),
    maxHedges: z.int().min(1).max(10).default(1),
    budget: z.custom<Budget>(isBudget, 'expected a budget with deposit, canWithdraw, tryWithdraw').optional(),
    classify: z.custom<NonNullable<HedgeOptions['classify']>>(isFunction, 'expected a function').optional(),
    signal: z.custom<AbortSignal>(isSignal, 'expected an AbortSignal').optional(),
  })
})()

type HedgeSettings = z.output<typeof schema>

/**
 * Calls `fn`, and again beside it up to `maxHedges` times while nothing has settled, each paid by the budget; refused,
 * it goes on waiting for what is under way. A permanent failure ends it at once; after another one the next attempt
 * starts when none is left. The signals of attempts that are of no use any more abort.
 * @throws ConfigError as a rejection; HsError `'INVALID_ARGUMENT'` if `fn` is no function; what `fn` failed with.
 */
export async function hedge<T>(fn: (context: AttemptContext) => T | PromiseLike<T>, options: HedgeOptions): Promise<T> {
  const settings = parseOptions(schema, options, 'hedge')
  if (typeof fn !== 'function') throw new HsError('INVALID_ARGUMENT', `hedge needs a function, found ${typeof fn}`)
  if (settings.signal?.aborted) throw settings.signal.reason
  return new Promise<T>((resolve, reject) => new HedgedCall(fn, settings, resolve, reject).begin())
}

class HedgedCall<T> implements AbortWatcher {
  readonly #fn: (context: AttemptContext) => T | PromiseLike<T>
  readonly #settings: HedgeSettings
  readonly #resolve: (value: T) => void
  readonly #reject: (error: unknown) => void
  readonly #underWay = new Set<Attempt>()
  #started = 0
  #timer: Timer | undefined = undefined
  #isOver = false

  constructor(
    fn: (context: AttemptContext) => T | PromiseLike<T>,
    settings: HedgeSettings,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.#fn = fn
    this.#settings = settings
    this.#resolve = resolve
    this.#reject = reject
  }

  begin(): void {
    const { signal, budget } = this.#settings
    if (signal !== undefined) watchAbort(signal, this)
    this.#guard(() => {
      budget?.deposit()
      this.#start()
    })
  }

  /** For the caller's signal. */
  onAbort(): void {
    this.#fail(this.#settings.signal?.reason)
  }

  #start(): void {
    const attempt = new Attempt(++this.#started, { clock: this.#settings.clock, deadlineMs: Infinity })
    this.#underWay.add(attempt)
    callAsync(this.#fn, attempt).then(
      (value) => this.#succeeded(attempt, value),
      (error: unknown) => this.#guard(() => this.#failed(attempt, error)),
    )
    this.#waitForNext()
  }

  /** Refused by the budget, no timer asks again: whoever is out of budget has trouble enough. */
  #waitForNext(): void {
    if (this.#isOver || this.#started > this.#settings.maxHedges) return
    const { delayMs, clock } = this.#settings
    const waitMs = typeof delayMs === 'function' ? delayMs() : delayMs
    if (!Number.isFinite(waitMs)) return
    this.#timer = clock.setTimer(waitMs, () => this.#guard(() => void this.#tryNext()))
  }

  /** Whether another attempt is under way now. */
  #tryNext(): boolean {
    const { maxHedges, budget } = this.#settings
    this.#timer?.cancel()
    if (this.#started > maxHedges || (budget !== undefined && !budget.tryWithdraw())) return false
    this.#start()
    return true
  }

  #succeeded(attempt: Attempt, value: T): void {
    if (this.#isOver) return
    this.#underWay.delete(attempt)
    this.#leave(new DOMException('Another attempt was faster', 'AbortError'))
    this.#resolve(value)
  }

  #failed(attempt: Attempt, error: unknown): void {
    this.#underWay.delete(attempt)
    if (this.#isOver) return
    if (this.#judge(error).kind === 'permanent') this.#fail(error)
    else if (this.#underWay.size === 0 && !this.#tryNext()) this.#fail(error)
  }

  #judge(error: unknown): Failure {
    const { classify, clock } = this.#settings
    if (classify === undefined) return classifyFailure(error, clock.wallNow())
    try {
      return classifyWith(classify, error)
    } catch (thrown) {
      throw withCause(thrown, error)
    }
  }

  #fail(error: unknown): void {
    if (this.#isOver) return
    this.#leave(error)
    this.#reject(error)
  }

  /** No timer, no listener, nothing under way that would still be wanted. */
  #leave(reason: unknown): void {
    const { signal } = this.#settings
    this.#isOver = true
    this.#timer?.cancel()
    if (signal !== undefined) unwatchAbort(signal, this)
    for (const attempt of this.#underWay) attempt.abort(reason)
    this.#underWay.clear()
  }

  /** What a budget, a classifier or a function for the delay throws ends the call. */
  #guard(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#fail(error)
    }
  }
}

/** A synchronous throw is a rejection. */
async function callAsync<T>(fn: (context: AttemptContext) => T | PromiseLike<T>, attempt: Attempt): Promise<T> {
  return fn(attempt)
}
