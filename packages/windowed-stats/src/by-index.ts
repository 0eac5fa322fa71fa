/**
 * Entries in order of the window index that each has. A sorted list and no `Map`: windows come and go all the time, and
 * the tables that a `Map` leaves behind as it changes keep what they held alive through young collections.
 */

export class ByIndex<T extends { readonly index: number }> {
  readonly #entries: T[] = []

  /** The one with the least index. */
  get first(): T | undefined {
    return this.#entries[0]
  }

  /** In order of index. */
  get entries(): readonly T[] {
    return this.#entries
  }

  get(index: number): T | undefined {
    // Most ask for the window that goes on now.
    const last = this.#entries[this.#entries.length - 1]
    if (last === undefined || last.index < index) return undefined
    if (last.index === index) return last
    const entry = this.#entries[this.#placeOf(index)]
    return entry?.index === index ? entry : undefined
  }

  /** @param entry one whose index is not here yet. */
  add(entry: T): void {
    const last = this.#entries[this.#entries.length - 1]
    if (last === undefined || last.index < entry.index) this.#entries.push(entry)
    else this.#entries.splice(this.#placeOf(entry.index), 0, entry)
  }

  delete(index: number): void {
    if (this.first?.index === index) this.#entries.shift()
    else if (this.get(index) !== undefined) this.#entries.splice(this.#placeOf(index), 1)
  }

  /** The place of the first entry whose index is not below. */
  #placeOf(index: number): number {
    let from = 0
    let to = this.#entries.length
    while (from < to) {
      const middle = (from + to) >>> 1
      if ((this.#entries[middle] as T).index < index) from = middle + 1
      else to = middle
    }
    return from
  }
}
