/**
 * A measured quantity that wanders, and how sure one may be of it: the scalar Kalman filter of a random walk. Adaptive,
 * it keeps its sigma honest whatever the units: where the measurements deviate by more or less than it expects, it
 * scales its noises, and after two big surprises in a row it follows at once. It learns the scale of the noises and not
 * their ratio: that is what is known of the quantity beforehand.
 * Source: R. E. Kalman (1960); R. K. Mehra (1972) for adaptation by innovations, Y. Bar-Shalom for their normalised
 * square, which has a mean of 1 where sigma is honest.
 */
import { parseOptions, runtimeShape, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'

/** Clock, dice and log are taken as everywhere, though the filter needs none of them. */
export interface KalmanFilterOptions extends RuntimeOptions {
  /** Variance of the quantity's own steps, above 0. @default 10 */
  processNoise?: number
  /** Variance of a measurement, above 0. @default 25 */
  measurementNoise?: number
  /** How fast the noises are adapted, 0 to 1; 0 leaves them as they are. @default 0 */
  adapt?: number
}

export interface KalmanFilterSnapshot {
  readonly value: number
  /** Infinity before the first measurement. */
  readonly uncertainty: number
  readonly samples: number
  /** As adapted so far. */
  readonly processNoise: number
  readonly measurementNoise: number
}

/** Innovations beyond three sigma are surprises, and count as if they were of three. */
const MAX_SURPRISE = 9
/** Noises stay within these shares of what they began with, so that hours of silence do not make them 0. */
const MIN_SCALE = 2 ** -40
const MAX_SCALE = 2 ** 80
/** Beyond, a square would be infinite. */
const MAX_MEASUREMENT = 1e150

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    processNoise: z.number().positive().default(10),
    measurementNoise: z.number().positive().default(25),
    adapt: z.number().min(0).max(1).default(0),
  }))()

/** The estimate of one quantity. */
export class KalmanFilter {
  readonly #processNoise: number
  readonly #measurementNoise: number
  readonly #adapt: number
  /** Both noises are scaled alike. */
  #scale = 1
  #value = 0
  #variance = Infinity
  #samples = 0
  #wasSurprised = false

  /** @throws ConfigError */
  constructor(options?: KalmanFilterOptions) {
    const { processNoise, measurementNoise, adapt } = parseOptions(schema, options, 'KalmanFilter')
    this.#processNoise = processNoise
    this.#measurementNoise = measurementNoise
    this.#adapt = adapt
  }

  /** Takes a measurement, and returns the estimate; one that is no usable number changes nothing. */
  update(measurement: number): number {
    // Also false for NaN.
    if (!(measurement >= -MAX_MEASUREMENT && measurement <= MAX_MEASUREMENT)) return this.#value
    const scale = this.#scale
    const r = this.#measurementNoise * scale
    if (this.#samples++ === 0) {
      this.#value = measurement
      this.#variance = r
      return measurement
    }
    const innovation = measurement - this.#value
    let predicted = this.#variance + this.#processNoise * scale
    if (this.#adapt === 0) return this.#correct(innovation, predicted, r)
    const square = innovation * innovation
    const surprise = square / (predicted + r)
    const isSurprised = surprise > MAX_SURPRISE
    if (isSurprised && this.#wasSurprised) predicted += square
    this.#wasSurprised = isSurprised
    const value = this.#correct(innovation, predicted, r)
    this.#rescale(scale, 1 + this.#adapt * ((isSurprised ? MAX_SURPRISE : surprise) - 1))
    return value
  }

  /** 0 before the first measurement. */
  get value(): number {
    return this.#value
  }

  /** One sigma; Infinity before the first measurement. */
  get uncertainty(): number {
    return Math.sqrt(this.#variance)
  }

  /** Measurements taken. */
  get samples(): number {
    return this.#samples
  }

  /** Forgets all, adapted noises too. */
  reset(): void {
    this.#scale = 1
    this.#value = 0
    this.#variance = Infinity
    this.#samples = 0
    this.#wasSurprised = false
  }

  /** What a dashboard shows. */
  snapshot(): KalmanFilterSnapshot {
    return Object.freeze({
      value: this.#value,
      uncertainty: this.uncertainty,
      samples: this.#samples,
      processNoise: this.#processNoise * this.#scale,
      measurementNoise: this.#measurementNoise * this.#scale,
    })
  }

  #correct(innovation: number, predicted: number, r: number): number {
    const gain = predicted / (predicted + r)
    this.#value += gain * innovation
    this.#variance = (1 - gain) * predicted
    return this.#value
  }

  #rescale(scale: number, factor: number): void {
    const next = Math.min(MAX_SCALE, Math.max(MIN_SCALE, scale * factor))
    this.#scale = next
    this.#variance *= next / scale
  }
}
