/**
 * Learns how much may run at the same time: as much as does not make latency grow.
 * Guarantee: stays within `min` and `max`; under an overload that lasts it does not take its own queue for the
 * service's latency.
 * Source: Gradient2 of Netflix's concurrency-limits, mended: the long-term latency rises only in windows that were not
 * saturated, drops halve the limit, and a short probe at half the limit finds the latency without a queue, as BBR
 * drains its queue to find the base of the round trip.
 */
import { parseOptions, runtimeShape, type Clock, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import type { ConcurrencyLimit } from './concurrency-limit.js'
import { ROUNDING_MS } from './rounding.js'

export interface GradientLimitOptions extends RuntimeOptions {
  /** From `min` to `max`. @default 20, or the nearest to it that is */
  initial?: number
  /** From 1. @default 4 */
  min?: number
  /** @default 1_000 */
  max?: number
  /** How much of a step is taken, above 0, at most 1. @default 0.2 */
  smoothing?: number
  /** What a saturated window adds, 0 or more: what may queue. @default 4 */
  queueSize?: number
  /** Growth of latency that is borne, from 1. @default 1.5 */
  tolerance?: number
  /** How many windows the long-term latency looks back on, from 1. @default 600 */
  longWindows?: number
  /** In milliseconds, above 0. @default 1_000 */
  windowMs?: number
  /** A window goes on until it has as many, from 1. @default 10 */
  minSamples?: number
  /** Between probes, in milliseconds, above 0. @default 60_000 */
  probeMs?: number
}

export interface GradientLimitSnapshot {
  /** As it reads now: about half while it probes. */
  readonly limit: number
  /** The long-term latency, in milliseconds; 0 before the first window has closed. */
  readonly longMs: number
  readonly probing: boolean
}

const USUAL_LIMIT = 20
/** Windows whose plain mean begins the long-term latency. */
const WARMUP_WINDOWS = 10

const schema = /* @__PURE__ */ (() => {
  const above0 = (byDefault: number) => z.number().positive().default(byDefault)
  return z
    .strictObject({
      ...runtimeShape,
      initial: z.number().min(1).optional(),
      min: z.number().min(1).default(4),
      max: z.number().min(1).default(1_000),
      smoothing: z.number().positive().max(1).default(0.2),
      queueSize: z.number().min(0).default(4),
      tolerance: z.number().min(1).default(1.5),
      longWindows: z.int().min(1).default(600),
      windowMs: above0(1_000),
      minSamples: z.int().min(1).default(10),
      probeMs: above0(60_000),
    })
    .refine(({ min, max }) => min <= max, { path: ['min'], message: 'expected at most max' })
    .refine(({ initial, min, max }) => initial === undefined || min > max || (initial >= min && initial <= max), {
      path: ['initial'],
      message: 'expected min to max',
    })
})()

export class GradientLimit implements ConcurrencyLimit {
  readonly #clock: Clock
  readonly #settings: z.output<typeof schema>
  #limit: number
  #longMs = 0
  #windows = 0
  #warmupSumMs = 0
  #isProbing = false
  #probedAtMs: number
  // The window that is open.
  #startedAtMs: number
  #sumMs = 0
  #samples = 0
  #mostInFlight = 0
  #hasDrops = false

  /** @throws ConfigError */
  constructor(options?: GradientLimitOptions) {
    this.#settings = parseOptions(schema, options, 'GradientLimit')
    this.#clock = this.#settings.clock
    const { initial, min, max } = this.#settings
    this.#limit = initial ?? Math.min(max, Math.max(min, USUAL_LIMIT))
    this.#startedAtMs = this.#clock.now()
    this.#probedAtMs = this.#startedAtMs
  }

  get limit(): number {
    return this.#isProbing ? Math.max(this.#settings.min, Math.floor(this.#limit / 2)) : this.#limit
  }

  /** A call has ended. What is no latency or no number of calls is ignored. */
  sample(latencyMs: number, inFlight: number, outcome: 'ok' | 'dropped' = 'ok'): void {
    if (!(latencyMs >= 0 && latencyMs < Infinity && inFlight >= 0 && inFlight < Infinity)) return
    const nowMs = this.#clock.now()
    if (this.#isProbing && nowMs - latencyMs < this.#startedAtMs - ROUNDING_MS) return
    this.#sumMs += latencyMs
    this.#samples++
    if (inFlight > this.#mostInFlight) this.#mostInFlight = inFlight
    if (outcome === 'dropped') this.#hasDrops = true
    if (this.#samples < this.#settings.minSamples) return
    if (nowMs - this.#startedAtMs >= this.#settings.windowMs - ROUNDING_MS) this.#close(nowMs)
  }

  /** What a dashboard shows. */
  snapshot(): GradientLimitSnapshot {
    return Object.freeze({ limit: this.limit, longMs: this.#longMs, probing: this.#isProbing })
  }

  #close(nowMs: number): void {
    const shortMs = this.#sumMs / this.#samples
    if (this.#isProbing) this.#endProbe(shortMs, nowMs)
    else {
      const isSaturated = this.#mostInFlight >= this.#limit / 2
      this.#adapt(shortMs, isSaturated)
      this.#isProbing = isSaturated && nowMs - this.#probedAtMs >= this.#settings.probeMs - ROUNDING_MS
    }
    this.#startedAtMs = nowMs
    this.#sumMs = 0
    this.#samples = 0
    this.#mostInFlight = 0
    this.#hasDrops = false
  }

  #endProbe(shortMs: number, nowMs: number): void {
    this.#longMs = shortMs
    this.#windows = WARMUP_WINDOWS
    this.#isProbing = false
    this.#probedAtMs = nowMs
  }

  #adapt(shortMs: number, isSaturated: boolean): void {
    const { tolerance, queueSize, smoothing, min, max } = this.#settings
    this.#learn(shortMs, isSaturated)
    const gradient = gradientOf(tolerance * this.#longMs, shortMs)
    // What has risen that far is not about to come back by averages.
    if (this.#longMs > 2 * shortMs) this.#longMs *= 0.95
    if (!this.#hasDrops && !isSaturated) return
    const next = this.#hasDrops ? this.#limit * 0.5 : this.#limit * gradient + queueSize
    this.#limit = Math.min(max, Math.max(min, this.#limit * (1 - smoothing) + next * smoothing))
  }

  #learn(shortMs: number, isSaturated: boolean): void {
    if (this.#windows < WARMUP_WINDOWS) {
      this.#windows++
      this.#warmupSumMs += shortMs
      this.#longMs = this.#warmupSumMs / this.#windows
      return
    }
    if (shortMs > this.#longMs && isSaturated) return
    this.#longMs += (2 / (this.#settings.longWindows + 1)) * (shortMs - this.#longMs)
  }
}

/** By how much to shrink: 1 while latency is within what is borne, never below a half. */
export function gradientOf(borneMs: number, shortMs: number): number {
  return shortMs <= borneMs ? 1 : Math.max(0.5, borneMs / shortMs)
}
