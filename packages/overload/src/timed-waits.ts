/**
 * Waits until times of their own, over one timer. They end in order of time, and of arrival where times are equal; none
 * ends early, also where a clock's timer fires early. Nothing is left of a wait that has ended, and no timer where
 * nobody waits.
 */
import { unwatchAbort, watchAbort, type AbortWatcher, type Clock, type Timer } from '@hs/core'
import { ROUNDING_MS } from './rounding.js'

export class TimedWaits {
  readonly #clock: Clock
  /** A binary heap: what stands at (i - 1) / 2 ends before what stands at i. */
  readonly #heap: TimedWait[] = []
  #arrivals = 0
  #timer: Timer | undefined = undefined
  #timerAtMs = Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Resolves at `dueMs`, or rejects with the reason of the signal, which has not aborted yet.
   * @param onLeave called on abort, before it rejects
   */
  until(dueMs: number, nowMs: number, signal: AbortSignal | undefined, onLeave: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const wait = new TimedWait(dueMs, this.#arrivals++, signal, resolve, (reason) => {
        this.#take(wait)
        if (this.#heap.length === 0) this.#disarm()
        onLeave()
        reject(reason)
      })
      this.#up(wait, this.#heap.length)
      if (dueMs < this.#timerAtMs) this.#arm(nowMs)
    })
  }

  #arm(nowMs: number): void {
    this.#disarm()
    const first = this.#heap[0]
    if (first === undefined) return
    this.#timerAtMs = first.dueMs
    this.#timer = this.#clock.setTimer(Math.max(0, first.dueMs - nowMs), () => this.#serve())
  }

  #disarm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerAtMs = Infinity
  }

  #serve(): void {
    const nowMs = this.#clock.now()
    for (let first = this.#heap[0]; first !== undefined && first.dueMs <= nowMs + ROUNDING_MS; first = this.#heap[0]) {
      this.#take(first)
      first.end()
    }
    this.#arm(nowMs)
  }

  /** Takes it out; the last one fills the gap. */
  #take(wait: TimedWait): void {
    const { place } = wait
    const last = this.#heap.pop()
    if (last === undefined || last === wait) return
    this.#up(last, place)
    this.#down(last, last.place)
  }

  #up(wait: TimedWait, from: number): void {
    let place = from
    while (place > 0) {
      const parent = this.#heap[(place - 1) >> 1]
      if (parent === undefined || parent.isBefore(wait)) break
      this.#put(parent, place)
      place = (place - 1) >> 1
    }
    this.#put(wait, place)
  }

  #down(wait: TimedWait, from: number): void {
    let place = from
    for (;;) {
      const left = this.#heap[2 * place + 1]
      const right = this.#heap[2 * place + 2]
      const child = left !== undefined && right?.isBefore(left) ? right : left
      if (child === undefined || wait.isBefore(child)) break
      const below = child.place
      this.#put(child, place)
      place = below
    }
    this.#put(wait, place)
  }

  #put(wait: TimedWait, place: number): void {
    this.#heap[place] = wait
    wait.place = place
  }
}

class TimedWait implements AbortWatcher {
  readonly dueMs: number
  /** In the heap. */
  place = 0
  readonly #arrival: number
  readonly #signal: AbortSignal | undefined
  readonly #resolve: () => void
  readonly #leave: (reason: unknown) => void

  constructor(
    dueMs: number,
    arrival: number,
    signal: AbortSignal | undefined,
    resolve: () => void,
    leave: (reason: unknown) => void,
  ) {
    this.dueMs = dueMs
    this.#arrival = arrival
    this.#signal = signal
    this.#resolve = resolve
    this.#leave = leave
    if (signal !== undefined) watchAbort(signal, this)
  }

  isBefore(other: TimedWait): boolean {
    return this.dueMs < other.dueMs || (this.dueMs === other.dueMs && this.#arrival < other.#arrival)
  }

  end(): void {
    if (this.#signal !== undefined) unwatchAbort(this.#signal, this)
    this.#resolve()
  }

  onAbort(): void {
    if (this.#signal !== undefined) unwatchAbort(this.#signal, this)
    this.#leave(this.#signal?.reason)
  }
}
