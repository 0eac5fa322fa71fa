/** What a call fails with that was not let in: limited by rate, or by the queue in front of the executor. */
import { HsError, type HsErrorOptions } from '@hs/core'

export type AdmissionErrorCode = 'RATE_LIMITED' | 'QUEUE_FULL' | 'QUEUE_DISPLACED' | 'QUEUE_TIMEOUT'

export interface AdmissionErrorOptions extends HsErrorOptions {
  /** When it makes sense to try again, in milliseconds; Infinity: never. */
  retryAfterMs: number
}

/** A call that was refused; none of its work has run. */
export class AdmissionError extends HsError {
  declare readonly code: AdmissionErrorCode
  /** When it makes sense to try again, in milliseconds from when it was thrown; Infinity: never. */
  readonly retryAfterMs: number

  constructor(code: AdmissionErrorCode, message: string, options: AdmissionErrorOptions) {
    const { retryAfterMs, details, cause } = options
    super(code, message, { cause, details: { ...details, retryAfterMs } })
    this.retryAfterMs = retryAfterMs
  }
}
