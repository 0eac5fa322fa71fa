/** The largest number that anyone has written: the simplest lattice there is. */
import { checkSame, invalidArgument } from './arguments.js'
import type { Crdt } from './crdt.js'
import { decoding, wireError, wireFields } from './wire.js'

export interface MaxRegisterSnapshot {
  /** Null: never set. */
  readonly value: number | null
}

export interface MaxRegisterWire {
  readonly m: number | null
}

/** The largest number that anyone has written. */
export class MaxRegister implements Crdt<MaxRegister> {
  #value: number | undefined
  #marked = false

  /**
   * Raises it to `value`; false if that is not higher.
   * @param value any finite number
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  advance(value: number): boolean {
    if (!Number.isFinite(value)) throw invalidArgument('A value is a finite number', value)
    if (this.#value !== undefined && value <= this.#value) return false
    this.#value = value + 0 // peers drop the sign of zero
    this.#marked = true
    return true
  }

  /** Undefined: never set. */
  get value(): number | undefined {
    return this.#value
  }

  /** @throws HsError `'INVALID_ARGUMENT'` */
  merge(other: MaxRegister): boolean {
    checkSame('MaxRegister', MaxRegister.#is(other), other)
    return other.#value !== undefined && this.advance(other.#value)
  }

  takeDelta(): MaxRegister | null {
    if (!this.#marked) return null
    this.#marked = false
    return this.clone()
  }

  clone(): MaxRegister {
    const copy = new MaxRegister()
    copy.#value = this.#value
    return copy
  }

  equals(other: MaxRegister): boolean {
    return MaxRegister.#is(other) && this.#value === other.#value
  }

  toWire(): MaxRegisterWire {
    return { m: this.#value ?? null }
  }

  snapshot(): MaxRegisterSnapshot {
    return Object.freeze({ value: this.#value ?? null })
  }

  /** @throws DecodeError */
  static fromWire(wire: unknown): MaxRegister {
    const register = new MaxRegister()
    const m = decoding(() => wireFields(wire, '')['m'])
    if (m === null) return register
    if (typeof m !== 'number' || !Number.isFinite(m)) throw wireError('m', 'a finite number or null')
    register.#value = m + 0
    return register
  }

  static #is(value: unknown): boolean {
    return typeof value === 'object' && value !== null && #marked in value
  }
}
