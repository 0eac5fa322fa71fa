/**
 * Which dots (numbered events, from 1) of one replica were seen: all up to `n`, and ranges beyond a gap. Seeing dot 3
 * says nothing of dots 1 and 2. The size follows the gaps and not the numbers, so 2^53 - 1 in hostile data costs nothing.
 */

export class SeenDots {
  /** 1 to n are seen. */
  #n = 0
  /** What is seen beyond n + 1: from, to, from, to, …, ascending, neither touching nor overlapping. */
  #ranges: number[] = []

  get n(): number {
    return this.#n
  }

  /** Ranges beyond a gap: what it costs to remember them. */
  get gapCount(): number {
    return this.#ranges.length / 2
  }

  /** From, to, from, to, …: what is seen beyond a gap. */
  get ranges(): readonly number[] {
    return this.#ranges
  }

  /** The largest dot seen. */
  get last(): number {
    return this.#ranges.at(-1) ?? this.#n
  }

  /** How many dots wait beyond a gap; saturates. */
  get waiting(): number {
    let sum = 0
    for (let i = 0; i < this.#ranges.length; i += 2) sum += this.#at(i + 1) - this.#at(i) + 1
    return Math.min(sum, Number.MAX_SAFE_INTEGER)
  }

  /** How many dots are seen; saturates. */
  get size(): number {
    return this.#ranges.length === 0 ? this.#n : Math.min(this.#n + this.waiting, Number.MAX_SAFE_INTEGER)
  }

  contains(counter: number): boolean {
    if (counter <= this.#n) return true
    if (this.#ranges.length === 0) return false
    const i = this.#firstEndingFrom(counter)
    return i < this.#ranges.length && this.#at(i) <= counter
  }

  add(counter: number): boolean {
    if (this.contains(counter)) return false
    this.#insert(counter, counter)
    return true
  }

  /** Adds what `other` has; returns what was not here before, as flat ranges. */
  absorb(other: SeenDots): readonly number[] {
    const gained = this.#missing(other)
    if (gained.length > 16) this.#mergeIn(gained)
    else for (let i = 0; i < gained.length; i += 2) this.#insert(gained[i] ?? 0, gained[i + 1] ?? 0)
    return gained
  }

  clone(): SeenDots {
    const copy = new SeenDots()
    copy.#n = this.#n
    copy.#ranges = this.#ranges.slice()
    return copy
  }

  equals(other: SeenDots): boolean {
    if (this.#n !== other.#n || this.#ranges.length !== other.#ranges.length) return false
    return this.#ranges.every((bound, i) => bound === other.#ranges[i])
  }

  /** Every dot of it. Only for what is known to be few. */
  *[Symbol.iterator](): Generator<number> {
    for (let counter = 1; counter <= this.#n; counter++) yield counter
    yield* this.beyond()
  }

  /** Every dot beyond a gap. There are few: each came by itself. */
  *beyond(): Generator<number> {
    for (let i = 0; i < this.#ranges.length; i += 2) {
      for (let counter = this.#at(i), to = this.#at(i + 1); counter <= to; counter++) yield counter
    }
  }

  /** All up to `n`, and `single` ones in any order, which are sorted in place. */
  static of(n: number, single: number[]): SeenDots {
    const seen = new SeenDots()
    seen.#n = n
    if (single.length > 1 && !isAscending(single)) single.sort((a, b) => a - b)
    const ranges: number[] = []
    for (const counter of single) {
      if (ranges.length > 0 && counter <= (ranges.at(-1) ?? 0) + 1) ranges[ranges.length - 1] = counter
      else ranges.push(counter, counter)
    }
    seen.#mergeIn(ranges)
    return seen
  }

  static ofRanges(ranges: readonly number[]): SeenDots {
    const seen = new SeenDots()
    seen.#mergeIn(ranges)
    return seen
  }

  #at(index: number): number {
    return this.#ranges[index] ?? 0
  }

  /** Index of the first range that ends at `counter` or later: binary search. */
  #firstEndingFrom(counter: number): number {
    let low = 0
    let high = this.#ranges.length / 2
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#at(2 * middle + 1) < counter) low = middle + 1
      else high = middle
    }
    return 2 * low
  }

  /** What of `other` is not here, as flat ranges. */
  #missing(other: SeenDots): number[] {
    const missing: number[] = []
    if (other.#n > this.#n) this.#missingOf(1, other.#n, missing)
    for (let i = 0; i < other.#ranges.length; i += 2) this.#missingOf(other.#at(i), other.#at(i + 1), missing)
    return missing
  }

  #missingOf(from: number, to: number, missing: number[]): void {
    let next = Math.max(from, this.#n + 1)
    if (next > to) return
    for (let i = this.#firstEndingFrom(next); i < this.#ranges.length && this.#at(i) <= to; i += 2) {
      if (this.#at(i) > next) missing.push(next, this.#at(i) - 1)
      next = this.#at(i + 1) + 1
    }
    if (next <= to) missing.push(next, to)
  }

  /** A range of which nothing is here. */
  #insert(from: number, to: number): void {
    if (this.#ranges.length === 0) {
      if (from === this.#n + 1) this.#n = to
      else this.#ranges.push(from, to)
      return
    }
    const at = this.#firstEndingFrom(from)
    const joinsLeft = at > 0 && this.#at(at - 1) === from - 1
    const joinsRight = at < this.#ranges.length && this.#at(at) === to + 1
    const start = joinsLeft ? this.#at(at - 2) : from
    const end = joinsRight ? this.#at(at + 1) : to
    this.#ranges.splice(joinsLeft ? at - 2 : at, (joinsLeft ? 2 : 0) + (joinsRight ? 2 : 0), start, end)
    this.#closeGap()
  }

  /** Ascending ranges that may touch or overlap what is here, in one pass. */
  #mergeIn(ranges: readonly number[]): void {
    const mine = this.#ranges
    const merged: number[] = []
    for (let i = 0, j = 0; i < mine.length || j < ranges.length;) {
      const takeMine = j >= ranges.length || (i < mine.length && (mine[i] ?? 0) <= (ranges[j] ?? 0))
      const from = (takeMine ? mine[i] : ranges[j]) ?? 0
      const to = (takeMine ? mine[i + 1] : ranges[j + 1]) ?? 0
      if (takeMine) i += 2
      else j += 2
      const last = merged.length - 1
      if (last > 0 && from <= (merged[last] ?? 0) + 1) merged[last] = Math.max(merged[last] ?? 0, to)
      else merged.push(from, to)
    }
    this.#ranges = merged
    this.#closeGap()
  }

  /** The first ranges are no longer beyond a gap if they touch n. */
  #closeGap(): void {
    let closed = 0
    while (closed < this.#ranges.length && this.#at(closed) <= this.#n + 1) {
      this.#n = Math.max(this.#n, this.#at(closed + 1))
      closed += 2
    }
    if (closed > 0) this.#ranges.splice(0, closed)
  }
}

function isAscending(numbers: readonly number[]): boolean {
  for (let i = 1; i < numbers.length; i++) if ((numbers[i] ?? 0) < (numbers[i - 1] ?? 0)) return false
  return true
}
