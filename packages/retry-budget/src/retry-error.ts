/** The end of a run that might have gone on, had there been attempts, time or budget left. */
import { HsError } from '@hs/core'

/**
 * Why a call is not repeated: nothing to be gained, no attempts left, asked to wait for too long, no time left, refused
 * by the budget.
 */
export type GiveUpReason = 'permanent' | 'attempts' | 'retry-after' | 'deadline' | 'budget'

const ends = {
  attempts: ['RETRY_ATTEMPTS_EXHAUSTED', 'no attempts are left'],
  'retry-after': ['RETRY_AFTER_TOO_LONG', 'the server asks to wait for longer than maxRetryAfterMs'],
  deadline: ['RETRY_DEADLINE_EXCEEDED', 'the deadline leaves no time for another attempt'],
  budget: ['RETRY_BUDGET_EXHAUSTED', 'the retry budget is used up'],
} as const

export interface RetryErrorOptions {
  /** Attempts that were started. */
  attempts: number
  /** How long the run took, in milliseconds. */
  elapsedMs: number
  /** The last error; none if no attempt was started. */
  cause?: unknown
}

/** A run of `RetryPolicy` that gave up on an error that is not permanent; its `cause` is the last error. */
export class RetryError extends HsError {
  readonly reason: Exclude<GiveUpReason, 'permanent'>
  readonly attempts: number
  /**
   * In milliseconds. A run without time limits looks at the clock only when its first attempt has failed, or has read
   * `signal` or `remainingMs`; it counts from there.
   */
  readonly elapsedMs: number

  constructor(reason: Exclude<GiveUpReason, 'permanent'>, options: RetryErrorOptions) {
    const { attempts, elapsedMs, cause } = options
    const [code, text] = ends[reason]
    const made = `${attempts} ${attempts === 1 ? 'attempt' : 'attempts'} in ${Math.round(elapsedMs)} ms`
    super(code, `Gave up after ${made}: ${text} (${reason})${lastError(cause)}`, {
      cause,
      details: { reason, attempts, elapsedMs },
    })
    this.reason = reason
    this.attempts = attempts
    this.elapsedMs = elapsedMs
  }
}

function lastError(cause: unknown): string {
  if (cause === undefined) return ''
  return cause instanceof Error ? `; last error: ${cause.message}` : '; the last error is the cause'
}
