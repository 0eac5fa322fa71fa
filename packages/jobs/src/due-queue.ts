/**
 * Everything a scheduler has to do later, behind one timer of the clock, which is set only while something is due.
 */
import type { Clock, Timer } from '@hs/core'
import { IndexedHeap, type HeapItem } from './indexed-heap.js'

export interface DueEntry extends HeapItem {
  readonly atMs: number
  readonly run: () => void
}

/** Sums of floating-point times may miss each other by this much. */
export const TOLERANCE_MS = 1e-6
/** What asks to be run at once is run a moment later, so that time moves between two rounds. */
const SHORTEST_MS = 1e-3

export class DueQueue {
  readonly #clock: Clock
  readonly #onDue: (entries: readonly DueEntry[]) => void
  readonly #entries = new IndexedHeap<DueEntry>((a, b) => a.atMs < b.atMs)
  #timer: Timer | null = null
  #timerAtMs = Infinity

  /** @param onDue gets what is due, in order; it is no longer in the queue then */
  constructor(clock: Clock, onDue: (entries: readonly DueEntry[]) => void) {
    this.#clock = clock
    this.#onDue = onDue
  }

  schedule(delayMs: number, run: () => void): DueEntry {
    const entry: DueEntry = { atMs: this.#clock.now() + Math.max(SHORTEST_MS, delayMs), run, heapIndex: -1 }
    this.#entries.push(entry)
    this.#arm()
    return entry
  }

  /** Does nothing for null and for what has run. */
  cancel(entry: DueEntry | null): void {
    if (entry === null) return
    this.#entries.remove(entry)
    if (this.#entries.size === 0) this.clear()
  }

  clear(): void {
    while (this.#entries.size > 0) this.#entries.pop()
    this.#timer?.cancel()
    this.#timer = null
    this.#timerAtMs = Infinity
  }

  /** A timer that is early is left as it is: it finds nothing and sets the next one. */
  #arm(): void {
    const first = this.#entries.peek()
    if (first === undefined || first.atMs >= this.#timerAtMs) return
    this.#timer?.cancel()
    this.#timerAtMs = first.atMs
    this.#timer = this.#clock.setTimer(first.atMs - this.#clock.now(), () => this.#fire())
  }

  #fire(): void {
    this.#timer = null
    this.#timerAtMs = Infinity
    const dueUntilMs = this.#clock.now() + TOLERANCE_MS
    const due: DueEntry[] = []
    for (
      let entry = this.#entries.peek();
      entry !== undefined && entry.atMs <= dueUntilMs;
      entry = this.#entries.peek()
    ) {
      this.#entries.remove(entry)
      due.push(entry)
    }
    if (due.length > 0) this.#onDue(due)
    this.#arm()
  }
}
