/** What calls refuse, each before anything has changed. */
import { HsError } from '@hs/core'

/** The largest count, total, time and dot: 2^53 - 1. */
export const MAX_COUNT = Number.MAX_SAFE_INTEGER

export function invalidArgument(expected: string, found: unknown): HsError {
  const text = typeof found === 'string' ? JSON.stringify(found.slice(0, 80)) : describe(found)
  return new HsError('INVALID_ARGUMENT', `${expected}, found ${text}`)
}

function describe(found: unknown): string {
  return typeof found === 'object' && found !== null ? 'an object' : String(found)
}

/** @throws HsError `'INVALID_ARGUMENT'` unless an integer from 0 to 2^53 - 1 */
export function checkCount(what: string, n: number): void {
  if (!Number.isSafeInteger(n) || n < 0) throw invalidArgument(`${what} is an integer from 0 to 2^53 - 1`, n)
}

/** @throws HsError `'INVALID_ARGUMENT'` unless an integer from 1 to 2^53 - 1 */
export function checkTime(time: number): void {
  if (!Number.isSafeInteger(time) || time < 1) throw invalidArgument('A time is an integer from 1 to 2^53 - 1', time)
}

/** @throws HsError `'INVALID_ARGUMENT'` unless a text of 1 to `maxLength` UTF-16 units */
export function checkName(what: string, name: string, maxLength: number): void {
  if (typeof name !== 'string' || name.length === 0) throw invalidArgument(`${what} is a non-empty text`, name)
  if (name.length > maxLength) {
    throw invalidArgument(`${what} has at most ${maxLength} UTF-16 units, here ${name.length}`, name)
  }
}

/** For `merge`, whose argument may be of another copy of this package. @throws HsError `'INVALID_ARGUMENT'` */
export function checkSame(type: string, isOne: boolean, found: unknown): void {
  if (!isOne) throw invalidArgument(`merge of ${type} takes another ${type}`, found)
}

/** @throws HsError `'CRDT_OVERFLOW'` always */
export function overflow(what: string): HsError {
  return new HsError('CRDT_OVERFLOW', `${what} would pass 2^53 - 1`)
}
