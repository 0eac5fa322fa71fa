/** The log of an incarnation: kept for the test to look at, and each line an entry of the trace. */

import type { LogFields, Logger, LogLevel } from '@hs/core'
import { traceKinds } from './trace.js'
import type { Actor, World } from './world.js'

/** @param kept where the lines are kept */
export function nodeLogger(world: World, actor: Actor, kept: Logger): Logger {
  const at = (level: LogLevel) => (message: string, fields?: LogFields) => {
    if (actor.isDead) return
    // Fields may hold what differs from run to run, such as stacks.
    world.trace.text(actor, traceKinds.log, `${level} ${message}`)
    kept[level](message, fields)
  }
  const child = (fields: LogFields) => nodeLogger(world, actor, kept.child(fields))
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child }
}
