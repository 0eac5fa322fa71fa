/** What goes wrong between nodes, by code: the code decides, the message says what to do. */
import { HsError } from '@hs/core'

export type NodeErrorCode =
  | 'INVALID_JOB'
  | 'MESSAGE_TOO_LARGE'
  | 'IDEMPOTENCY_CONFLICT'
  | 'NO_GATE'
  | 'NO_DATACENTER'
  | 'NO_QUORUM'
  /** `details.retryAfterMs` says when to ask again. */
  | 'OVERLOADED'
  /** `details.retryAfterMs` says when to ask again. */
  | 'RATE_LIMITED'
  | 'NOT_LEADER'
  | 'STALE_FENCE'
  | 'FORWARD_LOOP'
  | 'JOB_NOT_FOUND'
  | 'JOB_LOST'
  | 'UNAUTHORIZED'
  | 'NOT_READY'
  | 'NODE_STOPPED'

export class NodeError extends HsError {
  declare readonly code: NodeErrorCode

  constructor(code: NodeErrorCode, message: string, options?: { cause?: unknown; details?: Record<string, unknown> }) {
    super(code, message, options)
  }
}

/** What a peer answered, as an error of this side. */
export function refusalError({
  code,
  message,
  retryAfterMs,
}: {
  readonly code: string
  readonly message: string
  readonly retryAfterMs?: number
}): NodeError {
  return new NodeError(code as NodeErrorCode, message, { details: retryAfterMs === undefined ? {} : { retryAfterMs } })
}
