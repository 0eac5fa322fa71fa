/** A call that a circuit breaker refused. */
import { HsError } from '@hs/core'

/** `'CIRCUIT_OPEN'`: the call was not made. */
export class CircuitOpenError extends HsError {
  /** When it makes sense to try again, in milliseconds from now; `@hs/retry-budget` waits for it. */
  readonly retryAfterMs: number

  /** @param retryAfterMs in milliseconds, 0 or more */
  constructor(retryAfterMs: number) {
    super('CIRCUIT_OPEN', `The circuit is open: try again in ${Math.ceil(retryAfterMs)} ms`, {
      details: { retryAfterMs },
    })
    this.retryAfterMs = retryAfterMs
  }
}
