/**
 * Time and dice of the machine, which would make a run depend on more than its seed. While node code may run they are
 * replaced by functions that refuse the code of nodes and serve everyone else; afterwards they are the originals.
 */

import { currentScope } from './scope.js'

type Method = (...args: unknown[]) => unknown

interface Place {
  readonly holder: object
  readonly key: string
  /** As it is called in errors. */
  readonly api: string
}

const places: readonly Place[] = [
  { holder: Date, key: 'now', api: 'Date.now' },
  { holder: performance, key: 'now', api: 'performance.now' },
  { holder: Math, key: 'random', api: 'Math.random' },
  { holder: globalThis, key: 'setTimeout', api: 'setTimeout' },
  { holder: globalThis, key: 'setInterval', api: 'setInterval' },
  { holder: globalThis, key: 'setImmediate', api: 'setImmediate' },
  { holder: globalThis.crypto, key: 'randomUUID', api: 'crypto.randomUUID' },
  { holder: globalThis.crypto, key: 'getRandomValues', api: 'crypto.getRandomValues' },
]

interface Replacement extends Place {
  readonly guard: Method
  /** Undefined where it stands on the prototype. */
  readonly own: PropertyDescriptor | undefined
}

let replaced: Replacement[] = []
let users = 0

/** Until as many calls of `allowGlobals`. */
export function forbidGlobals(): void {
  if (users++ === 0) replaced = places.flatMap(replace)
}

export function allowGlobals(): void {
  if (--users > 0) return
  for (const { holder, key, guard, own } of replaced) {
    // Whoever replaced it meanwhile wants it so, and stands on a guard that lets everything pass.
    if ((holder as Record<string, unknown>)[key] !== guard) continue
    if (own === undefined) delete (holder as Record<string, unknown>)[key]
    else Object.defineProperty(holder, key, own)
  }
  replaced = []
}

function replace(place: Place): Replacement[] {
  const { holder, key } = place
  const original = (holder as Record<string, unknown>)[key]
  if (typeof original !== 'function') return []
  const guard = guardOf(original as Method, place.api)
  const own = Object.getOwnPropertyDescriptor(holder, key)
  Object.defineProperty(holder, key, {
    value: guard,
    configurable: true,
    writable: true,
    enumerable: own?.enumerable ?? true,
  })
  return [{ ...place, guard, own }]
}

function guardOf(original: Method, api: string): Method {
  const guard = function (this: unknown, ...args: unknown[]): unknown {
    const refusal = users > 0 ? (currentScope()?.refuses(api) ?? null) : null
    if (refusal !== null) throw refusal
    return Reflect.apply(original, this, args)
  }
  // `util.promisify(setTimeout)` finds its promise version on the function.
  Object.defineProperties(guard, Object.getOwnPropertyDescriptors(original))
  return guard
}
