/** What is set up around the process while any simulation runs, and taken down after the last. */

import { catchEscapedErrors, releaseEscapedErrors } from './escaped-errors.js'
import { allowGlobals, forbidGlobals } from './forbidden-globals.js'
import { inScope, stopFollowing, type Scope } from './scope.js'
import { startWatching, stopWatching } from './turns.js'

let runs = 0

/** @param forbids whether the nodes of this simulation may not use the time and dice of the machine */
export function beginRun(forbids: boolean): void {
  startWatching()
  if (forbids) forbidGlobals()
  if (runs++ === 0) catchEscapedErrors()
}

export function endRun(forbids: boolean): void {
  stopWatching()
  if (forbids) allowGlobals()
  if (--runs > 0) return
  releaseEscapedErrors()
  stopFollowing()
}

/** Runs code of a node that is called from outside of events, also while no run is in progress. */
export function callGuarded<T>(scope: Scope, forbids: boolean, fn: () => T): T {
  if (!forbids) return inScope(scope, fn)
  forbidGlobals()
  try {
    return inScope(scope, fn)
  } finally {
    allowGlobals()
  }
}
