/**
 * The retries of one job, shared by its workflows: so many in all, so many for each. Outcomes are counted and earn
 * nothing, so whatever happens there are at most `total`. It hangs on the job's record and goes with it.
 */
import { deepFreeze, HsError, parseOptions, runtimeShape, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import type { Budget } from './budget.js'

export interface JobRetryBudgetOptions extends RuntimeOptions {
  /** Retries of the job, 0 or more; lowered to `maxTotal`. @default 10 */
  total?: number
  /** Retries of each workflow, 0 or more; lowered to `maxPerWorkflow` and to the job's. @default 3 */
  perWorkflow?: number
  /** The operator's limit of `total`, 0 or more. @default 50 */
  maxTotal?: number
  /** The operator's limit of `perWorkflow`, 0 or more. @default 5 */
  maxPerWorkflow?: number
}

/** What is left after a grant, or whose retries are used up. */
export type RetryGrant =
  | { readonly granted: true; readonly jobRemaining: number; readonly workflowRemaining: number }
  | { readonly granted: false; readonly reason: 'job-exhausted' | 'workflow-exhausted' }

export interface JobRetryBudgetSnapshot {
  /** After the operator's limits. */
  readonly total: number
  readonly perWorkflow: number
  readonly consumed: number
  readonly remaining: number
  /** Retries by workflow, of those that had any. */
  readonly workflows: Readonly<Record<string, number>>
  readonly successes: number
  readonly failures: number
  /** Successes of workflows that had a retry before. */
  readonly successesAfterRetry: number
}

const count = (byDefault: number) => z.int().min(0).default(byDefault)

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    total: count(10),
    perWorkflow: count(3),
    maxTotal: count(50),
    maxPerWorkflow: count(5),
  }))()

/** At most `total` grants, at most `perWorkflow` of them to one workflow. */
export class JobRetryBudget {
  readonly #total: number
  readonly #perWorkflow: number
  /** Only workflows that were granted a retry: at most `total` of them. */
  readonly #granted = new Map<string, number>()
  #consumed = 0
  #successes = 0
  #failures = 0
  #successesAfterRetry = 0

  /** @throws ConfigError */
  constructor(options?: JobRetryBudgetOptions) {
    const { total, perWorkflow, maxTotal, maxPerWorkflow } = parseOptions(schema, options, 'JobRetryBudget')
    this.#total = Math.min(total, maxTotal)
    this.#perWorkflow = Math.min(perWorkflow, maxPerWorkflow, this.#total)
  }

  /** Checks and takes in one step. @throws HsError `'INVALID_ARGUMENT'` if the name is no text. */
  tryConsume(workflow: string): RetryGrant {
    const refusal = this.#refusal(workflow)
    if (refusal !== null) return { granted: false, reason: refusal }
    const granted = (this.#granted.get(workflow) ?? 0) + 1
    this.#granted.set(workflow, granted)
    this.#consumed++
    return {
      granted: true,
      jobRemaining: this.#total - this.#consumed,
      workflowRemaining: this.#perWorkflow - granted,
    }
  }

  /** Counts an execution that succeeded. */
  recordSuccess(workflow: string): void {
    this.#successes++
    if (this.#granted.has(workflow)) this.#successesAfterRetry++
  }

  /** Counts an execution that failed. */
  recordFailure(_workflow: string): void {
    this.#failures++
  }

  /** A view for `RetryPolicy.run`; holds nothing of its own. */
  workflow(workflow: string): Budget {
    return {
      deposit: () => {},
      canWithdraw: () => this.#refusal(workflow) === null,
      tryWithdraw: () => this.tryConsume(workflow).granted,
    }
  }

  /** What a dashboard shows. */
  snapshot(): JobRetryBudgetSnapshot {
    return deepFreeze({
      total: this.#total,
      perWorkflow: this.#perWorkflow,
      consumed: this.#consumed,
      remaining: this.#total - this.#consumed,
      workflows: Object.fromEntries(this.#granted),
      successes: this.#successes,
      failures: this.#failures,
      successesAfterRetry: this.#successesAfterRetry,
    })
  }

  #refusal(workflow: string): 'job-exhausted' | 'workflow-exhausted' | null {
    if (typeof workflow !== 'string')
      throw new HsError('INVALID_ARGUMENT', `A workflow is a string, found ${typeof workflow}`)
    if (this.#consumed >= this.#total) return 'job-exhausted'
    return (this.#granted.get(workflow) ?? 0) >= this.#perWorkflow ? 'workflow-exhausted' : null
  }
}
