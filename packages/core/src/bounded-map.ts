/**
 * A map that cannot grow without bound: at `maxEntries` the entry that was least recently set or got makes way, an
 * expired one first. Every operation but `prune` and iteration takes the same time however full it is; it sets no
 * timers. What is expired does not exist for any reader, though it may take memory until `get`, `set` or `delete` of
 * its key, `prune`, or a newcomer at capacity evicts it; every eviction is counted and told once.
 *
 * Entries are numbered: keys, values and the order of use lie in arrays by number, and only key to number is a `Map`.
 * That costs no object an entry, and memory grows with the entries there are.
 */
import * as z from 'zod'
import type { Clock } from './clock.js'
import { deepFreeze } from './deep-freeze.js'
import { EntryAges } from './entry-ages.js'
import { ErrorReporter } from './error-reporter.js'
import { IndexList, NONE } from './index-list.js'
import { parseOptions } from './options.js'
import { runtimeShape, type RuntimeOptions } from './runtime.js'

/** Why an entry left without being deleted. */
export type EvictionReason = 'capacity' | 'expired'

export interface BoundedMapOptions<K, V> extends RuntimeOptions {
  /** An integer of at least 1. */
  maxEntries: number
  /** An entry expires this many milliseconds after it was set; above 0 and finite. @default never */
  ttlMs?: number
  /** `get` counts like `set` for the age. @default false: age since set */
  refreshOnGet?: boolean
  /** Told every eviction after it has happened; may use the map. What it throws is reported. */
  onEvict?: (key: K, value: V, reason: EvictionReason) => void
}

export interface BoundedMapSnapshot {
  /** Entries that are not expired. */
  readonly size: number
  readonly maxEntries: number
  readonly evicted: Readonly<Record<EvictionReason, number>>
}

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    maxEntries: z.int().min(1),
    ttlMs: z.number().positive().optional(),
    refreshOnGet: z.boolean().default(false),
    onEvict: z
      .custom<(key: never, value: never, reason: EvictionReason) => void>(
        (x) => typeof x === 'function',
        'expected a function',
      )
      .optional(),
  }))()

const FIRST_RESERVE = 15

/** A map of at most `maxEntries` entries; the one least recently used, or one that is expired, makes way. */
export class BoundedMap<K, V> implements Iterable<[K, V]> {
  readonly #clock: Clock
  readonly #maxEntries: number
  readonly #ttlMs: number | undefined
  readonly #refreshOnGet: boolean
  readonly #tellEvicted: ((key: K, value: V, reason: EvictionReason) => void) | undefined
  readonly #numbers = new Map<K, number>()
  /** By number, from 1 on. */
  #keys: (K | undefined)[] = []
  #values: (V | undefined)[] = []
  /** From the least recent on. */
  #recency = new IndexList()
  #ages: EntryAges | undefined
  /** Numbers without an entry, to be given again. */
  #free: number[] = []
  #reserved = FIRST_RESERVE
  #evictedByCapacity = 0
  #evictedByAge = 0

  /** @throws ConfigError */
  constructor(options: BoundedMapOptions<K, V>) {
    const { maxEntries, ttlMs, refreshOnGet, onEvict, ...runtime } = parseOptions(schema, options, 'BoundedMap')
    this.#clock = runtime.clock
    this.#maxEntries = maxEntries
    this.#ttlMs = ttlMs
    this.#refreshOnGet = refreshOnGet
    if (onEvict !== undefined) {
      const reporter = new ErrorReporter(runtime)
      this.#tellEvicted = reporter.guard(
        'BoundedMap.onEvict',
        onEvict as (key: K, value: V, reason: EvictionReason) => void,
      )
    }
    this.clear()
  }

  /** Entries that are not expired. */
  get size(): number {
    const all = this.#numbers.size
    return this.#ages === undefined ? all : all - this.#ages.countExpired(this.#clock.now())
  }

  /** Makes the key most recent. */
  get(key: K): V | undefined {
    const number = this.#numbers.get(key)
    if (number === undefined) return undefined
    if (this.#ages !== undefined) {
      const nowMs = this.#clock.now()
      if (this.#ages.isExpired(number, nowMs)) {
        this.#evict(number, 'expired')
        return undefined
      }
      if (this.#refreshOnGet) this.#ages.restart(number, nowMs)
    }
    this.#recency.moveToEnd(number)
    return this.#values[number]
  }

  /** As `get`, but leaves everything as it is. */
  peek(key: K): V | undefined {
    const number = this.#liveNumber(key)
    return number === NONE ? undefined : this.#values[number]
  }

  /** Leaves everything as it is. */
  has(key: K): boolean {
    return this.#liveNumber(key) !== NONE
  }

  /** Makes the key most recent, and its age 0. */
  set(key: K, value: V): this {
    const number = this.#numbers.get(key)
    if (number !== undefined) this.#replace(number, value)
    else if (this.#numbers.size < this.#maxEntries) this.#add(key, value)
    else this.#addInPlaceOfAnother(key, value)
    return this
  }

  /** True if the key was there; one that was expired was not. */
  delete(key: K): boolean {
    const number = this.#numbers.get(key)
    if (number === undefined) return false
    if (this.#ages?.isExpired(number, this.#clock.now())) {
      this.#evict(number, 'expired')
      return false
    }
    this.#remove(number)
    return true
  }

  /** Forgets all, evicting none. */
  clear(): void {
    this.#numbers.clear()
    this.#keys = [undefined]
    this.#values = [undefined]
    this.#recency = new IndexList()
    this.#ages = this.#ttlMs === undefined ? undefined : new EntryAges(this.#ttlMs)
    this.#free = []
    this.#reserved = FIRST_RESERVE
  }

  /** Evicts what is expired; returns how many that were. */
  prune(): number {
    if (this.#ages === undefined) return 0
    const nowMs = this.#clock.now()
    let removed = 0
    // Asked anew each time, for `onEvict` may do anything to the map, even clear it.
    for (let number = this.#ages.firstExpired(nowMs); number !== NONE; number = this.#ages.firstExpired(nowMs)) {
      this.#evict(number, 'expired')
      removed++
    }
    return removed
  }

  /** From the least recent on. Bears any change meanwhile: it gives no entry that is gone, and none that is new. */
  *[Symbol.iterator](): Generator<[K, V], void, undefined> {
    for (const key of this.#keysByRecency()) {
      const number = this.#liveNumber(key)
      if (number !== NONE) yield [key, this.#values[number] as V]
    }
  }

  /** What a dashboard shows. */
  snapshot(): BoundedMapSnapshot {
    return deepFreeze({
      size: this.size,
      maxEntries: this.#maxEntries,
      evicted: { capacity: this.#evictedByCapacity, expired: this.#evictedByAge },
    })
  }

  #liveNumber(key: K): number {
    const number = this.#numbers.get(key)
    if (number === undefined || this.#ages?.isExpired(number, this.#clock.now())) return NONE
    return number
  }

  #keysByRecency(): K[] {
    const keys: K[] = []
    for (let number = this.#recency.first; number !== NONE; number = this.#recency.next(number)) {
      keys.push(this.#keys[number] as K)
    }
    return keys
  }

  #replace(number: number, value: V): void {
    const old = this.#values[number] as V
    this.#values[number] = value
    this.#recency.moveToEnd(number)
    if (this.#ages === undefined) return
    const nowMs = this.#clock.now()
    const wasExpired = this.#ages.isExpired(number, nowMs)
    this.#ages.restart(number, nowMs)
    if (wasExpired) this.#noteEvicted(this.#keys[number] as K, old, 'expired')
  }

  #add(key: K, value: V): void {
    const number = this.#free.pop() ?? this.#newNumber()
    this.#numbers.set(key, number)
    this.#keys[number] = key
    this.#values[number] = value
    this.#recency.append(number)
    this.#ages?.add(number, this.#clock.now())
  }

  /** The newcomer takes the number of the evicted at once; `onEvict` sees the map when that is done. */
  #addInPlaceOfAnother(key: K, value: V): void {
    const nowMs = this.#ages === undefined ? 0 : this.#clock.now()
    const expired = this.#ages?.firstExpired(nowMs) ?? NONE
    const number = expired === NONE ? this.#recency.first : expired
    const oldKey = this.#keys[number] as K
    const oldValue = this.#values[number] as V
    this.#numbers.delete(oldKey)
    this.#numbers.set(key, number)
    this.#keys[number] = key
    this.#values[number] = value
    this.#recency.moveToEnd(number)
    this.#ages?.restart(number, nowMs)
    this.#noteEvicted(oldKey, oldValue, expired === NONE ? 'capacity' : 'expired')
  }

  #evict(number: number, reason: EvictionReason): void {
    const key = this.#keys[number] as K
    const value = this.#values[number] as V
    this.#remove(number)
    this.#noteEvicted(key, value, reason)
  }

  #remove(number: number): void {
    this.#numbers.delete(this.#keys[number] as K)
    this.#keys[number] = undefined
    this.#values[number] = undefined
    this.#recency.remove(number)
    this.#ages?.remove(number)
    this.#free.push(number)
  }

  #noteEvicted(key: K, value: V, reason: EvictionReason): void {
    if (reason === 'capacity') this.#evictedByCapacity++
    else this.#evictedByAge++
    this.#tellEvicted?.(key, value, reason)
  }

  #newNumber(): number {
    const number = this.#keys.length
    if (number > this.#reserved) {
      this.#reserved = Math.min(this.#maxEntries, 2 * this.#reserved + 1)
      this.#recency.reserve(this.#reserved)
      this.#ages?.reserve(this.#reserved)
    }
    return number
  }
}
