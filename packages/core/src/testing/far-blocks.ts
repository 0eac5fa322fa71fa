/**
 * Timers of blocks of time to come, in no order but that of setting, which is all that is needed until their block is
 * next. Each block is a list through the table, so this holds two numbers a block and nothing a timer.
 */

import type { TimerTable } from './timer-table.js'

/** More than an hour. */
const BLOCKS = 512
const MASK = BLOCKS - 1

export class FarBlocks {
  readonly #table: TimerTable
  size = 0
  /** First and last place of each block's list; 0 if it is empty. */
  readonly #lists = new Int32Array(2 * BLOCKS)
  /** No earlier block has timers. Only meaningful while there are any. */
  #first = 0

  constructor(table: TimerTable) {
    this.#table = table
  }

  /** False unless the block is one of those that follow `current`. */
  add(place: number, block: number, current: number): boolean {
    if (!(block > current && block - current < BLOCKS)) return false
    const at = 2 * (block & MASK)
    const last = this.#lists[at + 1] as number
    this.#table.next[place] = 0
    if (last === 0) this.#lists[at] = place
    else this.#table.next[last] = place
    this.#lists[at + 1] = place
    if (this.size === 0 || block < this.#first) this.#first = block
    this.size++
    return true
  }

  /** The first block that has timers; there must be one. */
  firstBlock(): number {
    while (this.#lists[2 * (this.#first & MASK)] === 0) this.#first++
    return this.#first
  }

  /** Takes the timers of `firstBlock` and hands each to `take`, in order of setting. */
  takeFirst(take: (place: number) => void): void {
    const at = 2 * (this.firstBlock() & MASK)
    let place = this.#lists[at] as number
    this.#lists[at] = 0
    this.#lists[at + 1] = 0
    while (place !== 0) {
      this.size--
      // Read before: whoever takes the place puts it into a list of its own.
      const next = this.#table.next[place] as number
      take(place)
      place = next
    }
  }

  clear(): void {
    this.size = 0
    this.#lists.fill(0)
  }
}
