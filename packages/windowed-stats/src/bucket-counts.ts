/**
 * Counts by bucket index over the occupied range only, whatever the range's place among all integers.
 * Doubles at the end where it must grow, so that extremes that come one by one cost little;
 * four bytes a bucket, or eight once all counts together no longer fit into four.
 */

const FIRST_CAPACITY = 128
/** What all counts together may be until they are widened. */
export const MAX_NARROW_TOTAL = 0xffff_ffff

type Counts = Uint32Array | Float64Array

export class BucketCounts {
  #counts: Counts
  /** Index of the first element of the array. */
  #start: number
  #low: number
  /** Below `low` when nothing is counted. */
  #high: number

  constructor(counts: Counts = new Uint32Array(0), start = 0, low = 0, high = -1) {
    this.#counts = counts
    this.#start = start
    this.#low = low
    this.#high = high
  }

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

  covers(index: number): boolean {
    return index >= this.#low && index <= this.#high
  }

  /** @param index one that is covered. */
  add(index: number, count: number): void {
    const at = index - this.#start
    this.#counts[at] = (this.#counts[at] ?? 0) + count
  }

  /** Makes room for any count. */
  widen(): void {
    if (this.#counts instanceof Uint32Array) this.#counts = Float64Array.from(this.#counts)
  }

  /** Extends the range to low and high, at both of which a count must follow. */
  cover(low: number, high: number): void {
    if (this.isEmpty) this.#begin(low, high)
    if (low < this.#start || high >= this.#start + this.#counts.length) this.#grow(low, high)
    this.#low = Math.min(this.#low, low)
    this.#high = Math.max(this.#high, high)
  }

  addAll(other: BucketCounts): void {
    if (other.isEmpty) return
    this.cover(other.#low, other.#high)
    const at = other.#low - this.#start
    const from = other.#low - other.#start
    const to = other.#high - other.#start
    const [mine, theirs] = [this.#counts, other.#counts]
    if (mine instanceof Uint32Array && theirs instanceof Uint32Array) addNarrow(mine, at, theirs, from, to)
    else for (let i = from; i <= to; i++) mine[at + i - from] = (mine[at + i - from] ?? 0) + (theirs[i] ?? 0)
  }

  /** Halves the resolution `times` times: neighbours 2i and 2i + 1 become i. */
  shift(times: number): void {
    if (times === 0 || this.isEmpty) return
    const [low, high, start, counts] = [this.#low, this.#high, this.#start, this.#counts]
    this.#low = low >> times
    this.#high = high >> times
    this.#start = this.#low
    this.#counts = zeros(counts, this.span)
    for (let index = low; index <= high; index++) this.add(index >> times, counts[index - start] ?? 0)
  }

  /** The bucket of the sample with `rank` others below it, counted from 0. */
  indexOfRank(rank: number): number {
    let index = this.#low
    for (let seen = this.at(index); seen <= rank && index < this.#high; seen += this.at(index)) index++
    return index
  }

  /** The bucket of the sample with `rank` others above it. */
  indexOfRankFromTop(rank: number): number {
    let index = this.#high
    for (let seen = this.at(index); seen <= rank && index > this.#low; seen += this.at(index)) index--
    return index
  }

  clone(): BucketCounts {
    if (this.isEmpty) return new BucketCounts()
    const counts = this.#counts.slice(this.#low - this.#start, this.#high - this.#start + 1)
    return new BucketCounts(counts, this.#low, this.#low, this.#high)
  }

  /** Of a whole range, as merging brings it, the next ones will stand out at both ends. */
  #begin(low: number, high: number): void {
    const span = high - low + 1
    const spare = Math.max(FIRST_CAPACITY, span + (span >> 2)) - span
    this.#counts = zeros(this.#counts, span + spare)
    this.#start = low - (spare >> 1)
    this.#low = low
    this.#high = high
  }

  #grow(low: number, high: number): void {
    const counts = this.#counts
    const spare = Math.max(FIRST_CAPACITY / 2, this.span)
    const start = low < this.#start ? low - spare : this.#start
    const end = high >= this.#start + counts.length ? high + spare : this.#start + counts.length - 1
    this.#counts = zeros(counts, end - start + 1)
    this.#counts.set(counts, this.#start - start)
    this.#start = start
  }
}

function zeros(like: Counts, length: number): Counts {
  return like instanceof Uint32Array ? new Uint32Array(length) : new Float64Array(length)
}

/** With the sums known to fit, the engine adds whole numbers and checks nothing; four at a time take half as long. */
function addNarrow(mine: Uint32Array, at: number, theirs: Uint32Array, from: number, to: number): void {
  let [i, j] = [from, at]
  for (const end = to - 3; i <= end; i += 4, j += 4) {
    mine[j] = ((mine[j] ?? 0) + (theirs[i] ?? 0)) >>> 0
    mine[j + 1] = ((mine[j + 1] ?? 0) + (theirs[i + 1] ?? 0)) >>> 0
    mine[j + 2] = ((mine[j + 2] ?? 0) + (theirs[i + 2] ?? 0)) >>> 0
    mine[j + 3] = ((mine[j + 3] ?? 0) + (theirs[i + 3] ?? 0)) >>> 0
  }
  for (; i <= to; i++, j++) mine[j] = ((mine[j] ?? 0) + (theirs[i] ?? 0)) >>> 0
}
