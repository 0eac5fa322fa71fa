/** What calls refuse of whoever calls them without types. */
import { HsError } from '@hs/core'

/** @throws HsError `'INVALID_ARGUMENT'` unless it is finite and above 0. */
export function checkCost(cost: number): void {
  if (typeof cost === 'number' && cost > 0 && cost < Infinity) return
  throw new HsError('INVALID_ARGUMENT', `A cost is a finite number above 0, found ${String(cost)}`)
}

/**
 * For a call that is to wait.
 * @throws HsError `'INVALID_ARGUMENT'` if it is none, and its reason if it has aborted.
 */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return
  if (typeof signal?.addEventListener !== 'function') {
    throw new HsError('INVALID_ARGUMENT', 'signal must be an AbortSignal')
  }
  signal.throwIfAborted()
}
