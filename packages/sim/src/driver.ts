/**
 * Lets time pass: takes event after event, runs every promise job that each caused before anything else happens, and
 * checks the invariants when an instant is over. It stops at a failure, at a time, or when a condition holds.
 */

import { HsError, TimeoutError } from '@hs/core'
import type { Invariants } from './invariants.js'
import { beginRun, endRun } from './run-guard.js'
import { enterScope, enteredScope, leaveScopes } from './scope.js'
import { afterTurn, isQuiet, turnBegan } from './turns.js'
import type { World } from './world.js'

/** A turn is taken at least this often, so that a long run does not starve the process around it. */
const EVENTS_PER_TURN = 10_000

/** When a run is over. */
interface Goal {
  /** Events after this time are not of this run. */
  readonly endMs: number
  /** Asked before the first event and after every one. */
  isReached?(): boolean
  /** The end is here, or no event is left, and the goal is not reached. Throws if that is a failure of the call. */
  missed(): void
}

export class Driver {
  readonly #world: World
  readonly #invariants: Invariants
  #perInstant = 0

  constructor(world: World, invariants: Invariants) {
    this.#world = world
    this.#invariants = invariants
  }

  get isBusy(): boolean {
    return this.#world.isRunning
  }

  async runFor(ms: number): Promise<void> {
    checkSpan('runFor', ms)
    const endMs = this.#world.now + ms
    await this.#drive({ endMs, missed: () => this.#moveTo(endMs) })
  }

  async runUntil(operation: string, isReached: () => boolean, limitMs: number): Promise<void> {
    checkSpan(operation, limitMs)
    const world = this.#world
    const endMs = world.now + limitMs
    const missed = () => {
      const left = world.queue.nextTime() < Infinity
      if (left) this.#moveTo(endMs)
      const why = left ? 'the limit passed' : 'nothing is left to happen'
      throw new TimeoutError(`${operation} (${why}: seed ${world.random.seed}, at ${world.now} ms)`, limitMs)
    }
    await this.#drive({ endMs, isReached, missed })
  }

  #drive(goal: Goal): Promise<void> {
    const world = this.#world
    if (world.isRunning)
      throw new HsError('SIMULATION_BUSY', 'This simulation is running already: await that call before the next one')
    if (world.failure !== undefined) throw world.failure
    world.isRunning = true
    const { forbidGlobals } = world.options
    beginRun(forbidGlobals)
    return new Promise((resolve, reject) => {
      const finish = (error: unknown) => {
        world.isRunning = false
        leaveScopes()
        endRun(forbidGlobals)
        if (error === undefined) resolve()
        else reject(error)
      }
      const go = () => {
        turnBegan()
        leaveScopes()
        try {
          for (let i = 0; i < EVENTS_PER_TURN; i++) {
            if (this.#isOver(goal)) {
              finish(world.failure)
              return
            }
            this.#step()
            if (!isQuiet()) break
          }
        } catch (error) {
          finish(error)
          return
        }
        afterTurn(go)
      }
      world.changed = true
      afterTurn(go)
    })
  }

  /** Everything that the last event caused has run: is there a next one in this run? */
  #isOver(goal: Goal): boolean {
    const world = this.#world
    if (world.failure !== undefined) return true
    const next = world.queue.nextTime()
    if (world.changed && next > world.now) this.#check()
    if (world.failure !== undefined) return true
    if (goal.isReached !== undefined && this.#asks(goal.isReached)) {
      if (world.changed) this.#check()
      return true
    }
    if (next <= goal.endMs && next < Infinity) return world.failure !== undefined
    if (world.failure !== undefined) return true
    goal.missed()
    this.#check()
    return true
  }

  #check(): void {
    enterScope(this.#world.workload)
    this.#world.changed = false
    this.#invariants.checkAlways()
  }

  #asks(condition: () => boolean): boolean {
    enterScope(this.#world.workload)
    try {
      return condition()
    } catch (error) {
      this.#world.workload.failed(error)
      return false
    }
  }

  #step(): void {
    const world = this.#world
    const at = world.queue.nextTime()
    if (at > world.now) this.#moveTo(at)
    if (this.#perInstant >= world.options.maxEventsPerInstant) {
      const message = `More than ${this.#perInstant} events without time moving: a timer of 0 ms that sets the next?`
      world.fail(world.failureOf('STUCK', message))
      return
    }
    if (world.events >= world.options.maxEvents) {
      world.fail(world.failureOf('EVENT_LIMIT', `More than ${world.events} events: raise maxEvents if that is right`))
      return
    }
    this.#perInstant++
    world.events++
    world.changed = true
    const event = world.queue.take()
    try {
      event.fire()
    } catch (error) {
      ;(enteredScope() ?? world.workload).failed(error)
    }
  }

  #moveTo(at: number): void {
    this.#perInstant = 0
    this.#world.moveTo(at)
  }
}

function checkSpan(operation: string, ms: number): void {
  if (!Number.isFinite(ms) || ms < 0)
    throw new HsError('INVALID_ARGUMENT', `${operation}: expected milliseconds of at least 0, got ${ms}`)
}
