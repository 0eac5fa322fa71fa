/**
 * Who waits for a slot: first come first served within a priority. All wait equally long at most, so the first of each
 * priority expires first, and one timer for the next of them is enough. Nothing is left of a waiter that has gone, and
 * no timer where nobody waits.
 */
import { messagePriorities, unwatchAbort, watchAbort, type AbortWatcher, type Clock, type Timer } from '@hs/core'
import { ROUNDING_MS } from './rounding.js'

export class Waiter implements AbortWatcher {
  readonly rank: number
  /** What is to run in the slot; undefined if a permit is wanted. */
  readonly work: (() => unknown) | undefined
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly #signal: AbortSignal | undefined
  readonly #queue: ExecutorQueue | undefined
  expiresAtMs = 0
  previous: Waiter = this
  next: Waiter = this

  constructor(
    queue: ExecutorQueue | undefined,
    rank: number,
    work: (() => unknown) | undefined,
    signal: AbortSignal | undefined,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.#queue = queue
    this.rank = rank
    this.work = work
    this.#signal = signal
    this.resolve = resolve
    this.reject = reject
  }

  watch(): void {
    if (this.#signal !== undefined) watchAbort(this.#signal, this)
  }

  unwatch(): void {
    if (this.#signal !== undefined) unwatchAbort(this.#signal, this)
  }

  onAbort(): void {
    this.#queue?.remove(this)
    this.reject(this.#signal?.reason)
  }
}

const ignore = () => undefined

export class ExecutorQueue {
  readonly maxQueueMs: number
  readonly #clock: Clock
  readonly #onExpired: (waiter: Waiter) => void
  /**
   * What stands before the first and after the last of each priority, so that an empty list is no case of its own. They
   * also keep the shape of a waiter known to the engine, which forgets shapes that nobody has when it collects garbage.
   */
  readonly #ends = messagePriorities.map((_, rank) => new Waiter(undefined, rank, undefined, undefined, ignore, ignore))
  readonly #sizes = messagePriorities.map(() => 0)
  #size = 0
  #timer: Timer | undefined = undefined

  /** @param onExpired told of each that has waited for too long; it has left already */
  constructor(clock: Clock, maxQueueMs: number, onExpired: (waiter: Waiter) => void) {
    this.#clock = clock
    this.maxQueueMs = maxQueueMs
    this.#onExpired = onExpired
    for (const ends of this.#ends) ends.expiresAtMs = Infinity
  }

  get size(): number {
    return this.#size
  }

  sizeOf(rank: number): number {
    return this.#sizes[rank] as number
  }

  add(waiter: Waiter): void {
    const nowMs = this.#clock.now()
    const ends = this.#ends[waiter.rank] as Waiter
    const last = ends.previous
    waiter.expiresAtMs = nowMs + this.maxQueueMs
    waiter.previous = last
    waiter.next = ends
    last.next = waiter
    ends.previous = waiter
    this.#sizes[waiter.rank] = this.sizeOf(waiter.rank) + 1
    this.#size++
    waiter.watch()
    // Whoever comes later expires later.
    if (this.#timer === undefined) this.#arm(nowMs)
  }

  remove(waiter: Waiter): void {
    const { previous, next } = waiter
    previous.next = next
    next.previous = previous
    this.#sizes[waiter.rank] = this.sizeOf(waiter.rank) - 1
    this.#size--
    waiter.unwatch()
    if (this.#size > 0) return
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** The one to be served next: of the highest priority, the first. */
  first(): Waiter | undefined {
    if (this.#size === 0) return undefined
    for (const ends of this.#ends) if (ends.next !== ends) return ends.next
    return undefined
  }

  /** The one that has the least claim: of the lowest priority, the last. */
  last(): Waiter | undefined {
    if (this.#size === 0) return undefined
    for (let rank = this.#ends.length - 1; rank >= 0; rank--) {
      const ends = this.#ends[rank]
      if (ends !== undefined && ends.previous !== ends) return ends.previous
    }
    return undefined
  }

  #arm(nowMs: number): void {
    const firstMs = Math.min(...this.#ends.map(({ next }) => next.expiresAtMs))
    this.#timer = this.#clock.setTimer(Math.max(0, firstMs - nowMs), () => this.#expire())
  }

  #expire(): void {
    const nowMs = this.#clock.now()
    this.#timer = undefined
    for (const ends of this.#ends) {
      for (let first = ends.next; first.expiresAtMs <= nowMs + ROUNDING_MS; first = ends.next) {
        this.remove(first)
        this.#onExpired(first)
      }
    }
    if (this.#size > 0) this.#arm(nowMs)
  }
}
