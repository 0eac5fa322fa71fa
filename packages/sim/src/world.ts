/**
 * What all parts of a simulation share: the true time, the queue of what is to happen, the trace, and the first failure.
 * It knows neither nodes nor the network; those put events into it.
 */

import { SeededRandom } from '@hs/core/testing'
import type { HsError } from '@hs/core'
import { EventQueue, type SimEvent } from './event-queue.js'
import { failureOf, messageOf, type FailureCode, type FailureOptions } from './failure.js'
import { hashNumber, hashText, scramble } from './hash.js'
import type { Scope } from './scope.js'
import type { WorldOptions } from './simulation-options.js'
import { TraceLog, type TraceSubject } from './trace.js'

/** Whose events they are: a node, or the workload. */
export interface EventOwner extends TraceSubject {
  /** Decides, with the time, among events of one instant. */
  readonly tieSalt: number
}

/** In whose name timers fire. */
export interface Actor extends Scope, EventOwner {
  /** It does not run now: its events wait with `hold`. */
  readonly isPaused: boolean
  hold(event: SimEvent): void
}

const double = new Float64Array(1)
const words = new Int32Array(double.buffer)

export class World {
  readonly options: WorldOptions
  readonly random: SeededRandom
  /** The seed as two words, for whatever mixes its own. */
  readonly seedLow: number
  readonly seedHigh: number
  readonly queue = new EventQueue()
  readonly trace: TraceLog
  readonly workload: Workload
  /** True time, in milliseconds from 0. */
  now = 0
  /** The same as two words. */
  timeLow = 0
  timeHigh = 0
  /** Events that happened. */
  events = 0
  failure: HsError | undefined
  /** Time may move: a run is in progress. */
  isRunning = false
  /** Something happened since the invariants were checked. */
  changed = true
  readonly #seededTies: boolean

  constructor(options: WorldOptions) {
    this.options = options
    this.random = new SeededRandom(options.seed)
    this.seedHigh = Number.parseInt(this.random.seed.slice(0, 8), 16) | 0
    this.seedLow = Number.parseInt(this.random.seed.slice(8), 16) | 0
    this.trace = new TraceLog(options.traceTail)
    this.#seededTies = options.tieBreak === 'seeded'
    this.workload = new Workload(this)
  }

  wallNow(): number {
    return Math.floor(this.options.wallStartMs + this.now)
  }

  /** Has `event` fire at a time, which is not in the past. */
  schedule(at: number, owner: EventOwner, event: SimEvent): void {
    this.queue.add(at, this.#seededTies ? scramble(hashNumber(at) ^ owner.tieSalt) : 0, event)
  }

  moveTo(at: number): void {
    this.now = at
    double[0] = at
    this.timeLow = words[0] as number
    this.timeHigh = words[1] as number
    this.trace.moveTo(at)
  }

  /** A word of the stream of chance of this name. */
  saltOf(name: string): number {
    return scramble(hashText(name, this.seedLow) ^ this.seedHigh)
  }

  failureOf(code: FailureCode, message: string, options?: FailureOptions): HsError {
    const seed = { given: this.options.seed, hex: this.random.seed }
    return failureOf(code, message, seed, this.now, options)
  }

  /** Ends the run, unless something else has ended it before. */
  fail(failure: HsError): void {
    this.failure ??= failure
  }
}

/** What happens outside of the nodes. Its errors are the test's, not a node's. */
class Workload implements Actor {
  readonly name = ''
  readonly isDead = false
  readonly isPaused = false
  readonly traceSalt = hashText('', 1)
  readonly tieSalt: number
  readonly #world: World

  constructor(world: World) {
    this.#world = world
    this.tieSalt = world.saltOf('ties/')
  }

  /** Never called: it is never paused. */
  hold(event: SimEvent): void {
    event.fire()
  }

  failed(error: unknown): void {
    if (error === this.#world.failure) return
    const message = `The workload threw: ${messageOf(error)}`
    this.#world.fail(this.#world.failureOf('WORKLOAD_ERROR', message, { cause: error }))
  }

  refuses(): Error | null {
    return null
  }
}
