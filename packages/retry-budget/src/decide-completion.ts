/** When a job is over whose targets may never all answer: one list of rules, the first that applies. */
import { HsError } from '@hs/core'

export type CompletionReason = 'all-reported' | 'minimum-reached' | 'deadline' | 'unreachable-minimum' | 'cancelled'

export interface CompletionState {
  /** How many targets there are. */
  readonly targets: number
  readonly succeeded: number
  readonly failed: number
  /** Successes that are enough, from 1. */
  readonly minSuccesses: number
  /** @default false */
  readonly deadlinePassed?: boolean
  /** The time to wait for the rest has passed since the minimum was there. @default false */
  readonly stragglersPassed?: boolean
}

/**
 * Why it is over, or null if it is not.
 * @throws HsError `'INVALID_ARGUMENT'` if a count is none.
 */
export function decideCompletion(state: CompletionState): Exclude<CompletionReason, 'cancelled'> | null {
  checkCounts(state)
  const { targets, succeeded, failed, minSuccesses, deadlinePassed = false, stragglersPassed = false } = state
  if (succeeded + failed >= targets) return 'all-reported'
  if (targets - failed < minSuccesses) return 'unreachable-minimum'
  if (deadlinePassed) return 'deadline'
  return stragglersPassed && succeeded >= minSuccesses ? 'minimum-reached' : null
}

function checkCounts({ targets, succeeded, failed, minSuccesses }: CompletionState): void {
  for (const [name, count] of Object.entries({ targets, succeeded, failed, minSuccesses })) {
    if (Number.isInteger(count) && count >= 0) continue
    throw new HsError('INVALID_ARGUMENT', `decideCompletion: ${name} must be an integer from 0, found ${count}`)
  }
}
