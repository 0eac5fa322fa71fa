/**
 * What a round trip takes and how much it varies, from each of its samples, so that a time-out can wait for as long as
 * this link needs and no longer.
 * Source: RFC 6298, section 2 (Jacobson and Karels, 1988): alpha 1/8, beta 1/4, K = 4.
 */

const ALPHA = 1 / 8
const BETA = 1 / 4
const K = 4

export class RoundTripEstimate {
  #srttMs: number | null = null
  #varianceMs = 0

  /** Takes the next sample. */
  update(ms: number): void {
    if (this.#srttMs === null) {
      this.#srttMs = ms
      this.#varianceMs = ms / 2
      return
    }
    this.#varianceMs += BETA * (Math.abs(this.#srttMs - ms) - this.#varianceMs)
    this.#srttMs += ALPHA * (ms - this.#srttMs)
  }

  /** The smoothed round trip; null before the first sample. */
  get srttMs(): number | null {
    return this.#srttMs
  }

  /** `srtt + 4 * rttvar`, which hardly any round trip exceeds; null before the first sample. */
  get upperMs(): number | null {
    return this.#srttMs === null ? null : this.#srttMs + K * this.#varianceMs
  }
}
