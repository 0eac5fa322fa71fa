/**
 * Lets every promise job that an event caused run before the next event, and tells when there is none.
 *
 * Only a turn of the event loop makes certain that promise jobs have run, however long their chains are. A hook of
 * `node:async_hooks` sees everything that can queue one: making a promise or settling an older one, `queueMicrotask`,
 * `process.nextTick`. If it saw nothing since the turn began, another turn would run nothing and may be skipped
 * without anyone being able to tell.
 */

import { createHook } from 'node:async_hooks'

// Taken when the module is loaded: a run replaces the global one, and so do fake timers.
const takeTurn = setImmediate

/** So many events in a row that needed a turn show that watching does not pay for a while; each time a longer one. */
const NOISY_IN_A_ROW = 32
const SHORTEST_REST = 256
const LONGEST_REST = 8_192

let stirred = true
const stir = () => {
  stirred = true
}
const hook = createHook({ init: stir, promiseResolve: stir })

/** Runs in progress, of however many simulations. */
let runs = 0
let skipping = true
/** Found out at the first run. */
let hookWorks: boolean | undefined
let noisyInARow = 0
let rest = SHORTEST_REST
/** While above 0 the hook is off, for it makes promises slow, and every event gets a turn. */
let restLeft = 0

/** Turns watching on until `stopWatching`. */
export function startWatching(): void {
  if (runs++ > 0) return
  hookWorks ??= seesPromises()
  noisyInARow = 0
  rest = SHORTEST_REST
  restLeft = 0
  if (skipping && hookWorks) hook.enable()
}

/** Other runtimes have the module but not its events; such a hook would prove nothing. */
function seesPromises(): boolean {
  let resolve: () => void = () => undefined
  const older = new Promise<void>((done) => {
    resolve = done
  })
  const probes = [() => new Promise(() => undefined), () => resolve(), () => process.nextTick(() => older)]
  hook.enable()
  const sees = probes.every((probe) => {
    stirred = false
    probe()
    return stirred
  })
  hook.disable()
  return sees
}

export function stopWatching(): void {
  if (--runs === 0) hook.disable()
}

/** Calls `fn` when everything that is queued now has run. It must begin with `turnBegan()`. */
export function afterTurn(fn: () => void): void {
  takeTurn(fn)
}

export function turnBegan(): void {
  stirred = false
}

/** True if a turn would certainly run nothing. Asked once after each event. */
export function isQuiet(): boolean {
  if (!skipping || hookWorks !== true) return false
  if (restLeft > 0) {
    restLeft--
    if (restLeft === 0) hook.enable()
    return false
  }
  if (!stirred) {
    noisyInARow = 0
    rest = SHORTEST_REST
    return true
  }
  if (++noisyInARow < NOISY_IN_A_ROW) return false
  noisyInARow = 0
  restLeft = rest
  rest = Math.min(2 * rest, LONGEST_REST)
  hook.disable()
  return false
}

/** For tests: with skipping off every event gets a turn, and nothing else may differ. Not during a run. */
export function setTurnSkipping(on: boolean): void {
  skipping = on
}
