/**
 * A counter that only grows, by many writers: one count a slot, of which a merge takes the larger; the value is the sum.
 * Source: Shapiro et al., INRIA RR-7506, 2011; the collection of slots whose writer is gone: see `slots.ts`.
 */
import { deepFreeze } from '@hs/core'
import { checkSame } from './arguments.js'
import type { Crdt } from './crdt.js'
import { Limits, type CrdtLimits } from './limits.js'
import { Slots, type SlotsWire } from './slots.js'
import { decoding } from './wire.js'

export interface GCounterSnapshot {
  readonly value: number
  /** Sorted by slot; `count` is what the slot contributes. */
  readonly slots: readonly { readonly slot: string; readonly count: number }[]
}

/** A counter that only grows. A slot has one writer. */
export class GCounter implements Crdt<GCounter> {
  readonly #slots: Slots

  /** @throws ConfigError */
  constructor(limits?: CrdtLimits) {
    this.#slots = limits instanceof Slots ? limits : new Slots(Limits.of('GCounter', limits))
  }

  /**
   * For the writer of the slot.
   * @param amount an integer from 0 to 2^53 - 1. @default 1
   * @throws HsError `'INVALID_ARGUMENT'`, `'CRDT_OVERFLOW'` if the slot would pass 2^53 - 1; LimitError for a new slot
   * beyond `maxEntries`
   */
  increment(slot: string, amount = 1): void {
    this.#slots.increment(slot, amount)
  }

  /**
   * Raises the slot to a cumulative total; false if it is not higher. For whoever relays what the writer has counted:
   * two who hear the same total write it twice and count it once.
   * @param total an integer from 0 to 2^53 - 1
   * @throws HsError `'INVALID_ARGUMENT'`; LimitError for a new slot beyond `maxEntries`
   */
  advance(slot: string, total: number): boolean {
    return this.#slots.advance(slot, total)
  }

  /** What the slot contributes; below 0 after two replicas have folded it at once. */
  get(slot: string): number {
    return this.#slots.contribution(slot)
  }

  /** The sum; stays at 2^53 - 1 where it would pass that. */
  get value(): number {
    return this.#slots.sum.value
  }

  get exactValue(): bigint {
    return this.#slots.sum.exactValue
  }

  /** Their names, sorted. */
  slots(): readonly string[] {
    return this.#slots.names()
  }

  /**
   * Moves the rest of the slot of a dead writer into another slot; the value stays. Returns the amount moved, 0 if
   * there is no rest. What surfaces of the dead slot later counts once and can be folded again.
   * @param into a slot that only the caller writes, with `increment`
   * @throws HsError `'INVALID_ARGUMENT'`, `'CRDT_OVERFLOW'`; LimitError
   */
  fold(slot: string, into: string): number {
    return this.#slots.fold(slot, into)
  }

  /**
   * Drops a slot that contributes 0; false for any other. Local, and to be called when every replica has the fold:
   * who has been away since before the fold, and is let in again after all others forgot, would bring the slot's count
   * back, so let such a replica in empty.
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  forget(slot: string): boolean {
    return this.#slots.forget(slot)
  }

  /** @throws LimitError if there would be more than `maxEntries` slots; HsError `'INVALID_ARGUMENT'` */
  merge(other: GCounter): boolean {
    checkSame('GCounter', GCounter.#is(other), other)
    this.#slots.check(other.#slots)
    return this.#slots.merge(other.#slots)
  }

  takeDelta(): GCounter | null {
    const delta = this.#slots.takeDelta()
    return delta === null ? null : GCounter.#of(delta)
  }

  clone(): GCounter {
    return GCounter.#of(this.#slots.clone())
  }

  equals(other: GCounter): boolean {
    return GCounter.#is(other) && this.#slots.equals(other.#slots)
  }

  toWire(): SlotsWire {
    return this.#slots.toWire()
  }

  snapshot(): GCounterSnapshot {
    const slots = this.slots().map((slot) => ({ slot, count: this.get(slot) }))
    return deepFreeze({ value: this.value, slots })
  }

  /** @throws DecodeError, ConfigError */
  static fromWire(wire: unknown, limits?: CrdtLimits): GCounter {
    const checked = Limits.of('GCounter', limits)
    return GCounter.#of(decoding(() => Slots.fromWire(wire, '', checked)))
  }

  /** A state of our own making comes in the place of the limits, which it knows. */
  static #of(slots: Slots): GCounter {
    return new GCounter(slots as CrdtLimits)
  }

  static #is(value: unknown): boolean {
    return typeof value === 'object' && value !== null && #slots in value
  }
}
