/** Checks of the arguments of calls: what is wrong throws `'INVALID_ARGUMENT'` before anything has changed. */
import { HsError } from '@hs/core'

export function invalidArgument(message: string, details: Record<string, unknown> = {}): HsError {
  return new HsError('INVALID_ARGUMENT', message, { details })
}

/** @throws HsError `'INVALID_ARGUMENT'` unless `value` is an integer from `min` on. */
export function requireInteger(name: string, value: number, min = 0): void {
  if (Number.isSafeInteger(value) && value >= min) return
  throw invalidArgument(`${name}: expected an integer >= ${min}, found ${value}`, { [name]: value })
}

/** @throws HsError `'INVALID_ARGUMENT'` unless `value` is a finite number >= 0. */
export function requireDuration(name: string, value: number): void {
  if (Number.isFinite(value) && value >= 0) return
  throw invalidArgument(`${name}: expected milliseconds >= 0, found ${value}`, { [name]: value })
}
