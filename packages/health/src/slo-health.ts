/**
 * Whether latency targets are held, as a word for the facts of a datacenter. A level counts only once it has been said
 * without a break for a while, so that one slow window changes nothing, and it is lifted in the same way. Never worse
 * than degraded: a slow datacenter is better than none, and latency alone must not exclude all of them.
 */
import { parseOptions, runtimeShape, type Clock, type DatacenterHealth, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'

export interface SloTargets {
  /** Ascending, in milliseconds, above 0. */
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
}

export interface SloHealthOptions extends RuntimeOptions {
  slo: SloTargets
  /** Samples that an update needs to count, 0 or more. @default 100 */
  minSamples?: number
  /** How long every update must say a level, in milliseconds, 0 or more. @default 30_000 */
  sustainedMs?: number
}

/** Quantiles of a window: what a `DigestSummary` of `@hs/windowed-stats` holds. */
export interface ObservedLatency {
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly samples: number
}

export interface SloHealthSnapshot {
  readonly health: DatacenterHealth
  /** Where `health` goes next if the updates go on as they are; null: it stays. */
  readonly pending: DatacenterHealth | null
  /** How long the updates have said so, in milliseconds; 0 if nothing is pending. */
  readonly sinceMs: number
  /** Updates with too few samples, or with numbers that are none. */
  readonly ignored: number
}

/** From good to bad; SLOs know no worse. */
const levels = ['healthy', 'busy', 'degraded'] as const
type Level = 0 | 1 | 2

const BUSY_P50 = 1.5
const DEGRADED_P95 = 2
const DEGRADED_P99 = 3

const target = () => z.number().positive()

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    slo: z
      .strictObject({ p50Ms: target(), p95Ms: target(), p99Ms: target() })
      .refine(({ p50Ms, p95Ms }) => p50Ms <= p95Ms, { path: ['p95Ms'], message: 'expected at least p50Ms' })
      .refine(({ p95Ms, p99Ms }) => p95Ms <= p99Ms, { path: ['p99Ms'], message: 'expected at least p95Ms' }),
    minSamples: z.number().min(0).default(100),
    sustainedMs: z.number().min(0).default(30_000),
  }))()

/** Sets no timer: between updates nothing happens. */
export class SloHealth {
  readonly #clock: Clock
  readonly #slo: SloTargets
  readonly #minSamples: number
  readonly #sustainedMs: number
  #level: Level = 0
  /** By level: since when every update has said it or a worse one; null if the last did not. */
  readonly #worseSince: (number | null)[] = [null, null, null]
  /** The same for it or a better one. */
  readonly #betterSince: (number | null)[] = [null, null, null]
  #ignored = 0

  /** @throws ConfigError */
  constructor(options: SloHealthOptions) {
    const { clock, slo, minSamples, sustainedMs } = parseOptions(schema, options, 'SloHealth')
    this.#clock = clock
    this.#slo = slo
    this.#minSamples = minSamples
    this.#sustainedMs = sustainedMs
  }

  get health(): DatacenterHealth {
    return levels[this.#level]
  }

  /**
   * Takes the quantiles of the latest window and returns `health` after it. Fewer samples than `minSamples`, and numbers
   * that are not finite and at least 0, change nothing and are counted.
   */
  update(observed: ObservedLatency): DatacenterHealth {
    if (!this.#counts(observed)) {
      this.#ignored++
      return this.health
    }
    const now = this.#clock.now()
    const said = levelOf(observed, this.#slo)
    for (let level = 0; level < levels.length; level++) {
      this.#worseSince[level] = said >= level ? (this.#worseSince[level] ?? now) : null
      this.#betterSince[level] = said <= level ? (this.#betterSince[level] ?? now) : null
    }
    this.#level = this.#sustained(now)
    return this.health
  }

  /** What a dashboard shows. */
  snapshot(): SloHealthSnapshot {
    const next = this.#next()
    return Object.freeze({
      health: this.health,
      pending: next === null ? null : levels[next.level],
      sinceMs: next === null ? 0 : this.#clock.now() - next.since,
      ignored: this.#ignored,
    })
  }

  #counts({ p50Ms, p95Ms, p99Ms, samples }: ObservedLatency): boolean {
    return [p50Ms, p95Ms, p99Ms, samples].every((x) => Number.isFinite(x) && x >= 0) && samples >= this.#minSamples
  }

  /** The furthest level that has been said for long enough, or the present one. */
  #sustained(now: number): Level {
    const holds = (since: number | null | undefined) => typeof since === 'number' && now - since >= this.#sustainedMs
    for (const level of [2, 1] as const) if (level > this.#level && holds(this.#worseSince[level])) return level
    for (const level of [0, 1] as const) if (level < this.#level && holds(this.#betterSince[level])) return level
    return this.#level
  }

  /** The level that is reached first, of two at once the further one. */
  #next(): { level: Level; since: number } | null {
    let next: { level: Level; since: number } | null = null
    for (const level of [2, 1, 0] as const) {
      const since = level > this.#level ? this.#worseSince[level] : this.#betterSince[level]
      if (level === this.#level || typeof since !== 'number') continue
      const isSooner = next === null || since < next.since || (since === next.since && level < this.#level)
      if (isSooner) next = { level, since }
    }
    return next
  }
}

function levelOf({ p50Ms, p95Ms, p99Ms }: ObservedLatency, slo: SloTargets): Level {
  if (p95Ms >= DEGRADED_P95 * slo.p95Ms || p99Ms >= DEGRADED_P99 * slo.p99Ms) return 2
  return p50Ms >= BUSY_P50 * slo.p50Ms ? 1 : 0
}
