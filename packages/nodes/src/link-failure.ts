/**
 * Failures that the network makes and time mends, told from those that say that something is wrong: the first are
 * retried in silence, the second are retried too, and reported.
 */
import { HsError, type TransportErrorCode } from '@hs/core'

const expected: ReadonlySet<string> = new Set<TransportErrorCode | 'CIRCUIT_OPEN' | 'NODE_STOPPED'>([
  'CONNECT_FAILED',
  'CONNECTION_LOST',
  'DEADLINE_EXCEEDED',
  'CANCELLED',
  'QUEUE_FULL',
  'RESOURCE_EXHAUSTED',
  'POOL_EXHAUSTED',
  'CLOSED',
  'CIRCUIT_OPEN',
  'NODE_STOPPED',
])

export function isLinkFailure(error: unknown): boolean {
  return HsError.is(error) && expected.has(error.code)
}
