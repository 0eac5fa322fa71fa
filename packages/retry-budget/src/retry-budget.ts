/**
 * Caps retries at a fraction of the requests, so that an outage is never multiplied by its clients.
 * Guarantee: over any time T, withdrawals <= ratio * deposits + minPerSecond * (T + 1.1 * ttlMs) / 1000, where deposits
 * of up to ttlMs before T count too. So a full outage within one `ttlMs` sees at most (1 + ratio) times the requests,
 * plus the reserve. Whoever fails steadily, but less often than `ratio`, is never refused.
 * Source: Finagle's RetryBudget and tower's TpsBudget; the bound is that of the windows that tile T.
 */
import { runtimeShape, parseOptions, type Clock, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import type { Budget } from './budget.js'
import { WindowCounts } from './window-counts.js'

export interface RetryBudgetOptions extends RuntimeOptions {
  /** Retries a request earns, 0 to 10. @default 0.2 */
  ratio?: number
  /** Retries a second whatever the traffic, so that a quiet client can still retry, 0 to 1,000,000. @default 10 */
  minPerSecond?: number
  /** How long a request, and a retry, count, in milliseconds, 1,000 to 60,000. @default 10_000 */
  ttlMs?: number
}

export interface RetryBudgetSnapshot {
  /** Retries that are available now, whole ones. */
  readonly balance: number
  /** Requests so far. */
  readonly deposits: number
  /** Retries granted so far. */
  readonly withdrawals: number
  /** Retries refused so far. */
  readonly refusals: number
}

/** The fields of the options, for schemas that have more. */
export const retryBudgetShape = /* @__PURE__ */ (() => ({
  ...runtimeShape,
  ratio: z.number().min(0).max(10).default(0.2),
  minPerSecond: z.number().min(0).max(1e6).default(10),
  ttlMs: z.number().min(1_000).max(60_000).default(10_000),
}))()

const schema = /* @__PURE__ */ (() => z.strictObject(retryBudgetShape))()

/** What a budget is told at the start, checked; all budgets of a registry share one. */
export class BudgetSettings {
  readonly clock: Clock
  readonly ratio: number
  readonly reserve: number
  readonly ttlMs: number

  constructor(options: Required<Omit<RetryBudgetOptions, 'random' | 'logger'>>) {
    this.clock = options.clock
    this.ratio = options.ratio
    this.reserve = (options.minPerSecond * options.ttlMs) / 1_000
    this.ttlMs = options.ttlMs
  }
}

/** One for each service that is called. No call of it allocates. */
export class RetryBudget implements Budget {
  readonly #settings: BudgetSettings
  readonly #window: WindowCounts
  #deposits = 0
  #withdrawals = 0
  #refusals = 0

  /** @throws ConfigError */
  constructor(options?: RetryBudgetOptions)
  /** @internal */
  constructor(settings: BudgetSettings)
  constructor(options?: RetryBudgetOptions | BudgetSettings) {
    this.#settings =
      options instanceof BudgetSettings ? options : new BudgetSettings(parseOptions(schema, options, 'RetryBudget'))
    this.#window = new WindowCounts(this.#settings.clock.now(), this.#settings.ttlMs)
  }

  /** Records a first attempt, which earns `ratio` of a retry. */
  deposit(): void {
    this.#moveOn()
    this.#window.deposit()
    this.#deposits++
  }

  /** Whether `tryWithdraw` would take one now; changes nothing. */
  canWithdraw(): boolean {
    this.#moveOn()
    return this.#balance() >= 1
  }

  /** Takes one retry. False: do not retry, fail now. */
  tryWithdraw(): boolean {
    this.#moveOn()
    if (this.#balance() < 1) {
      this.#refusals++
      return false
    }
    this.#window.withdraw()
    this.#withdrawals++
    return true
  }

  /** What a dashboard shows. */
  snapshot(): RetryBudgetSnapshot {
    this.#moveOn()
    return Object.freeze({
      // Below 0 when the requests that paid are forgotten before the retries they paid for.
      balance: Math.max(0, Math.floor(this.#balance())),
      deposits: this.#deposits,
      withdrawals: this.#withdrawals,
      refusals: this.#refusals,
    })
  }

  #moveOn(): void {
    this.#window.moveTo(this.#settings.clock.now())
  }

  #balance(): number {
    const { reserve, ratio } = this.#settings
    return reserve + ratio * this.#window.deposits - this.#window.withdrawals
  }
}
