/**
 * One subscriber: its own bounded queue, one delivery at a time, in order, immediate updates first. A delivery that
 * fails is repeated with the same sequence number and given up after some attempts; nobody else waits for it.
 *
 * Adding to the queue and delivering from it are two steps, so that all subscribers of a job have their share before
 * the callback of the first can do anything: complete the job, unsubscribe another, push again.
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

  get isEnded(): boolean {
    return this.#isEnded
  }

  addWindows(windows: readonly WindowResult[]): void {
    for (const window of windows) this.#windows.push(window)
    this.#windows.sort((a, b) => a.startMs - b.startMs)
    coalesce(this.#windows, this.#settings.maxQueuedPerSubscriber)
  }

  addImmediate(payload: unknown): void {
    this.#immediate.push(payload)
  }

  /** Delivers what waits, unless a delivery runs; of immediate updates beyond the bound the oldest gives way. */
  pump(): void {
    this.#pump()
    const { maxQueuedPerSubscriber: limit } = this.#settings
    if (this.#isEnded || this.#immediate.length <= limit) return
    const update = this.#immediateUpdate(this.#immediate.shift())
    this.#observer.undelivered(update, new LimitError(`Immediate updates that wait for a subscriber`, limit))
  }

  /**
   * One last update after all that wait, with these windows; `pump` delivers it.
   * @param onEnd told once it is delivered, or given up.
   */
  complete(windows: readonly WindowResult[], onEnd: (isDelivered: boolean) => void): void {
    this.#finalWindows = windows
    this.#onEnd = onEnd
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
    let isTimedOut = false
    const onError = (error: unknown) => {
      if (isCurrent()) this.#fail(update, attempt, error)
      // Whoever unsubscribed meanwhile gets nothing more, but the error has its reader.
      else if (!isTimedOut) this.#observer.failed(error, attempt)
    }
    let returned: void | Promise<void>
    let isPromise: boolean
    try {
      returned = this.#deliver(update)
      isPromise = isThenable(returned)
    } catch (error) {
      onError(error)
      return
    }
    if (isCurrent() && isPromise) {
      this.#timer = clock.setTimer(deliveryTimeoutMs, () => {
        isTimedOut = true
        const operation = `A delivery to a subscriber of ${this.#jobId}`
        this.#fail(update, attempt, new TimeoutError(operation, deliveryTimeoutMs))
      })
    } else if (isCurrent()) this.#succeed(update)
    if (!isPromise) return
    Promise.resolve(returned).then(() => {
      if (!isCurrent()) return
      this.#succeed(update)
      this.#pump()
    }, onError)
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

function isThenable(value: unknown): boolean {
  return typeof (value as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function'
}

function isFinal(update: StatsUpdate): boolean {
  return update.tier === 'periodic' && update.final
}
