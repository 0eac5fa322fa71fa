/**
 * A map of which the last write of each key wins; a deletion is a write too, and stays as a tombstone until it is
 * forgotten. The order of writes: see `write.ts`.
 */
import { deepFreeze } from '@hs/core'
import { checkName, checkSame } from './arguments.js'
import type { Crdt } from './crdt.js'
import type { Json } from './json.js'
import { Limits, type CrdtLimits } from './limits.js'
import { Marks } from './marks.js'
import { decoding, wireError, wireFields, wireList, wireName, wireOptionalList } from './wire.js'
import { isLater, newDeletion, newWrite, sameWrite, wireWrite, type Write } from './write.js'

/** One write of a key: who made it and when; without a value it is a deletion. */
export interface LWWEntry<T extends Json = Json> {
  readonly value: T | undefined
  readonly time: number
  readonly writer: string
}

export interface LWWMapSnapshot<T extends Json = Json> {
  /** The live ones, sorted by key. */
  readonly entries: readonly { readonly key: string; readonly value: T }[]
}

export interface LWWMapWire {
  readonly e: readonly Json[]
  readonly d?: readonly (string | number)[]
}

interface Entry<T extends Json> {
  readonly key: string
  write: Write<T>
  marked: boolean
}

/** A map of which the last write of each key wins. */
export class LWWMap<T extends Json = Json> implements Crdt<LWWMap<T>> {
  readonly #limits: Limits
  readonly #entries = new Map<string, Entry<T>>()
  readonly #marks = new Marks<Entry<T>>()
  #tombstones = 0

  /** @throws ConfigError */
  constructor(limits?: CrdtLimits) {
    this.#limits = Limits.of('LWWMap', limits)
  }

  /**
   * Writes a copy of `value`; false if an equal or later write of the key is already here.
   * @param value JSON, as for `LWWRegister.set`
   * @param time a logical time, as for `LWWRegister.set`
   * @throws HsError `'INVALID_ARGUMENT'`; LimitError for a new key beyond `maxEntries`, tombstones included
   */
  set(key: string, value: T, time: number, writer: string): boolean {
    checkName('A key', key, this.#limits.maxNameLength)
    return this.#write(key, newWrite(value, time, writer, this.#limits))
  }

  /**
   * Deletes the key as of `time`, here or not; false if an equal or later write of the key is already here.
   * @throws HsError `'INVALID_ARGUMENT'`; LimitError for a new key beyond `maxEntries`, tombstones included
   */
  delete(key: string, time: number, writer: string): boolean {
    checkName('A key', key, this.#limits.maxNameLength)
    return this.#write(key, newDeletion(time, writer, this.#limits))
  }

  /** Frozen. */
  get(key: string): T | undefined {
    return this.#entries.get(key)?.write.value
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  /** The live ones, sorted. */
  keys(): string[] {
    const keys: string[] = []
    for (const { key, write } of this.#entries.values()) if (write.value !== undefined) keys.push(key)
    return keys.sort()
  }

  /** The last write of the key; a tombstone's value is undefined. */
  entry(key: string): LWWEntry<T> | undefined {
    const entry = this.#entries.get(key)
    return entry === undefined ? undefined : Object.freeze({ ...entry.write })
  }

  /** Live keys. */
  get size(): number {
    return this.#entries.size - this.#tombstones
  }

  get tombstones(): number {
    return this.#tombstones
  }

  /**
   * Drops a tombstone; false for a live or unknown key. Local, and to be called when every replica has the deletion: a
   * replica that has only what was before would bring it back. A tombstone that comes back deletes again, harmlessly.
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  forget(key: string): boolean {
    checkName('A key', key, this.#limits.maxNameLength)
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.write.value !== undefined) return false
    this.#entries.delete(key)
    this.#tombstones--
    this.#marks.prune(this.#entries.size, (marked) => this.#entries.get(marked.key) === marked)
    return true
  }

  /** @throws LimitError if there would be more than `maxEntries` keys; HsError `'INVALID_ARGUMENT'` */
  merge(other: LWWMap<T>): boolean {
    checkSame('LWWMap', LWWMap.#is(other), other)
    if (other === this) return false
    this.#check(other)
    let changed = false
    for (const { key, write } of other.#entries.values()) changed = this.#put(key, write) || changed
    return changed
  }

  takeDelta(): LWWMap<T> | null {
    const marked = this.#marks.take()
    if (marked.length === 0) return null
    const delta = new LWWMap<T>(this.#limits)
    for (const { key, write } of marked) delta.#copy(key, write)
    return delta
  }

  clone(): LWWMap<T> {
    const copy = new LWWMap<T>(this.#limits)
    for (const { key, write } of this.#entries.values()) copy.#copy(key, write)
    return copy
  }

  equals(other: LWWMap<T>): boolean {
    if (!LWWMap.#is(other) || this.#entries.size !== other.#entries.size) return false
    for (const { key, write } of this.#entries.values()) {
      const theirs = other.#entries.get(key)
      if (theirs === undefined || !sameWrite(write, theirs.write)) return false
    }
    return true
  }

  toWire(): LWWMapWire {
    const e: Json[] = []
    const d: (string | number)[] = []
    for (const { key, write } of this.#entries.values()) {
      const { value, time, writer } = write
      if (value === undefined) d.push(key, time, writer)
      else e.push(key, time, writer, value)
    }
    return d.length === 0 ? { e } : { e, d }
  }

  snapshot(): LWWMapSnapshot<T> {
    return deepFreeze({ entries: this.keys().map((key) => ({ key, value: this.get(key) as T })) })
  }

  /** The type of the values is the caller's word. @throws DecodeError, ConfigError */
  static fromWire<T extends Json = Json>(wire: unknown, limits?: CrdtLimits): LWWMap<T> {
    const map = new LWWMap<T>(limits)
    const { maxEntries } = map.#limits
    decoding(() => {
      const fields = wireFields(wire, '')
      map.#read(wireList(fields['e'], 'e', 4, maxEntries), 'e', 4)
      map.#read(wireOptionalList(fields['d'], 'd', 3, maxEntries - map.#entries.size), 'd', 3)
    })
    return map
  }

  #read(list: readonly unknown[], path: string, group: 3 | 4): void {
    for (let i = 0, end = list.length; i < end; i += group) {
      const key = wireName(list, i, path, this.#limits.maxNameLength)
      if (this.#entries.has(key)) throw wireError(`${path}.${i}`, 'each key once')
      this.#copy(key, wireWrite<T>(list, i + 1, path, this.#limits, group === 3))
    }
  }

  #write(key: string, write: Write<T>): boolean {
    if (!this.#entries.has(key)) this.#limits.checkEntries('Keys', this.#entries.size + 1)
    return this.#put(key, write)
  }

  #check(other: LWWMap<T>): void {
    if (this.#limits.stricterOnNamesThan(other.#limits)) {
      for (const { key, write } of other.#entries.values()) {
        this.#limits.checkLength(key)
        this.#limits.checkLength(write.writer)
      }
    }
    let size = this.#entries.size
    if (size + other.#entries.size <= this.#limits.maxEntries) return
    for (const key of other.#entries.keys()) if (!this.#entries.has(key)) size++
    this.#limits.checkEntries('Keys', size)
  }

  #put(key: string, write: Write<T>): boolean {
    const entry = this.#entries.get(key)
    if (entry !== undefined && !isLater(write, entry.write)) return false
    this.#marks.add(this.#store(key, write, entry))
    return true
  }

  /** For deltas, clones and what was decoded, in which nothing is marked. */
  #copy(key: string, write: Write<T>): void {
    const entry = this.#entries.get(key)
    if (entry === undefined || isLater(write, entry.write)) this.#store(key, write, entry)
  }

  #store(key: string, write: Write<T>, entry: Entry<T> | undefined): Entry<T> {
    if (write.value === undefined) this.#tombstones++
    if (entry === undefined) {
      const created = { key, write, marked: false }
      this.#entries.set(key, created)
      return created
    }
    if (entry.write.value === undefined) this.#tombstones--
    entry.write = write
    return entry
  }

  static #is(value: unknown): boolean {
    return typeof value === 'object' && value !== null && #tombstones in value
  }
}
