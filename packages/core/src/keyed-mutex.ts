/**
 * Mutual exclusion by key, for operations of several steps on one entity: sections of one key run one after the other
 * in order of arrival, those of different keys do not know of each other. A key takes memory while it is held.
 * Not re-entrant: a section that asks for its own key waits for itself, until its `timeoutMs`.
 */
import * as z from 'zod'
import type { Clock } from './clock.js'
import { parseOptions } from './options.js'
import { runtimeShape } from './runtime.js'
import {
  badArgument,
  handOver,
  refusal,
  releaseOnce,
  runInTurn,
  runSection,
  WaitQueue,
  type LockQueue,
  type Release,
  type WaitOptions,
} from './wait.js'

export interface KeyedMutexOptions {
  /** For `timeoutMs`. @default systemClock */
  clock?: Clock
  /** How many may wait for one key at a time, 0 or more; the next one gets a `LimitError`. @default 10_000 */
  maxWaitersPerKey?: number
}

const schema = /* @__PURE__ */ (() =>
  z.strictObject({ clock: runtimeShape.clock, maxWaitersPerKey: z.int().min(0).default(10_000) }))()

/** One section at a time per key, in order of arrival. Not re-entrant. */
export class KeyedMutex<K = string> {
  readonly #clock: Clock
  readonly #maxWaitersPerKey: number
  /** The keys held. Null as long as nobody has waited: a key without rivals costs no object. */
  readonly #held = new Map<K, LockQueue | null>()

  /** @throws ConfigError */
  constructor(options: KeyedMutexOptions = {}) {
    const { clock, maxWaitersPerKey } = parseOptions(schema, options, 'KeyedMutex')
    this.#clock = clock
    this.#maxWaitersPerKey = maxWaitersPerKey
  }

  /** Keys held now. */
  get size(): number {
    return this.#held.size
  }

  isLocked(key: K): boolean {
    return this.#held.has(key)
  }

  /**
   * Runs `fn` alone among those of its key, within this call if the key is free, and gives its result or error.
   * @throws as a rejection what `fn` throws; before `fn` has run: TimeoutError, the reason of `options.signal`,
   *   LimitError if too many wait, HsError `'INVALID_ARGUMENT'`
   */
  run<T>(key: K, fn: () => T | Promise<T>, options?: WaitOptions): Promise<T> {
    const refused = refusal(options)
    if (refused !== undefined) return refused
    if (typeof fn !== 'function') return badArgument('KeyedMutex.run needs a function to run')
    if (this.#held.has(key)) return runInTurn(this.#waitersOf(key), options, fn, () => this.#release(key))
    this.#held.set(key, null)
    return runSection(fn, () => this.#release(key))
  }

  /**
   * Holds the key until the result is called. Prefer `run`, which cannot forget it.
   * @throws as a rejection TimeoutError, the reason of `options.signal`, LimitError if too many wait,
   *   HsError `'INVALID_ARGUMENT'`
   */
  acquire(key: K, options?: WaitOptions): Promise<Release> {
    const refused = refusal(options)
    if (refused !== undefined) return refused
    const release = this.tryAcquire(key)
    if (release !== null) return Promise.resolve(release)
    return this.#waitersOf(key).join(options, true) as Promise<Release>
  }

  /** Null if the key is held; whoever waits for it comes first. */
  tryAcquire(key: K): Release | null {
    if (this.#held.has(key)) return null
    this.#held.set(key, null)
    return releaseOnce(() => this.#release(key))
  }

  #waitersOf(key: K): LockQueue {
    const known = this.#held.get(key)
    if (known) return known
    const waiters: LockQueue = new WaitQueue(this.#clock, () => `Waiting for ${describe(key)}`, this.#maxWaitersPerKey)
    this.#held.set(key, waiters)
    return waiters
  }

  /** The key goes from hand to hand without being free in between, so nobody can overtake. */
  #release(key: K): void {
    const next = this.#held.get(key)?.first
    if (next === undefined) this.#held.delete(key)
    else handOver(next, () => this.#release(key))
  }
}

function describe(key: unknown): string {
  return typeof key === 'string' || typeof key === 'number' ? `the lock of "${key}"` : 'a lock'
}
