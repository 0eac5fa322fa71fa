/** A list whose links lie in its items, so that adding, taking and removing from the middle cost no memory. */

export interface Linked<T> {
  previous: T | null
  next: T | null
}

export class LinkedList<T extends Linked<T>> {
  #first: T | null = null
  #last: T | null = null
  #size = 0

  get size(): number {
    return this.#size
  }

  get first(): T | null {
    return this.#first
  }

  get last(): T | null {
    return this.#last
  }

  push(item: T): void {
    item.previous = this.#last
    if (this.#last === null) this.#first = item
    else this.#last.next = item
    this.#last = item
    this.#size++
  }

  /** Takes out an item that is in this list. */
  remove(item: T): void {
    if (item.previous === null) this.#first = item.next
    else item.previous.next = item.next
    if (item.next === null) this.#last = item.previous
    else item.next.previous = item.previous
    item.previous = null
    item.next = null
    this.#size--
  }
}
