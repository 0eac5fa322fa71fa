/**
 * Freezes plain objects and arrays all the way down, in place, and returns the same value: for snapshots.
 * Other objects (maps, buffers, class instances) are left as they are: they would not be snapshots.
 */
export function deepFreeze<T>(x: T): T {
  freezeAll(x, new Set())
  return x
}

/** What is frozen already may hold what is not: only what was `seen` here is left out, so that a cycle ends. */
function freezeAll(x: unknown, seen: Set<object>): void {
  if (typeof x !== 'object' || x === null || seen.has(x) || !isPlain(x)) return
  seen.add(x)
  Object.freeze(x)
  for (const value of Object.values(x)) freezeAll(value, seen)
}

function isPlain(x: object): boolean {
  if (Array.isArray(x)) return true
  const prototype: unknown = Object.getPrototypeOf(x)
  return prototype === Object.prototype || prototype === null
}
