/**
 * What waits to be sent, by destination: one send under way for each, so that a slow one delays no other, and what
 * comes meanwhile goes together, the most important first.
 * Guarantee: memory is bounded by destinations and by items of each; what is lost for it is counted, and what a failed
 * send loses is told. Within a priority nothing overtakes.
 */
import {
  deepFreeze,
  ErrorReporter,
  HsError,
  parseOptions,
  runtimeShape,
  type MessagePriority,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { priorityRank } from './message-priority.js'
import { PriorityLanes } from './priority-lanes.js'

export interface DestinationQueuesOptions<T> extends RuntimeOptions {
  /** Sends items, in this order; the next ones go when its promise settles. The array is the callee's. */
  send: (destination: string, items: T[]) => Promise<void>
  /** Items a send takes at most, at least 1. @default 1 */
  maxBatch?: number
  /** Items that wait for one destination, at least 1; those under way are not among them. @default 500 */
  maxPerDestination?: number
  /** Destinations at a time, at least 1. @default 1_000 */
  maxDestinations?: number
  /** Told what a failed send lost; may enqueue it again. What it throws is reported. @default the error is reported */
  onError?: (error: unknown, destination: string, items: T[]) => void
}

export interface DestinationQueuesSnapshot {
  /** Known ones, idle ones included. */
  readonly destinations: number
  /** Items whose send succeeded. */
  readonly sent: number
  /** Items lost to full queues, to `maxDestinations` and to `forget`. */
  readonly dropped: number
  /** Items whose send failed. */
  readonly failed: number
  /** Items that wait, by destination. */
  readonly depths: Readonly<Record<string, number>>
}

interface Destination<T> {
  readonly name: string
  readonly waiting: PriorityLanes<T>
  isSending: boolean
  /** It goes when its send ends, unless something came for it after all. */
  isForgotten: boolean
}

const schema = /* @__PURE__ */ (() => {
  const callback = <F>() => z.custom<F>((x) => typeof x === 'function', 'expected a function')
  return z.strictObject({
    ...runtimeShape,
    send: callback<DestinationQueuesOptions<never>['send']>(),
    maxBatch: z.int().min(1).default(1),
    maxPerDestination: z.int().min(1).default(500),
    maxDestinations: z.int().min(1).default(1_000),
    onError: callback<NonNullable<DestinationQueuesOptions<never>['onError']>>().optional(),
  })
})()

/** Bounded queues in front of one `send`. */
export class DestinationQueues<T> {
  readonly #send: DestinationQueuesOptions<T>['send']
  readonly #tellFailed: (error: unknown, destination: string, items: T[]) => void
  readonly #maxBatch: number
  readonly #maxPerDestination: number
  readonly #maxDestinations: number
  readonly #destinations = new Map<string, Destination<T>>()
  /** Those with nothing to do, from the one that is idle the longest. */
  readonly #idle = new Set<Destination<T>>()
  #sent = 0
  #dropped = 0
  #failed = 0

  /** @throws ConfigError */
  constructor(options: DestinationQueuesOptions<T>) {
    const { clock, random, logger, ...settings } = parseOptions(schema, options, 'DestinationQueues')
    const reporter = new ErrorReporter({ clock, random, logger })
    const onError = settings.onError as DestinationQueuesOptions<T>['onError']
    this.#send = settings.send as DestinationQueuesOptions<T>['send']
    this.#tellFailed =
      onError === undefined
        ? (error, destination) => reporter.report('DestinationQueues.send', error, { destination })
        : reporter.guard('DestinationQueues.onError', onError)
    this.#maxBatch = settings.maxBatch
    this.#maxPerDestination = settings.maxPerDestination
    this.#maxDestinations = settings.maxDestinations
  }

  /**
   * Sends the item, within this call if nothing is under way to its destination; else queues it.
   * `'displaced'`: it is queued, and one that waited is lost for it; `'dropped'`: it is lost itself.
   * @throws HsError `'INVALID_ARGUMENT'` for an unknown priority, or a destination that is no text
   */
  enqueue(destination: string, item: T, priority: MessagePriority = 'normal'): 'queued' | 'displaced' | 'dropped' {
    const rank = priorityRank(priority)
    const known = this.#destinations.get(destination) ?? this.#admit(destination)
    if (known === undefined) {
      this.#dropped++
      return 'dropped'
    }
    known.isForgotten = false
    if (!known.isSending) {
      this.#idle.delete(known)
      void this.#work(known, [item]) // never rejects
      return 'queued'
    }
    const outcome = known.waiting.offer(item, rank)
    if (outcome !== 'queued') this.#dropped++
    return outcome
  }

  /** Items that wait for it; those under way do not. */
  depth(destination: string): number {
    return this.#destinations.get(destination)?.waiting.size ?? 0
  }

  /** Drops what waits for it; a send that is under way goes on. True if it was known. */
  forget(destination: string): boolean {
    const known = this.#destinations.get(destination)
    if (known === undefined || known.isForgotten) return false
    this.#dropped += known.waiting.clear()
    if (known.isSending) known.isForgotten = true
    else this.#remove(known)
    return true
  }

  /** What a dashboard shows. */
  snapshot(): DestinationQueuesSnapshot {
    const depths = Array.from(this.#destinations.values(), ({ name, waiting }) => [name, waiting.size] as const)
    return deepFreeze({
      destinations: this.#destinations.size,
      sent: this.#sent,
      dropped: this.#dropped,
      failed: this.#failed,
      depths: Object.fromEntries(depths),
    })
  }

  /** Undefined if there is no room for it. */
  #admit(name: string): Destination<T> | undefined {
    if (typeof name !== 'string') {
      throw new HsError('INVALID_ARGUMENT', `A destination is a string, found ${typeof name}`)
    }
    if (this.#destinations.size >= this.#maxDestinations) {
      const [longestIdle] = this.#idle
      if (longestIdle === undefined) return undefined
      this.#remove(longestIdle)
    }
    const waiting = new PriorityLanes<T>(this.#maxPerDestination)
    const destination = { name, waiting, isSending: false, isForgotten: false }
    this.#destinations.set(name, destination)
    return destination
  }

  #remove(destination: Destination<T>): void {
    this.#destinations.delete(destination.name)
    this.#idle.delete(destination)
  }

  async #work(destination: Destination<T>, first: T[]): Promise<void> {
    destination.isSending = true // before `send`, which may enqueue
    for (let items = first; items.length > 0; items = destination.waiting.take(this.#maxBatch)) {
      await this.#sendOnce(destination.name, items)
    }
    destination.isSending = false
    if (destination.isForgotten) this.#remove(destination)
    else this.#idle.add(destination)
  }

  async #sendOnce(destination: string, items: T[]): Promise<void> {
    const count = items.length // `send` may empty it
    try {
      await this.#send(destination, items)
      this.#sent += count
    } catch (error) {
      this.#failed += count
      this.#tellFailed(error, destination, items)
    }
  }
}
