/**
 * Where this node is in the network, learned from round trips that happen anyway: after a few samples of a few peers,
 * the round trip to any other node is known from its coordinate alone.
 * Sources: Dabek et al., "Vivaldi: A Decentralized Network Coordinate System" (SIGCOMM 2004), with height; Ledlie,
 * Gardner, Seltzer, "Network Coordinates in the Wild" (NSDI 2007), median filter and gravity; Lee et al., "On
 * Suitability of Euclidean Embedding" (ToN 2010), adjustment. The constants are those of HashiCorp's Serf.
 *
 * A sample allocates the coordinate that is returned and nothing else.
 */
import { HsError, parseOptions, runtimeShape, type Random, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import { checkCoordinate, type Coordinate } from './coordinate.js'
import { LatencyFilter } from './latency-filter.js'

export interface VivaldiOptions extends RuntimeOptions {
  /** 1 to 64; all nodes of a cluster must have the same. @default 8 */
  dimensions?: number
  /** Relative error of who knows nothing, and the most it can be; above 0. @default 1.5 */
  errorMax?: number
  /** How fast the error follows, above 0 to 1. @default 0.25 */
  ce?: number
  /** How far one sample moves the coordinate, above 0 to 1. @default 0.25 */
  cc?: number
  /** Samples that the adjustment is the mean of, 0 (none) to 1,000. @default 20 */
  adjustmentWindow?: number
  /** The least height in milliseconds, at least 0. @default 0.01 */
  heightMinMs?: number
  /** Round trips per peer that the median is taken of, 1 to 101. @default 3 */
  latencyFilterSize?: number
  /** The distance from the origin at which gravity pulls a whole second a sample, in milliseconds. @default 150_000 */
  gravityRho?: number
}

const MAX_RTT_MS = 10_000
/** Below this, nodes are in one place, a round trip is nothing and an error is none: the divisors stay above it. */
const ZERO = 1e-3
/** Peers whose last round trips are kept; the oldest gives way. */
const MAX_PEERS = 65_536

export class Vivaldi {
  readonly #random: Random
  readonly #dimensions: number
  readonly #errorMax: number
  readonly #ce: number
  readonly #cc: number
  readonly #heightMinMs: number
  readonly #gravityRho: number
  readonly #filter: LatencyFilter
  readonly #vec: Float64Array
  /** The direction of the move at hand. */
  readonly #unit: Float64Array
  readonly #residuals: Float64Array
  #residualAt = 0
  #height: number
  #adjustment = 0
  #error: number
  #samples = 0
  #coordinate: Coordinate

  /** @throws ConfigError */
  constructor(options: VivaldiOptions = {}) {
    const o = parseOptions(optionsSchema(), options, 'Vivaldi')
    this.#random = o.random
    this.#dimensions = o.dimensions
    this.#errorMax = o.errorMax
    this.#ce = o.ce
    this.#cc = o.cc
    this.#heightMinMs = o.heightMinMs
    this.#gravityRho = o.gravityRho
    this.#filter = new LatencyFilter(o.latencyFilterSize, MAX_PEERS)
    this.#vec = new Float64Array(o.dimensions)
    this.#unit = new Float64Array(o.dimensions)
    this.#residuals = new Float64Array(o.adjustmentWindow)
    this.#height = o.heightMinMs
    this.#error = o.errorMax
    this.#coordinate = this.#copy()
  }

  /** Where this node is; a value that later samples leave as it is. */
  get coordinate(): Coordinate {
    return this.#coordinate
  }

  /** Round trips taken in since the start, or since a state that was not finite was thrown away. */
  get samples(): number {
    return this.#samples
  }

  /**
   * Takes in one round trip to `peer`, whose coordinate is `theirs`, and returns the new coordinate.
   * @param rttMs above 0, at most 10,000
   * @throws DecodeError for a coordinate that cannot be one of this space, HsError `'INVALID_ARGUMENT'` for another
   * round trip; then nothing has changed.
   */
  observe(peer: string, theirs: Coordinate, rttMs: number): Coordinate {
    if (!(rttMs > 0 && rttMs <= MAX_RTT_MS)) {
      throw new HsError('INVALID_ARGUMENT', `A round trip is above 0 and at most ${MAX_RTT_MS} ms, found ${rttMs}`)
    }
    checkCoordinate(theirs, this.#dimensions)
    const filtered = this.#filter.push(peer, rttMs)
    this.#move(theirs, filtered)
    this.#adjust(theirs, filtered)
    this.#fall()
    this.#samples++
    if (!this.#isFinite()) this.#reset()
    this.#coordinate = this.#copy()
    return this.#coordinate
  }

  /** Drops the round trips of a peer that is gone. */
  forget(peer: string): void {
    this.#filter.forget(peer)
  }

  /** The spring between the two: a long one pushes apart, a short one pulls; the surer end moves less. */
  #move(theirs: Coordinate, rttMs: number): void {
    const apart = this.#pointAwayFrom(theirs.vec)
    const raw = apart + this.#height + theirs.heightMs
    const adjusted = raw + this.#adjustment + theirs.adjustmentMs
    const distance = adjusted > 0 ? adjusted : raw
    const wrong = Math.abs(distance - rttMs) / Math.max(rttMs, ZERO)
    const weight = this.#error / Math.max(this.#error + theirs.error, ZERO)
    this.#error = Math.min(this.#errorMax, this.#error + this.#ce * weight * (wrong - this.#error))
    this.#push(this.#cc * weight * (rttMs - distance), apart, theirs.heightMs)
  }

  #adjust(theirs: Coordinate, rttMs: number): void {
    const residuals = this.#residuals
    if (residuals.length === 0) return
    residuals[this.#residualAt] = rttMs - (this.#distanceTo(theirs.vec) + this.#height + theirs.heightMs)
    this.#residualAt = (this.#residualAt + 1) % residuals.length
    let sum = 0
    for (let i = 0; i < residuals.length; i++) sum += residuals[i] ?? 0
    // Half, for the peer adds its own.
    this.#adjustment = sum / (2 * residuals.length)
  }

  /** Gravity: distances alone would let the whole space drift away from its origin. Heights fall with the rest. */
  #fall(): void {
    const vec = this.#vec
    const unit = this.#unit
    let sum = 0
    for (let i = 0; i < vec.length; i++) sum += (vec[i] ?? 0) * (vec[i] ?? 0)
    const far = Math.sqrt(sum)
    if (far <= ZERO) return
    for (let i = 0; i < vec.length; i++) unit[i] = (vec[i] ?? 0) / far
    const raw = far + this.#height + this.#heightMinMs
    const distance = raw + this.#adjustment > 0 ? raw + this.#adjustment : raw
    this.#push(-1_000 * (distance / this.#gravityRho) * (distance / this.#gravityRho), far, this.#heightMinMs)
  }

  #push(force: number, apart: number, theirHeight: number): void {
    const vec = this.#vec
    for (let i = 0; i < vec.length; i++) vec[i] = (vec[i] ?? 0) + (this.#unit[i] ?? 0) * force
    if (apart <= ZERO) return
    const height = this.#height + ((this.#height + theirHeight) * force) / apart
    this.#height = Math.max(this.#heightMinMs, height)
  }

  /** Sets the direction from there to here, of any one if both are in one place, and returns the distance. */
  #pointAwayFrom(there: readonly number[]): number {
    const unit = this.#unit
    const apart = this.#distanceTo(there)
    if (apart > ZERO) {
      for (let i = 0; i < unit.length; i++) unit[i] = ((this.#vec[i] ?? 0) - (there[i] ?? 0)) / apart
      return apart
    }
    let sum = 0
    for (let i = 0; i < unit.length; i++) {
      const value = this.#random.next() - 0.5
      unit[i] = value
      sum += value * value
    }
    const length = Math.sqrt(sum)
    if (length > ZERO) for (let i = 0; i < unit.length; i++) unit[i] = (unit[i] ?? 0) / length
    else unit[0] = 1
    return 0
  }

  #distanceTo(there: readonly number[]): number {
    const vec = this.#vec
    let sum = 0
    for (let i = 0; i < vec.length; i++) {
      const d = (vec[i] ?? 0) - (there[i] ?? 0)
      sum += d * d
    }
    return Math.sqrt(sum)
  }

  #isFinite(): boolean {
    // One sum: whatever is not finite in it makes it so. (Two infinities that cancel make NaN.)
    let sum = this.#height + this.#adjustment + this.#error
    for (let i = 0; i < this.#vec.length; i++) sum += this.#vec[i] ?? 0
    return Number.isFinite(sum)
  }

  #reset(): void {
    this.#vec.fill(0)
    this.#residuals.fill(0)
    this.#residualAt = 0
    this.#height = this.#heightMinMs
    this.#adjustment = 0
    this.#error = this.#errorMax
    this.#samples = 0
  }

  #copy(): Coordinate {
    const vec = new Array<number>(this.#dimensions)
    for (let i = 0; i < vec.length; i++) vec[i] = this.#vec[i] ?? 0
    return {
      vec,
      heightMs: this.#height,
      adjustmentMs: this.#adjustment,
      error: this.#error,
      samples: this.#samples,
    }
  }
}

let cachedSchema: ReturnType<typeof makeSchema> | undefined
const optionsSchema = () => (cachedSchema ??= makeSchema())
const makeSchema = () =>
  z.strictObject({
    ...runtimeShape,
    dimensions: z.int().min(1).max(64).default(8),
    errorMax: z.number().positive().default(1.5),
    ce: z.number().positive().max(1).default(0.25),
    cc: z.number().positive().max(1).default(0.25),
    adjustmentWindow: z.int().min(0).max(1_000).default(20),
    heightMinMs: z.number().min(0).default(0.01),
    latencyFilterSize: z.int().min(1).max(101).default(3),
    gravityRho: z.number().positive().default(150_000),
  })
