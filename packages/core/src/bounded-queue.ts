/**
 * A queue between producers and consumers that cannot grow without bound: when it is full, an offer is rejected, makes
 * the oldest item give way, or is dropped itself; a push waits for room. What is taken out comes in the order in which
 * it went in, whatever the policy, and `offered = taken + dropped + size` holds at all times.
 */
import * as z from 'zod'
import { ErrorReporter } from './error-reporter.js'
import { ClosedError } from './errors.js'
import { parseOptions } from './options.js'
import { RingBuffer } from './ring-buffer.js'
import { runtimeShape, type RuntimeOptions } from './runtime.js'
import { refusal, WaitQueue, type WaitOptions } from './wait.js'

const overflows = ['reject', 'drop-oldest', 'drop-newest'] as const

export interface BoundedQueueOptions<T> extends RuntimeOptions {
  /** Items at most, an integer of at least 1. */
  capacity: number
  /**
   * What becomes of an offer to a full queue: it is refused, the oldest item is dropped for it, or it is dropped.
   * @default 'reject'
   */
  overflow?: (typeof overflows)[number]
  /** Told every item that is dropped, after the queue has settled. What it throws is reported. */
  onDrop?: (item: T) => void
}

export interface BoundedQueueSnapshot {
  readonly size: number
  readonly capacity: number
  /** Items that were the queue's to account for: always `taken + dropped + size`. */
  readonly offered: number
  readonly taken: number
  readonly dropped: number
  /** Offers refused by the policy `'reject'`; they count nowhere else. */
  readonly rejected: number
  /** The largest size so far. */
  readonly peak: number
}

/** What a waiting iteration gets when the queue closes. */
const END = Symbol('end')

type OnClose = 'fail' | 'end'

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    capacity: z.int().min(1),
    overflow: z.enum(overflows).default('reject'),
    onDrop: z.custom<(item: never) => void>((x) => typeof x === 'function', 'expected a function').optional(),
  }))()

/** First in, first out, and never more than `capacity` items. */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly capacity: number
  readonly #overflow: (typeof overflows)[number]
  readonly #tellDropped: ((item: T) => void) | undefined
  readonly #items: RingBuffer<T>
  /** They wait only while the queue is empty. */
  readonly #takers: WaitQueue<T | typeof END, OnClose>
  /** They wait only while it is full; what they bring is not in it yet. */
  readonly #pushers: WaitQueue<void, T>
  #closed = false
  #offered = 0
  #taken = 0
  #dropped = 0
  #rejected = 0
  #peak = 0

  /** @throws ConfigError */
  constructor(options: BoundedQueueOptions<T>) {
    const { capacity, overflow, onDrop, ...runtime } = parseOptions(schema, options, 'BoundedQueue')
    this.capacity = capacity
    this.#overflow = overflow
    if (onDrop !== undefined) {
      const reporter = new ErrorReporter(runtime)
      this.#tellDropped = reporter.guard('BoundedQueue.onDrop', onDrop as (item: T) => void)
    }
    this.#items = new RingBuffer(capacity)
    this.#takers = new WaitQueue(runtime.clock, () => 'Waiting for an item of a BoundedQueue')
    this.#pushers = new WaitQueue(runtime.clock, () => 'Waiting for room in a BoundedQueue')
  }

  get size(): number {
    return this.#items.size
  }

  /** Whether `close` was called; items may still be in it. */
  get closed(): boolean {
    return this.#closed
  }

  /**
   * Puts an item in without waiting. False: this item was not taken in, as the queue is full.
   * With `'drop-oldest'` it goes before those whose `push` still waits: they have not entered.
   * @throws ClosedError
   */
  offer(item: T): boolean {
    if (this.#closed) throw new ClosedError('BoundedQueue')
    if (this.size < this.capacity) {
      this.#enter(item)
      return true
    }
    if (this.#overflow === 'reject') {
      this.#rejected++
      return false
    }
    this.#offered++
    this.#dropped++
    const takenIn = this.#overflow === 'drop-oldest'
    // A full buffer gives back its oldest item.
    this.#tellDropped?.(takenIn ? (this.#items.push(item) as T) : item)
    return takenIn
  }

  /**
   * Puts an item in, and waits for room if there is none, whatever the policy.
   * @throws as a rejection, without the item having entered: ClosedError, TimeoutError, the reason of `options.signal`,
   *   HsError `'INVALID_ARGUMENT'`
   */
  push(item: T, options?: WaitOptions): Promise<void> {
    if (this.#closed) return Promise.reject(new ClosedError('BoundedQueue'))
    const refused = refusal(options)
    if (refused !== undefined) return refused
    if (this.size === this.capacity) return this.#pushers.join(options, item)
    this.#enter(item)
    return Promise.resolve()
  }

  /** The oldest item, without waiting; undefined if there is none. */
  poll(): T | undefined {
    return this.size === 0 ? undefined : this.#leave()
  }

  /**
   * The oldest item; waits if there is none.
   * @throws as a rejection ClosedError once the queue is closed and empty, TimeoutError, the reason of
   *   `options.signal`, HsError `'INVALID_ARGUMENT'`
   */
  take(options?: WaitOptions): Promise<T> {
    const refused = refusal(options)
    if (refused !== undefined) return refused
    if (this.size > 0) return Promise.resolve(this.#leave())
    if (this.#closed) return Promise.reject(new ClosedError('BoundedQueue'))
    // Never the end: those who wait with 'fail' are rejected instead.
    return this.#takers.join(options, 'fail') as Promise<T>
  }

  /** Takes items until the queue is closed and empty. Several iterations share the items. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    while (this.size > 0 || !this.#closed) {
      const item = this.size > 0 ? this.#leave() : await this.#takers.join(undefined, 'end')
      if (item === END) return
      yield item
    }
  }

  /** Nothing goes in any more; what is in can still be taken. Idempotent. */
  close(): void {
    this.#closed = true
    for (const pusher of this.#pushers.toArray()) pusher.reject(new ClosedError('BoundedQueue'))
    for (const taker of this.#takers.toArray()) {
      if (taker.payload === 'end') taker.resolve(END)
      else taker.reject(new ClosedError('BoundedQueue'))
    }
  }

  /** What a dashboard shows. */
  snapshot(): BoundedQueueSnapshot {
    return Object.freeze({
      size: this.size,
      capacity: this.capacity,
      offered: this.#offered,
      taken: this.#taken,
      dropped: this.#dropped,
      rejected: this.#rejected,
      peak: this.#peak,
    })
  }

  /** There is room. */
  #enter(item: T): void {
    this.#offered++
    const taker = this.#takers.first
    if (taker !== undefined) {
      this.#taken++
      taker.resolve(item)
      return
    }
    this.#items.push(item)
    this.#peak = Math.max(this.#peak, this.size)
  }

  /** There is an item. The room it leaves goes to the first who waits for it. */
  #leave(): T {
    this.#taken++
    const item = this.#items.shift() as T
    const pusher = this.#pushers.first
    if (pusher !== undefined) {
      this.#enter(pusher.payload)
      pusher.resolve()
    }
    return item
  }
}
