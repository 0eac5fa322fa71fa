/**
 * A place in the network's space of round trips, and what can be told from two of them: the expected round trip, a
 * bound that it seldom exceeds, and how far to trust either. Pure: numbers in, a number out.
 * Sources: Dabek et al., "Vivaldi" (SIGCOMM 2004) for vector and height; Lee et al., "On Suitability of Euclidean
 * Embedding for Host-Based Network Coordinate Systems" (ToN 2010) for the adjustment.
 */
import { DecodeError, HsError, parseOptions } from '@hs/core'
import * as z from 'zod'

/** Times in milliseconds; `error` is relative and never a time. */
export interface Coordinate {
  readonly vec: readonly number[]
  /** The part of the way that every path to this node shares (its access link), at least 0. */
  readonly heightMs: number
  /** What a Euclidean space cannot express, as a correction of the sum; may be negative. */
  readonly adjustmentMs: number
  /** How far off predictions with it tend to be: 0.1 is ten per cent. */
  readonly error: number
  /** How many round trips it rests on, if its owner says so. */
  readonly samples?: number
}

export interface RttUpperBoundOptions {
  /** How many deviations above the expected round trip, at least 0. @default 2 */
  readonly sigmas?: number
}

export interface CoordinateQualityOptions {
  /** From so many samples on, their number is no reason for doubt; at least 1. @default 10 */
  readonly minSamples?: number
  /** Up to this relative error, the error is no reason for doubt; above 0. @default 0.2 */
  readonly goodError?: number
  /** Up to this age, the age is no reason for doubt; above 0. @default 300_000 */
  readonly ttlMs?: number
}

const UNKNOWN_RTT_MS = 100
const UNKNOWN_SIGMA_MS = 50
const MAX_RTT_MS = 10_000
const MAX_SIGMA_MS = 500
const MIN_MS = 1

/**
 * The round trip to expect between two coordinates, in milliseconds.
 * @throws HsError `'INVALID_ARGUMENT'` if they differ in dimensions.
 */
export function distanceMs(a: Coordinate, b: Coordinate): number {
  if (a.vec.length !== b.vec.length) {
    throw new HsError(
      'INVALID_ARGUMENT',
      `Coordinates of one space have as many dimensions, found ${a.vec.length} and ${b.vec.length}`,
    )
  }
  let sum = 0
  for (let i = 0; i < a.vec.length; i++) {
    const d = (a.vec[i] ?? 0) - (b.vec[i] ?? 0)
    sum += d * d
  }
  const raw = Math.sqrt(sum) + a.heightMs + b.heightMs
  const adjusted = raw + a.adjustmentMs + b.adjustmentMs
  return adjusted > 0 ? adjusted : raw
}

/**
 * A round trip that is seldom exceeded, in milliseconds, 1 to 10,000: the expected one and `sigmas` deviations, which
 * follow from the errors of both. If either coordinate is missing, an ordinary round trip of 100 ms give or take 50.
 * @throws HsError `'INVALID_ARGUMENT'` as `distanceMs`; ConfigError
 */
export function rttUpperBoundMs(
  a: Coordinate | undefined,
  b: Coordinate | undefined,
  options?: RttUpperBoundOptions,
): number {
  const sigmas = options === undefined ? 2 : parseOptions(boundSchema(), options, 'rttUpperBoundMs').sigmas
  if (a === undefined || b === undefined) {
    return clamp(UNKNOWN_RTT_MS + sigmas * UNKNOWN_SIGMA_MS, MIN_MS, MAX_RTT_MS)
  }
  const distance = distanceMs(a, b)
  const sigma = clamp(distance * Math.sqrt(a.error * a.error + b.error * b.error), MIN_MS, MAX_SIGMA_MS)
  return clamp(distance + sigmas * sigma, MIN_MS, MAX_RTT_MS)
}

/**
 * How far to trust a coordinate, 0 to 1: falls with few samples, a large error, and age beyond `ttlMs`.
 * @throws ConfigError
 */
export function coordinateQuality(
  x: { readonly samples: number; readonly error: number; readonly ageMs: number },
  options?: CoordinateQualityOptions,
): number {
  const { minSamples, goodError, ttlMs } =
    options === undefined ? QUALITY : parseOptions(qualitySchema(), options, 'coordinateQuality')
  const bySamples = Math.min(1, x.samples / minSamples)
  const byError = x.error <= goodError ? 1 : goodError / x.error
  const byAge = x.ageMs <= ttlMs ? 1 : ttlMs / x.ageMs
  return bySamples * byError * byAge
}

/**
 * Refuses what cannot be a coordinate of a space of `dimensions`.
 * @throws DecodeError
 */
export function checkCoordinate(x: Coordinate, dimensions: number): void {
  const fault = faultOf(x, dimensions)
  if (fault !== undefined) throw new DecodeError(`A coordinate's ${fault}`)
}

function faultOf(x: Coordinate, dimensions: number): string | undefined {
  if (typeof x !== 'object' || x === null || !Array.isArray(x.vec)) return 'vec is an array of numbers'
  const { vec } = x
  if (vec.length !== dimensions) return `vec has ${dimensions} dimensions here, found ${vec.length}`
  for (let i = 0; i < dimensions; i++) if (!Number.isFinite(vec[i])) return 'values are finite'
  if (!Number.isFinite(x.adjustmentMs)) return 'adjustment is finite'
  if (!Number.isFinite(x.heightMs) || x.heightMs < 0) return 'height is finite and at least 0'
  if (!Number.isFinite(x.error) || x.error < 0) return 'error is finite and at least 0'
  if (x.samples !== undefined && !(Number.isFinite(x.samples) && x.samples >= 0)) {
    return 'number of samples is at least 0'
  }
  return undefined
}

function clamp(x: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, x))
}

const QUALITY = { minSamples: 10, goodError: 0.2, ttlMs: 300_000 } as const

let cachedBound: ReturnType<typeof makeBound> | undefined
const boundSchema = () => (cachedBound ??= makeBound())
const makeBound = () => z.strictObject({ sigmas: z.number().min(0).default(2) })

let cachedQuality: ReturnType<typeof makeQuality> | undefined
const qualitySchema = () => (cachedQuality ??= makeQuality())
const makeQuality = () =>
  z.strictObject({
    minSamples: z.number().min(1).default(QUALITY.minSamples),
    goodError: z.number().positive().default(QUALITY.goodError),
    ttlMs: z.number().positive().default(QUALITY.ttlMs),
  })
