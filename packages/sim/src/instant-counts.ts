/** How often something happened at this instant, by key. Nearly always there is one key, and then it costs no map. */

export class InstantCounts<K> {
  #at = -1
  #first: K | undefined
  #firstCount = 0
  #others: Map<K, number> | undefined

  /** How often `next` was called for this key at this time before; time never goes back. */
  next(now: number, key: K): number {
    if (now !== this.#at) {
      this.#at = now
      this.#first = key
      this.#firstCount = 1
      this.#others?.clear()
      return 0
    }
    if (key === this.#first) return this.#firstCount++
    this.#others ??= new Map()
    const count = this.#others.get(key) ?? 0
    this.#others.set(key, count + 1)
    return count
  }
}
