/**
 * Fencing tokens of dispatches: the leader's term above, a sequence below, in one integer that a double holds exactly.
 * So the tokens of a later leader exceed all of an earlier one's, and comparing two is one comparison.
 * Source: M. Kleppmann, "How to do distributed locking" (2016).
 */
import { invalidArgument } from './arguments.js'

const SEQUENCES = 2 ** 32
const TERMS = 2 ** 21

/**
 * `term * 2^32 + sequence`.
 * @param term integer from 0 to 2^21 - 1
 * @param sequence integer from 0 to 2^32 - 1
 * @throws HsError `'INVALID_ARGUMENT'` outside these ranges.
 */
export function fenceToken(term: number, sequence: number): number {
  const valid =
    Number.isInteger(term) &&
    term >= 0 &&
    term < TERMS &&
    Number.isInteger(sequence) &&
    sequence >= 0 &&
    sequence < SEQUENCES
  if (valid) return term * SEQUENCES + sequence
  throw invalidArgument(`expected 0 <= term < 2^21 and 0 <= sequence < 2^32, found ${term} and ${sequence}`, {
    term,
    sequence,
  })
}

/** The term that `token` was made in. @throws HsError `'INVALID_ARGUMENT'` unless it is a non-negative safe integer. */
export function fenceTerm(token: number): number {
  if (Number.isSafeInteger(token) && token >= 0) return Math.floor(token / SEQUENCES)
  throw invalidArgument(`expected a fence token, found ${token}`, { token })
}
