/**
 * The timers of one block of time, in a slot for each millisecond. In a slot they form a list in order, which is
 * nearly always built at its end; a newcomer that would have to go far into it is refused.
 * Source: R. Brown, "Calendar queues" (1988), with a fixed width and number of slots.
 */

import type { TimerTable } from './timer-table.js'

export const BLOCK_MS = 8_192
const MASK = BLOCK_MS - 1
/** Steps into a list before a newcomer is refused. */
const MAX_STEPS = 8

/** Blocks begin at whole multiples of their length. */
export function blockOf(ms: number): number {
  return Math.floor(ms / BLOCK_MS)
}

export class SlotWheel {
  readonly #table: TimerTable
  /** Only to be changed while there are no timers. */
  block = 0
  /** Timers in the wheel. */
  size = 0
  /** First and last place of each slot's list; 0 if it is empty. */
  readonly #lists = new Int32Array(2 * BLOCK_MS)
  /** One bit a slot: whether its list holds anything. */
  readonly #occupied = new Int32Array(BLOCK_MS / 32)
  /** All slots before this one are empty. */
  #firstSlot = 0

  constructor(table: TimerTable) {
    this.#table = table
  }

  /** False if it is due in another block, or in the midst of many others. */
  add(place: number): boolean {
    const due = this.#table.dueOf(place)
    if (blockOf(due) !== this.block) return false
    const slot = Math.floor(due) & MASK
    if (!this.#insert(slot, place)) return false
    if (this.size === 0 || slot < this.#firstSlot) this.#firstSlot = slot
    this.size++
    return true
  }

  /** The place of the first timer; 0 if there is none. */
  first(): number {
    if (this.size === 0) return 0
    const first = this.#lists[2 * this.#firstSlot] as number
    if (first !== 0) return first
    this.#firstSlot = this.#nextOccupied(this.#firstSlot)
    return this.#lists[2 * this.#firstSlot] as number
  }

  /** Takes out what `first` returned. */
  removeFirst(): void {
    const slot = this.#firstSlot
    const lists = this.#lists
    const rest = this.#table.next[lists[2 * slot] as number] as number
    lists[2 * slot] = rest
    this.size--
    if (rest !== 0) return
    lists[2 * slot + 1] = 0
    this.#occupied[slot >> 5] = (this.#occupied[slot >> 5] as number) & ~(1 << slot)
  }

  clear(): void {
    this.size = 0
    this.#lists.fill(0)
    this.#occupied.fill(0)
  }

  #insert(slot: number, place: number): boolean {
    const lists = this.#lists
    const table = this.#table
    const { next } = table
    const last = lists[2 * slot + 1] as number
    if (last === 0) {
      next[place] = 0
      lists[2 * slot] = place
      lists[2 * slot + 1] = place
      this.#occupied[slot >> 5] = (this.#occupied[slot >> 5] as number) | (1 << slot)
      return true
    }
    if (table.isBefore(last, place)) {
      next[place] = 0
      next[last] = place
      lists[2 * slot + 1] = place
      return true
    }
    // Before the last: somewhere between two.
    let before = 0
    let after = lists[2 * slot] as number
    for (let step = 0; step < MAX_STEPS; step++) {
      if (table.isBefore(place, after)) {
        next[place] = after
        if (before === 0) lists[2 * slot] = place
        else next[before] = place
        return true
      }
      before = after
      after = next[after] as number
    }
    return false
  }

  /** The first occupied slot after this one. There is one. */
  #nextOccupied(slot: number): number {
    const occupied = this.#occupied
    let word = slot >> 5
    let bits = (occupied[word] as number) & (-1 << (slot & 31))
    while (bits === 0) bits = occupied[++word] as number
    return 32 * word + 31 - Math.clz32(bits & -bits)
  }
}
