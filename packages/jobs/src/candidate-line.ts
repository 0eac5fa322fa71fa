/**
 * Candidates of one tenant in the order of `comesFirst`. Most arrive in that order, and are then kept in a row that
 * costs O(1) at both ends; those that do not wait in a heap beside it.
 */
import { comesFirst, type Candidate } from './candidate.js'
import { IndexedHeap } from './indexed-heap.js'

/** Places freed at the front before the row is shortened. */
const COMPACT_AT = 1_024

export class CandidateLine<T> {
  /** In order, with gaps where one was taken out; begins at `#front`. */
  #row: (Candidate<T> | null)[] = []
  #front = 0
  /** What `rowIndex` of the first place of `#row` is. */
  #offset = 0
  /** The last that joined the row, whether or not it still stands there. */
  #last: Candidate<T> | null = null
  readonly #strays = new IndexedHeap<Candidate<T>>(comesFirst)
  #size = 0

  get size(): number {
    return this.#size
  }

  push(candidate: Candidate<T>): void {
    this.#size++
    if (this.#last !== null && !comesFirst(this.#last, candidate)) {
      this.#strays.push(candidate)
      return
    }
    candidate.rowIndex = this.#offset + this.#row.length
    this.#row.push(candidate)
    this.#last = candidate
  }

  peek(): Candidate<T> | undefined {
    const first = this.#row[this.#front]
    const stray = this.#strays.peek()
    if (first === undefined || first === null) return stray
    return stray === undefined || comesFirst(first, stray) ? first : stray
  }

  /** To be called with one that stands here. */
  remove(candidate: Candidate<T>): void {
    this.#size--
    if (candidate.rowIndex < 0) {
      this.#strays.remove(candidate)
      return
    }
    this.#row[candidate.rowIndex - this.#offset] = null
    candidate.rowIndex = -1
    while (this.#front < this.#row.length && this.#row[this.#front] === null) this.#front++
    if (this.#front === this.#row.length) this.#last = null
    if (this.#front < COMPACT_AT || this.#front * 2 < this.#row.length) return
    this.#row = this.#row.slice(this.#front)
    this.#offset += this.#front
    this.#front = 0
  }

  /** In no order that means anything. */
  toArray(): Candidate<T>[] {
    return [...this.#row.filter((candidate) => candidate !== null), ...this.#strays.toArray()]
  }
}
