/**
 * At most so many at a time, served in order of arrival. A permit goes from hand to hand, so none is lost to a waiter
 * that leaves and nobody overtakes; the number of permits can be changed at any time.
 */
import * as z from 'zod'
import type { Clock } from './clock.js'
import { HsError } from './errors.js'
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

export interface SemaphoreOptions {
  /** For `timeoutMs`. @default systemClock */
  clock?: Clock
  /** How many may wait at a time, 0 or more; the next one gets a `LimitError`. @default 10_000 */
  maxWaiters?: number
}

const schema = /* @__PURE__ */ (() =>
  z.strictObject({ permits: z.int().min(0), clock: runtimeShape.clock, maxWaiters: z.int().min(0).default(10_000) }))()

/** At most `permits` at a time, in order of arrival. */
export class Semaphore {
  readonly #waiters: LockQueue
  readonly #giveBack = () => this.#release()
  #permits: number
  #inUse = 0

  /**
   * @param permits an integer of at least 0; with 0 everyone waits for `resize`
   * @throws ConfigError
   */
  constructor(permits: number, options: SemaphoreOptions = {}) {
    const { clock, maxWaiters, ...rest } = parseOptions(schema, { ...options, permits }, 'Semaphore')
    this.#permits = rest.permits
    this.#waiters = new WaitQueue(clock, () => 'Waiting for a permit', maxWaiters)
  }

  /** How many may hold one at a time; see `resize`. */
  get permits(): number {
    return this.#permits
  }

  /** Permits that `tryAcquire` would give now. */
  get available(): number {
    return Math.max(0, this.#permits - this.#inUse)
  }

  /** Permits held; after `resize` to fewer it may be above `permits` for a while. */
  get inUse(): number {
    return this.#inUse
  }

  /** Those who wait for a permit. */
  get waiting(): number {
    return this.#waiters.size
  }

  /**
   * Runs `fn` with a permit, within this call if one is free, and gives its result or error.
   * @throws as a rejection what `fn` throws; before `fn` has run: TimeoutError, the reason of `options.signal`,
   *   LimitError if too many wait, HsError `'INVALID_ARGUMENT'`
   */
  run<T>(fn: () => T | Promise<T>, options?: WaitOptions): Promise<T> {
    const refused = refusal(options)
    if (refused !== undefined) return refused
    if (typeof fn !== 'function') return badArgument('Semaphore.run needs a function to run')
    if (this.#inUse >= this.#permits) return runInTurn(this.#waiters, options, fn, this.#giveBack)
    this.#inUse++
    return runSection(fn, this.#giveBack)
  }

  /**
   * Holds a permit until the result is called. Prefer `run`, which cannot forget it.
   * @throws as a rejection TimeoutError, the reason of `options.signal`, LimitError if too many wait,
   *   HsError `'INVALID_ARGUMENT'`
   */
  acquire(options?: WaitOptions): Promise<Release> {
    const refused = refusal(options)
    if (refused !== undefined) return refused
    const release = this.tryAcquire()
    return release === null ? (this.#waiters.join(options, true) as Promise<Release>) : Promise.resolve(release)
  }

  /** Null if no permit is free; whoever waits comes first. */
  tryAcquire(): Release | null {
    if (this.#inUse >= this.#permits) return null
    this.#inUse++
    return releaseOnce(this.#giveBack)
  }

  /**
   * Changes the number of permits. More: waiters get them within this call. Fewer: holders keep theirs, and new ones
   * wait until enough have been given back.
   * @param permits an integer of at least 0
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  resize(permits: number): void {
    if (!Number.isSafeInteger(permits) || permits < 0) {
      throw new HsError('INVALID_ARGUMENT', `Permits must be an integer of at least 0, found ${String(permits)}`)
    }
    this.#permits = permits
    this.#serve()
  }

  #release(): void {
    this.#inUse--
    this.#serve()
  }

  /** After every step: if a permit is free, nobody waits. */
  #serve(): void {
    while (this.#inUse < this.#permits) {
      const next = this.#waiters.first
      if (next === undefined) return
      this.#inUse++
      handOver(next, this.#giveBack)
    }
  }
}
