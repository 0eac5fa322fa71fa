/**
 * The cores of one worker, each held by one owner at a time; strictly first come, first served.
 * Guarantee: a release hands cores to waiters inside the same call, so a wake-up cannot be lost, and whoever comes
 * later cannot overtake a waiter.
 */
import {
  LimitError,
  TimeoutError,
  parseOptions,
  runtimeShape,
  unwatchAbort,
  watchAbort,
  type AbortWatcher,
  type Clock,
  type RuntimeOptions,
  type Timer,
} from '@hs/core'
import * as z from 'zod'
import { requireInteger } from './arguments.js'
import { JobError } from './job-error.js'

export interface CoreAllocatorOptions extends RuntimeOptions {
  /** Cores there are, numbered from 0. */
  total: number
}

export interface AcquireOptions {
  /** How long to wait, in milliseconds. @default for ever */
  timeoutMs?: number
  signal?: AbortSignal
}

export interface CoreAllocatorSnapshot {
  readonly total: number
  readonly available: number
  readonly waiting: number
  /** How many cores each owner holds. */
  readonly owners: Readonly<Record<string, number>>
}

interface Waiter {
  readonly owner: string
  readonly count: number
  readonly resolve: (cores: readonly number[]) => void
  readonly reject: (reason: unknown) => void
  timer: Timer | null
  watched: { readonly signal: AbortSignal; readonly watcher: AbortWatcher } | null
}

const NO_CORES: readonly number[] = Object.freeze([])

const optionsSchema = /* @__PURE__ */ z.strictObject({ total: z.int().min(1), ...runtimeShape })

export class CoreAllocator {
  readonly total: number
  readonly #clock: Clock
  /** The free cores, the next one to give last. */
  readonly #free: number[]
  readonly #owners = new Map<string, number[]>()
  /** By owner, in order of arrival. */
  readonly #waiters = new Map<string, Waiter>()

  /** @throws ConfigError */
  constructor(options: CoreAllocatorOptions) {
    const { total, clock } = parseOptions(optionsSchema, options, 'CoreAllocator')
    this.total = total
    this.#clock = clock
    this.#free = Array.from({ length: total }, (_, index) => total - 1 - index)
  }

  get available(): number {
    return this.#free.length
  }

  get waiting(): number {
    return this.#waiters.size
  }

  /**
   * All of `count` cores, or null if they are not free or others wait for theirs.
   * @throws JobError `'ALREADY_ALLOCATED'` if `owner` holds cores or waits for some.
   * @throws HsError `'INVALID_ARGUMENT'` unless `count` is an integer from 1.
   */
  allocate(owner: string, count: number): readonly number[] | null {
    requireInteger('count', count, 1)
    this.#requireNew(owner)
    if (this.#waiters.size > 0 || count > this.#free.length) return null
    return this.#give(owner, count)
  }

  /**
   * As `allocate`, but waits its turn. Rejects with TimeoutError after `timeoutMs`, with `signal.reason` on abort, and
   * with LimitError for more cores than there are; whoever gives up is taken out of the line and the next is served.
   */
  acquire(owner: string, count: number, options?: AcquireOptions): Promise<readonly number[]> {
    return new Promise((resolve, reject) => {
      requireInteger('count', count, 1)
      this.#requireNew(owner)
      if (count > this.total) throw new LimitError('cores of this worker', this.total, count)
      options?.signal?.throwIfAborted()
      if (this.#waiters.size === 0 && count <= this.#free.length) {
        resolve(this.#give(owner, count))
        return
      }
      this.#wait({ owner, count, resolve, reject, timer: null, watched: null }, options)
    })
  }

  /** Gives back all that `owner` holds and returns it; `[]` when it holds none. */
  release(owner: string): readonly number[] {
    const held = this.#owners.get(owner)
    if (held === undefined) return NO_CORES
    this.#owners.delete(owner)
    this.#takeBack(held)
    return held
  }

  /** Gives back `count` of what `owner` holds, or all if that is less; returns what was given back. */
  releaseSome(owner: string, count: number): readonly number[] {
    requireInteger('count', count)
    const held = this.#owners.get(owner)
    if (held === undefined || count === 0) return NO_CORES
    if (count >= held.length) return this.release(owner)
    const released = held.splice(held.length - count)
    this.#takeBack(released)
    return released
  }

  coresOf(owner: string): readonly number[] {
    const held = this.#owners.get(owner)
    return held === undefined ? NO_CORES : Object.freeze([...held])
  }

  snapshot(): CoreAllocatorSnapshot {
    const owners = Object.fromEntries(Array.from(this.#owners, ([owner, held]) => [owner, held.length]))
    return Object.freeze({
      total: this.total,
      available: this.available,
      waiting: this.waiting,
      owners: Object.freeze(owners),
    })
  }

  #requireNew(owner: string): void {
    if (!this.#owners.has(owner) && !this.#waiters.has(owner)) return
    const what = this.#owners.has(owner) ? 'holds cores' : 'waits for cores'
    throw new JobError('ALREADY_ALLOCATED', `${owner} ${what} already: release them first`, { details: { owner } })
  }

  /** A copy goes out, because `releaseSome` shortens the list. */
  #give(owner: string, count: number): readonly number[] {
    const cores = new Array<number>(count)
    for (let index = 0; index < count; index++) cores[index] = this.#free.pop() ?? 0
    this.#owners.set(owner, cores)
    return cores.slice()
  }

  #takeBack(cores: readonly number[]): void {
    for (let index = cores.length - 1; index >= 0; index--) this.#free.push(cores[index] ?? 0)
    if (this.#waiters.size > 0) this.#serve()
  }

  /** Stops at the first that does not fit: what comes later waits behind it. */
  #serve(): void {
    for (const waiter of this.#waiters.values()) {
      if (waiter.count > this.#free.length) return
      this.#leave(waiter)
      waiter.resolve(this.#give(waiter.owner, waiter.count))
    }
  }

  #wait(waiter: Waiter, options: AcquireOptions | undefined): void {
    const { timeoutMs, signal } = options ?? {}
    if (timeoutMs !== undefined) {
      waiter.timer = this.#clock.setTimer(timeoutMs, () => {
        this.#giveUp(waiter, new TimeoutError('CoreAllocator.acquire', timeoutMs))
      })
    }
    if (signal !== undefined) {
      const watcher = { onAbort: () => this.#giveUp(waiter, signal.reason) }
      waiter.watched = { signal, watcher }
      watchAbort(signal, watcher)
    }
    this.#waiters.set(waiter.owner, waiter)
  }

  #giveUp(waiter: Waiter, reason: unknown): void {
    this.#leave(waiter)
    waiter.reject(reason)
    // It may have been the one that the others stood behind.
    this.#serve()
  }

  #leave(waiter: Waiter): void {
    this.#waiters.delete(waiter.owner)
    waiter.timer?.cancel()
    if (waiter.watched !== null) unwatchAbort(waiter.watched.signal, waiter.watched.watcher)
  }
}
