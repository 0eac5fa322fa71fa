/**
 * Waiting for a state that others change: a waiter brings an `attempt` that tests the state and, in the same
 * synchronous step, takes what it wants of it. So no wake-up is lost, and between "available" and "mine" there is no
 * gap in which another could take it.
 */
import * as z from 'zod'
import type { Clock } from './clock.js'
import { parseOptions } from './options.js'
import { runtimeShape } from './runtime.js'
import { badArgument, refusal, WaitQueue, type WaitOptions } from './wait.js'

export interface ConditionOptions {
  /** For `timeoutMs`. @default systemClock */
  clock?: Clock
}

/** The claim, or one of these: not yet. */
type Attempt = () => unknown

const schema = /* @__PURE__ */ (() => z.strictObject({ clock: runtimeShape.clock }))()

/** Waiting until a claim on a state that others change succeeds. */
export class Condition {
  readonly #waiters: WaitQueue<unknown, Attempt>
  #attempting = false
  #notified = false

  /** @throws ConfigError */
  constructor(options: ConditionOptions = {}) {
    const { clock } = parseOptions(schema, options, 'Condition')
    this.#waiters = new WaitQueue(clock, () => 'Waiting for a condition')
  }

  /** Those who have no claim yet. */
  get waiting(): number {
    return this.#waiters.size
  }

  /**
   * Calls `attempt` at once and on every `notify`, until it returns a claim: anything but `undefined`, `null` and
   * `false`. An attempt that returns no claim should have changed nothing.
   * @throws as a rejection what `attempt` throws, TimeoutError, the reason of `options.signal`,
   *   HsError `'INVALID_ARGUMENT'`
   */
  until<T>(attempt: () => T | undefined | null | false, options?: WaitOptions): Promise<T> {
    const refused = refusal(options)
    if (refused !== undefined) return refused
    if (typeof attempt !== 'function') return badArgument('Condition.until needs an attempt to call')
    return this.#exclusively(() => {
      try {
        const claim = attempt()
        if (isClaim(claim)) return Promise.resolve(claim)
      } catch (error) {
        return Promise.reject(error)
      }
      // The attempt may have aborted its own signal, which would not say so again.
      return refusal(options) ?? (this.#waiters.join(options, attempt) as Promise<T>)
    })
  }

  /**
   * Lets all who wait attempt again, in order of arrival: call it after the state has changed. Called from within an
   * attempt, it takes effect when that attempt is over.
   */
  notify(): void {
    this.#notified = true
    this.#exclusively(() => undefined)
  }

  /** Runs one attempt at a time: what an attempt notifies waits until it is over, then all are asked anew. */
  #exclusively<R>(first: () => R): R {
    if (this.#attempting) return first()
    this.#attempting = true
    try {
      const result = first()
      this.#askWhileNotified()
      return result
    } finally {
      this.#attempting = false
    }
  }

  /**
   * Attempts that notify without a claim could keep each other awake for ever. They get a pass for each who waits and
   * one more, so that each may change the state once and all see what came of it; whoever claims opens as many anew.
   */
  #askWhileNotified(): void {
    for (let claimless = 0; this.#notified && claimless <= this.#waiters.size;) {
      this.#notified = false
      claimless = this.#askAll() ? 0 : claimless + 1
    }
    this.#notified = false
  }

  /** True if anyone made a claim. */
  #askAll(): boolean {
    let claimed = false
    for (const waiter of this.#waiters.toArray()) {
      // It may have left during the attempt of another.
      if (!waiter.isWaiting) continue
      try {
        const claim = waiter.payload()
        if (!isClaim(claim)) continue
        claimed = true
        waiter.resolve(claim)
      } catch (error) {
        waiter.reject(error)
      }
    }
    return claimed
  }
}

function isClaim<T>(result: T | undefined | null | false): result is T {
  return result !== undefined && result !== null && result !== false
}
