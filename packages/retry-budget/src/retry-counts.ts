/** What a policy has seen. */
import type { GiveUpReason } from './retry-error.js'

export interface RetryPolicySnapshot {
  /** Runs and sessions. */
  readonly runs: number
  /** Attempts started. */
  readonly attempts: number
  /** Those of them that were not the first. */
  readonly retries: number
  /** Runs that succeeded; of a session nobody tells. */
  readonly successes: number
  readonly giveUps: Readonly<Record<GiveUpReason | 'aborted', number>>
}

export class RetryCounts implements RetryPolicySnapshot {
  readonly giveUps = { permanent: 0, attempts: 0, 'retry-after': 0, deadline: 0, budget: 0, aborted: 0 }
  runs = 0
  attempts = 0
  retries = 0
  successes = 0

  retry(): void {
    this.attempts++
    this.retries++
  }

  snapshot(): RetryPolicySnapshot {
    const { runs, attempts, retries, successes, giveUps } = this
    return Object.freeze({ runs, attempts, retries, successes, giveUps: Object.freeze({ ...giveUps }) })
  }
}
