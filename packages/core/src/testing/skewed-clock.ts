/**
 * A clock that is wrong the way real ones are: it runs too fast or too slow, and its wall clock is off.
 * It stands on another clock, which stays the true time: with rate r = 1 + driftPpm / 10⁶,
 * `now()` is startMs + elapsed · r and a timer of d fires after d / r true milliseconds.
 */

import * as z from 'zod'
import type { Clock, Timer } from '../clock.js'
import { invalidDelay, sleepOn } from '../clock.js'
import { HsError } from '../errors.js'
import { parseOptions } from '../options.js'

const PPM = 1_000_000

export interface SkewedClock extends Clock {
  /** Replaces the offset of the wall clock, in milliseconds. @throws HsError `'INVALID_ARGUMENT'` */
  setWallOffset(ms: number): void
  /**
   * Changes the rate from now on: what has accumulated stays, timers already set keep their true due time.
   * @param ppm millionths that the clock runs too fast, above -1,000,000
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  setDrift(ppm: number): void
}

export interface SkewedClockOptions {
  /** Milliseconds that the wall clock is ahead (negative: behind). @default 0 */
  wallOffsetMs?: number
  /** Millionths that the clock runs too fast (negative: too slow), above -1,000,000. @default 0 */
  driftPpm?: number
  /** What `now()` is at first, in milliseconds. @default the parent's `now()` */
  startMs?: number
}

const optionsSchema = () =>
  z.strictObject({
    wallOffsetMs: z.number().default(0),
    driftPpm: z.number().gt(-PPM).default(0),
    startMs: z.number().optional(),
  })

export class ClockOnDrift implements SkewedClock {
  readonly #parent: Clock
  /** Local time minus true time, without drift. */
  readonly #shift: number
  #wallOffset: number
  #driftPpm: number
  /** Drift gathered until `#driftSince`, in local milliseconds; kept apart so that it is exact. */
  #drift = 0
  #driftSince: number

  constructor(parent: Clock, options: SkewedClockOptions) {
    const { wallOffsetMs, driftPpm, startMs } = parseOptions(optionsSchema(), options, 'SkewedClock')
    const trueNow = parent.now()
    this.#parent = parent
    this.#shift = startMs === undefined ? 0 : startMs - trueNow
    this.#wallOffset = wallOffsetMs
    this.#driftPpm = driftPpm
    this.#driftSince = trueNow
  }

  now(): number {
    return this.#localAt(this.#parent.now())
  }

  wallNow(): number {
    return Math.round(this.#parent.wallNow() + this.#wallOffset + this.#driftAt(this.#parent.now()))
  }

  setTimer(delayMs: number, fn: () => void): Timer {
    if (!Number.isFinite(delayMs)) throw invalidDelay(delayMs)
    const trueNow = this.#parent.now()
    const due = this.#localAt(trueNow) + delayMs
    // Not delayMs / rate: of whole numbers this makes the exact result.
    let delay = (delayMs * PPM) / (PPM + this.#driftPpm)
    // Rounding must not let the timer fire before the local clock shows its due time.
    for (;;) {
      const short = delay > 0 ? due - this.#localAt(trueNow + delay) : 0
      if (!(short > 0)) return this.#parent.setTimer(delay, fn)
      // At least one step of what a number can tell apart, however small the numbers are.
      const step = Math.max(Math.max(Math.abs(trueNow + delay), delay) * Number.EPSILON, Number.MIN_VALUE)
      delay += Math.max((short * PPM) / (PPM + this.#driftPpm), step)
    }
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal)
  }

  setWallOffset(ms: number): void {
    if (!Number.isFinite(ms))
      throw new HsError('INVALID_ARGUMENT', `setWallOffset: expected finite milliseconds, got ${ms}`)
    this.#wallOffset = ms
  }

  setDrift(ppm: number): void {
    if (!Number.isFinite(ppm) || ppm <= -PPM)
      throw new HsError('INVALID_ARGUMENT', `setDrift: expected millionths above -${PPM}, got ${ppm}`)
    const trueNow = this.#parent.now()
    this.#drift = this.#driftAt(trueNow)
    this.#driftSince = trueNow
    this.#driftPpm = ppm
  }

  #localAt(trueMs: number): number {
    return trueMs + this.#shift + this.#driftAt(trueMs)
  }

  #driftAt(trueMs: number): number {
    return this.#drift + ((trueMs - this.#driftSince) * this.#driftPpm) / PPM
  }
}
