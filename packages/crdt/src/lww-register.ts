/**
 * A value of which the last write wins. Source: Shapiro et al., INRIA RR-7506, 2011; ties are settled: see `write.ts`.
 */
import { checkSame } from './arguments.js'
import type { Crdt } from './crdt.js'
import type { Json } from './json.js'
import { Limits, type CrdtLimits } from './limits.js'
import { decoding, wireError, wireFields } from './wire.js'
import { isLater, newWrite, sameWrite, wireWrite, type Write } from './write.js'

export interface LWWRegisterSnapshot<T extends Json = Json> {
  /** Null: never set (then `time` is 0), or set to null. */
  readonly value: T | null
  readonly time: number
  readonly writer: string
}

/** Without fields: never set. */
export interface LWWRegisterWire {
  readonly t?: number
  readonly w?: string
  readonly v?: Json
}

const NEVER: Write<never> = Object.freeze({ value: undefined, time: 0, writer: '' })

/** A value of which the last write wins. */
export class LWWRegister<T extends Json = Json> implements Crdt<LWWRegister<T>> {
  readonly #limits: Limits
  #write: Write<T> = NEVER
  #marked = false

  /** @throws ConfigError */
  constructor(limits?: CrdtLimits) {
    this.#limits = Limits.of('LWWRegister', limits)
  }

  /**
   * Writes a copy of `value`; false if an equal or later write is already here.
   * @param value JSON, at most 24 levels deep. The codec of `@hs/core` takes no key `__proto__` within it.
   * @param time a logical time from 1 to 2^53 - 1: `Sequence.next()`, or the sequence number of whoever writes. Never a
   * clock: milliseconds since a machine's start compare with nobody else's and begin anew with it. A broken peer's far
   * future would win for ever, so decode with `maxTime: sequence.current + 2 ** 40`.
   * @param writer who writes; settles which of two writes with the same time wins
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  set(value: T, time: number, writer: string): boolean {
    return this.#take(newWrite(value, time, writer, this.#limits))
  }

  /** Frozen; undefined: never set. */
  get value(): T | undefined {
    return this.#write.value
  }

  /** 0: never set. */
  get time(): number {
    return this.#write.time
  }

  /** Empty: never set. */
  get writer(): string {
    return this.#write.writer
  }

  /** @throws HsError `'INVALID_ARGUMENT'`; LimitError if the writer's name is longer than this register's limit */
  merge(other: LWWRegister<T>): boolean {
    checkSame('LWWRegister', LWWRegister.#is(other), other)
    this.#limits.checkLength(other.#write.writer)
    return this.#take(other.#write)
  }

  takeDelta(): LWWRegister<T> | null {
    if (!this.#marked) return null
    this.#marked = false
    return this.clone()
  }

  clone(): LWWRegister<T> {
    const copy = new LWWRegister<T>(this.#limits)
    copy.#write = this.#write
    return copy
  }

  equals(other: LWWRegister<T>): boolean {
    return LWWRegister.#is(other) && sameWrite(this.#write, other.#write)
  }

  toWire(): LWWRegisterWire {
    const { value, time, writer } = this.#write
    return value === undefined ? {} : { t: time, w: writer, v: value }
  }

  snapshot(): LWWRegisterSnapshot<T> {
    const { value = null, time, writer } = this.#write
    return Object.freeze({ value, time, writer })
  }

  /** The type of the value is the caller's word. @throws DecodeError, ConfigError */
  static fromWire<T extends Json = Json>(wire: unknown, limits?: CrdtLimits): LWWRegister<T> {
    const register = new LWWRegister<T>(limits)
    register.#write = decoding(() => {
      const { t, w, v } = wireFields(wire, '')
      if (t === undefined && w === undefined && v === undefined) return NEVER
      if (t === undefined || w === undefined || v === undefined) throw wireError('', 't, w and v, or none of them')
      return wireWrite([t, w, v], 0, 'write', register.#limits, false)
    })
    return register
  }

  #take(write: Write<T>): boolean {
    if (!isLater(write, this.#write)) return false
    this.#write = write
    this.#marked = true
    return true
  }

  static #is(value: unknown): boolean {
    return typeof value === 'object' && value !== null && #marked in value
  }
}
