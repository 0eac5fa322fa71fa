/**
 * Freezes plain objects and arrays all the way down, in place, and returns the same value: for snapshots.
 * Other objects (maps, buffers, class instances) are left as they are: they would not be snapshots.
 */
export function deepFreeze<T>(x: T): T {
  freezeAll(x, undefined)
  return x
}

/**
 * What is frozen already may hold what is not, so it is gone through too, once: `seen` are those, which also ends a
 * cycle. Made only when there are any, as snapshots seldom have them. Returns `seen`.
 */
function freezeAll(x: unknown, seen: Set<object> | undefined): Set<object> | undefined {
  if (typeof x !== 'object' || x === null || !isPlain(x)) return seen
  let frozen = seen
  if (!Object.isFrozen(x)) Object.freeze(x)
  else if (frozen?.has(x)) return frozen
  else frozen = (frozen ?? new Set()).add(x)
  for (const value of Object.values(x)) frozen = freezeAll(value, frozen)
  return frozen
}

function isPlain(x: object): boolean {
  if (Array.isArray(x)) return true
  const prototype: unknown = Object.getPrototypeOf(x)
  return prototype === Object.prototype || prototype === null
}
