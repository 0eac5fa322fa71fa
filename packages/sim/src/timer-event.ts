/** A timer of a node or of the workload; also the handle by which it is cancelled. */

import type { Timer } from '@hs/core'
import type { SimEvent } from './event-queue.js'
import { enterScope, watchResult } from './scope.js'
import { traceKinds } from './trace.js'
import type { Actor, World } from './world.js'

export class TimerEvent implements SimEvent, Timer {
  tie = 0
  order = 0
  readonly #world: World
  readonly #actor: Actor
  /** Undefined once it has fired or is cancelled. */
  #fn: (() => unknown) | undefined

  constructor(world: World, actor: Actor, fn: () => unknown) {
    this.#world = world
    this.#actor = actor
    this.#fn = fn
  }

  get isOver(): boolean {
    return this.#fn === undefined || this.#actor.isDead
  }

  cancel(): void {
    if (this.#fn === undefined) return
    this.#fn = undefined
    this.#world.queue.tellOver()
  }

  fire(): void {
    const fn = this.#fn
    const actor = this.#actor
    if (fn === undefined || actor.isDead) return
    if (actor.isPaused) {
      actor.hold(this)
      return
    }
    this.#fn = undefined
    this.#world.trace.number(actor, traceKinds.timer, this.order)
    enterScope(actor)
    watchResult(fn(), actor)
  }
}

/** What is given to an incarnation that has ended: it never fires. */
export const deadTimer: Timer = Object.freeze({ cancel: () => undefined })
