/**
 * One subscriber: its own bounded queue, one delivery at a time, in order, immediate updates first. A delivery that
 * fails is repeated with the same sequence number and given up after some attempts; nobody else waits for it.
 */
import { LimitError, TimeoutError, type Clock, type Timer } from '@hs/core'
import { coalesce } from './coalesce.js'
import type { StatsUpdate } from './stats-update.js'
import type { WindowResult } from './window-result.js'

export interface DeliverySettings {
  readonly clock: Clock
  readonly maxQueuedPerSubscriber: number
  readonly deliveryTimeoutMs: number
  readonly attempts: number
  readonly retryBaseMs: number
  readonly retryMaxMs: number
}

/** What a subscription tells its owner. */
export interface DeliveryObserver {
  failed(error: unknown, attempt: number): void
  retrying(): void
  delivered(update: StatsUpdate): void
  undelivered(update: StatsUpdate, error: unknown): void
}

export type Subscriber = (update: StatsUpdate) => void | Promise<void>

export class Subscription {
  readonly #jobId: string
  readonly #deliver: Subscriber
  readonly #settings: DeliverySettings
  readonly #observer: DeliveryObserver
  #immediate: unknown[] = []
  /** Sorted by start. */
  #windows: WindowResult[] = []
  /** Those of the last update, once the job is complete. */
  #finalWindows: readonly WindowResult[] | undefined
  #onEnd: ((isDelivered: boolean) => void) | undefined
  #sequence = 0
  /** The attempt that runs; an answer to an earlier one means nothing. */
  #attempt = 0
  #inFlight: StatsUpdate | undefined
  #timer: Timer | undefined
  #isEnded = false

  constructor(jobId: string, deliver: Subscriber, settings: DeliverySettings, observer: DeliveryObserver) {
    this.#jobId = jobId
    this.#deliver = deliver
    this.#settings = settings
    this.#observer = observer
  }

  /** Windows and immediate updates that wait, and the one on its way. */
  get queued(): number {
    return this.#windows.length + this.#immediate.length + (this.#inFlight === undefined ? 0 : 1)
  }

  addWindows(windows: readonly WindowResult[]): void {
    this.#windows.push(...windows)
    this.#windows.sort((a, b) => a.startMs - b.startMs)
    coalesce(this.#windows, this.#settings.maxQueuedPerSubscriber)
    this.#pump()
  }

  /** The oldest that waits gives way at the bound. */
  addImmediate(payload: unknown): void {
    const { maxQueuedPerSubscriber: limit } = this.#settings
    this.#immediate.push(payload)
    this.#pump()
    if (this.#immediate.length <= limit) return
    const update = this.#immediateUpdate(this.#immediate.shift())
    this.#observer.undelivered(update, new LimitError(`Immediate updates that wait for a subscriber`, limit))
  }

  /**
   * One last update after all that wait, with these windows.
   * @param onEnd told once it is delivered, or given up.
   */
  complete(windows: readonly WindowResult[], onEnd: (isDelivered: boolean) => void): void {
    this.#finalWindows = windows
    this.#onEnd = onEnd
    this.#pump()
  }

  /** Drops what waits; what runs is not waited for. */
  end(): void {
    if (!this.#isEnded) this.#end(false)
  }

  #pump(): void {
    while (this.#inFlight === undefined && !this.#isEnded) {
      const update = this.#next()
      if (update === undefined) return
      this.#inFlight = update
      this.#try(update, 1)
    }
  }

  #next(): StatsUpdate | undefined {
    if (this.#immediate.length > 0) return this.#immediateUpdate(this.#immediate.shift())
    if (this.#windows.length > 0) {
      const windows = this.#windows
      this.#windows = []
      return this.#periodicUpdate(windows, false)
    }
    return this.#finalWindows === undefined ? undefined : this.#periodicUpdate(this.#finalWindows, true)
  }

  #immediateUpdate(payload: unknown): StatsUpdate {
    return Object.freeze({ tier: 'immediate', jobId: this.#jobId, sequence: ++this.#sequence, payload })
  }

  #periodicUpdate(windows: readonly WindowResult[], final: boolean): StatsUpdate {
    const update = { tier: 'periodic', jobId: this.#jobId, sequence: ++this.#sequence, final } as const
    return Object.freeze({ ...update, windows: Object.freeze([...windows]) })
  }

  #try(update: StatsUpdate, attempt: number): void {
    const { clock, deliveryTimeoutMs } = this.#settings
    const run = ++this.#attempt
    const isCurrent = () => run === this.#attempt && !this.#isEnded
    let returned: void | Promise<void>
    try {
      returned = this.#deliver(update)
    } catch (error) {
      if (isCurrent()) this.#fail(update, attempt, error)
      return
    }
    if (!isCurrent()) return
    if (typeof returned !== 'object' || returned === null) {
      this.#succeed(update)
      return
    }
    this.#timer = clock.setTimer(deliveryTimeoutMs, () =>
      this.#fail(update, attempt, new TimeoutError(`A delivery to a subscriber of ${this.#jobId}`, deliveryTimeoutMs)),
    )
    Promise.resolve(returned).then(
      () => {
        if (!isCurrent()) return
        this.#succeed(update)
        this.#pump()
      },
      (error: unknown) => {
        if (isCurrent()) this.#fail(update, attempt, error)
      },
    )
  }

  #succeed(update: StatsUpdate): void {
    this.#settle()
    this.#observer.delivered(update)
    if (isFinal(update)) this.#end(true)
  }

  #fail(update: StatsUpdate, attempt: number, error: unknown): void {
    const { clock, attempts, retryBaseMs, retryMaxMs } = this.#settings
    this.#attempt++
    this.#timer?.cancel()
    this.#observer.failed(error, attempt)
    if (this.#isEnded) return
    if (attempt < attempts) {
      this.#observer.retrying()
      const waitMs = Math.min(retryBaseMs * 2 ** (attempt - 1), retryMaxMs)
      this.#timer = clock.setTimer(waitMs, () => {
        this.#try(update, attempt + 1)
        this.#pump()
      })
      return
    }
    this.#settle()
    this.#observer.undelivered(update, error)
    if (isFinal(update)) this.#end(false)
    this.#pump()
  }

  #settle(): void {
    this.#attempt++
    this.#timer?.cancel()
    this.#timer = undefined
    this.#inFlight = undefined
  }

  #end(isDelivered: boolean): void {
    this.#isEnded = true
    this.#settle()
    this.#windows = []
    this.#immediate = []
    this.#onEnd?.(isDelivered)
  }
}

function isFinal(update: StatsUpdate): boolean {
  return update.tier === 'periodic' && update.final
}
