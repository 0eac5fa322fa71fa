/**
 * Lets pending microtasks run completely, and tells when there is no need to.
 *
 * A turn of the event loop is the only portable way to know that promise jobs (and `nextTick` callbacks) have run,
 * however long their chains are. On Node an async_hooks hook sees everything that can queue one: making a promise
 * or settling an older one, `queueMicrotask`, `process.nextTick`. If it saw nothing since the last turn, a turn
 * would run nothing, and may be skipped without anyone being able to tell.
 */

/** Of `node:async_hooks`. */
interface Hooks {
  createHook(callbacks: { init(id: number, type: string): void; promiseResolve(): void }): Hook
}

interface Hook {
  enable(): unknown
  disable(): unknown
}

type SetImmediate = (fn: () => void) => unknown

// Taken when the module is loaded: fake timers installed later must not stop virtual time.
const setImmediateThen =
  (globalThis as { setImmediate?: SetImmediate }).setImmediate ??
  // Some test environments take it away to look like a browser.
  (builtin('timers') as { setImmediate?: SetImmediate } | undefined)?.setImmediate
const queueMicrotaskThen = globalThis.queueMicrotask

/** Calls `fn` in a macrotask of its own, after everything that is queued now. */
const takeTurn: (fn: () => void) => void =
  setImmediateThen === undefined ? messageTurns() : (fn) => void setImmediateThen(fn)

function messageTurns(): (fn: () => void) => void {
  const waiting: (() => void)[] = []
  let channel: MessageChannel | undefined
  const open = () => {
    const opened = new MessageChannel()
    opened.port1.onmessage = () => {
      waiting.shift()?.()
      if (waiting.length > 0) return
      // An open one would keep a process alive.
      opened.port1.close()
      channel = undefined
    }
    return opened
  }
  return (fn) => {
    channel ??= open()
    waiting.push(fn)
    channel.port2.postMessage(null)
  }
}

/** A module of Node without an import of it: this file must load in browsers too. */
function builtin(id: string): unknown {
  return (globalThis as { process?: { getBuiltinModule?: (id: string) => unknown } }).process?.getBuiltinModule?.(id)
}

/** So many timers in a row that needed a turn show that watching does not pay for a while; each time a longer one. */
const NOISY_IN_A_ROW = 32
const SHORTEST_REST = 512
const LONGEST_REST = 16_384

/** Something was made or settled since the turn began that may have queued a microtask. */
let stirred = true
/** A `setImmediate` callback waits that came too late for this turn: it must run before the next timer, as it would without a hook. */
let immediateWaits = true
/** Async calls of virtual clocks that run now. */
let users = 0
let hook: Hook | null = null
let noisyInARow = 0
let rest = SHORTEST_REST
/** While above 0 the hook is off, because a hook makes promises slow, and every timer gets a turn. */
let restLeft = 0

/** Turns on watching until `stopWatching`. Without a usable hook `isQuiet` is never true. */
export function startWatching(): void {
  if (users++ > 0) return
  hook = hookFor()
  noisyInARow = 0
  rest = SHORTEST_REST
  restLeft = 0
  hook?.enable()
}

export function stopWatching(): void {
  if (--users > 0) return
  hook?.disable()
  hook = null
}

/** Calls `fn` after a turn of the event loop; what is pending then has run. It must begin with `turnBegan()`. */
export function afterTurn(fn: () => void): void {
  takeTurn(fn)
  // Whatever was queued until here runs before `fn`.
  immediateWaits = false
}

export function turnBegan(): void {
  stirred = immediateWaits
}

/** True if it is certain that a turn would run nothing. Asked once after each timer. */
export function isQuiet(): boolean {
  if (hook === null) return false
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
  noisyInARow++
  if (noisyInARow < NOISY_IN_A_ROW) return false
  noisyInARow = 0
  restLeft = rest
  rest = Math.min(2 * rest, LONGEST_REST)
  hook.disable()
  return false
}

let made: { from: unknown; hook: Hook | null } | undefined

function hookFor(): Hook | null {
  const hooks = builtin('async_hooks') as Partial<Hooks> | undefined
  if (hooks === undefined) return null
  if (made?.from !== hooks) made = { from: hooks, hook: makeHook(hooks) }
  return made.hook
}

function makeHook(hooks: Partial<Hooks>): Hook | null {
  if (typeof hooks.createHook !== 'function') return null
  const created = hooks.createHook({
    init(_id, type) {
      stirred = true
      if (type === 'Immediate') immediateWaits = true
    },
    promiseResolve() {
      stirred = true
    },
  })
  return seesEverything(created) ? created : null
}

/** Other runtimes have the module but not all its events; such a hook would prove nothing. */
function seesEverything(candidate: Hook): boolean {
  let resolve: (value: unknown) => void = () => undefined
  let reject: (error: unknown) => void = () => undefined
  const older = new Promise((done) => (resolve = done))
  const other = new Promise((_done, fail) => (reject = fail)).catch(() => 'read')
  const probes = [
    () => void new Promise(() => undefined),
    () => resolve(older === other),
    () => reject(new Error('probe')),
    () => queueMicrotaskThen(() => undefined),
    () => process.nextTick(() => undefined),
  ]
  candidate.enable()
  try {
    return probes.every((probe) => {
      stirred = false
      probe()
      return stirred
    })
  } finally {
    candidate.disable()
  }
}
