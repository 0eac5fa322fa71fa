/**
 * The timers of a virtual clock in order of (due time, order of setting).
 *
 * What is due soon waits in a wheel, at a cost that does not depend on how many there are; what is due later waits in
 * a heap; whichever has the earlier timer is served, so nothing ever moves from one to the other. A cancelled timer
 * keeps its place until it comes up, or until more are cancelled than wait: what is kept is at most twice what is
 * needed.
 */

import type { Timer } from '../clock.js'
import { PlaceHeap } from './place-heap.js'
import { SlotWheel } from './slot-wheel.js'
import { TimerTable, type Callback } from './timer-table.js'

/** Below this many cancelled timers, tidying up is not worth a pass. */
const MIN_CANCELLED = 64

export class TimerQueue {
  readonly #table = new TimerTable()
  readonly #wheel = new SlotWheel(this.#table)
  readonly #heap = new PlaceHeap(this.#table)
  #cancelled = 0
  #nextIsInWheel = false

  /** Timers that will still fire. */
  get live(): number {
    return this.#wheel.size + this.#heap.size - this.#cancelled
  }

  /** `now` never falls, and `due` is not before it. */
  add(now: number, due: number, fn: Callback): Timer {
    const place = this.#table.add(due, fn)
    if (!this.#wheel.add(place, now)) this.#heap.add(place)
    if (this.#cancelled > MIN_CANCELLED && this.#cancelled > this.live) this.#rebuild(now)
    return new QueuedTimer(this, place, this.#table.orderOf(place))
  }

  /** When the next timer is due; `Infinity` if there is none. */
  nextDue(): number {
    const inWheel = this.#firstOf(this.#wheel)
    const inHeap = this.#heap.size === 0 ? 0 : this.#firstOf(this.#heap)
    this.#nextIsInWheel = inWheel !== 0 && (inHeap === 0 || this.#table.isBefore(inWheel, inHeap))
    if (this.#nextIsInWheel) return this.#table.dueOf(inWheel)
    return inHeap === 0 ? Infinity : this.#table.dueOf(inHeap)
  }

  /** Takes the timer that `nextDue` found just now, and returns its callback. */
  takeNext(): Callback {
    const from = this.#nextIsInWheel ? this.#wheel : this.#heap
    const place = from.first()
    const fn = this.#table.callbackOf(place)
    if (fn === undefined) throw new Error('takeNext() needs a timer that nextDue() found')
    from.removeFirst()
    this.#table.remove(place)
    return fn
  }

  /** Cancels the timer that was set as the `order`-th and got this place, if it still waits. */
  cancel(place: number, order: number): void {
    if (this.#table.orderOf(place) !== order || this.#table.callbackOf(place) === undefined) return
    this.#table.cancel(place)
    this.#cancelled++
  }

  /** The first live timer; cancelled ones before it are removed. */
  #firstOf(part: SlotWheel | PlaceHeap): number {
    for (;;) {
      const place = part.first()
      if (place === 0 || this.#table.callbackOf(place) !== undefined) return place
      part.removeFirst()
      this.#table.remove(place)
      this.#cancelled--
    }
  }

  #rebuild(now: number): void {
    const waiting = this.#table.tidy()
    this.#cancelled = 0
    this.#heap.reset()
    this.#wheel.reset()
    for (const place of waiting) if (!this.#wheel.add(place, now)) this.#heap.add(place)
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
