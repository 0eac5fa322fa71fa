/**
 * Counts by bucket index over the occupied range only, whatever the range's place among all integers.
 * Grows by a quarter of what it holds at the end where it is needed, so that extremes that come one by one cost little.
 */

const FIRST_CAPACITY = 32

export class BucketCounts {
  #counts = new Float64Array(0)
  /** Index of the first element of the array. */
  #start = 0
  #low = 0
  /** Below `low` when nothing is counted. */
  #high = -1

  get isEmpty(): boolean {
    return this.#high < this.#low
  }

  /** The least index with a count. */
  get low(): number {
    return this.#low
  }

  /** The greatest index with a count. */
  get high(): number {
    return this.#high
  }

  /** Indexes from low to high; 0 when empty. */
  get span(): number {
    return this.#high - this.#low + 1
  }

  at(index: number): number {
    return this.#counts[index - this.#start] ?? 0
  }

  add(index: number, count: number): void {
    const at = index - this.#start
    if (at < 0 || at >= this.#counts.length) {
      this.#reserve(index)
      this.#counts[index - this.#start] = count
    } else this.#counts[at] = (this.#counts[at] ?? 0) + count
    if (this.#high < this.#low) this.#low = this.#high = index
    else if (index < this.#low) this.#low = index
    else if (index > this.#high) this.#high = index
  }

  addAll(other: BucketCounts): void {
    if (other.isEmpty) return
    this.add(other.low, other.at(other.low))
    this.add(other.high, other.low === other.high ? 0 : other.at(other.high))
    for (let index = other.low + 1; index < other.high; index++) {
      const at = index - this.#start
      this.#counts[at] = (this.#counts[at] ?? 0) + other.at(index)
    }
  }

  /** Halves the resolution `times` times: neighbours 2i and 2i + 1 become i. */
  shift(times: number): void {
    if (times === 0 || this.isEmpty) return
    const [low, high, start, counts] = [this.#low, this.#high, this.#start, this.#counts]
    this.#low = low >> times
    this.#high = high >> times
    this.#start = this.#low
    this.#counts = new Float64Array(this.span)
    for (let index = low; index <= high; index++) {
      const at = (index >> times) - this.#start
      this.#counts[at] = (this.#counts[at] ?? 0) + (counts[index - start] ?? 0)
    }
  }

  clone(): BucketCounts {
    const copy = new BucketCounts()
    copy.#counts = this.#counts.slice()
    copy.#start = this.#start
    copy.#low = this.#low
    copy.#high = this.#high
    return copy
  }

  #reserve(index: number): void {
    if (this.isEmpty) {
      this.#counts = new Float64Array(FIRST_CAPACITY)
      this.#start = index - FIRST_CAPACITY / 2
      return
    }
    const spare = Math.max(FIRST_CAPACITY / 2, this.span >> 2)
    const low = index < this.#low ? index - spare : this.#low
    const high = index > this.#high ? index + spare : this.#high
    const larger = new Float64Array(high - low + 1)
    larger.set(this.#counts.subarray(this.#low - this.#start, this.#high - this.#start + 1), this.#low - low)
    this.#counts = larger
    this.#start = low
  }
}
