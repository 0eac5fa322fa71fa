/**
 * Deposits and withdrawals of a sliding window in ten buckets, all of them integers, so that nothing drifts however
 * long it runs. An event counts for at least nine tenths of the window and at most all of it. Neither a call nor the
 * passing of time allocates anything.
 */

export const BUCKETS = 10

export class WindowCounts {
  /** Deposits, then withdrawals, by bucket; a bucket's place is its number modulo ten. */
  readonly #counts = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  /** The number of the newest bucket, from 0. */
  #newest = 0
  deposits = 0
  withdrawals = 0

  /** Lets go what lies ten buckets behind `bucket`. A clock that stepped back changes nothing. */
  moveTo(bucket: number): void {
    if (bucket > this.#newest) this.#expire(bucket)
  }

  deposit(): void {
    const place = this.#newest % BUCKETS
    this.#counts[place] = (this.#counts[place] as number) + 1
    this.deposits++
  }

  withdraw(): void {
    const place = (this.#newest % BUCKETS) + BUCKETS
    this.#counts[place] = (this.#counts[place] as number) + 1
    this.withdrawals++
  }

  /** At most ten steps, however long the gap. */
  #expire(bucket: number): void {
    const steps = Math.min(BUCKETS, bucket - this.#newest)
    for (let step = 0; step < steps; step++) this.#clear((bucket - step) % BUCKETS)
    this.#newest = bucket
  }

  #clear(place: number): void {
    this.deposits -= this.#counts[place] as number
    this.withdrawals -= this.#counts[place + BUCKETS] as number
    this.#counts[place] = 0
    this.#counts[place + BUCKETS] = 0
  }
}
