/**
 * Requests and accepts of a sliding window in twelve buckets, integers all, so that nothing drifts. An event counts for
 * at least eleven twelfths of the window and at most all of it. Neither a call nor the passing of time allocates.
 */

const BUCKETS = 12

export class ThrottleWindow {
  readonly #startedAtMs: number
  readonly #bucketMs: number
  /** A bucket's place is its number modulo twelve. */
  readonly #requests = new Float64Array(BUCKETS)
  readonly #accepts = new Float64Array(BUCKETS)
  /** The number of the newest bucket, from 0. */
  #newest = 0
  requests = 0
  accepts = 0

  constructor(nowMs: number, windowMs: number) {
    this.#startedAtMs = nowMs
    this.#bucketMs = windowMs / BUCKETS
  }

  /** Lets go what lies twelve buckets behind, in at most twelve steps. A clock that stepped back changes nothing. */
  moveTo(nowMs: number): void {
    const bucket = Math.floor((nowMs - this.#startedAtMs) / this.#bucketMs)
    const steps = Math.min(BUCKETS, bucket - this.#newest)
    if (steps <= 0) return
    for (let step = 0; step < steps; step++) this.#clear((bucket - step) % BUCKETS)
    this.#newest = bucket
  }

  request(): void {
    this.#add(this.#requests)
    this.requests++
  }

  accept(): void {
    this.#add(this.#accepts)
    this.accepts++
  }

  #add(counts: Float64Array): void {
    const place = this.#newest % BUCKETS
    counts[place] = (counts[place] as number) + 1
  }

  #clear(place: number): void {
    this.requests -= this.#requests[place] as number
    this.accepts -= this.#accepts[place] as number
    this.#requests[place] = 0
    this.#accepts[place] = 0
  }
}
