/**
 * The clocks of a node. Its hardware (`NodeTime`) runs too fast or too slow and its wall clock is off; on it, each
 * incarnation has a monotonic clock with an origin of its own, so that comparing those of two nodes fails at once.
 */

import { HsError, sleepOn, type Clock, type Timer } from '@hs/core'
import { deadTimer, TimerEvent } from './timer-event.js'
import type { Actor, World } from './world.js'

const PPM = 1_000_000

/** Outlives the incarnations of a node. */
export class NodeTime {
  readonly #world: World
  skewMs: number
  #driftPpm: number
  /** Drift gathered until `#since`, in local milliseconds. */
  #drift = 0
  #since: number

  constructor(world: World, skewMs: number, driftPpm: number) {
    this.#world = world
    this.skewMs = skewMs
    this.#driftPpm = driftPpm
    this.#since = world.now
  }

  get driftPpm(): number {
    return this.#driftPpm
  }

  /** From now on; what has gathered stays. */
  setDrift(ppm: number): void {
    const { now } = this.#world
    this.#drift = this.driftAt(now)
    this.#since = now
    this.#driftPpm = ppm
  }

  /** Local minus true milliseconds since the node was made. */
  driftAt(trueMs: number): number {
    return this.#driftPpm === 0 ? this.#drift : this.#drift + ((trueMs - this.#since) * this.#driftPpm) / PPM
  }

  wallNow(): number {
    return Math.round(this.#world.wallNow() + this.skewMs + this.driftAt(this.#world.now))
  }
}

/** Of one incarnation: when that ends, its timers and sleeps never do. */
export class NodeClock implements Clock {
  readonly #world: World
  readonly #actor: Actor
  readonly #time: NodeTime
  readonly #origin: number
  readonly #bootedAt: number
  readonly #driftAtBoot: number

  constructor(world: World, actor: Actor, time: NodeTime, origin: number) {
    this.#world = world
    this.#actor = actor
    this.#time = time
    this.#origin = origin
    this.#bootedAt = world.now
    this.#driftAtBoot = time.driftAt(world.now)
  }

  now(): number {
    return this.#localAt(this.#world.now)
  }

  wallNow(): number {
    return this.#time.wallNow()
  }

  setTimer(delayMs: number, fn: () => void): Timer {
    if (!Number.isFinite(delayMs)) throw invalidDelay(delayMs)
    if (this.#actor.isDead) return deadTimer
    const timer = new TimerEvent(this.#world, this.#actor, fn)
    this.#world.schedule(this.#dueAfter(delayMs), this.#actor, timer)
    return timer
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal === undefined) return sleepOn(this, ms)
    // Its signal may be another's, and abort when this incarnation has ended.
    return new Promise((resolve, reject) => {
      sleepOn(this, ms, signal).then(resolve, (error: unknown) => {
        if (!this.#actor.isDead) reject(error)
      })
    })
  }

  /** The true time at which this clock has moved on by a delay. */
  #dueAfter(delayMs: number): number {
    const { now } = this.#world
    if (!(delayMs > 0)) return now
    const localDue = this.#localAt(now) + delayMs
    const { driftPpm } = this.#time
    // Not delayMs / rate: of whole numbers this makes the exact result.
    let due = now + (driftPpm === 0 ? delayMs : (delayMs * PPM) / (PPM + driftPpm))
    // Rounding must not let a timer fire before the clock shows that it is due.
    for (;;) {
      const short = localDue - this.#localAt(due)
      if (!(short > 0)) return due
      due += Math.max((short * PPM) / (PPM + driftPpm), due * Number.EPSILON, Number.MIN_VALUE)
    }
  }

  #localAt(trueMs: number): number {
    return this.#origin + (trueMs - this.#bootedAt) + (this.#time.driftAt(trueMs) - this.#driftAtBoot)
  }
}

/** True time, for the workload. */
export class TrueClock implements Clock {
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  now(): number {
    return this.#world.now
  }

  wallNow(): number {
    return this.#world.wallNow()
  }

  setTimer(delayMs: number, fn: () => void): Timer {
    if (!Number.isFinite(delayMs)) throw invalidDelay(delayMs)
    const { workload, now } = this.#world
    const timer = new TimerEvent(this.#world, workload, fn)
    this.#world.schedule(delayMs > 0 ? now + delayMs : now, workload, timer)
    return timer
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal)
  }
}

function invalidDelay(delayMs: number): HsError {
  return new HsError('INVALID_ARGUMENT', `A timer's delay must be a finite number of milliseconds, found ${delayMs}`, {
    details: { delayMs },
  })
}
