/**
 * The place of one node in Vivaldi's space, and how one round trip moves it. `Vivaldi` is this behind a check of what
 * comes from outside and a filter for each peer; a cluster keeps the filter with what it knows of the peer.
 * Sources: see `vivaldi.ts`.
 *
 * A sample allocates nothing.
 */
import type { Random } from '@hs/core'
import type { Coordinate } from './coordinate.js'

/** What all nodes of a space agree on, as in `VivaldiOptions`. */
export interface Space {
  readonly dimensions: number
  readonly errorMax: number
  readonly ce: number
  readonly cc: number
  readonly adjustmentWindow: number
  readonly heightMinMs: number
  readonly gravityRho: number
}

/** The constants of HashiCorp's Serf. */
export const defaultSpace: Space = /* @__PURE__ */ Object.freeze({
  dimensions: 8,
  errorMax: 1.5,
  ce: 0.25,
  cc: 0.25,
  adjustmentWindow: 20,
  heightMinMs: 0.01,
  gravityRho: 150_000,
})

/** A coordinate as bare numbers, in the order of the wire: these four, then the vector. */
export const HEIGHT = 0
export const ADJUSTMENT = 1
export const ERROR = 2
export const SAMPLES = 3
export const VECTOR = 4

export const MAX_SPACE_DIMENSIONS = 64

/** Below this, nodes are in one place, a round trip is nothing and an error is none: the divisors stay above it. */
const ZERO = 1e-3
/** Of `#numbers`: height, adjustment, error, then the last residuals. */
const RESIDUALS = 3
/** The direction of the move at hand. Shared: nothing of it outlives a call. */
const unit = /* @__PURE__ */ new Float64Array(MAX_SPACE_DIMENSIONS)

export class Position {
  readonly vec: Float64Array
  readonly #space: Space
  readonly #random: Random
  /** Together, for a process may play a thousand nodes, and then what lies apart is not in the cache. */
  readonly #numbers: Float64Array
  #residualAt = 0
  #samples = 0
  #coordinate: Coordinate | undefined = undefined

  constructor(space: Space, random: Random) {
    this.#space = space
    this.#random = random
    this.vec = new Float64Array(space.dimensions)
    this.#numbers = new Float64Array(RESIDUALS + space.adjustmentWindow)
    this.#reset()
  }

  get heightMs(): number {
    return this.#numbers[HEIGHT] as number
  }

  get adjustmentMs(): number {
    return this.#numbers[ADJUSTMENT] as number
  }

  get error(): number {
    return this.#numbers[ERROR] as number
  }

  /** Round trips taken in since the start, or since a state that was not finite was thrown away. */
  get samples(): number {
    return this.#samples
  }

  /** Takes in a round trip to who is at `theirs`: numbers as on the wire, of as many dimensions. */
  observe(theirs: Float64Array, rttMs: number): void {
    this.#move(theirs, rttMs)
    this.#adjust(theirs, rttMs)
    this.#fall()
    this.#samples++
    if (!this.#isFinite()) this.#reset()
    this.#coordinate = undefined
  }

  /** Where it is, as a value that later samples leave as it is; the same one until the next sample. */
  get coordinate(): Coordinate {
    const { heightMs, adjustmentMs, error, samples } = this
    return (this.#coordinate ??= { vec: Array.from(this.vec), heightMs, adjustmentMs, error, samples })
  }

  /** The spring between the two: a long one pushes apart, a short one pulls; the surer end moves less. */
  #move(theirs: Float64Array, rttMs: number): void {
    const { errorMax, ce, cc } = this.#space
    const numbers = this.#numbers
    const theirHeight = theirs[HEIGHT] as number
    const theirError = theirs[ERROR] as number
    const apart = this.#pointAwayFrom(theirs)
    const raw = apart + this.heightMs + theirHeight
    const adjusted = raw + this.adjustmentMs + (theirs[ADJUSTMENT] as number)
    const distance = adjusted > 0 ? adjusted : raw
    const wrong = Math.abs(distance - rttMs) / Math.max(rttMs, ZERO)
    const weight = this.error / Math.max(this.error + theirError, ZERO)
    numbers[ERROR] = Math.min(errorMax, this.error + ce * weight * (wrong - this.error))
    this.#push(cc * weight * (rttMs - distance), apart, theirHeight)
  }

  #adjust(theirs: Float64Array, rttMs: number): void {
    const numbers = this.#numbers
    const count = numbers.length - RESIDUALS
    if (count === 0) return
    numbers[RESIDUALS + this.#residualAt] =
      rttMs - (this.#distanceTo(theirs) + this.heightMs + (theirs[HEIGHT] as number))
    this.#residualAt = (this.#residualAt + 1) % count
    let sum = 0
    for (let i = RESIDUALS; i < numbers.length; i++) sum += numbers[i] as number
    // Half, for the peer adds its own.
    numbers[ADJUSTMENT] = sum / (2 * count)
  }

  /** Gravity: distances alone would let the whole space drift away from its origin. Heights fall with the rest. */
  #fall(): void {
    const { vec } = this
    const { heightMinMs, gravityRho } = this.#space
    let sum = 0
    for (let i = 0; i < vec.length; i++) sum += (vec[i] as number) * (vec[i] as number)
    const far = Math.sqrt(sum)
    if (far <= ZERO) return
    for (let i = 0; i < vec.length; i++) unit[i] = (vec[i] as number) / far
    const raw = far + this.heightMs + heightMinMs
    const distance = raw + this.adjustmentMs > 0 ? raw + this.adjustmentMs : raw
    this.#push(-1_000 * (distance / gravityRho) * (distance / gravityRho), far, heightMinMs)
  }

  #push(force: number, apart: number, theirHeight: number): void {
    const { vec } = this
    for (let i = 0; i < vec.length; i++) vec[i] = (vec[i] as number) + (unit[i] as number) * force
    if (apart <= ZERO) return
    const height = this.heightMs + ((this.heightMs + theirHeight) * force) / apart
    this.#numbers[HEIGHT] = Math.max(this.#space.heightMinMs, height)
  }

  /** Sets the direction from there to here, of any one if both are in one place, and returns the distance. */
  #pointAwayFrom(theirs: Float64Array): number {
    const { vec } = this
    const apart = this.#distanceTo(theirs)
    if (apart > ZERO) {
      for (let i = 0; i < vec.length; i++) unit[i] = ((vec[i] as number) - (theirs[VECTOR + i] as number)) / apart
      return apart
    }
    let sum = 0
    for (let i = 0; i < vec.length; i++) {
      const value = this.#random.next() - 0.5
      unit[i] = value
      sum += value * value
    }
    const length = Math.sqrt(sum)
    if (length > ZERO) for (let i = 0; i < vec.length; i++) unit[i] = (unit[i] as number) / length
    else unit[0] = 1
    return 0
  }

  #distanceTo(theirs: Float64Array): number {
    const { vec } = this
    let sum = 0
    for (let i = 0; i < vec.length; i++) {
      const d = (vec[i] as number) - (theirs[VECTOR + i] as number)
      sum += d * d
    }
    return Math.sqrt(sum)
  }

  #isFinite(): boolean {
    // One sum: whatever is not finite in it makes it so. (Two infinities that cancel make NaN.)
    let sum = this.heightMs + this.adjustmentMs + this.error
    for (let i = 0; i < this.vec.length; i++) sum += this.vec[i] as number
    return Number.isFinite(sum)
  }

  #reset(): void {
    this.vec.fill(0)
    this.#numbers.fill(0)
    this.#numbers[HEIGHT] = this.#space.heightMinMs
    this.#numbers[ERROR] = this.#space.errorMax
    this.#residualAt = 0
    this.#samples = 0
  }
}
