/**
 * The timers of a virtual clock in order of (due time, order of setting): a 4-ary heap whose keys lie in
 * a typed array, so that sifting reads neighbouring numbers and touches no timer object except on a tie.
 * A cancelled timer stays in its place until it comes up or until the cancelled ones outnumber the live ones,
 * so cancelling is O(1) amortised and what is kept is at most twice what is live.
 */

import type { Timer } from '../clock.js'

/** Below this many cancelled timers, tidying up is not worth a pass. */
const MIN_GARBAGE = 64

export class HeapTimer implements Timer {
  readonly due: number
  readonly seq: number
  /** Undefined once fired or cancelled. */
  fn: (() => void) | undefined
  readonly #heap: TimerHeap

  constructor(heap: TimerHeap, due: number, seq: number, fn: () => void) {
    this.due = due
    this.seq = seq
    this.fn = fn
    this.#heap = heap
  }

  cancel(): void {
    if (this.fn === undefined) return
    this.fn = undefined
    this.#heap.noteCancelled()
  }
}

export class TimerHeap {
  #dues = new Float64Array(64)
  #timers: HeapTimer[] = []
  #seq = 0
  /** How many of the timers in the heap are cancelled. */
  #garbage = 0

  /** Timers that will still fire. */
  get live(): number {
    return this.#timers.length - this.#garbage
  }

  add(due: number, fn: () => void): HeapTimer {
    const timer = new HeapTimer(this, due, this.#seq++, fn)
    const at = this.#timers.length
    this.#timers.push(timer)
    if (at === this.#dues.length) this.#grow()
    this.#siftUp(at, timer)
    return timer
  }

  /** When the next live timer is due; `Infinity` if there is none. */
  nextDue(): number {
    for (;;) {
      const first = this.#timers[0]
      if (first === undefined) return Infinity
      if (first.fn !== undefined) return first.due
      this.#removeFirst()
      this.#garbage--
    }
  }

  /** Removes the timer that `nextDue` spoke of and returns its callback. */
  takeNext(): () => void {
    const first = this.#timers[0]
    const fn = first?.fn
    if (first === undefined || fn === undefined) throw new Error('takeNext() without a timer that nextDue() found')
    first.fn = undefined
    this.#removeFirst()
    return fn
  }

  /** Called by a timer that was cancelled in the heap. */
  noteCancelled(): void {
    this.#garbage++
    if (this.#garbage > MIN_GARBAGE && this.#garbage * 2 > this.#timers.length) this.#compact()
  }

  #compact(): void {
    this.#timers = this.#timers.filter((timer) => timer.fn !== undefined)
    this.#garbage = 0
    for (const [at, timer] of this.#timers.entries()) this.#dues[at] = timer.due
    for (let at = (this.#timers.length - 2) >> 2; at >= 0; at--) {
      const timer = this.#timers[at]
      if (timer !== undefined) this.#siftDown(at, timer, this.#timers.length)
    }
  }

  #grow(): void {
    const larger = new Float64Array(this.#dues.length * 2)
    larger.set(this.#dues)
    this.#dues = larger
  }

  #removeFirst(): void {
    const last = this.#timers.pop()
    if (last !== undefined && this.#timers.length > 0) this.#siftDown(0, last, this.#timers.length)
  }

  #siftUp(from: number, timer: HeapTimer): void {
    const dues = this.#dues
    const timers = this.#timers
    const due = timer.due
    let at = from
    while (at > 0) {
      const up = (at - 1) >> 2
      // A new timer has the highest sequence number: on a tie it stays below.
      if (!(due < (dues[up] as number))) break
      dues[at] = dues[up] as number
      timers[at] = timers[up] as HeapTimer
      at = up
    }
    dues[at] = due
    timers[at] = timer
  }

  #siftDown(from: number, timer: HeapTimer, length: number): void {
    const dues = this.#dues
    const timers = this.#timers
    const due = timer.due
    let at = from
    for (;;) {
      const first = at * 4 + 1
      if (first >= length) break
      let least = first
      let leastDue = dues[first] as number
      const end = first + 4 < length ? first + 4 : length
      for (let child = first + 1; child < end; child++) {
        const childDue = dues[child] as number
        if (childDue > leastDue) continue
        if (childDue === leastDue && seqOf(timers, child) > seqOf(timers, least)) continue
        least = child
        leastDue = childDue
      }
      if (due < leastDue || (due === leastDue && timer.seq < seqOf(timers, least))) break
      dues[at] = leastDue
      timers[at] = timers[least] as HeapTimer
      at = least
    }
    dues[at] = due
    timers[at] = timer
  }
}

function seqOf(timers: readonly HeapTimer[], at: number): number {
  return (timers[at] as HeapTimer).seq
}
