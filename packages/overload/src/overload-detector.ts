/**
 * Notices overload: by latency against bounds and against what it has learnt to be normal, and by gauges (CPU, memory,
 * queues). Guarantee: up at once, down one level at a time; reading it changes nothing; an overload that lasts is never
 * taken for normal; silence is healthy, so whoever shed everything tries again.
 */
import {
  deepFreeze,
  ErrorReporter,
  parseOptions,
  runtimeShape,
  TypedEmitter,
  type Clock,
  type OverloadState,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { GaugeReadings, type GaugeSignal } from './gauge-readings.js'
import { LatencyBaseline } from './latency-baseline.js'
import { stateOf } from './overload-level.js'
import { ROUNDING_MS } from './rounding.js'
import { thresholdsSchema, type Thresholds } from './thresholds.js'

export interface OverloadDetectorOptions extends RuntimeOptions {
  /** In milliseconds, from 1. @default 1_000 */
  windowMs?: number
  /** A window with fewer says nothing about latency; from 1. @default 5 */
  minSamples?: number
  /** Windows that make the first baseline, from 1; until then only bounds and gauges judge. @default 10 */
  warmupWindows?: number
  /** Time constant of learning upward, in milliseconds, above 0. @default 600_000 */
  baselineMs?: number
  /** Elevated for so long by nothing but the baseline is the new normal; in milliseconds, above 0. @default 900_000 */
  rebaselineMs?: number
  /** Above the baseline, as a share of it. @default [0.2, 0.5, 1.0] */
  deltaThresholds?: Thresholds
  /** Of the mean of a window, in milliseconds. @default [200, 500, 2_000] */
  latencyBoundsMs?: Thresholds
  /** By name; added to `{ cpu: [0.7, 0.85, 0.95], memory: [0.7, 0.85, 0.95] }`. */
  gauges?: Record<string, Thresholds>
  /** Windows whose trend counts, from 2 to 10_000. @default 10 */
  trendWindows?: number
  /** What makes an elevated latency one level worse: a rise by this share of the baseline per window, above 0. @default 0.05 */
  trendSlope?: number
  /** Time below a state before it falls by one level, in milliseconds, 0 or more. @default 5_000 */
  recoverMs?: number
  /** How long the value of a gauge counts, in milliseconds, above 0. @default 10_000 */
  gaugeTtlMs?: number
}

export interface OverloadDetectorSnapshot {
  readonly state: OverloadState
  /** There is a baseline to compare with. */
  readonly warm: boolean
  /** What is normal, in milliseconds; while it warms up, the mean so far. */
  readonly baselineMs: number
  /** The mean of the last window; null if it had too few samples. */
  readonly currentMs: number | null
  /** By what share that is above the baseline. */
  readonly delta: number
  /** Of the last `trendWindows` means, as a share of the baseline per window. */
  readonly slope: number
  readonly signals: {
    readonly delta: OverloadState
    readonly latency: OverloadState
    /** Those that are not too old. */
    readonly gauges: Readonly<Record<string, GaugeSignal>>
  }
  /** Samples and gauges that were none. */
  readonly ignored: number
}

export interface OverloadDetectorEvents {
  /** Once for each change, by whichever call sees it. */
  change: [now: OverloadState, was: OverloadState]
}

const schema = /* @__PURE__ */ (() => {
  const timeMs = (byDefault: number) => z.number().positive().default(byDefault)
  return z.strictObject({
    ...runtimeShape,
    windowMs: z.number().min(1).default(1_000),
    minSamples: z.int().min(1).default(5),
    warmupWindows: z.int().min(1).default(10),
    baselineMs: timeMs(600_000),
    rebaselineMs: timeMs(900_000),
    deltaThresholds: thresholdsSchema().default([0.2, 0.5, 1]),
    latencyBoundsMs: thresholdsSchema().default([200, 500, 2_000]),
    gauges: z.record(z.string(), thresholdsSchema()).default({}),
    trendWindows: z.int().min(2).max(10_000).default(10),
    trendSlope: z.number().positive().default(0.05),
    recoverMs: z.number().min(0).default(5_000),
    gaugeTtlMs: timeMs(10_000),
  })
})()

const usualGauges: Readonly<Record<string, Thresholds>> = { cpu: [0.7, 0.85, 0.95], memory: [0.7, 0.85, 0.95] }
/** Since never. */
const NEVER = Infinity

export class OverloadDetector {
  readonly events: TypedEmitter<OverloadDetectorEvents>
  /** @internal */
  readonly clock: Clock
  readonly #settings: z.output<typeof schema>
  readonly #gauges: GaugeReadings
  #latency: LatencyBaseline
  /** Where the first window began. */
  #originMs: number
  #windowsClosed = 0
  #windowEndsAtMs: number
  #sumMs = 0
  #samples = 0
  #level = 0
  #belowSinceMs = NEVER
  #deltaAloneSinceMs = NEVER
  #ignored = 0
  /** Not told yet. */
  readonly #changes: OverloadDetectorEvents['change'][] = []
  #isTelling = false

  /** @throws ConfigError */
  constructor(options?: OverloadDetectorOptions) {
    const settings = parseOptions(schema, options, 'OverloadDetector')
    const { clock, random, logger, gauges, gaugeTtlMs, windowMs } = settings
    this.events = new TypedEmitter('OverloadDetector', new ErrorReporter({ clock, random, logger }))
    this.clock = clock
    this.#settings = settings
    this.#gauges = new GaugeReadings({ ...usualGauges, ...gauges }, gaugeTtlMs)
    this.#latency = new LatencyBaseline(settings)
    this.#originMs = clock.now()
    this.#windowEndsAtMs = this.#originMs + windowMs
  }

  /** How long a call took, in milliseconds. What is no such number is counted as ignored. */
  record(latencyMs: number): void {
    this.recordAt(latencyMs, this.clock.now())
  }

  /** The latest value of gauges, by name. Those that are undefined are as if left out. */
  observe(gauges: Readonly<Record<string, number | undefined>>): void {
    const nowMs = this.clock.now()
    if (nowMs >= this.#windowEndsAtMs) this.#closeWindows(nowMs)
    for (const [name, value] of Object.entries(gauges)) {
      if (value !== undefined && !this.#gauges.observe(name, value, nowMs)) this.#ignored++
    }
    this.#judge(nowMs)
    this.#tell()
  }

  get state(): OverloadState {
    return this.stateAt(this.clock.now())
  }

  /** Back to the state after construction, but for the listeners. */
  reset(): void {
    this.#latency = new LatencyBaseline(this.#settings)
    this.#gauges.clear()
    this.#originMs = this.clock.now()
    this.#moveTo(0)
    this.#sumMs = 0
    this.#samples = 0
    this.#belowSinceMs = NEVER
    this.#deltaAloneSinceMs = NEVER
    this.#ignored = 0
    this.#become(0)
    this.#tell()
  }

  /** What a dashboard shows. */
  snapshot(): OverloadDetectorSnapshot {
    const nowMs = this.clock.now()
    const state = this.stateAt(nowMs)
    const { isWarm, baselineMs, meanMs, delta, slope, deltaLevel, boundsLevel } = this.#latency
    return deepFreeze({
      state,
      warm: isWarm,
      baselineMs,
      currentMs: meanMs ?? null,
      delta,
      slope,
      signals: {
        delta: stateOf(deltaLevel),
        latency: stateOf(boundsLevel),
        gauges: this.#gauges.signals(nowMs),
      },
      ignored: this.#ignored,
    })
  }

  /** For whoever has read its clock already. @internal */
  recordAt(latencyMs: number, nowMs: number): void {
    if (nowMs >= this.#windowEndsAtMs) this.#closeWindows(nowMs)
    if (typeof latencyMs === 'number' && latencyMs >= 0 && latencyMs < Infinity) {
      this.#sumMs += latencyMs
      this.#samples++
    } else this.#ignored++
  }

  /** The same. @internal */
  stateAt(nowMs: number): OverloadState {
    if (nowMs >= this.#windowEndsAtMs) this.#closeWindows(nowMs)
    return stateOf(this.#level)
  }

  /** All that have ended by now, each at the time of its end. Those without samples cost nothing where nothing happens. */
  #closeWindows(nowMs: number): void {
    if (this.#samples >= this.#settings.minSamples) this.#latency.close(this.#sumMs / this.#samples)
    else this.#latency.closeWithout()
    this.#sumMs = 0
    this.#samples = 0
    this.#judgeWindow()
    while (nowMs >= this.#windowEndsAtMs) {
      this.#latency.closeWithout()
      this.#judgeWindow()
      this.#skipToEvent(nowMs)
    }
    this.#tell()
  }

  #judgeWindow(): void {
    const endMs = this.#windowEndsAtMs
    this.#moveTo(this.#windowsClosed + 1)
    this.#judge(endMs)
    if (endMs - this.#deltaAloneSinceMs < this.#settings.rebaselineMs - ROUNDING_MS) return
    this.#latency.rebase()
    this.#deltaAloneSinceMs = NEVER
  }

  /** While windows are empty, nothing happens but that gauges grow too old and that the state falls. */
  #skipToEvent(nowMs: number): void {
    const { recoverMs, windowMs } = this.#settings
    const judgedAtMs = this.#windowEndsAtMs - windowMs
    const eventMs = Math.min(nowMs, this.#belowSinceMs + recoverMs, this.#gauges.nextExpiryMs(judgedAtMs))
    // One window early, for rounding must not pass it.
    const windows = Math.floor((eventMs - this.#originMs) / windowMs) - 1
    if (windows > this.#windowsClosed) this.#moveTo(windows)
  }

  #moveTo(windowsClosed: number): void {
    this.#windowsClosed = windowsClosed
    // By multiplication, so that nothing drifts.
    this.#windowEndsAtMs = this.#originMs + (windowsClosed + 1) * this.#settings.windowMs
  }

  #judge(atMs: number): void {
    const { deltaLevel, boundsLevel } = this.#latency
    const gaugesLevel = this.#gauges.level(atMs)
    const isDeltaAlone = deltaLevel > 0 && boundsLevel === 0 && gaugesLevel === 0
    this.#deltaAloneSinceMs = isDeltaAlone ? Math.min(this.#deltaAloneSinceMs, atMs) : NEVER

    const raw = Math.max(deltaLevel, boundsLevel, gaugesLevel)
    if (raw >= this.#level) {
      this.#belowSinceMs = NEVER
      this.#become(raw)
      return
    }
    this.#belowSinceMs = Math.min(this.#belowSinceMs, atMs)
    if (atMs - this.#belowSinceMs < this.#settings.recoverMs - ROUNDING_MS) return
    this.#become(this.#level - 1)
    this.#belowSinceMs = raw < this.#level ? atMs : NEVER
  }

  #become(level: number): void {
    if (level === this.#level) return
    this.#changes.push([stateOf(level), stateOf(this.#level)])
    this.#level = level
  }

  /** When all is settled, and in order: a listener may call what sees the next change. */
  #tell(): void {
    if (this.#isTelling) return
    this.#isTelling = true
    for (let change = this.#changes.shift(); change !== undefined; change = this.#changes.shift()) {
      this.events.emit('change', ...change)
    }
    this.#isTelling = false
  }
}
