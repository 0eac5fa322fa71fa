/**
 * Which of two histories came first, if either did.
 * Source: F. Mattern: "Virtual Time and Global States of Distributed Systems", 1989.
 */
import { checkSame } from './arguments.js'
import type { Crdt } from './crdt.js'
import { Limits, type CrdtLimits } from './limits.js'
import { Slots } from './slots.js'
import { decoding, wireFields } from './wire.js'

export interface VectorClockWire {
  readonly v: readonly (string | number)[]
}

/** How many events of each process are known. */
export class VectorClock implements Crdt<VectorClock> {
  readonly #slots: Slots

  /** @throws ConfigError */
  constructor(limits?: CrdtLimits) {
    this.#slots = limits instanceof Slots ? limits : new Slots(Limits.of('VectorClock', limits))
  }

  /**
   * One more event of `id`; returns its number.
   * @throws HsError `'INVALID_ARGUMENT'`, `'CRDT_OVERFLOW'` at 2^53 - 1; LimitError for a new id beyond `maxEntries`
   */
  tick(id: string): number {
    return this.#slots.increment(id, 1)
  }

  /**
   * `n` events of `id` are known; false if that many were already.
   * @param n an integer from 0 to 2^53 - 1
   * @throws HsError `'INVALID_ARGUMENT'`; LimitError for a new id beyond `maxEntries`
   */
  observe(id: string, n: number): boolean {
    return this.#slots.advance(id, n)
  }

  get(id: string): number {
    return this.#slots.count(id)
  }

  /** Ids of which an event is known. */
  get size(): number {
    return this.#slots.size
  }

  /** How this one stands to `other`: `'before'` if `other` knows all that this one does, and more. */
  compare(other: VectorClock): 'equal' | 'before' | 'after' | 'concurrent' {
    checkSame('VectorClock', VectorClock.#is(other), other)
    return this.#slots.compare(other.#slots)
  }

  /** @throws LimitError if there would be more than `maxEntries` ids; HsError `'INVALID_ARGUMENT'` */
  merge(other: VectorClock): boolean {
    checkSame('VectorClock', VectorClock.#is(other), other)
    this.#slots.check(other.#slots)
    return this.#slots.merge(other.#slots)
  }

  takeDelta(): VectorClock | null {
    const delta = this.#slots.takeDelta()
    return delta === null ? null : VectorClock.#of(delta)
  }

  clone(): VectorClock {
    return VectorClock.#of(this.#slots.clone())
  }

  equals(other: VectorClock): boolean {
    return VectorClock.#is(other) && this.#slots.equals(other.#slots)
  }

  toWire(): VectorClockWire {
    return { v: this.#slots.counts() }
  }

  /** @throws DecodeError, ConfigError */
  static fromWire(wire: unknown, limits?: CrdtLimits): VectorClock {
    const checked = Limits.of('VectorClock', limits)
    return VectorClock.#of(decoding(() => Slots.fromCounts(wireFields(wire, '')['v'], 'v', checked).dropEmpty()))
  }

  /** A state of our own making comes in the place of the limits, which it knows. */
  static #of(slots: Slots): VectorClock {
    return new VectorClock(slots as CrdtLimits)
  }

  static #is(value: unknown): boolean {
    return typeof value === 'object' && value !== null && #slots in value
  }
}
