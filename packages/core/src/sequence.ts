/**
 * A counter that only rises: sequence numbers, versions, terms, fencing tokens. Check and update are one step.
 * `observe` and `next` together are a Lamport clock.
 */
import * as z from 'zod'
import { HsError, LimitError } from './errors.js'
import { parseOptions } from './options.js'

const schema = /* @__PURE__ */ (() => z.strictObject({ start: z.int().min(0).default(0) }))()

/** A number that only rises. */
export class Sequence {
  #current: number

  /**
   * @param start where it begins, an integer from 0 to 2^53 - 1
   * @throws ConfigError
   */
  constructor(start = 0) {
    this.#current = parseOptions(schema, { start }, 'Sequence').start
  }

  /** The last number given, seen or accepted. */
  get current(): number {
    return this.#current
  }

  /**
   * Adds one and returns it.
   * @throws LimitError at 2^53 - 1
   */
  next(): number {
    if (this.#current === Number.MAX_SAFE_INTEGER) throw new LimitError('Sequence', Number.MAX_SAFE_INTEGER)
    return ++this.#current
  }

  /**
   * Raises to at least `n`; returns where it stands then.
   * @throws HsError `'INVALID_ARGUMENT'` for anything but a non-negative safe integer
   */
  observe(n: number): number {
    this.accept(n)
    return this.#current
  }

  /**
   * Raises to `n` and returns true if `n` is above `current`; else false: old or seen before.
   * @throws HsError `'INVALID_ARGUMENT'` for anything but a non-negative safe integer
   */
  accept(n: number): boolean {
    if (!Number.isSafeInteger(n) || n < 0) {
      throw new HsError('INVALID_ARGUMENT', `A sequence number is an integer from 0 to 2^53 - 1, found ${String(n)}`)
    }
    if (n <= this.#current) return false
    this.#current = n
    return true
  }
}
