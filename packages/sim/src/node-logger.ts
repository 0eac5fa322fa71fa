/** The log of an incarnation: kept for the test to look at, and each line an entry of the trace. */

import type { LogFields, Logger, LogLevel } from '@hs/core'
import { traceKinds } from './trace.js'
import type { Actor, World } from './world.js'

export class NodeLogger implements Logger {
  readonly #world: World
  readonly #actor: Actor
  readonly #kept: Logger

  /** @param kept where the lines are kept */
  constructor(world: World, actor: Actor, kept: Logger) {
    this.#world = world
    this.#actor = actor
    this.#kept = kept
  }

  debug(message: string, fields?: LogFields): void {
    this.#write('debug', message, fields)
  }

  info(message: string, fields?: LogFields): void {
    this.#write('info', message, fields)
  }

  warn(message: string, fields?: LogFields): void {
    this.#write('warn', message, fields)
  }

  error(message: string, fields?: LogFields): void {
    this.#write('error', message, fields)
  }

  child(fields: LogFields): Logger {
    return new NodeLogger(this.#world, this.#actor, this.#kept.child(fields))
  }

  #write(level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (this.#actor.isDead) return
    // Fields may hold what differs from run to run, such as stacks.
    this.#world.trace.text(this.#actor, traceKinds.log, `${level} ${message}`)
    this.#kept[level](message, fields)
  }
}
