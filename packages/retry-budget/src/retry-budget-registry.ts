/**
 * A budget for each target, of which the least recently used goes when there are too many; a target that comes back
 * starts again with its reserve. One budget for all would let one dead target starve the others, one for each caller
 * would multiply the reserve.
 */
import { BoundedMap, deepFreeze, HsError, parseOptions } from '@hs/core'
import * as z from 'zod'
import { BudgetSettings, RetryBudget, retryBudgetShape } from './retry-budget.js'
import type { RetryBudgetOptions, RetryBudgetSnapshot } from './retry-budget.js'

export interface RetryBudgetRegistryOptions extends RetryBudgetOptions {
  /** Targets remembered, at least 1. @default 1_000 */
  maxTargets?: number
}

const schema = /* @__PURE__ */ (() =>
  z.strictObject({ ...retryBudgetShape, maxTargets: z.int().min(1).default(1_000) }))()

/** One budget a target, all with the same options. */
export class RetryBudgetRegistry {
  readonly #settings: BudgetSettings
  readonly #budgets: BoundedMap<string, RetryBudget>

  /** @throws ConfigError */
  constructor(options?: RetryBudgetRegistryOptions) {
    const { maxTargets, random, logger, ...own } = parseOptions(schema, options, 'RetryBudgetRegistry')
    this.#settings = new BudgetSettings(own)
    this.#budgets = new BoundedMap({ clock: own.clock, random, logger, maxEntries: maxTargets })
  }

  /**
   * The target's budget, which is now the most recently used.
   * @throws HsError `'INVALID_ARGUMENT'` if the name is no text.
   */
  for(target: string): RetryBudget {
    const known = this.#budgets.get(target)
    if (known !== undefined) return known
    if (typeof target !== 'string')
      throw new HsError('INVALID_ARGUMENT', `A target is a string, found ${typeof target}`)
    const budget = new RetryBudget(this.#settings)
    this.#budgets.set(target, budget)
    return budget
  }

  /** True if it was there. */
  forget(target: string): boolean {
    return this.#budgets.delete(target)
  }

  /** Targets that are remembered. */
  get size(): number {
    return this.#budgets.size
  }

  /** What a dashboard shows, by target. */
  snapshot(): Readonly<Record<string, RetryBudgetSnapshot>> {
    return deepFreeze(Object.fromEntries(Array.from(this.#budgets, ([target, budget]) => [target, budget.snapshot()])))
  }
}
