/** A binary min-heap of small integers in one typed array: no comparator, no allocation. */

export class IntHeap {
  readonly #items: Int32Array
  #size = 0

  /** @param capacity the most it ever holds */
  constructor(capacity: number) {
    this.#items = new Int32Array(capacity)
  }

  get size(): number {
    return this.#size
  }

  push(value: number): void {
    const items = this.#items
    let at = this.#size++
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = items[parent] ?? 0
      if (above <= value) break
      items[at] = above
      at = parent
    }
    items[at] = value
  }

  /** The smallest; only while `size > 0`. */
  pop(): number {
    const items = this.#items
    const top = items[0] ?? 0
    const last = items[--this.#size] ?? 0
    const size = this.#size
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= size) break
      if (child + 1 < size && (items[child + 1] ?? 0) < (items[child] ?? 0)) child++
      const below = items[child] ?? 0
      if (below >= last) break
      items[at] = below
      at = child
    }
    items[at] = last
    return top
  }
}
