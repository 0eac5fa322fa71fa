/**
 * Brings closed windows to whoever watches a job, at a pace that obeys backpressure: changes of status at once,
 * windows by rounds, the last ones always. Each subscriber has a queue of its own, so a slow or failing one holds up
 * nobody; delivery is at least once, and repeats carry the same `sequence`.
 */
import {
  ClosedError,
  deepFreeze,
  ErrorReporter,
  HsError,
  LimitError,
  parseOptions,
  runtimeShape,
  TaskScope,
  TypedEmitter,
  type BackpressureLevel,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { coalesce } from './coalesce.js'
import type { StatsUpdate } from './stats-update.js'
import { Subscription, type DeliveryObserver, type Subscriber } from './subscription.js'
import type { WindowResult } from './window-result.js'
import type { WindowedStats } from './windowed-stats.js'

export interface StatsPusherOptions extends RuntimeOptions {
  /** Where the windows come from; nobody else should take from it. */
  stats: WindowedStats
  /** Between two rounds, in milliseconds above 0. @default 250 */
  intervalMs?: number
  /** Asked before and after each wait; at `'reject'` a round is left out. @default () => 'none' */
  backpressure?: () => BackpressureLevel
  /** What the interval is multiplied by at a level, above 0. @default 1, 2, 4, 4 */
  intervalFactor?: Partial<Record<BackpressureLevel, number>>
  /** An integer from 1. @default 16 */
  maxSubscribersPerJob?: number
  /**
   * Windows, and as many immediate updates, an integer from 1; above it windows are merged, and the oldest immediate
   * update is given up. @default 64
   */
  maxQueuedPerSubscriber?: number
  /** How long a subscriber's promise may take, in milliseconds above 0. @default 2_000 */
  deliveryTimeoutMs?: number
  /** Tries an update, an integer from 1. @default 3 */
  attempts?: number
  /** Wait before the first repetition, in milliseconds from 0; doubles. @default 500 */
  retryBaseMs?: number
  /** What it doubles up to, in milliseconds from 0. @default 2_000 */
  retryMaxMs?: number
}

export interface StatsPusherEvents {
  /** A subscriber threw, rejected or did not answer in time; `attempt` counts from 1. */
  subscriberError: [{ readonly jobId: string; readonly error: unknown; readonly attempt: number }]
  /** Given up, with the update in hand. */
  undelivered: [{ readonly jobId: string; readonly update: StatsUpdate; readonly error: unknown }]
  /**
   * Closed windows of a job that nobody watches: once until somebody came and went; they stay for a later subscriber.
   * With `windows`: the job is complete, and these are the last ones.
   */
  unclaimed: [{ readonly jobId: string; readonly windows?: readonly WindowResult[] }]
}

export interface StatsPusherSnapshot {
  /** With subscribers; those that are complete count until their last subscriber has the last update. */
  readonly jobs: number
  readonly subscribers: number
  /** Windows and immediate updates that wait or are on their way. */
  readonly queued: number
  /** Updates. */
  readonly delivered: number
  readonly undelivered: number
  /** Rounds left out at `'reject'`. */
  readonly skipped: number
  readonly retries: number
}

/** What `complete` did: how many had subscribed, and how many of them have the last update. */
export interface CompletedJob {
  readonly subscribers: number
  readonly delivered: number
  readonly undelivered: number
}

interface Leaving {
  readonly subscriptions: readonly Subscription[]
  readonly ended: Promise<CompletedJob>
}

const factors = { none: 1, throttle: 2, batch: 4, reject: 4 } as const satisfies Record<BackpressureLevel, number>

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    stats: z.custom<WindowedStats>(
      (x) => typeof (x as Partial<WindowedStats> | null)?.takeAggregatedStats === 'function',
      'expected a WindowedStats',
    ),
    intervalMs: z.number().positive().default(250),
    backpressure: z
      .custom<() => BackpressureLevel>((x) => typeof x === 'function', 'expected a function')
      .default(() => (): BackpressureLevel => 'none'),
    intervalFactor: z
      .strictObject({
        none: z.number().positive().default(factors.none),
        throttle: z.number().positive().default(factors.throttle),
        batch: z.number().positive().default(factors.batch),
        reject: z.number().positive().default(factors.reject),
      })
      .default({ ...factors }),
    maxSubscribersPerJob: z.int().min(1).default(16),
    maxQueuedPerSubscriber: z.int().min(1).default(64),
    deliveryTimeoutMs: z.number().positive().default(2_000),
    attempts: z.int().min(1).default(3),
    retryBaseMs: z.number().min(0).default(500),
    retryMaxMs: z.number().min(0).default(2_000),
  }))()

export class StatsPusher implements AsyncDisposable {
  readonly events: TypedEmitter<StatsPusherEvents>
  readonly #settings: z.output<typeof schema>
  readonly #reporter: ErrorReporter
  readonly #scope: TaskScope
  readonly #jobs = new Map<string, Set<Subscription>>()
  /** Jobs that are complete, until each of their subscribers has the last update or was given up. */
  readonly #leaving = new Map<string, Leaving>()
  /** Jobs with windows that nobody watches, and that was said. */
  #unclaimed = new Set<string>()
  #state: 'idle' | 'running' | 'stopped' = 'idle'
  #stopped: Promise<void> | undefined
  #delivered = 0
  #undelivered = 0
  #skipped = 0
  #retries = 0

  /** @throws ConfigError */
  constructor(options: StatsPusherOptions) {
    this.#settings = parseOptions(schema, options, 'StatsPusher')
    const { clock, random, logger } = this.#settings
    this.#reporter = new ErrorReporter({ clock, random, logger })
    this.events = new TypedEmitter('StatsPusher', this.#reporter)
    this.#scope = new TaskScope('StatsPusher', { clock, random, logger, reporter: this.#reporter })
  }

  /** Begins the rounds; a second call does nothing. @throws ClosedError after `stop`. */
  async start(): Promise<void> {
    if (this.#state === 'stopped') throw new ClosedError('StatsPusher')
    if (this.#state === 'running') return
    this.#state = 'running'
    this.#scope.every(
      'rounds',
      () => this.#intervalMs(),
      () => this.#round(),
    )
  }

  /** Ends the rounds and completes every job that is watched; a second call waits for the first. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /**
   * Windows that nobody has taken come with the next round.
   * @param fn a delivery is its return, or the settling of its promise.
   * @returns unsubscribes, and drops what waits.
   * @throws LimitError above `maxSubscribersPerJob`, ClosedError after `stop`.
   */
  subscribe(jobId: string, fn: Subscriber): () => void {
    if (this.#state === 'stopped') throw new ClosedError('StatsPusher')
    if (typeof jobId !== 'string' || jobId === '') throw invalid('a job id', jobId)
    if (typeof fn !== 'function') throw invalid('a function', fn)
    const { maxSubscribersPerJob } = this.#settings
    const subscriptions = this.#jobs.get(jobId) ?? new Set<Subscription>()
    if (subscriptions.size >= maxSubscribersPerJob)
      throw new LimitError(`Subscribers of ${jobId}`, maxSubscribersPerJob)
    const subscription = new Subscription(jobId, fn, this.#settings, this.#observer(jobId))
    this.#jobs.set(jobId, subscriptions.add(subscription))
    this.#unclaimed.delete(jobId)
    return () => {
      subscriptions.delete(subscription)
      if (subscriptions.size === 0 && this.#jobs.get(jobId) === subscriptions) this.#jobs.delete(jobId)
      subscription.end()
    }
  }

  /** The immediate tier: at once, under any pressure. @returns the number of subscribers. */
  publish(jobId: string, payload: unknown): number {
    const subscriptions = [...(this.#jobs.get(jobId) ?? [])]
    for (const subscription of subscriptions) subscription.addImmediate(payload)
    for (const subscription of subscriptions) subscription.pump()
    return subscriptions.length
  }

  /** One round, whatever the pressure, for those who have a loop of their own. */
  pushNow(): void {
    if (this.#state === 'stopped') return
    const { stats } = this.#settings
    const served: Subscription[] = []
    const unclaimed = new Set<string>()
    for (const jobId of stats.getJobsWithPendingStats()) {
      const subscriptions = this.#jobs.get(jobId)
      if (subscriptions === undefined) {
        unclaimed.add(jobId)
        continue
      }
      const windows = stats.takeAggregatedStats(jobId)
      for (const subscription of subscriptions) {
        subscription.addWindows(windows)
        served.push(subscription)
      }
    }
    const known = this.#unclaimed
    this.#unclaimed = unclaimed
    for (const subscription of served) subscription.pump()
    for (const jobId of [...unclaimed]) {
      // Meanwhile it may have been subscribed to, or completed.
      if (!known.has(jobId) && this.#unclaimed.has(jobId)) this.events.emit('unclaimed', { jobId })
    }
  }

  /**
   * Finishes the job in `stats`; each subscriber gets one last update, after all that wait for it and under any
   * pressure, and is unsubscribed. Resolves when each has it or was given up; so does a second call meanwhile.
   */
  complete(jobId: string): Promise<CompletedJob> {
    const before = this.#leaving.get(jobId)
    const windows = this.#settings.stats.finish(jobId)
    const subscriptions = [...(this.#jobs.get(jobId) ?? [])]
    this.#jobs.delete(jobId)
    this.#unclaimed.delete(jobId)
    if (subscriptions.length === 0) {
      if (windows.length > 0) this.events.emit('unclaimed', { jobId, windows })
      return before?.ended ?? Promise.resolve(Object.freeze({ subscribers: 0, delivered: 0, undelivered: 0 }))
    }
    const last = [...windows].sort((a, b) => a.startMs - b.startMs)
    coalesce(last, this.#settings.maxQueuedPerSubscriber)
    const ends = subscriptions.map(
      (subscription) => new Promise<boolean>((resolve) => subscription.complete(last, resolve)),
    )
    // Somebody may have subscribed since the job was completed before: both ends are one.
    const ended = completedJob(ends, before?.ended).finally(() => {
      if (this.#leaving.get(jobId)?.ended === ended) this.#leaving.delete(jobId)
    })
    this.#leaving.set(jobId, { subscriptions: [...(before?.subscriptions ?? []), ...subscriptions], ended })
    for (const subscription of subscriptions) subscription.pump()
    return ended
  }

  snapshot(): StatsPusherSnapshot {
    const jobs = new Set(this.#jobs.keys())
    let subscribers = 0
    let queued = 0
    const count = (jobId: string, subscriptions: Iterable<Subscription>) => {
      for (const subscription of subscriptions) {
        if (subscription.isEnded) continue
        jobs.add(jobId)
        subscribers++
        queued += subscription.queued
      }
    }
    for (const [jobId, subscriptions] of this.#jobs) count(jobId, subscriptions)
    for (const [jobId, { subscriptions }] of this.#leaving) count(jobId, subscriptions)
    return deepFreeze({
      jobs: jobs.size,
      subscribers,
      queued,
      delivered: this.#delivered,
      undelivered: this.#undelivered,
      skipped: this.#skipped,
      retries: this.#retries,
    })
  }

  async #stop(): Promise<void> {
    this.#state = 'stopped'
    const completed = [...this.#jobs.keys()].map((jobId) => this.complete(jobId))
    const leaving = [...this.#leaving.values()].map(({ ended }) => ended)
    await Promise.all([this.#scope.stop(), ...completed, ...leaving])
  }

  #round(): void {
    if (this.#level() === 'reject') this.#skipped++
    else this.pushNow()
  }

  #intervalMs(): number {
    const { intervalMs, intervalFactor } = this.#settings
    return intervalMs * intervalFactor[this.#level()]
  }

  #level(): BackpressureLevel {
    try {
      const level = this.#settings.backpressure()
      if (Object.hasOwn(factors, level)) return level
      throw invalid('a level of backpressure', level)
    } catch (error) {
      this.#reporter.report('StatsPusher.backpressure', error)
      return 'none'
    }
  }

  #observer(jobId: string): DeliveryObserver {
    return {
      failed: (error, attempt) => this.events.emit('subscriberError', { jobId, error, attempt }),
      retrying: () => this.#retries++,
      delivered: () => this.#delivered++,
      undelivered: (update, error) => {
        this.#undelivered++
        this.events.emit('undelivered', { jobId, update, error })
      },
    }
  }
}

async function completedJob(
  ends: readonly Promise<boolean>[],
  before: Promise<CompletedJob> | undefined,
): Promise<CompletedJob> {
  const [arrived, earlier] = await Promise.all([Promise.all(ends), before])
  const subscribers = arrived.length + (earlier?.subscribers ?? 0)
  const delivered = arrived.filter(Boolean).length + (earlier?.delivered ?? 0)
  return Object.freeze({ subscribers, delivered, undelivered: subscribers - delivered })
}

function invalid(expected: string, found: unknown): HsError {
  return new HsError('INVALID_ARGUMENT', `StatsPusher: expected ${expected}, found ${String(found)}`)
}
