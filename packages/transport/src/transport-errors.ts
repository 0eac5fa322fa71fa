/** The errors that callers get, each with its `notExecuted` as the table of the contract has it. */
import { TransportError, type TransportErrorCode } from '@hs/core'
import type { Refusal } from './greeting.js'

/** What a connection's end means to those who used it: it was lost, or this end or the peer had said goodbye. */
export type EndCode = 'CONNECTION_LOST' | 'CLOSED'

export function invalidArgument(message: string, cause?: unknown): TransportError {
  return new TransportError('INVALID_ARGUMENT', message, { notExecuted: true, cause })
}

export function stopped(): TransportError {
  return notExecuted('CLOSED', 'This transport is stopped')
}

export function queueFull(text: string): TransportError {
  return notExecuted('QUEUE_FULL', text)
}

export function tooLarge(method: string, length: number, limit: number): TransportError {
  return notExecuted('MESSAGE_TOO_LARGE', `${method} needs a frame of ${length} bytes, at most ${limit} are allowed`)
}

export function deadlineExceeded(method: string, to: string, timeoutMs: number, notRun: boolean): TransportError {
  const text = `${method} to ${to} was not answered within ${timeoutMs} ms`
  return new TransportError('DEADLINE_EXCEEDED', text, { notExecuted: notRun })
}

export function cancelled(method: string, to: string, cause: unknown, notRun: boolean): TransportError {
  return new TransportError('CANCELLED', `${method} to ${to} was cancelled`, { notExecuted: notRun, cause })
}

/** Twice in a row the peer said goodbye, or it cannot be dialled. */
export function takesNoMore(method: string, address: string): TransportError {
  return notExecuted('CONNECT_FAILED', `${method}: ${address} takes no more requests`)
}

/** A connection that was open has ended. */
export function ended(
  address: string,
  code: EndCode,
  why: string,
  notRun: boolean,
  cause: Error | null,
): TransportError {
  const text = `The connection with ${address} has ended: ${why}`
  return new TransportError(code, text, { notExecuted: notRun, ...causeOf(cause) })
}

/** A connection that never was open has ended. */
export function unreached(
  address: string,
  code: EndCode,
  why: string,
  refusal: Refusal | null,
  cause: Error | null,
): TransportError {
  if (code === 'CLOSED') return ended(address, code, why, true, cause)
  if (refusal === null) {
    const text = `Cannot reach ${address}: ${why}`
    return new TransportError('CONNECT_FAILED', text, { notExecuted: true, ...causeOf(cause) })
  }
  const text = `The connection with ${address} was refused: ${refusal.message}`
  const { reason } = refusal
  return new TransportError('PEER_REJECTED', text, { notExecuted: true, ...causeOf(cause), details: { reason } })
}

/** As the last failure, with the time to wait. */
export function notYet(last: TransportError, waitMs: number): TransportError {
  const retryAfterMs = Math.ceil(waitMs)
  const text = `${last.message} (it is dialled again in ${retryAfterMs} ms at the earliest)`
  const { cause, details } = last
  return new TransportError(last.code, text, { notExecuted: true, retryAfterMs, cause, details: { ...details } })
}

export function poolExhausted(address: string, maxConnections: number): TransportError {
  const text = `${address} cannot be dialled: ${maxConnections} peers are connected and none of them is idle`
  return notExecuted('POOL_EXHAUSTED', text)
}

function notExecuted(code: TransportErrorCode, message: string): TransportError {
  return new TransportError(code, message, { notExecuted: true })
}

function causeOf(cause: Error | null): { cause?: Error } {
  return cause === null ? {} : { cause }
}
