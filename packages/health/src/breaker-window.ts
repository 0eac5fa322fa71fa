/**
 * The results that a closed breaker judges by: the last N exactly, or those of the last so many milliseconds in ten
 * buckets. What nobody needs is not there: as long as all is well, the last N are one number.
 */

export interface BreakerWindow {
  readonly successes: number
  readonly failures: number
  success(nowMs: number): void
  failure(nowMs: number): void
  /** Lets go what is too old. A clock that stepped back changes nothing. */
  moveTo(nowMs: number): void
}

const WORD_BITS = 32

/** The last `calls` results. Where none of them failed, neither their order nor their place means anything. */
export class CallWindow implements BreakerWindow {
  readonly #calls: number
  failures = 0
  #results = 0
  /** Where the next result goes. */
  #place = 0
  /** A bit a result, set where it failed; made with the first failure. */
  #failed: number[] | undefined = undefined

  constructor(calls: number) {
    this.#calls = calls
  }

  get successes(): number {
    return this.#results - this.failures
  }

  success(): void {
    if (this.failures === 0) {
      if (this.#results < this.#calls) this.#results++
    } else this.#write(0)
  }

  failure(): void {
    this.#failed ??= new Array<number>(Math.ceil(this.#calls / WORD_BITS)).fill(0)
    this.#write(1)
  }

  /** They do not age. */
  moveTo(): void {}

  #write(bit: 0 | 1): void {
    const words = this.#failed as number[]
    const word = this.#place >>> 5
    const shift = this.#place & (WORD_BITS - 1)
    const before = words[word] as number
    // A place that was not written yet holds 0, like a success.
    this.failures += bit - ((before >>> shift) & 1)
    words[word] = (before & ~(1 << shift)) | (bit << shift)
    this.#place = this.#place + 1 === this.#calls ? 0 : this.#place + 1
    if (this.#results < this.#calls) this.#results++
  }
}

const BUCKETS = 10

/** Those of the last `ms` milliseconds: each counts for at least nine tenths of that time, and at most all of it. */
export class TimeWindow implements BreakerWindow {
  readonly #bucketMs: number
  successes = 0
  failures = 0
  /** Successes, then failures, by bucket; a bucket's place is its number modulo ten. */
  readonly #counts = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  /** The number of the newest bucket, its place, and when it ends. */
  #newest: number
  #place: number
  #endsAtMs: number

  constructor(ms: number, nowMs: number) {
    this.#bucketMs = ms / BUCKETS
    this.#newest = Math.floor(nowMs / this.#bucketMs)
    this.#place = placeOf(this.#newest)
    this.#endsAtMs = (this.#newest + 1) * this.#bucketMs
  }

  success(nowMs: number): void {
    if (nowMs >= this.#endsAtMs) this.#expire(nowMs)
    this.#counts[this.#place] = (this.#counts[this.#place] as number) + 1
    this.successes++
  }

  failure(nowMs: number): void {
    if (nowMs >= this.#endsAtMs) this.#expire(nowMs)
    const place = this.#place + BUCKETS
    this.#counts[place] = (this.#counts[place] as number) + 1
    this.failures++
  }

  moveTo(nowMs: number): void {
    if (nowMs >= this.#endsAtMs) this.#expire(nowMs)
  }

  /** At most ten steps, however long the gap. */
  #expire(nowMs: number): void {
    // Where a division falls short of the end that was multiplied, it is the next one all the same.
    const bucket = Math.max(this.#newest + 1, Math.floor(nowMs / this.#bucketMs))
    const steps = Math.min(BUCKETS, bucket - this.#newest)
    this.#newest = bucket
    this.#place = placeOf(bucket)
    this.#endsAtMs = (bucket + 1) * this.#bucketMs
    for (let step = 0; step < steps; step++) this.#clear(placeOf(bucket - step))
  }

  #clear(place: number): void {
    this.successes -= this.#counts[place] as number
    this.failures -= this.#counts[place + BUCKETS] as number
    this.#counts[place] = 0
    this.#counts[place + BUCKETS] = 0
  }
}

/** Also of a number below 0, whose remainder has its sign. */
function placeOf(bucket: number): number {
  return ((bucket % BUCKETS) + BUCKETS) % BUCKETS
}
