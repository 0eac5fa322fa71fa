/**
 * The timers of a virtual clock in order of (due time, order of setting), at a cost that hardly depends on how many
 * there are: those of the block of time at hand wait in a wheel, those of later blocks unsorted until their block
 * comes. A heap takes what fits in neither: what is due very late, before the wheel's block, or in the midst of many
 * at one millisecond. Whichever of wheel and heap has the earlier timer is served, so either may hold any.
 *
 * A cancelled timer keeps its place until it comes up, or until more are cancelled than wait: what is kept is at most
 * twice what is needed.
 */

import type { Timer } from '../clock.js'
import { FarBlocks } from './far-blocks.js'
import { PlaceHeap } from './place-heap.js'
import { BLOCK_MS, blockOf, SlotWheel } from './slot-wheel.js'
import { TimerTable, type Callback } from './timer-table.js'

/** Below this many cancelled timers, tidying up is not worth a pass. */
const MIN_CANCELLED = 64

export class TimerQueue {
  readonly #table = new TimerTable()
  readonly #wheel = new SlotWheel(this.#table)
  readonly #far = new FarBlocks(this.#table)
  readonly #heap = new PlaceHeap(this.#table)
  #cancelled = 0
  /** What `nextDue` found. */
  #next = 0
  #nextIsInWheel = false

  /** Timers that will still fire. */
  get live(): number {
    return this.#wheel.size + this.#far.size + this.#heap.size - this.#cancelled
  }

  /** `now` never falls, and `due` is not before it. */
  add(now: number, due: number, fn: Callback): Timer {
    const place = this.#table.add(due, fn)
    // The blocks that wait are later than now: whatever begins at or before a time is opened before time gets there.
    if (this.#wheel.size === 0) this.#wheel.block = blockOf(now)
    this.#put(place)
    if (this.#cancelled > MIN_CANCELLED && this.#cancelled > this.live) this.#rebuild(now)
    return new QueuedTimer(this, place, this.#table.orderOf(place))
  }

  /** When the next timer is due, if that is at or before `end`; else `Infinity`. Time may then move so far. */
  nextDue(end: number): number {
    for (;;) {
      const inWheel = this.#firstInWheel()
      const inHeap = this.#heap.size === 0 ? 0 : this.#firstInHeap()
      if (inWheel === 0 && this.#opensBlock(inHeap === 0 ? end : Math.min(end, this.#table.dueOf(inHeap)))) continue
      this.#nextIsInWheel = inWheel !== 0 && (inHeap === 0 || this.#table.isBefore(inWheel, inHeap))
      this.#next = this.#nextIsInWheel ? inWheel : inHeap
      if (this.#next === 0) return Infinity
      const due = this.#table.dueOf(this.#next)
      return due <= end ? due : Infinity
    }
  }

  /** Takes the timer that `nextDue` found just now, and returns its callback. */
  takeNext(): Callback {
    const place = this.#next
    const fn = this.#table.callbackOf(place)
    if (fn === undefined) throw new Error('takeNext() needs a timer that nextDue() found')
    if (this.#nextIsInWheel) this.#wheel.removeFirst()
    else this.#heap.removeFirst()
    this.#table.remove(place)
    return fn
  }

  /** Cancels the timer that was set as the `order`-th and got this place, if it still waits. */
  cancel(place: number, order: number): void {
    if (this.#table.orderOf(place) !== order || this.#table.callbackOf(place) === undefined) return
    this.#table.cancel(place)
    this.#cancelled++
  }

  #put(place: number): void {
    if (this.#wheel.add(place)) return
    if (this.#far.add(place, blockOf(this.#table.dueOf(place)), this.#wheel.block)) return
    this.#heap.add(place)
  }

  /** Brings the next block into the empty wheel, if there is one that begins at or before `end`. */
  #opensBlock(end: number): boolean {
    if (this.#far.size === 0) return false
    const block = this.#far.firstBlock()
    if (block * BLOCK_MS > end) return false
    this.#wheel.block = block
    this.#far.takeFirst((place) => {
      if (this.#table.callbackOf(place) === undefined) this.#forget(place)
      else if (!this.#wheel.add(place)) this.#heap.add(place)
    })
    return true
  }

  /** The first live timer; cancelled ones before it are forgotten. */
  #firstInWheel(): number {
    for (;;) {
      const place = this.#wheel.first()
      if (place === 0 || this.#table.callbackOf(place) !== undefined) return place
      this.#wheel.removeFirst()
      this.#forget(place)
    }
  }

  #firstInHeap(): number {
    for (;;) {
      const place = this.#heap.first()
      if (place === 0 || this.#table.callbackOf(place) !== undefined) return place
      this.#heap.removeFirst()
      this.#forget(place)
    }
  }

  #forget(cancelled: number): void {
    this.#table.remove(cancelled)
    this.#cancelled--
  }

  #rebuild(now: number): void {
    const waiting = this.#table.tidy()
    this.#cancelled = 0
    this.#wheel.clear()
    this.#far.clear()
    this.#heap.clear()
    this.#wheel.block = blockOf(now)
    for (const place of waiting) this.#put(place)
  }
}

class QueuedTimer implements Timer {
  readonly #queue: TimerQueue
  readonly #place: number
  readonly #order: number

  constructor(queue: TimerQueue, place: number, order: number) {
    this.#queue = queue
    this.#place = place
    this.#order = order
  }

  cancel(): void {
    this.#queue.cancel(this.#place, this.#order)
  }
}
