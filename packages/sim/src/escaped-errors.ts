/**
 * Errors that nobody handles, unhandled rejections and exceptions of callbacks that nobody called, belong to the node
 * whose code they come from. While a run is in progress they go there; those of anyone else go where they went before.
 */

import { currentScope } from './scope.js'

type Listener = (...args: unknown[]) => void

const events = ['unhandledRejection', 'uncaughtException'] as const

/** Who listened before the first run began. */
const before = new Map<string, Listener[]>()

const catchers: Readonly<Record<(typeof events)[number], Listener>> = {
  unhandledRejection: catcher('unhandledRejection'),
  uncaughtException: catcher('uncaughtException'),
}

function catcher(event: (typeof events)[number]): Listener {
  return (error, ...rest) => {
    const scope = currentScope()
    if (scope !== null) return scope.failed(error)
    const others = before.get(event) ?? []
    // As without a listener: it ends the process.
    if (others.length === 0) throw error
    for (const other of others) other.call(process, error, ...rest)
  }
}

/** Taken when the module is loaded. */
const queueMicrotaskThen = globalThis.queueMicrotask

/** What a microtask throws reaches the process without a scope, so it is caught where it is thrown. */
function queueInScope(callback: () => void): void {
  const scope = currentScope()
  if (scope === null || typeof callback !== 'function') return queueMicrotaskThen(callback)
  queueMicrotaskThen(() => {
    try {
      callback()
    } catch (error) {
      scope.failed(error)
    }
  })
}

/** Takes the place of all who listen. */
export function catchEscapedErrors(): void {
  if (globalThis.queueMicrotask === queueMicrotaskThen) globalThis.queueMicrotask = queueInScope
  for (const event of events) {
    before.set(event, process.rawListeners(event) as Listener[])
    process.removeAllListeners(event)
    process.on(event, catchers[event])
  }
}

/** Puts back whoever listened before. */
export function releaseEscapedErrors(): void {
  if (globalThis.queueMicrotask === queueInScope) globalThis.queueMicrotask = queueMicrotaskThen
  for (const event of events) {
    process.removeListener(event, catchers[event])
    const since = process.rawListeners(event) as Listener[]
    process.removeAllListeners(event)
    for (const listener of [...(before.get(event) ?? []), ...since]) process.on(event, listener)
    before.delete(event)
  }
}
