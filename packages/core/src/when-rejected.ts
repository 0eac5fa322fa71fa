/**
 * Calls `onRejected` if `returned` is a promise that rejects, and leaves anything else alone: what a callback that may
 * be async needs. Throws what a broken thenable throws.
 */
export function whenRejected(returned: unknown, onRejected: (error: unknown) => void): void {
  if (!isThenable(returned)) return
  returned.then(undefined, onRejected)
}

/** Whether a callback returned a promise, of whatever make. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  return typeof (value as { then?: unknown }).then === 'function'
}
