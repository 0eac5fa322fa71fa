/**
 * What is to happen, in order of (time, tie, order of creation). A 4-ary heap: half the levels of a binary one. Times
 * stand in an array of their own, so that comparing two events hardly ever looks at them.
 */

/** Something that happens at a time. */
export interface SimEvent {
  /** Set by the queue: decides among events of one instant. */
  tie: number
  /** Set by the queue: numbers events as they are made. */
  order: number
  /** Nobody waits for it any more: it is passed over, and time does not move for it. */
  readonly isOver: boolean
  fire(): void
}

/** Below this many events that are over, tidying up is not worth a pass. */
const MIN_OVER = 256

export class EventQueue {
  #times = new Float64Array(64)
  readonly #events: SimEvent[] = []
  #size = 0
  #made = 0
  /** Events in the heap that are over, as far as they were told of. */
  #over = 0

  /** Events that wait, those that are over among them. */
  get size(): number {
    return this.#size
  }

  add(at: number, tie: number, event: SimEvent): void {
    event.tie = tie
    event.order = this.#made++
    this.#insert(at, event)
  }

  /** When the next event is due; `Infinity` if there is none. */
  nextTime(): number {
    while (this.#size > 0) {
      if (!(this.#events[0] as SimEvent).isOver) return this.#times[0] as number
      if (this.#over > 0) this.#over--
      this.#removeFirst()
    }
    return Infinity
  }

  /** Takes the event that `nextTime` spoke of. */
  take(): SimEvent {
    const first = this.#events[0]
    if (first === undefined) throw new Error('take() needs an event that nextTime() found')
    this.#removeFirst()
    return first
  }

  /** An event in the queue is over now: when those are more than the others, they go. */
  tellOver(): void {
    this.#over++
    if (this.#over > MIN_OVER && this.#over * 2 > this.#size) this.#tidy()
  }

  #insert(at: number, event: SimEvent): void {
    if (this.#size === this.#times.length) this.#grow()
    const times = this.#times
    const events = this.#events
    let hole = this.#size++
    while (hole > 0) {
      const up = (hole - 1) >> 2
      const upAt = times[up] as number
      if (at > upAt || (at === upAt && isBefore(events[up] as SimEvent, event))) break
      times[hole] = upAt
      events[hole] = events[up] as SimEvent
      hole = up
    }
    times[hole] = at
    events[hole] = event
  }

  #removeFirst(): void {
    const times = this.#times
    const events = this.#events
    const size = --this.#size
    const event = events.pop() as SimEvent
    if (size === 0) return
    const at = times[size] as number
    let hole = 0
    for (;;) {
      const first = hole * 4 + 1
      if (first >= size) break
      const end = first + 4 < size ? first + 4 : size
      let least = first
      let leastAt = times[first] as number
      for (let child = first + 1; child < end; child++) {
        const childAt = times[child] as number
        if (childAt > leastAt) continue
        if (childAt === leastAt && isBefore(events[least] as SimEvent, events[child] as SimEvent)) continue
        least = child
        leastAt = childAt
      }
      if (at < leastAt || (at === leastAt && isBefore(event, events[least] as SimEvent))) break
      times[hole] = leastAt
      events[hole] = events[least] as SimEvent
      hole = least
    }
    times[hole] = at
    events[hole] = event
  }

  #tidy(): void {
    const times = this.#times.slice(0, this.#size)
    const events = this.#events.splice(0)
    this.#size = 0
    this.#over = 0
    for (const [index, event] of events.entries()) if (!event.isOver) this.#insert(times[index] as number, event)
  }

  #grow(): void {
    const times = new Float64Array(2 * this.#times.length)
    times.set(this.#times)
    this.#times = times
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.tie < b.tie || (a.tie === b.tie && a.order < b.order)
}
