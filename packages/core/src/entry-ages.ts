/**
 * When entries were set, and in which order: as all live equally long, the expired ones are always the first of that
 * order. So they are found, and counted, without looking at any other; each is counted once as time passes it.
 */
import { IndexList, NONE } from './index-list.js'

export class EntryAges {
  readonly #ttlMs: number
  readonly #order = new IndexList()
  #setAtMs = new Float64Array(16)
  /** As of `#countedAtMs`, this many are expired, and this one is the first that is not. */
  #expired = 0
  #firstLive = NONE
  #countedAtMs = -Infinity

  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs
  }

  isExpired(index: number, nowMs: number): boolean {
    return nowMs - (this.#setAtMs[index] as number) >= this.#ttlMs
  }

  /** An expired entry, or `NONE`. */
  firstExpired(nowMs: number): number {
    const { first } = this.#order
    return first !== NONE && this.isExpired(first, nowMs) ? first : NONE
  }

  countExpired(nowMs: number): number {
    this.#countedAtMs = nowMs
    while (this.#firstLive !== NONE && this.isExpired(this.#firstLive, nowMs)) {
      this.#expired++
      this.#firstLive = this.#order.next(this.#firstLive)
    }
    return this.#expired
  }

  add(index: number, nowMs: number): void {
    this.#setAtMs[index] = nowMs
    this.#order.append(index)
    if (this.#firstLive === NONE) this.#firstLive = index
  }

  remove(index: number): void {
    if (index === this.#firstLive) this.#firstLive = this.#order.next(index)
    else if (this.#expired > 0 && this.isExpired(index, this.#countedAtMs)) this.#expired--
    this.#order.remove(index)
  }

  /** Begins its life anew. */
  restart(index: number, nowMs: number): void {
    this.remove(index)
    this.add(index, nowMs)
  }

  /** Makes room for entries up to `maxIndex`. */
  reserve(maxIndex: number): void {
    const larger = new Float64Array(maxIndex + 1)
    larger.set(this.#setAtMs)
    this.#setAtMs = larger
    this.#order.reserve(maxIndex)
  }
}
