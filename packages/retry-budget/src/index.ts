export { classifyFailure } from './classify-failure.js'
export type { Failure, FailureKind } from './failure.js'
export { parseRetryAfter } from './parse-retry-after.js'
export { backoffDelay, type BackoffDelayOptions, type Jitter } from './backoff-delay.js'
export { RetryPolicy } from './retry-policy.js'
export type { RetryPolicySnapshot } from './retry-counts.js'
export type { RetryEvent, RetryOptions } from './retry-options.js'
export type { RetryCall } from './retry-terms.js'
export type { AttemptContext } from './attempt.js'
export type { RetryDecision, RetrySession } from './retry-session.js'
export { RetryError, type GiveUpReason, type RetryErrorOptions } from './retry-error.js'
export type { Budget } from './budget.js'
export { combineBudgets } from './combine-budgets.js'
export { RetryBudget, type RetryBudgetOptions, type RetryBudgetSnapshot } from './retry-budget.js'
export { RetryBudgetRegistry, type RetryBudgetRegistryOptions } from './retry-budget-registry.js'
export {
  JobRetryBudget,
  type JobRetryBudgetOptions,
  type JobRetryBudgetSnapshot,
  type RetryGrant,
} from './job-retry-budget.js'
export { hedge, type HedgeOptions } from './hedge.js'
export { decideCompletion, type CompletionReason, type CompletionState } from './decide-completion.js'
export {
  BestEffortCompletion,
  type BestEffortOptions,
  type BestEffortResult,
  type BestEffortCompletionSnapshot,
} from './best-effort-completion.js'
