/** Timers in a 4-ary heap, which needs half the levels of a binary one and finds the children side by side. */

import type { TimerTable } from './timer-table.js'

export class PlaceHeap {
  readonly #table: TimerTable
  size = 0
  /** The children of `at` are 4·at + 1 to 4·at + 4. The due times stand here too, where sifting reads them. */
  #places = new Int32Array(64)
  #dues = new Float64Array(64)

  constructor(table: TimerTable) {
    this.#table = table
  }

  add(place: number): void {
    if (this.size === this.#places.length) this.#grow()
    const places = this.#places
    const dues = this.#dues
    const due = this.#table.dueOf(place)
    let at = this.size++
    while (at > 0) {
      const up = (at - 1) >> 2
      const upDue = dues[up] as number
      if (due > upDue || (due === upDue && this.#table.isBefore(places[up] as number, place))) break
      dues[at] = upDue
      places[at] = places[up] as number
      at = up
    }
    dues[at] = due
    places[at] = place
  }

  /** The place of the first timer; 0 if the heap is empty. */
  first(): number {
    return this.size === 0 ? 0 : (this.#places[0] as number)
  }

  removeFirst(): void {
    const places = this.#places
    const dues = this.#dues
    const size = --this.size
    const place = places[size] as number
    const due = dues[size] as number
    let at = 0
    for (;;) {
      const first = at * 4 + 1
      if (first >= size) break
      const end = first + 4 < size ? first + 4 : size
      let least = first
      let leastDue = dues[first] as number
      for (let child = first + 1; child < end; child++) {
        const childDue = dues[child] as number
        if (childDue > leastDue) continue
        if (childDue === leastDue && this.#table.isBefore(places[least] as number, places[child] as number)) continue
        least = child
        leastDue = childDue
      }
      if (due < leastDue || (due === leastDue && this.#table.isBefore(place, places[least] as number))) break
      dues[at] = leastDue
      places[at] = places[least] as number
      at = least
    }
    dues[at] = due
    places[at] = place
  }

  clear(): void {
    this.size = 0
  }

  #grow(): void {
    const places = new Int32Array(2 * this.#places.length)
    const dues = new Float64Array(2 * this.#dues.length)
    places.set(this.#places)
    dues.set(this.#dues)
    this.#places = places
    this.#dues = dues
  }
}
