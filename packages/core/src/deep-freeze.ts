/**
 * Freezes plain objects and arrays all the way down, in place, and returns the same value: for snapshots.
 * Other objects (maps, buffers, class instances) are left as they are: they would not be snapshots.
 */
export function deepFreeze<T>(x: T): T {
  if (typeof x !== 'object' || x === null || Object.isFrozen(x) || !isPlain(x)) return x
  Object.freeze(x) // before going down, so that a cycle ends
  for (const value of Object.values(x)) deepFreeze(value)
  return x
}

function isPlain(x: object): boolean {
  if (Array.isArray(x)) return true
  const prototype: unknown = Object.getPrototypeOf(x)
  return prototype === Object.prototype || prototype === null
}
