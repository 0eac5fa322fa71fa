/**
 * What is known of a member only once this node has exchanged packets with it: its share of the rate, the round trip,
 * its coordinate. One array of doubles, as an object of so many numbers takes three times the memory.
 */
import type { Coordinate } from './coordinate.js'
import { MAX_DIMENSIONS } from './wire.js'

const ALLOWED_AT = 0
const SRTT = 1
const RTTVAR = 2
const RTT_AT = 3
const COORDINATE_AT = 4
const HEIGHT = 5
const ADJUSTMENT = 6
const ERROR = 7
const SAMPLES = 8
const VECTOR = 9

/** `NaN` stands for what is not known. */
export type Contact = number[]

export function newContact(): Contact {
  return [-Infinity, NaN, NaN, NaN, NaN]
}

/**
 * Whether one more packet is within the rate: a bucket of `burst` tokens that fills by one each `intervalMs`, kept as
 * the time at which it would be full again (the generic cell rate algorithm, ITU-T I.371).
 */
export function admit(contact: Contact, nowMs: number, intervalMs: number, burst: number): boolean {
  const fullAt = Math.max(contact[ALLOWED_AT] as number, nowMs)
  if (fullAt - nowMs > (burst - 1) * intervalMs) return false
  contact[ALLOWED_AT] = fullAt + intervalMs
  return true
}

/** A sample of the round trip, smoothed as TCP does it. Source: RFC 6298, section 2. */
export function measure(contact: Contact, nowMs: number, rttMs: number): void {
  const smoothed = contact[SRTT] as number
  if (Number.isNaN(smoothed)) {
    contact[SRTT] = rttMs
    contact[RTTVAR] = rttMs / 2
  } else {
    contact[RTTVAR] = 0.75 * (contact[RTTVAR] as number) + 0.25 * Math.abs(smoothed - rttMs)
    contact[SRTT] = 0.875 * smoothed + 0.125 * rttMs
  }
  contact[RTT_AT] = nowMs
}

/** The upper bound of the round trip if it was measured since `sinceMs`; else `NaN`. */
export function measuredBound(contact: Contact, sinceMs: number): number {
  const isFresh = (contact[RTT_AT] as number) >= sinceMs
  return isFresh ? (contact[SRTT] as number) + 4 * (contact[RTTVAR] as number) : NaN
}

/** The smoothed round trip, its upper bound and when it was last measured; undefined before the first sample. */
export function measured(contact: Contact): { rttMs: number; upperBoundMs: number; atMs: number } | undefined {
  const rttMs = contact[SRTT] as number
  if (Number.isNaN(rttMs)) return undefined
  return { rttMs, upperBoundMs: rttMs + 4 * (contact[RTTVAR] as number), atMs: contact[RTT_AT] as number }
}

/**
 * Keeps a coordinate: height, adjustment, error, samples, then the vector, as they stand in `values`. Returns the
 * contact, another one if it had not this length.
 */
export function keepCoordinate(contact: Contact, nowMs: number, values: Float64Array, count: number): Contact {
  const kept = contact.length === HEIGHT + count ? contact : blank.slice(0, HEIGHT + count)
  if (kept !== contact) for (let i = 0; i < COORDINATE_AT; i++) kept[i] = contact[i] as number
  kept[COORDINATE_AT] = nowMs
  for (let i = 0; i < count; i++) kept[HEIGHT + i] = values[i] as number
  return kept
}

/** An array that grows takes more than it needs, and one that ever held an integer keeps no bare doubles. */
const blank: readonly number[] = /* @__PURE__ */ new Array<number>(VECTOR + MAX_DIMENSIONS)
  .fill(0.5)
  .map((x) => x * NaN)

export function coordinateOf(contact: Contact): { coordinate: Coordinate; atMs: number } | undefined {
  if (contact.length <= VECTOR) return undefined
  const coordinate: Coordinate = {
    vec: contact.slice(VECTOR),
    heightMs: contact[HEIGHT] as number,
    adjustmentMs: contact[ADJUSTMENT] as number,
    error: contact[ERROR] as number,
    samples: contact[SAMPLES] as number,
  }
  return { coordinate, atMs: contact[COORDINATE_AT] as number }
}
