/**
 * Timers that are due within the next 8 seconds, in a slot for each millisecond, at a cost that does not depend on how
 * many there are. In a slot they form a list in order, which is nearly always built at its end; a newcomer that would
 * have to go far into it is refused, and so is what is due later.
 * Source: R. Brown, "Calendar queues" (1988), with a fixed width and number of slots.
 */

import type { TimerTable } from './timer-table.js'

const SLOTS = 8_192
const MASK = SLOTS - 1
/** Steps into a list before a newcomer is refused. */
const MAX_STEPS = 8

export class SlotWheel {
  readonly #table: TimerTable
  /** Timers in the wheel. */
  size = 0
  /** First and last place of each slot's list; 0 if it is empty. */
  readonly #lists = new Int32Array(2 * SLOTS)
  /** One bit a slot: whether its list holds anything. */
  readonly #occupied = new Int32Array(SLOTS / 32)
  /** No earlier millisecond has timers. Only meaningful while there are any. */
  #firstTick = 0

  constructor(table: TimerTable) {
    this.#table = table
  }

  /** False if it is due too late for the wheel, or in the midst of many others. */
  add(place: number, now: number): boolean {
    const tick = Math.floor(this.#table.dueOf(place))
    if (!(tick - Math.floor(now) <= MASK)) return false
    const slot = tick & MASK
    if (!this.#insert(slot, place)) return false
    if (this.size === 0 || tick < this.#firstTick) this.#firstTick = tick
    this.size++
    return true
  }

  /** The place of the first timer; 0 if the wheel is empty. */
  first(): number {
    if (this.size === 0) return 0
    const slot = this.#firstTick & MASK
    const first = this.#lists[2 * slot] as number
    if (first !== 0) return first
    const occupied = this.#nextOccupied(slot)
    this.#firstTick += (occupied - slot) & MASK
    return this.#lists[2 * occupied] as number
  }

  /** Takes out what `first` returned. */
  removeFirst(): void {
    const slot = this.#firstTick & MASK
    const lists = this.#lists
    const rest = this.#table.next[lists[2 * slot] as number] as number
    lists[2 * slot] = rest
    this.size--
    if (rest !== 0) return
    lists[2 * slot + 1] = 0
    this.#occupied[slot >> 5] = (this.#occupied[slot >> 5] as number) & ~(1 << slot)
  }

  /** Begins anew without timers. */
  reset(): void {
    this.size = 0
    this.#lists.fill(0)
    this.#occupied.fill(0)
  }

  #occupy(slot: number): void {
    this.#occupied[slot >> 5] = (this.#occupied[slot >> 5] as number) | (1 << slot)
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
      this.#occupy(slot)
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

  /** The first occupied slot after this one, going around. There is one. */
  #nextOccupied(slot: number): number {
    const occupied = this.#occupied
    const words = occupied.length
    let word = slot >> 5
    let bits = (occupied[word] as number) & (-1 << (slot & 31))
    while (bits === 0) {
      word = word + 1 === words ? 0 : word + 1
      bits = occupied[word] as number
    }
    return 32 * word + 31 - Math.clz32(bits & -bits)
  }
}
