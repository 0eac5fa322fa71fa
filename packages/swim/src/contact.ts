/**
 * What is known of a member only once this node has exchanged packets with it: its share of the rate, the round trip,
 * its coordinate. One array of doubles, as an object of so many numbers takes three times the memory.
 */
import type { Coordinate } from './coordinate.js'
import { medianOfThree } from './latency-filter.js'
import { ADJUSTMENT, ERROR, HEIGHT, SAMPLES, VECTOR } from './position.js'
import { MAX_DIMENSIONS } from './wire.js'

const ALLOWED_AT = 0
const SRTT = 1
const RTTVAR = 2
const RTT_AT = 3
/** The last round trip and the one before it. */
const LAST = 4
const LAST_BUT_ONE = 5
const COORDINATE_AT = 6
/** Where the coordinate begins, as on the wire. */
const COORDINATE = 7

/** `NaN` stands for what is not known. */
export type Contact = number[]

export function newContact(): Contact {
  return [-Infinity, NaN, NaN, NaN, NaN, NaN, NaN]
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

/**
 * The median of this round trip and the two before it, of two the lower one: one spike moves nothing.
 * Source: Ledlie, Gardner, Seltzer, "Network Coordinates in the Wild" (NSDI 2007), the moving percentile filter.
 */
export function filter(contact: Contact, rttMs: number): number {
  const last = contact[LAST] as number
  const lastButOne = contact[LAST_BUT_ONE] as number
  contact[LAST_BUT_ONE] = last
  contact[LAST] = rttMs
  if (Number.isNaN(last)) return rttMs
  return Number.isNaN(lastButOne) ? Math.min(last, rttMs) : medianOfThree(lastButOne, last, rttMs)
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
  const kept = contact.length === COORDINATE + count ? contact : blank.slice(0, COORDINATE + count)
  if (kept !== contact) for (let i = 0; i < COORDINATE_AT; i++) kept[i] = contact[i] as number
  kept[COORDINATE_AT] = nowMs
  for (let i = 0; i < count; i++) kept[COORDINATE + i] = values[i] as number
  return kept
}

/** An array that grows takes more than it needs, and one that ever held an integer keeps no bare doubles. */
const blank: readonly number[] = /* @__PURE__ */ new Array<number>(COORDINATE + VECTOR + MAX_DIMENSIONS)
  .fill(0.5)
  .map((x) => x * NaN)

export function coordinateOf(contact: Contact): { coordinate: Coordinate; atMs: number } | undefined {
  if (contact.length <= COORDINATE + VECTOR) return undefined
  const coordinate: Coordinate = {
    vec: contact.slice(COORDINATE + VECTOR),
    heightMs: contact[COORDINATE + HEIGHT] as number,
    adjustmentMs: contact[COORDINATE + ADJUSTMENT] as number,
    error: contact[COORDINATE + ERROR] as number,
    samples: contact[COORDINATE + SAMPLES] as number,
  }
  return { coordinate, atMs: contact[COORDINATE_AT] as number }
}
