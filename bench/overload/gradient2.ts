/**
 * Netflix Gradient2 as a peer, in our own words: what `Gradient2Limit` inside `WindowedLimit` of concurrency-limits
 * does by its documentation and its published behaviour, with its defaults. It learns what is normal from all that it
 * sees, its own queue included, and takes no notice of drops.
 */

export interface Gradient2Options {
  /** @default 20 */
  initial?: number
  /** @default 20 */
  min?: number
  /** @default 200 */
  max?: number
  /** Share of a new limit that is taken over at a time. @default 0.2 */
  smoothing?: number
  /** Calls that may wait beyond those that run. @default 4 */
  queueSize?: number
  /** Windows of the long average. @default 600 */
  longWindow?: number
  /** How many times the long average is still no sign of a queue. @default 1.5 */
  rttTolerance?: number
  /** @default 1_000 */
  windowMs?: number
  /** Samples without which a window does not end. @default 10 */
  minSamples?: number
}

/** Windows whose mean the long average begins with. */
const WARMUP_WINDOWS = 10

export class Gradient2 {
  readonly #settings: Required<Gradient2Options>
  #estimate: number
  #windowEndsAtMs: number
  #samples = 0
  #sumMs = 0
  #maxInFlight = 0
  #longWindows = 0
  #longMs = 0

  constructor(nowMs: number, options: Gradient2Options = {}) {
    this.#settings = {
      ...{ initial: 20, min: 20, max: 200, smoothing: 0.2, queueSize: 4, longWindow: 600, rttTolerance: 1.5 },
      ...{ windowMs: 1_000, minSamples: 10 },
      ...options,
    }
    this.#estimate = this.#settings.initial
    this.#windowEndsAtMs = nowMs + this.#settings.windowMs
  }

  get limit(): number {
    return Math.floor(this.#estimate)
  }

  /** A call that ended now; dropped ones are samples like all others. */
  sample(nowMs: number, latencyMs: number, inFlight: number): void {
    this.#samples++
    this.#sumMs += latencyMs
    this.#maxInFlight = Math.max(this.#maxInFlight, inFlight)
    if (nowMs <= this.#windowEndsAtMs || this.#samples < this.#settings.minSamples) return
    this.#update(this.#sumMs / this.#samples, this.#maxInFlight)
    this.#windowEndsAtMs = nowMs + this.#settings.windowMs
    this.#samples = 0
    this.#sumMs = 0
    this.#maxInFlight = 0
  }

  #update(shortMs: number, inFlight: number): void {
    const { min, max, smoothing, queueSize, rttTolerance } = this.#settings
    const longMs = this.#learn(shortMs)
    if (longMs / shortMs > 2) this.#longMs *= 0.95
    // Too few calls to say anything of the limit.
    if (inFlight < this.#estimate / 2) return
    const gradient = Math.max(0.5, Math.min(1, (rttTolerance * longMs) / shortMs))
    const next = this.#estimate * gradient + queueSize
    this.#estimate = Math.max(min, Math.min(max, this.#estimate * (1 - smoothing) + next * smoothing))
  }

  #learn(shortMs: number): number {
    this.#longWindows++
    const share = this.#longWindows <= WARMUP_WINDOWS ? 1 / this.#longWindows : 2 / (this.#settings.longWindow + 1)
    this.#longMs += share * (shortMs - this.#longMs)
    return this.#longMs
  }
}
