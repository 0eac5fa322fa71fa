/**
 * How often something happened at this instant from one to another. Nearly always an instant has one event and that one
 * pair, and then this costs no map.
 */

export class InstantCounts<K> {
  #at = -1
  #from: K | undefined
  #to: K | undefined
  #count = 0
  readonly #others = new Map<K, Map<K, number>>()

  /** How often `next` was called for this pair at this time before; time never goes back. */
  next(now: number, from: K, to: K): number {
    if (now !== this.#at) {
      this.#at = now
      this.#from = from
      this.#to = to
      this.#count = 1
      if (this.#others.size > 0) this.#others.clear()
      return 0
    }
    if (from === this.#from && to === this.#to) return this.#count++
    let counts = this.#others.get(from)
    if (counts === undefined) {
      counts = new Map()
      this.#others.set(from, counts)
    }
    const count = counts.get(to) ?? 0
    counts.set(to, count + 1)
    return count
  }
}
