/**
 * The latest `capacity` items in order: a full buffer lets go of the oldest for a new one. Memory grows with what is
 * in it and stops at the capacity; everything but `toArray` and iteration takes the same time however much that is.
 */
import * as z from 'zod'
import { parseOptions } from './options.js'

const MIN_SLOTS = 8

const schema = /* @__PURE__ */ (() => z.strictObject({ capacity: z.int().min(1) }))()

/** The latest `capacity` items, in order. */
export class RingBuffer<T> implements Iterable<T> {
  readonly capacity: number
  /** The items stand from `#head` on, around the end. Free slots hold undefined, so that nothing is kept alive. */
  #slots: (T | undefined)[] = []
  #head = 0
  #size = 0

  /**
   * @param capacity an integer of at least 1
   * @throws ConfigError
   */
  constructor(capacity: number) {
    this.capacity = parseOptions(schema, { capacity }, 'RingBuffer').capacity
  }

  get size(): number {
    return this.#size
  }

  /** Appends; returns the oldest if it had to go. */
  push(item: T): T | undefined {
    if (this.#size === this.capacity) {
      const evicted = this.#slots[this.#head]
      this.#slots[this.#head] = item
      this.#head = this.#slotOf(1)
      return evicted
    }
    if (this.#size === this.#slots.length) this.#grow()
    this.#slots[this.#slotOf(this.#size)] = item
    this.#size++
    return undefined
  }

  /** Removes the oldest. */
  shift(): T | undefined {
    if (this.#size === 0) return undefined
    const item = this.#slots[this.#head]
    this.#slots[this.#head] = undefined
    this.#head = this.#slotOf(1)
    this.#size--
    return item
  }

  /** 0 is the oldest, -1 the newest; undefined where there is none. */
  at(i: number): T | undefined {
    const index = i < 0 ? i + this.#size : i
    return index >= 0 && index < this.#size ? this.#slots[this.#slotOf(index)] : undefined
  }

  clear(): void {
    this.#slots = []
    this.#head = 0
    this.#size = 0
  }

  /** From the oldest on. */
  toArray(): T[] {
    const end = this.#head + this.#size
    const beyond = Math.max(0, end - this.#slots.length)
    return [...this.#slots.slice(this.#head, end), ...this.#slots.slice(0, beyond)] as T[]
  }

  /** From the oldest on, those that are in it now. */
  [Symbol.iterator](): IterableIterator<T> {
    return this.toArray().values()
  }

  #slotOf(index: number): number {
    const slot = this.#head + index
    return slot < this.#slots.length ? slot : slot - this.#slots.length
  }

  /** Doubles, so that growing to n items moves fewer than 2n. */
  #grow(): void {
    const items: (T | undefined)[] = this.toArray()
    const slots = Math.min(this.capacity, Math.max(MIN_SLOTS, 2 * items.length))
    while (items.length < slots) items.push(undefined)
    this.#slots = items
    this.#head = 0
  }
}
