/**
 * Whose code runs: each event is run in the scope of its node (or of the workload), and `AsyncLocalStorage` carries the
 * scope along to what runs after an `await`. So whatever goes wrong, wherever, has a node that it belongs to.
 */

import { AsyncLocalStorage } from 'node:async_hooks'

/** An incarnation of a node, or the workload. */
export interface Scope {
  /** Ended by a crash or a stop: what its code still does means nothing. */
  readonly isDead: boolean
  /** Its code threw, or a promise of its rejected. */
  failed(error: unknown): void
  /** The error for the use of a global that would make the run depend on more than its seed; null if it may. */
  refuses(api: string): Error | null
}

const storage = new AsyncLocalStorage<Scope | null>()

/** The scope of the event that runs, where `enterScope` put it: saves putting the same one again. */
let entered: Scope | null = null

/** A callback of the event loop begins, with whatever scope its maker had. */
export function leaveScopes(): void {
  storage.enterWith(null)
  entered = null
}

/** What follows, until the next event, is run in this scope. Only within a callback that began with `leaveScopes`. */
export function enterScope(scope: Scope): void {
  if (entered === scope) return
  storage.enterWith(scope)
  entered = scope
}

/** Whose event runs now. Null outside of events. */
export function enteredScope(): Scope | null {
  return entered
}

/** Runs `fn` in a scope, and what it leaves behind after an `await` too. */
export function inScope<T>(scope: Scope, fn: () => T): T {
  return storage.run(scope, fn)
}

/** Whose code runs now. Null: nobody's of any simulation. */
export function currentScope(): Scope | null {
  return storage.getStore() ?? null
}

/** No run is in progress: promises need not be followed any longer. Those that wait keep their scopes. */
export function stopFollowing(): void {
  storage.disable()
  entered = null
}

/** If `result` is a promise, its rejection is a failure of the scope. */
export function watchResult(result: unknown, scope: Scope): void {
  if (typeof result !== 'object' || result === null) return
  if (typeof (result as { then?: unknown }).then !== 'function') return
  ;(result as PromiseLike<unknown>).then(undefined, (error: unknown) => scope.failed(error))
}
