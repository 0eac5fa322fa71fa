/** A binary heap whose items know where they stand, so that any of them can leave or move in O(log n). */

export interface HeapItem {
  /** Owned by the heap; -1 while in none. An item is in one heap at a time. */
  heapIndex: number
}

export class IndexedHeap<T extends HeapItem> {
  readonly #items: T[] = []
  readonly #before: (a: T, b: T) => boolean

  /** @param before whether `a` comes out before `b`: a strict order */
  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before
  }

  get size(): number {
    return this.#items.length
  }

  /** The first item, if there is one. */
  peek(): T | undefined {
    return this.#items[0]
  }

  /** The item at a position of the heap's array: its children stand at `2 * index + 1` and the one after. */
  at(index: number): T | undefined {
    return this.#items[index]
  }

  /** In no order that means anything. */
  toArray(): T[] {
    return this.#items.slice()
  }

  push(item: T): void {
    this.#items.push(item)
    this.#rise(item, this.#items.length - 1)
  }

  pop(): T | undefined {
    const top = this.#items[0]
    if (top !== undefined) this.remove(top)
    return top
  }

  /** Does nothing for an item that is not in this heap. */
  remove(item: T): void {
    const index = item.heapIndex
    if (this.#items[index] !== item) return
    item.heapIndex = -1
    const last = this.#items.pop()
    if (last === undefined || last === item) return
    this.#settle(last, index)
  }

  /** To be called after the order of `item` has changed. */
  update(item: T): void {
    if (this.#items[item.heapIndex] === item) this.#settle(item, item.heapIndex)
  }

  #settle(item: T, index: number): void {
    const parent = this.#items[(index - 1) >> 1]
    if (index > 0 && parent !== undefined && this.#before(item, parent)) this.#rise(item, index)
    else this.#sink(item, index)
  }

  #rise(item: T, from: number): void {
    let index = from
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = this.#items[parentIndex]
      if (parent === undefined || !this.#before(item, parent)) break
      this.#put(parent, index)
      index = parentIndex
    }
    this.#put(item, index)
  }

  #sink(item: T, from: number): void {
    let index = from
    for (;;) {
      const left = 2 * index + 1
      let childIndex = left
      let child = this.#items[left]
      const right = this.#items[left + 1]
      if (child === undefined) break
      if (right !== undefined && this.#before(right, child)) {
        child = right
        childIndex = left + 1
      }
      if (!this.#before(child, item)) break
      this.#put(child, index)
      index = childIndex
    }
    this.#put(item, index)
  }

  #put(item: T, index: number): void {
    this.#items[index] = item
    item.heapIndex = index
  }
}
