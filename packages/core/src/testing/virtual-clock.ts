/**
 * Time that moves only when it is told to: timers fire in order of (due time, order of setting), and the
 * asynchronous calls let every promise chain that a timer started run to its end before the next timer fires.
 * So a program whose only time is its `Clock` takes the same course on every run, in microseconds a timer.
 */

import * as z from 'zod'
import { checkFunction } from '../arguments.js'
import type { Clock, Timer } from '../clock.js'
import { invalidDelay, sleepOn } from '../clock.js'
import { HsError, TimeoutError } from '../errors.js'
import { parseOptions } from '../options.js'
import { afterTurn, isQuiet, startWatching, stopWatching, turnBegan } from './microtasks.js'
import { ClockOnDrift, type SkewedClock, type SkewedClockOptions } from './skewed-clock.js'
import { TimerQueue } from './timer-queue.js'

const YEAR_2024 = 1_704_067_200_000
const HOUR = 3_600_000
/** A turn is taken at least this often, so that a long run does not starve the process around it. */
const TIMERS_PER_TURN = 10_000
/** Errors of callbacks that are kept for the error of the call; later ones are only counted. */
const MAX_ERRORS = 1_000

export interface VirtualClockOptions {
  /** What `now()` is at first, in milliseconds. @default 0 */
  startMs?: number
  /** What `wallNow()` is at first, in milliseconds since the Unix epoch. @default 2024-01-01T00:00Z */
  wallStartMs?: number
  /** Timers that may fire without time moving before the clock is taken to be stuck. @default 100_000 */
  maxTimersPerInstant?: number
}

export interface RunOptions {
  /** Virtual time after which to give up, in milliseconds. @default 3_600_000 */
  limitMs?: number
}

let cachedSchema: ReturnType<typeof makeSchema> | undefined
const optionsSchema = () => (cachedSchema ??= makeSchema())
const makeSchema = () =>
  z.strictObject({
    startMs: z.number().default(0),
    wallStartMs: z.number().default(YEAR_2024),
    maxTimersPerInstant: z.int().min(1).default(100_000),
  })

/** What an asynchronous call asks before each timer: when the one to fire is due, or `DONE`. */
type Next = () => number
const DONE = NaN

/** A clock that stands still until it is advanced, and then fires what is due in the right order. */
export class VirtualClock implements Clock {
  readonly #queue = new TimerQueue()
  readonly #maxPerInstant: number
  #now: number
  #wallBase: number
  #wallBaseAt: number
  #advancing = false
  #firedAtInstant = 0
  #errors: unknown[] = []
  #errorsDropped = 0

  /** @throws ConfigError */
  constructor(options: VirtualClockOptions = {}) {
    const { startMs, wallStartMs, maxTimersPerInstant } = parseOptions(optionsSchema(), options, 'VirtualClock')
    this.#now = startMs
    this.#wallBase = wallStartMs
    this.#wallBaseAt = startMs
    this.#maxPerInstant = maxTimersPerInstant
  }

  /** Virtual milliseconds; during a timer's callback, the time at which it was due. */
  now(): number {
    return this.#now
  }

  wallNow(): number {
    return Math.floor(this.#wallBase + (this.#now - this.#wallBaseAt))
  }

  /** @throws HsError `'INVALID_ARGUMENT'` for NaN and Infinity, and for an `fn` that is no function */
  setTimer(delayMs: number, fn: () => void): Timer {
    if (!Number.isFinite(delayMs)) throw invalidDelay(delayMs)
    checkFunction('A timer', fn)
    return this.#queue.add(this.#now, delayMs > 0 ? this.#now + delayMs : this.#now, fn)
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal)
  }

  /** Timers that are set and neither fired nor cancelled. */
  get pendingTimers(): number {
    return this.#queue.live
  }

  /** When the next timer fires, or null if none is set. */
  get nextTimerAt(): number | null {
    const due = this.#queue.nextDue(Infinity)
    return due === Infinity ? null : due
  }

  /**
   * Moves time on and fires what is due, synchronously: no microtask runs. What callbacks threw is thrown at the end.
   * @throws HsError `'INVALID_ARGUMENT'`, `'CLOCK_BUSY'` while another call advances, `'VIRTUAL_TIME_STUCK'`
   */
  advance(ms: number): void {
    checkSpan('advance', ms)
    this.#begin()
    try {
      const end = this.#now + ms
      for (let due = this.#queue.nextDue(end); due <= end; due = this.#queue.nextDue(end)) this.#fireNext(due)
      this.#now = end
    } catch (failure) {
      this.#errors.push(failure)
    }
    this.#end()
  }

  /**
   * Moves time on like `advance`, and lets everything that is pending run to its end first and after every timer.
   * Rejects with what `advance` throws.
   */
  async advanceAsync(ms: number): Promise<void> {
    checkSpan('advanceAsync', ms)
    const end = this.#now + ms
    await this.#drive(() => {
      const due = this.#queue.nextDue(end)
      if (due <= end) return due
      this.#now = end
      return DONE
    })
  }

  /**
   * Fires timer after timer until `condition()` is true, which is asked before the first and after every one.
   * Rejects with `TimeoutError` if `limitMs` passes or no timer is left, with what callbacks threw, and like `advance`.
   */
  async runUntil(condition: () => boolean, options: RunOptions = {}): Promise<void> {
    await this.#runUntil('VirtualClock.runUntil', condition, options)
  }

  /** Fires timers until `promise` settles, then is what `promise` is. Rejects like `runUntil` if it does not settle. */
  async run<T>(promise: Promise<T>, options: RunOptions = {}): Promise<T> {
    let settled = false
    const settle = () => {
      settled = true
    }
    promise.then(settle, settle)
    await this.#runUntil('VirtualClock.run', () => settled, options)
    return promise
  }

  /** Sets the wall clock, as an administrator or NTP would; `now()` and the timers do not notice. */
  setWall(epochMs: number): void {
    if (!Number.isFinite(epochMs))
      throw new HsError('INVALID_ARGUMENT', `setWall: expected milliseconds since the epoch, got ${epochMs}`)
    this.#wallBase = epochMs
    this.#wallBaseAt = this.#now
  }

  /** A clock that stands on this one and goes wrong as the clocks of real machines do. @throws ConfigError */
  skewed(options: SkewedClockOptions = {}): SkewedClock {
    return new ClockOnDrift(this, options)
  }

  async #runUntil(operation: string, condition: () => boolean, options: RunOptions): Promise<void> {
    const { limitMs = HOUR } = options
    checkSpan(operation, limitMs)
    const end = this.#now + limitMs
    await this.#drive(() => {
      if (condition()) return DONE
      const due = this.#queue.nextDue(end)
      if (due <= end) return due
      const pending = this.pendingTimers
      if (pending > 0) this.#now = end
      const why = pending > 0 ? 'the limit passed' : 'no timer is left'
      throw new TimeoutError(`${operation} (${why}: ${pending} pending timers at ${this.#now} ms)`, limitMs)
    })
  }

  /** Drains, fires one timer, and again, until `next` is done or throws. */
  #drive(next: Next): Promise<void> {
    this.#begin()
    startWatching()
    return new Promise((resolve, reject) => {
      const finish = () => {
        stopWatching()
        try {
          this.#end()
          resolve()
        } catch (error) {
          reject(error)
        }
      }
      const go = () => {
        turnBegan()
        try {
          for (let fired = 0; fired < TIMERS_PER_TURN; fired++) {
            const due = next()
            if (Number.isNaN(due)) return finish()
            this.#fireNext(due)
            if (!isQuiet()) break
          }
        } catch (failure) {
          this.#errors.push(failure)
          return finish()
        }
        afterTurn(go)
      }
      afterTurn(go)
    })
  }

  #begin(): void {
    if (this.#advancing) throw new HsError('CLOCK_BUSY', 'this clock is being advanced already: await that call first')
    this.#advancing = true
    this.#firedAtInstant = 0
  }

  /** Ends the call: throws what stopped it or what callbacks threw, and an `AggregateError` if that is more than one. */
  #end(): void {
    const errors = this.#errors
    const count = errors.length + this.#errorsDropped
    this.#advancing = false
    if (count === 0) return
    this.#errors = []
    this.#errorsDropped = 0
    if (count === 1) throw errors[0]
    throw new AggregateError(errors, `${count} errors while time advanced`)
  }

  /** Fires the timer that the queue named, which is due then. */
  #fireNext(due: number): void {
    if (due > this.#now) {
      this.#now = due
      this.#firedAtInstant = 0
    }
    if (this.#firedAtInstant >= this.#maxPerInstant) {
      throw new HsError(
        'VIRTUAL_TIME_STUCK',
        `more than ${this.#maxPerInstant} timers fired at ${this.#now} ms without time moving: ` +
          'a callback that sets a timer of 0 ms again and again?',
      )
    }
    this.#firedAtInstant++
    const fn = this.#queue.takeNext()
    try {
      fn()
    } catch (error) {
      if (this.#errors.length < MAX_ERRORS) this.#errors.push(error)
      else this.#errorsDropped++
    }
  }
}

function checkSpan(operation: string, ms: number): void {
  if (!Number.isFinite(ms) || ms < 0)
    throw new HsError('INVALID_ARGUMENT', `${operation}: expected milliseconds of at least 0, got ${ms}`)
}
