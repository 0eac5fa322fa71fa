/**
 * What a process uses of what it may use, each figure with its uncertainty. Where the numbers come from is a
 * `ResourceSource`: `nodeResourceSource` of `@hs/health/node`, or anything else.
 */
import {
  deepFreeze,
  ErrorReporter,
  HsError,
  parseOptions,
  runtimeShape,
  TaskScope,
  TypedEmitter,
  type Clock,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { KalmanFilter } from './kalman-filter.js'

export interface ResourceSample {
  /** CPU time used since whenever, in milliseconds; only grows. */
  readonly cpuMs: number
  readonly memoryBytes: number
  /** Cores that may be used, above 0. */
  readonly cpuLimit: number
  /** Above 0. */
  readonly memoryLimitBytes: number
  /** How late the event loop is, in milliseconds. */
  readonly eventLoopDelayMs?: number
}

export interface ResourceSource {
  sample(): ResourceSample | Promise<ResourceSample>
}

export interface Estimate {
  /** 0 before the first measurement. */
  readonly value: number
  /** One sigma; Infinity before the first measurement. */
  readonly uncertainty: number
  /** The last measurement as it was; null if the last sample had none. */
  readonly raw: number | null
}

export interface ResourceSnapshot {
  /** As fractions of the limits. */
  readonly cpu: Estimate
  readonly memory: Estimate
  readonly memoryBytes: number
  readonly memoryLimitBytes: number
  readonly cpuLimit: number
  /** 0 where the source does not know. */
  readonly eventLoopDelayMs: number
  /** Samples taken. */
  readonly samples: number
  /** Samples that failed. */
  readonly failures: number
}

/** What `ResourceMonitor.snapshot` returns once there is something. */
export type ResourceMonitorSnapshot = ResourceSnapshot

export interface ResourceMonitorOptions extends RuntimeOptions {
  source: ResourceSource
  /** In milliseconds, above 0. @default 1_000 */
  intervalMs?: number
  /** How fast the filters learn how noisy the figures are, 0 to 1. @default 0.05 */
  adapt?: number
}

export interface ResourceMonitorEvents {
  sample: [ResourceSnapshot]
}

/** Variances to begin with, of fractions: a twentieth off, a thirtieth a step. */
const NOISE = { processNoise: 0.001, measurementNoise: 0.0025 }

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    source: z.custom<ResourceSource>(
      (x) => typeof (x as Partial<ResourceSource> | null)?.sample === 'function',
      'expected a ResourceSource with sample',
    ),
    intervalMs: z.number().positive().default(1_000),
    adapt: z.number().min(0).max(1).default(0.05),
  }))()

/** One figure, estimated. */
class Gauge {
  readonly #filter: KalmanFilter
  #raw: number | null = null

  constructor(adapt: number) {
    this.#filter = new KalmanFilter({ ...NOISE, adapt })
  }

  note(raw: number | null): void {
    this.#raw = raw
    if (raw !== null) this.#filter.update(raw)
  }

  get estimate(): Estimate {
    return { value: this.#filter.value, uncertainty: this.#filter.uncertainty, raw: this.#raw }
  }
}

/** Samples a source at an interval. */
export class ResourceMonitor {
  readonly events: TypedEmitter<ResourceMonitorEvents>
  readonly #clock: Clock
  readonly #reporter: ErrorReporter
  readonly #source: ResourceSource
  readonly #intervalMs: number
  readonly #scope: TaskScope
  readonly #cpu: Gauge
  readonly #memory: Gauge
  #isStarted = false
  /** The sample under way: two never overlap. */
  #underWay: Promise<ResourceSnapshot> | undefined = undefined
  #last: { readonly cpuMs: number; readonly atMs: number } | undefined = undefined
  #memoryBytes = 0
  #memoryLimitBytes = 0
  #cpuLimit = 0
  #eventLoopDelayMs = 0
  #samples = 0
  #failures = 0

  /** @throws ConfigError */
  constructor(options: ResourceMonitorOptions) {
    const { source, intervalMs, adapt, ...runtime } = parseOptions(schema, options, 'ResourceMonitor')
    this.#clock = runtime.clock
    this.#reporter = new ErrorReporter(runtime)
    this.#source = source
    this.#intervalMs = intervalMs
    this.#scope = new TaskScope('ResourceMonitor', { ...runtime, reporter: this.#reporter })
    this.#cpu = new Gauge(adapt)
    this.#memory = new Gauge(adapt)
    this.events = new TypedEmitter('ResourceMonitor', this.#reporter)
  }

  /**
   * Samples now; while a sample is under way, waits for that one. A source that fails is reported and counted, and this
   * resolves to what is known.
   */
  sample(): Promise<ResourceSnapshot> {
    if (this.#underWay !== undefined) return this.#underWay
    try {
      const sample = this.#source.sample()
      if (!isThenable(sample)) return Promise.resolve(this.#taken(sample))
      this.#underWay = Promise.resolve(sample).then(
        (value) => this.#ended(() => this.#taken(value)),
        (error: unknown) => this.#ended(() => this.#failed(error)),
      )
      return this.#underWay
    } catch (error) {
      return Promise.resolve(this.#failed(error))
    }
  }

  /** Samples at once, and then at every interval. Idempotent. @throws ClosedError as a rejection, after `stop` */
  async start(): Promise<void> {
    if (this.#isStarted) return
    // Above the flag, for it throws after `stop`.
    this.#scope.every('sample', this.#intervalMs, async () => void (await this.sample()), { immediate: true })
    this.#isStarted = true
  }

  /** Waits for a sample under way; leaves no timer. Idempotent. */
  stop(): Promise<void> {
    return this.#scope.stop()
  }

  /** `stop()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** What a dashboard shows; null before the first sample has been tried. */
  snapshot(): ResourceSnapshot | null {
    return this.#samples + this.#failures === 0 ? null : this.#state()
  }

  #ended(conclude: () => ResourceSnapshot): ResourceSnapshot {
    this.#underWay = undefined
    return conclude()
  }

  #failed(error: unknown): ResourceSnapshot {
    this.#failures++
    this.#reporter.report('ResourceMonitor.source', error)
    return this.#state()
  }

  #taken(sample: ResourceSample): ResourceSnapshot {
    if (typeof sample !== 'object' || sample === null)
      return this.#failed(new HsError('INVALID_ARGUMENT', `A sample is an object, found ${String(sample)}`))
    this.#take(sample)
    const snapshot = this.#state()
    this.events.emit('sample', snapshot)
    return snapshot
  }

  /** A figure that is none leaves its estimate as it was. */
  #take({ cpuMs, memoryBytes, cpuLimit, memoryLimitBytes, eventLoopDelayMs }: ResourceSample): void {
    const nowMs = this.#clock.now()
    if (isAmount(cpuLimit)) this.#cpuLimit = cpuLimit
    if (isAmount(memoryLimitBytes)) this.#memoryLimitBytes = memoryLimitBytes
    if (isAmount(memoryBytes)) this.#memoryBytes = memoryBytes
    if (isAmount(eventLoopDelayMs)) this.#eventLoopDelayMs = eventLoopDelayMs
    this.#cpu.note(this.#cpuShare(cpuMs, nowMs))
    this.#memory.note(isAmount(memoryBytes) ? share(memoryBytes, memoryLimitBytes) : null)
    this.#samples++
  }

  #cpuShare(cpuMs: number, nowMs: number): number | null {
    if (!isAmount(cpuMs)) return null
    const last = this.#last
    if (last !== undefined && nowMs <= last.atMs) return null
    this.#last = { cpuMs, atMs: nowMs }
    // A count that went back is another count: only what it grows by from here on says something.
    if (last === undefined || cpuMs < last.cpuMs) return null
    return share(cpuMs - last.cpuMs, (nowMs - last.atMs) * this.#cpuLimit)
  }

  #state(): ResourceSnapshot {
    return deepFreeze({
      cpu: this.#cpu.estimate,
      memory: this.#memory.estimate,
      memoryBytes: this.#memoryBytes,
      memoryLimitBytes: this.#memoryLimitBytes,
      cpuLimit: this.#cpuLimit,
      eventLoopDelayMs: this.#eventLoopDelayMs,
      samples: this.#samples,
      failures: this.#failures,
    })
  }
}

function isThenable<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | null)?.then === 'function'
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value < Infinity
}

function share(used: number, limit: number): number | null {
  return limit > 0 && limit < Infinity ? used / limit : null
}
