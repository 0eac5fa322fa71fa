/**
 * How the latency of a window compares: with bounds, and with a baseline that it learns.
 * Guarantee: the baseline falls fast and rises slowly, and not at all while latency is elevated, so that an overload
 * never becomes what is normal while it lasts.
 */
import { reached, type Thresholds } from './thresholds.js'

export interface LatencyBaselineSettings {
  readonly warmupWindows: number
  readonly windowMs: number
  readonly baselineMs: number
  readonly deltaThresholds: Thresholds
  readonly latencyBoundsMs: Thresholds
  readonly trendWindows: number
  readonly trendSlope: number
}

/** Share of a lower mean that the baseline takes on at once. */
const FALL = 0.1
/** The highest mean that is counted: beyond all bounds, and far from where sums overflow. */
const MAX_MEAN_MS = 1e12

export class LatencyBaseline {
  /** Of the window that closed last, with the trend; 0 to 3. */
  deltaLevel = 0
  boundsLevel = 0
  /** Undefined if it had too few samples. */
  meanMs: number | undefined = undefined
  delta = 0
  slope = 0
  baselineMs = 0
  readonly #settings: LatencyBaselineSettings
  readonly #rise: number
  /** The last means, in a ring. */
  readonly #means: Float64Array
  #seen = 0
  #warmupSum = 0

  constructor(settings: LatencyBaselineSettings) {
    this.#settings = settings
    this.#rise = -Math.expm1(-settings.windowMs / settings.baselineMs)
    this.#means = new Float64Array(settings.trendWindows)
  }

  get isWarm(): boolean {
    return this.#seen >= this.#settings.warmupWindows
  }

  /** A window has closed that says nothing about latency. */
  closeWithout(): void {
    this.meanMs = undefined
    this.deltaLevel = 0
    this.boundsLevel = 0
    this.delta = 0
    this.slope = 0
  }

  /** A window has closed with this mean: judges it, then learns from it. */
  close(meanMs: number): void {
    const mean = Math.min(meanMs, MAX_MEAN_MS)
    const wasWarm = this.isWarm
    this.#means[this.#seen % this.#means.length] = mean
    this.#seen++
    this.meanMs = mean
    this.boundsLevel = reached(mean, this.#settings.latencyBoundsMs)
    if (!wasWarm) {
      this.#warmupSum += mean
      this.baselineMs = this.#warmupSum / this.#seen
      return
    }
    this.#compare(mean)
    if (mean < this.baselineMs) this.baselineMs += FALL * (mean - this.baselineMs)
    else if (this.deltaLevel === 0 && this.boundsLevel === 0) this.baselineMs += this.#rise * (mean - this.baselineMs)
  }

  /** What has been for long is normal from now on. */
  rebase(): void {
    const means = this.#lastMeans()
    this.baselineMs = means.reduce((sum, mean) => sum + mean, 0) / means.length
  }

  #compare(mean: number): void {
    const { deltaThresholds, trendWindows, trendSlope } = this.#settings
    const unit = Math.max(this.baselineMs, 1)
    this.delta = (mean - this.baselineMs) / unit
    this.slope = this.#seen >= trendWindows ? slopeOf(this.#lastMeans()) / unit : 0
    const level = reached(this.delta, deltaThresholds)
    const isRising = this.#seen >= trendWindows && this.slope >= trendSlope
    this.deltaLevel = isRising && level > 0 && level < 3 ? level + 1 : level
  }

  /** From the oldest on; as many as there are. */
  #lastMeans(): number[] {
    const { length } = this.#means
    const count = Math.min(this.#seen, length)
    return Array.from({ length: count }, (_, i) => this.#means[(this.#seen - count + i) % length] as number)
  }
}

/** The least-squares slope of values at equal distances, per distance; 0 of fewer than two. */
export function slopeOf(values: readonly number[]): number {
  const n = values.length
  if (n < 2) return 0
  const middle = (n - 1) / 2
  const covariance = values.reduce((sum, value, x) => sum + (x - middle) * value, 0)
  return covariance / ((n * (n * n - 1)) / 12)
}
