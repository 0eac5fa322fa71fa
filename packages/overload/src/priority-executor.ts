/**
 * Bounds what runs and what waits, by priority. Idle slots serve anyone; as they fill up low, then normal, then high is
 * refused or has to wait, and a reserve beyond the limit is for critical work alone.
 * Guarantee: never more in flight than the limit, with critical work than limit + `criticalReserve`; while at most
 * `criticalReserve` critical calls run, no flood of the others delays one; first come first served within a priority;
 * every waiter settles once.
 */
import {
  deepFreeze,
  deferred,
  ErrorReporter,
  HsError,
  messagePriorities,
  parseOptions,
  runtimeShape,
  type Clock,
  type Deferred,
  type MessagePriority,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { AdmissionError, type AdmissionErrorCode } from './admission-error.js'
import { checkSignal } from './call-arguments.js'
import { isConcurrencyLimit, type ConcurrencyLimit } from './concurrency-limit.js'
import { ExecutorQueue, Waiter } from './executor-queue.js'
import { priorityRank } from './message-priority.js'
import type { WorkPermit } from './work-permit.js'

export interface PriorityExecutorOptions extends RuntimeOptions {
  /** How much may run at the same time, from 1; or what learns it. @default 1_000 */
  limit?: number | ConcurrencyLimit
  /**
   * Up to what share of the limit each priority is admitted, whatever runs: 0 < low <= normal <= high <= 1.
   * @default { high: 1, normal: 0.8, low: 0.5 }
   */
  shares?: { high?: number; normal?: number; low?: number }
  /** Slots beyond the limit, for critical work only, 0 or more. @default 64 */
  criticalReserve?: number
  /** Waiters of all priorities together, 0 or more. @default 1_000 */
  maxQueue?: number
  /** How long one waits at most, in milliseconds, above 0. @default 1_000 */
  maxQueueMs?: number
}

export interface ExecutorCall {
  /** Ends the wait with its reason; what runs is told nothing of it. */
  signal?: AbortSignal
}

type ByPriority = Readonly<Record<MessagePriority, number>>

export interface PriorityExecutorSnapshot {
  readonly limit: number
  readonly inFlight: number
  /** Of those in flight. */
  readonly running: ByPriority
  /** Who waits now. */
  readonly queued: ByPriority
  /** Slots given so far. */
  readonly admitted: ByPriority
  /** No slot, or no place in the queue. */
  readonly refused: ByPriority
  /** Waited for too long. */
  readonly timedOut: number
  /** Made way in the queue for a higher priority. */
  readonly displaced: number
}

const schema = /* @__PURE__ */ (() => {
  const share = (byDefault: number) => z.number().positive().max(1).default(byDefault)
  const shares = z
    .strictObject({ high: share(1), normal: share(0.8), low: share(0.5) })
    .refine(({ high, normal, low }) => low <= normal && normal <= high, 'expected low <= normal <= high')
  const learning = z.custom<ConcurrencyLimit>(isConcurrencyLimit, 'expected a number, or a limit with limit, sample')
  return z.strictObject({
    ...runtimeShape,
    limit: z.union([z.int().min(1), learning]).default(1_000),
    shares: shares.prefault({}),
    criticalReserve: z.int().min(0).default(64),
    maxQueue: z.int().min(0).default(1_000),
    maxQueueMs: z.number().positive().default(1_000),
  })
})()

type Outcome = 'ok' | 'dropped' | 'unknown'

/** The longest time that whoever finds the queue full is told to stay away. */
const MAX_RETRY_AFTER_MS = 1_000

export class PriorityExecutor {
  /** @internal */
  readonly clock: Clock
  readonly #reporter: ErrorReporter
  readonly #learning: ConcurrencyLimit | undefined
  readonly #shares: { readonly high: number; readonly normal: number; readonly low: number }
  readonly #criticalReserve: number
  readonly #maxQueue: number
  readonly #queue: ExecutorQueue
  /** Below how many in flight each priority is admitted. */
  readonly #bounds = messagePriorities.map(() => 0)
  #limit = 0
  #inFlight = 0
  readonly #running = messagePriorities.map(() => 0)
  readonly #admitted = messagePriorities.map(() => 0)
  readonly #refused = messagePriorities.map(() => 0)
  #timedOut = 0
  #displaced = 0
  #isServing = false
  #idle: Deferred<void> | undefined = undefined

  /** @throws ConfigError */
  constructor(options?: PriorityExecutorOptions) {
    const settings = parseOptions(schema, options, 'PriorityExecutor')
    const { clock, random, logger, limit, shares, criticalReserve, maxQueue, maxQueueMs } = settings
    this.clock = clock
    this.#reporter = new ErrorReporter({ clock, random, logger })
    this.#learning = typeof limit === 'number' ? undefined : limit
    this.#shares = shares
    this.#criticalReserve = criticalReserve
    this.#maxQueue = maxQueue
    this.#queue = new ExecutorQueue(clock, maxQueueMs, (waiter) => {
      this.#timedOut++
      waiter.reject(this.#queueError('QUEUE_TIMEOUT', `waited for ${maxQueueMs} ms`))
    })
    this.#bound(typeof limit === 'number' ? limit : limit.limit)
  }

  /** How much may run at the same time now, but for the reserve. */
  get limit(): number {
    this.#readLimit()
    return this.#limit
  }

  /**
   * A slot, or null: this never waits, and overtakes nobody who waits and matters as much or more.
   * @throws HsError `'INVALID_ARGUMENT'` for a priority that is none.
   */
  tryAcquire(priority: MessagePriority): WorkPermit | null {
    return this.tryAcquireAt(priority, this.#now())
  }

  /**
   * Waits for a slot, of which the permit must be given back.
   * @throws as a rejection AdmissionError `'QUEUE_FULL'`, `'QUEUE_DISPLACED'` or `'QUEUE_TIMEOUT'`; the reason of the
   *   signal; HsError `'INVALID_ARGUMENT'`
   */
  acquire(priority: MessagePriority, options?: ExecutorCall): Promise<WorkPermit> {
    try {
      checkSignal(options?.signal)
      const rank = priorityRank(priority)
      if (this.#hasSlot(rank)) return Promise.resolve(this.#permit(rank, this.#now()))
      return this.#enqueue(rank, undefined, options?.signal) as Promise<WorkPermit>
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Runs `fn` in a slot, within this call if one is free, and gives its result or error. Its slot is given back however
   * it ends.
   * @throws as a rejection what `fn` throws; before it has run what `acquire` rejects with
   */
  run<T>(priority: MessagePriority, fn: () => T | PromiseLike<T>, options?: ExecutorCall): Promise<T> {
    try {
      checkSignal(options?.signal)
      const rank = priorityRank(priority)
      if (typeof fn !== 'function')
        throw new HsError('INVALID_ARGUMENT', 'PriorityExecutor.run needs a function to run')
      if (!this.#hasSlot(rank)) return this.#enqueue(rank, fn, options?.signal) as Promise<T>
      return new Promise((resolve, reject) => this.#start(rank, fn, resolve as (value: unknown) => void, reject))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Resolves when nothing runs and nobody waits. */
  idle(): Promise<void> {
    if (this.#inFlight === 0 && this.#queue.size === 0) return Promise.resolve()
    this.#idle ??= deferred()
    return this.#idle.promise
  }

  /** What a dashboard shows. */
  snapshot(): PriorityExecutorSnapshot {
    return deepFreeze({
      limit: this.limit,
      inFlight: this.#inFlight,
      running: byPriority((rank) => this.#running[rank]),
      queued: byPriority((rank) => this.#queue.sizeOf(rank)),
      admitted: byPriority((rank) => this.#admitted[rank]),
      refused: byPriority((rank) => this.#refused[rank]),
      timedOut: this.#timedOut,
      displaced: this.#displaced,
    })
  }

  /** For whoever has read its clock already. @internal */
  tryAcquireAt(priority: MessagePriority, nowMs: number): WorkPermit | null {
    const rank = priorityRank(priority)
    if (this.#hasSlot(rank)) return this.#permit(rank, nowMs)
    this.#count(this.#refused, rank)
    return null
  }

  /** If anybody wants to know. */
  #now(): number {
    return this.#learning === undefined ? 0 : this.clock.now()
  }

  #hasSlot(rank: number): boolean {
    if (this.#learning !== undefined) this.#readLimit()
    if (this.#inFlight >= (this.#bounds[rank] as number)) return false
    const first = this.#queue.first()
    return first === undefined || first.rank > rank
  }

  /** From here on the slot is taken. */
  #take(rank: number): void {
    this.#inFlight++
    this.#count(this.#running, rank)
    this.#count(this.#admitted, rank)
  }

  #permit(rank: number, nowMs: number): WorkPermit {
    this.#take(rank)
    return new Permit(rank, nowMs, this.#giveBack)
  }

  readonly #giveBack = (rank: number, beganMs: number, outcome: Outcome): void => {
    const inFlight = this.#inFlight--
    this.#running[rank] = (this.#running[rank] as number) - 1
    if (this.#learning !== undefined && outcome !== 'unknown') this.#sample(this.#learning, beganMs, inFlight, outcome)
    if (this.#queue.size > 0) this.#serve()
    else if (this.#inFlight === 0 && this.#idle !== undefined) this.#becomeIdle(this.#idle)
  }

  #becomeIdle(idle: Deferred<void>): void {
    this.#idle = undefined
    idle.resolve()
  }

  /** After every step: whoever could have a slot has one. What runs at once may give back slots, so this is a loop. */
  #serve(): void {
    if (this.#isServing) return
    this.#isServing = true
    for (let next = this.#nextToServe(); next !== undefined; next = this.#nextToServe()) {
      this.#queue.remove(next)
      if (next.work === undefined) next.resolve(this.#permit(next.rank, this.#now()))
      else this.#start(next.rank, next.work, next.resolve, next.reject)
    }
    this.#isServing = false
  }

  #nextToServe(): Waiter | undefined {
    const first = this.#queue.first()
    if (first === undefined) return undefined
    if (this.#learning !== undefined) this.#readLimit()
    // A higher priority has a higher bound, so if this one has to wait all do.
    return this.#inFlight < (this.#bounds[first.rank] as number) ? first : undefined
  }

  #enqueue(rank: number, work: (() => unknown) | undefined, signal: AbortSignal | undefined): Promise<unknown> {
    if (this.#queue.size >= this.#maxQueue) this.#displace(rank)
    return new Promise((resolve, reject) => {
      this.#queue.add(new Waiter(this.#queue, rank, work, signal, resolve, reject))
      // A limit may have grown by itself.
      if (this.#learning !== undefined) this.#serve()
    })
  }

  /** @throws AdmissionError `'QUEUE_FULL'` unless somebody waits who matters less. */
  #displace(rank: number): void {
    const last = this.#queue.last()
    if (last === undefined || last.rank <= rank) {
      this.#count(this.#refused, rank)
      throw this.#queueError('QUEUE_FULL', `${this.#maxQueue} wait already, of no lower priority`)
    }
    this.#queue.remove(last)
    this.#displaced++
    last.reject(this.#queueError('QUEUE_DISPLACED', 'the queue was full, and a higher priority came'))
  }

  #queueError(code: AdmissionErrorCode, why: string): AdmissionError {
    const retryAfterMs = Math.min(this.#queue.maxQueueMs, MAX_RETRY_AFTER_MS)
    return new AdmissionError(code, `No slot: ${why}; try again in ${retryAfterMs} ms`, { retryAfterMs })
  }

  /** In a slot that this takes. */
  #start(rank: number, fn: () => unknown, resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
    const beganMs = this.#now()
    this.#take(rank)
    let result: unknown
    try {
      result = fn()
      if (isThenable(result)) result = Promise.resolve(result)
    } catch (error) {
      this.#giveBack(rank, beganMs, outcomeOf(error))
      reject(error)
      return
    }
    if (result instanceof Promise) {
      result.then(
        (value) => {
          this.#giveBack(rank, beganMs, 'ok')
          resolve(value)
        },
        (error: unknown) => {
          this.#giveBack(rank, beganMs, outcomeOf(error))
          reject(error)
        },
      )
      return
    }
    this.#giveBack(rank, beganMs, 'ok')
    resolve(result)
  }

  #sample(learning: ConcurrencyLimit, beganMs: number, inFlight: number, outcome: 'ok' | 'dropped'): void {
    try {
      learning.sample(this.clock.now() - beganMs, inFlight, outcome)
    } catch (error) {
      this.#reporter.report('PriorityExecutor.limit', error)
    }
  }

  #readLimit(): void {
    if (this.#learning === undefined) return
    const { limit } = this.#learning
    if (limit !== this.#limit) this.#bound(limit)
  }

  #bound(limit: number): void {
    this.#limit = limit
    const { high, normal, low } = this.#shares
    // A limit that is none is as the lowest.
    const most = limit >= 1 ? limit : 1
    const bounds = [Math.floor(most) + this.#criticalReserve, most * high, most * normal, most * low]
    for (const [rank, bound] of bounds.entries()) this.#bounds[rank] = Math.max(1, Math.floor(bound))
  }

  #count(counts: number[], rank: number): void {
    counts[rank] = (counts[rank] as number) + 1
  }
}

/** Gives back once. */
class Permit implements WorkPermit {
  readonly #rank: number
  readonly #beganMs: number
  /** Undefined once it has been called. */
  #giveBack: ((rank: number, beganMs: number, outcome: Outcome) => void) | undefined

  constructor(rank: number, beganMs: number, giveBack: (rank: number, beganMs: number, outcome: Outcome) => void) {
    this.#rank = rank
    this.#beganMs = beganMs
    this.#giveBack = giveBack
  }

  get priority(): MessagePriority {
    return messagePriorities[this.#rank] as MessagePriority
  }

  success(): void {
    this.#end('ok')
  }

  failure(): void {
    this.#end('dropped')
  }

  release(): void {
    this.#end('unknown')
  }

  #end(outcome: Outcome): void {
    const giveBack = this.#giveBack
    if (giveBack === undefined) return
    this.#giveBack = undefined
    giveBack(this.#rank, this.#beganMs, outcome)
  }
}

function byPriority(count: (rank: number) => number | undefined): ByPriority {
  const [critical = 0, high = 0, normal = 0, low = 0] = messagePriorities.map((_, rank) => count(rank))
  return { critical, high, normal, low }
}

/** Work that ran out of time was too much; other errors say nothing about load. */
function outcomeOf(error: unknown): Outcome {
  const isTimeout = HsError.is(error, 'TIMEOUT') || (error instanceof Error && error.name === 'TimeoutError')
  return isTimeout || HsError.is(error, 'DEADLINE_EXCEEDED') ? 'dropped' : 'unknown'
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (typeof value !== 'object' && typeof value !== 'function') return false
  return value !== null && typeof (value as { then?: unknown }).then === 'function'
}
