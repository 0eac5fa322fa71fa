/**
 * Timers in bulk: timeouts of thousands of requests, members or leases over one timer of the clock. A timer fires at
 * the first tick boundary at or after its due time, never early; scheduling, cancelling and rescheduling cost the
 * same however many there are, and an idle wheel wakes nobody.
 * Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987); see `TimerSlots`.
 */
import * as z from 'zod'
import { checkFunction } from './arguments.js'
import type { Clock, Timer } from './clock.js'
import { ErrorReporter, type OnError } from './error-reporter.js'
import { ClosedError, HsError } from './errors.js'
import { parseOptions } from './options.js'
import { runtimeShape, type RuntimeOptions } from './runtime.js'
import { NO_SLOT, NONE, TimerSlots } from './timer-slots.js'
import { whenRejected } from './when-rejected.js'

/** 366 days, in milliseconds. */
const MAX_DELAY_MS = 366 * 86_400_000
/** The aim while callbacks run: less than any slot, so that nobody aims until the pass is over. */
const IN_PASS = -1

export interface TimingWheelOptions extends RuntimeOptions {
  /** The distance of tick boundaries in milliseconds, 1 to 3_600_000. They are counted from the wheel's making. @default 10 */
  tickMs?: number
  /** Told what a callback throws or rejects with, before the logger is. */
  onError?: OnError
}

export interface TimingWheelSnapshot {
  /** Timers that will still fire. */
  readonly size: number
  readonly tickMs: number
  /** Timers armed so far: always `fired + cancelled + size`. Moving an active timer counts nothing. */
  readonly scheduled: number
  readonly fired: number
  /** Those that `stop` ended count here too. */
  readonly cancelled: number
}

export interface WheelTimer extends Timer {
  /** Whether it will fire. */
  readonly active: boolean
  /**
   * Lets it fire `delayMs` from now instead; arms it again even after firing or cancelling.
   * @param delayMs 0 to 366 days
   * @throws HsError `'INVALID_ARGUMENT'`, ClosedError after `stop`
   */
  reschedule(delayMs: number): void
}

/** Any number of timers over one timer of the clock. */
export class TimingWheel {
  readonly tickMs: number
  readonly #engine: Engine

  /** @throws ConfigError */
  constructor(options: TimingWheelOptions = {}) {
    const { tickMs, onError, ...runtime } = parseOptions(optionsSchema(), options, 'TimingWheel')
    const reporter = new ErrorReporter(onError === undefined ? runtime : { ...runtime, onError })
    this.tickMs = tickMs
    this.#engine = new Engine(runtime.clock, tickMs, (error) => reporter.report('TimingWheel', error))
  }

  /** Timers that will still fire. */
  get size(): number {
    return this.#engine.slots.size
  }

  /**
   * Calls `fn` at the first tick boundary that is `delayMs` or more from now, after all that is due before it and
   * all of the same tick that was scheduled before it. With 0 it runs in a later pass than the caller's.
   * @param delayMs 0 to 366 days
   * @throws HsError `'INVALID_ARGUMENT'`, ClosedError after `stop`
   */
  schedule(delayMs: number, fn: () => void): WheelTimer {
    checkFunction('A timer', fn)
    const entry = new Entry(this.#engine, fn)
    this.#engine.set(entry, delayMs)
    return entry
  }

  /** Ends it: nothing fires any more, the clock's timer is gone. Idempotent. */
  stop(): void {
    this.#engine.stop()
  }

  /** What a dashboard shows. */
  snapshot(): TimingWheelSnapshot {
    const { scheduled, fired } = this.#engine
    const { size, tickMs } = this
    return Object.freeze({ size, tickMs, scheduled, fired, cancelled: scheduled - fired - size })
  }
}

class Entry implements WheelTimer {
  /** What stands for it in the slots; NONE while it is not to fire. */
  id = NONE
  readonly fn: () => void
  readonly #engine: Engine

  constructor(engine: Engine, fn: () => void) {
    this.fn = fn
    this.#engine = engine
  }

  get active(): boolean {
    return this.id !== NONE
  }

  cancel(): void {
    this.#engine.cancel(this)
  }

  reschedule(delayMs: number): void {
    this.#engine.set(this, delayMs)
  }
}

/** What the wheel and its timers share: the slots, the clock's one timer, the passes. */
class Engine {
  readonly slots = new TimerSlots<Entry>()
  scheduled = 0
  fired = 0
  readonly #clock: Clock
  readonly #tickMs: number
  readonly #report: (error: unknown) => void
  readonly #wake = () => this.#pass()
  /** When tick 0 was. */
  readonly #originMs: number
  /** From this time on the tick reached lies in the past, and may be moved if nothing is due. */
  #staleFromMs: number
  /** The clock's one timer, and the slot that it is aimed at and when that begins; nothing: `NO_SLOT`, `Infinity`. */
  #alarm: Timer | undefined
  #aim = NO_SLOT
  #aimMs = Infinity
  /** When the timer fires. */
  #alarmMs = Infinity
  #stopped = false

  constructor(clock: Clock, tickMs: number, report: (error: unknown) => void) {
    this.#clock = clock
    this.#tickMs = tickMs
    this.#report = report
    this.#originMs = clock.now()
    this.#staleFromMs = this.#originMs + tickMs
  }

  /** Lets it fire `delayMs` from now, whether or not it was to fire before. */
  set(entry: Entry, delayMs: number): void {
    this.#check(delayMs)
    const tick = this.#tickAfter(delayMs)
    const { id } = entry
    if (id === NONE) {
      entry.id = this.slots.add(entry, tick)
      this.scheduled++
      this.#aimAtMost(this.slots.slotOf(entry.id), tick)
      return
    }
    const left = this.slots.take(id)
    this.#aimAtMost(this.slots.put(id, tick), tick)
    this.#aimBeyond(left)
  }

  cancel(entry: Entry): void {
    const { id } = entry
    if (id === NONE) return
    const left = this.slots.take(id)
    this.slots.forget(id)
    entry.id = NONE
    this.#aimBeyond(left)
  }

  stop(): void {
    this.#stopped = true
    for (const entry of this.slots) entry.id = NONE
    this.slots.clear()
    this.#aimAt(NO_SLOT)
  }

  #check(delayMs: number): void {
    if (this.#stopped) throw new ClosedError('TimingWheel')
    if (typeof delayMs === 'number' && delayMs >= 0 && delayMs <= MAX_DELAY_MS) return
    throw new HsError('INVALID_ARGUMENT', `A wheel timer's delay must be 0 to ${MAX_DELAY_MS} ms, found ${delayMs}`)
  }

  /** The tick to place a timer at that is set now. */
  #tickAfter(delayMs: number): number {
    const now = this.#clock.now()
    // Nothing is due before the aim. Without this, timers set long after the last pass would go to coarser slots
    // than they need, and those would wake the wheel.
    if (now >= this.#staleFromMs && now < this.#aimMs) {
      this.slots.skipTo(this.#lastTickBy(now))
      this.#staleFromMs = this.#boundary(this.slots.reached + 1)
    }
    return this.#firstTickFrom(now + delayMs)
  }

  /** Fires what is due. What its callbacks schedule is not among it, even if it is due by now. */
  #pass(): void {
    this.#alarm = undefined
    this.#aim = IN_PASS
    this.#aimMs = -Infinity
    this.slots.advanceTo(this.#lastTickBy(this.#clock.now()))
    this.#staleFromMs = this.#boundary(this.slots.reached + 1)
    for (let entry = this.slots.takeDue(); entry !== undefined; entry = this.slots.takeDue()) {
      entry.id = NONE
      this.fired++
      this.#run(entry.fn)
    }
    if (!this.#stopped) this.#aimAt(this.slots.first())
  }

  #run(fn: () => unknown): void {
    try {
      whenRejected(fn(), this.#report)
    } catch (error) {
      this.#report(error)
    }
  }

  /** A slot was entered for a tick: aims at it if that comes before the aim. */
  #aimAtMost(slot: number, tick: number): void {
    if (slot < this.#aim || (slot === this.#aim && this.#boundary(tick) < this.#alarmMs)) this.#aimAt(slot)
  }

  /** A slot was left: aims at the next one if it was the aim and is free now. */
  #aimBeyond(slot: number): void {
    if (slot === this.#aim && this.slots.isFree(slot)) this.#aimAt(this.slots.first())
  }

  #aimAt(slot: number): void {
    this.#alarm?.cancel()
    this.#aim = slot
    if (slot === NO_SLOT) {
      this.#alarm = undefined
      this.#aimMs = Infinity
      return
    }
    this.#aimMs = this.#boundary(this.slots.startOf(slot))
    // Not at the slot's start if that can be told: of a coarse one nothing may be due for long.
    this.#alarmMs = this.#boundary(this.slots.firstIn(slot))
    this.#alarm = this.#clock.setTimer(this.#alarmMs - this.#clock.now(), this.#wake)
  }

  #boundary(tick: number): number {
    return this.#originMs + tick * this.#tickMs
  }

  /** The first tick whose boundary is at or after `ms`; a quotient alone may be one off by rounding, either way. */
  #firstTickFrom(ms: number): number {
    const tick = Math.ceil((ms - this.#originMs) / this.#tickMs)
    if (this.#boundary(tick) < ms) return tick + 1
    return this.#boundary(tick - 1) >= ms ? tick - 1 : tick
  }

  /** The last tick whose boundary is at or before `ms`. */
  #lastTickBy(ms: number): number {
    const tick = Math.floor((ms - this.#originMs) / this.#tickMs)
    if (this.#boundary(tick) > ms) return tick - 1
    return this.#boundary(tick + 1) <= ms ? tick + 1 : tick
  }
}

let cachedSchema: ReturnType<typeof makeSchema> | undefined
const optionsSchema = () => (cachedSchema ??= makeSchema())
const makeSchema = () =>
  z.strictObject({
    ...runtimeShape,
    tickMs: z.number().min(1).max(3_600_000).default(10),
    onError: z.custom<OnError>((x) => typeof x === 'function', 'expected a function').optional(),
  })
