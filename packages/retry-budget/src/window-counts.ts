/**
 * Deposits and withdrawals of a sliding window in ten buckets, all of them integers, so that nothing drifts however
 * long it runs. An event counts for at least nine tenths of the window and at most all of it. Neither a call nor the
 * passing of time allocates anything.
 */

const BUCKETS = 10

export class WindowCounts {
  readonly #startedAtMs: number
  readonly #bucketMs: number
  /** Deposits, then withdrawals, by bucket; a bucket's place is its number modulo ten. */
  readonly #counts = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  /** The number of the newest bucket, from 0. */
  #newest = 0
  #place = 0
  #newestEndsAtMs: number
  deposits = 0
  withdrawals = 0

  constructor(nowMs: number, windowMs: number) {
    this.#startedAtMs = nowMs
    this.#bucketMs = windowMs / BUCKETS
    this.#newestEndsAtMs = nowMs + this.#bucketMs
  }

  /** Lets go what lies ten buckets behind. A clock that stepped back changes nothing. */
  moveTo(nowMs: number): void {
    if (nowMs >= this.#newestEndsAtMs) this.#expire(Math.floor((nowMs - this.#startedAtMs) / this.#bucketMs))
  }

  deposit(): void {
    this.#counts[this.#place] = (this.#counts[this.#place] as number) + 1
    this.deposits++
  }

  withdraw(): void {
    const place = this.#place + BUCKETS
    this.#counts[place] = (this.#counts[place] as number) + 1
    this.withdrawals++
  }

  /** At most ten steps, however long the gap. */
  #expire(bucket: number): void {
    const steps = Math.min(BUCKETS, bucket - this.#newest)
    for (let step = 0; step < steps; step++) this.#clear((bucket - step) % BUCKETS)
    this.#newest = bucket
    this.#place = bucket % BUCKETS
    this.#newestEndsAtMs = this.#startedAtMs + (bucket + 1) * this.#bucketMs
  }

  #clear(place: number): void {
    this.deposits -= this.#counts[place] as number
    this.withdrawals -= this.#counts[place + BUCKETS] as number
    this.#counts[place] = 0
    this.#counts[place + BUCKETS] = 0
  }
}
