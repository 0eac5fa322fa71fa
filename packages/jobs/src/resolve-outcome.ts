/** What a job is whose datacenters ended differently: one list of rules, the first that applies. */
import { requireInteger } from './arguments.js'
import type { JobStatus } from './transitions.js'

export interface ResolveOutcomeOptions {
  /** Cancellation beats completion. @default false */
  cancelRequested?: boolean
  /** Completed datacenters that are enough for a partial result, from 1. @default all */
  minDatacenters?: number
}

/**
 * Independent of the order of `outcomes`.
 * @throws HsError `'INVALID_ARGUMENT'`
 */
export function resolveOutcome(
  outcomes: Iterable<JobStatus | 'missing'>,
  options: ResolveOutcomeOptions = {},
): JobStatus {
  const { cancelRequested = false, minDatacenters } = options
  if (minDatacenters !== undefined) requireInteger('minDatacenters', minDatacenters, 1)
  const counts = new Map<JobStatus | 'missing', number>()
  let total = 0
  for (const outcome of outcomes) {
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
    total++
  }
  const count = (outcome: JobStatus | 'missing') => counts.get(outcome) ?? 0
  if (cancelRequested) return 'cancelled'
  if (count('completed') === total) return 'completed'
  if (minDatacenters !== undefined && count('completed') >= minDatacenters) return 'partial'
  if (count('failed') > 0) return 'failed'
  if (count('timed-out') + count('missing') > 0) return 'timed-out'
  return count('cancelled') > 0 ? 'cancelled' : 'partial'
}
