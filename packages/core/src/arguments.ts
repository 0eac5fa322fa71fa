/** What calls refuse of whoever calls them without types: functions and bytes that are none. */
import { isBinary } from './binary.js'
import { HsError, TransportError } from './errors.js'

/** @throws HsError `'INVALID_ARGUMENT'` */
export function checkFunction(what: string, fn: unknown): void {
  if (typeof fn !== 'function') throw new HsError('INVALID_ARGUMENT', `${what} needs a function, found ${typeof fn}`)
}

/** For a transport. @throws TransportError `'INVALID_ARGUMENT'` */
export function checkMessage(bytes: unknown): void {
  if (isBinary(bytes)) return
  throw new TransportError('INVALID_ARGUMENT', `A message is a Uint8Array, found ${typeof bytes}`, {
    notExecuted: true,
  })
}

/** @throws HsError `'INVALID_ARGUMENT'` */
export function checkBytes(what: string, bytes: unknown): void {
  if (!isBinary(bytes)) throw new HsError('INVALID_ARGUMENT', `${what} needs a Uint8Array, found ${typeof bytes}`)
}
