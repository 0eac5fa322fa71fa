/**
 * A counter that grows and shrinks: two that grow, one of them taken off the other.
 * Source: Shapiro et al., INRIA RR-7506, 2011.
 */
import { checkSame } from './arguments.js'
import type { Crdt } from './crdt.js'
import { saturate } from './exact-sum.js'
import { Limits, type CrdtLimits } from './limits.js'
import { Slots, type SlotsWire } from './slots.js'
import { decoding, wireFields } from './wire.js'

export interface PNCounterSnapshot {
  readonly value: number
}

export interface PNCounterWire {
  readonly p: SlotsWire
  readonly n: SlotsWire
}

/** A counter that grows and shrinks. A slot has one writer. */
export class PNCounter implements Crdt<PNCounter> {
  readonly #limits: Limits
  #plus: Slots
  #minus: Slots

  /** @throws ConfigError */
  constructor(limits?: CrdtLimits) {
    this.#limits = Limits.of('PNCounter', limits)
    this.#plus = new Slots(this.#limits)
    this.#minus = new Slots(this.#limits)
  }

  /**
   * @param amount an integer from 0 to 2^53 - 1. @default 1
   * @throws HsError `'INVALID_ARGUMENT'`, `'CRDT_OVERFLOW'` if all that the slot has added would pass 2^53 - 1;
   * LimitError for a new slot beyond `maxEntries`
   */
  increment(slot: string, amount = 1): void {
    this.#plus.increment(slot, amount)
  }

  /**
   * @param amount an integer from 0 to 2^53 - 1. @default 1
   * @throws HsError `'INVALID_ARGUMENT'`, `'CRDT_OVERFLOW'` if all that the slot has taken off would pass 2^53 - 1;
   * LimitError for a new slot beyond `maxEntries`
   */
  decrement(slot: string, amount = 1): void {
    this.#minus.increment(slot, amount)
  }

  /** What the slot contributes. */
  get(slot: string): number {
    return clamp(this.#plus.contribution(slot) - this.#minus.contribution(slot))
  }

  /** Saturates at ±(2^53 - 1). */
  get value(): number {
    return saturate(this.exactValue)
  }

  get exactValue(): bigint {
    return this.#plus.sum.exactValue - this.#minus.sum.exactValue
  }

  /**
   * Moves the rest of the slot of a dead writer into another slot; the value stays. Returns what it contributed.
   * @param into a slot that only the caller writes
   * @throws HsError `'INVALID_ARGUMENT'`, `'CRDT_OVERFLOW'`; LimitError
   */
  fold(slot: string, into: string): number {
    this.#minus.checkFold(slot, into)
    return clamp(this.#plus.fold(slot, into) - this.#minus.fold(slot, into))
  }

  /**
   * Drops a slot of which neither half contributes anything; false for any other. Local, under the condition of
   * `GCounter.forget`.
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  forget(slot: string): boolean {
    const plus = this.#plus.canForget(slot)
    const minus = this.#minus.canForget(slot)
    if ((!plus && this.#plus.has(slot)) || (!minus && this.#minus.has(slot))) return false
    if (plus) this.#plus.forget(slot)
    if (minus) this.#minus.forget(slot)
    return plus || minus
  }

  /** @throws LimitError if either half would have more than `maxEntries` slots; HsError `'INVALID_ARGUMENT'` */
  merge(other: PNCounter): boolean {
    checkSame('PNCounter', PNCounter.#is(other), other)
    this.#plus.check(other.#plus)
    this.#minus.check(other.#minus)
    const plus = this.#plus.merge(other.#plus)
    return this.#minus.merge(other.#minus) || plus
  }

  takeDelta(): PNCounter | null {
    const plus = this.#plus.takeDelta()
    const minus = this.#minus.takeDelta()
    if (plus === null && minus === null) return null
    return this.#with(plus ?? new Slots(this.#limits), minus ?? new Slots(this.#limits))
  }

  clone(): PNCounter {
    return this.#with(this.#plus.clone(), this.#minus.clone())
  }

  equals(other: PNCounter): boolean {
    return PNCounter.#is(other) && this.#plus.equals(other.#plus) && this.#minus.equals(other.#minus)
  }

  toWire(): PNCounterWire {
    return { p: this.#plus.toWire(), n: this.#minus.toWire() }
  }

  snapshot(): PNCounterSnapshot {
    return Object.freeze({ value: this.value })
  }

  /** @throws DecodeError, ConfigError */
  static fromWire(wire: unknown, limits?: CrdtLimits): PNCounter {
    const counter = new PNCounter(limits)
    decoding(() => {
      const fields = wireFields(wire, '')
      counter.#plus = Slots.fromWire(fields['p'], 'p.', counter.#limits)
      counter.#minus = Slots.fromWire(fields['n'], 'n.', counter.#limits)
    })
    return counter
  }

  #with(plus: Slots, minus: Slots): PNCounter {
    const counter = new PNCounter(this.#limits)
    counter.#plus = plus
    counter.#minus = minus
    return counter
  }

  static #is(value: unknown): boolean {
    return typeof value === 'object' && value !== null && #plus in value
  }
}

function clamp(n: number): number {
  return Math.min(Math.max(n, -Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER)
}
