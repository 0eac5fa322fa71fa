/** A sum of integers that stays exact beyond 2^53, at the price of a plain addition as long as it does not. */

const MAX = Number.MAX_SAFE_INTEGER
const SPAN = 2 ** 53

export class ExactSum {
  /** The sum is `#high` x 2^53 + `#low`, with 0 <= `#low` < 2^53. */
  #low = 0
  #high = 0

  /** @param n an integer from 0 to 2^53 - 1 */
  add(n: number): void {
    if (n <= MAX - this.#low) {
      this.#low += n
      return
    }
    this.#low -= SPAN - n
    this.#high++
  }

  /** @param n an integer from 0 to 2^53 - 1 */
  subtract(n: number): void {
    this.#low -= n
    if (this.#low >= 0) return
    this.#low += SPAN
    this.#high--
  }

  /** Saturates at 2^53 - 1, both ways. */
  get value(): number {
    if (this.#high === 0) return this.#low
    if (this.#high > 0) return MAX
    return this.#high === -1 && this.#low > 0 ? this.#low - SPAN : -MAX
  }

  get exactValue(): bigint {
    return BigInt(this.#high) * BigInt(SPAN) + BigInt(this.#low)
  }

  clone(): ExactSum {
    const copy = new ExactSum()
    copy.#low = this.#low
    copy.#high = this.#high
    return copy
  }
}

/** The nearest number within ±(2^53 - 1). */
export function saturate(exact: bigint): number {
  if (exact > BigInt(MAX)) return MAX
  return exact < BigInt(-MAX) ? -MAX : Number(exact)
}
