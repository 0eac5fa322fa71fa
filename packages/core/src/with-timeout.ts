/**
 * A time limit around any asynchronous work: the work gets a signal that aborts with the very error the caller gets.
 * Once the call has settled, neither a timer nor a listener of it is left.
 */
import { unwatchAbort, watchAbort } from './abort-watch.js'
import { checkFunction } from './arguments.js'
import { systemClock, type Clock, type Timer } from './clock.js'
import { HsError, TimeoutError } from './errors.js'

export interface WithTimeoutOptions {
  /** @default systemClock */
  clock?: Clock
  /** Aborting it rejects with its reason, and aborts the work's signal with the same. */
  signal?: AbortSignal
}

/**
 * Runs `fn`, which must heed its signal to stop early: work that does not is left to itself, its result is dropped.
 * @param operation names the work in the error: `'read of the lease'`.
 * @param timeoutMs in milliseconds; `Infinity` is no limit; 0 or less fails unless `fn` is done at once.
 * @throws TimeoutError (as a rejection), or what `fn` throws, or the reason of `options.signal`;
 *   HsError `'INVALID_ARGUMENT'` if `timeoutMs` is not a number or `fn` no function.
 */
export function withTimeout<T>(
  operation: string,
  timeoutMs: number,
  fn: (signal: AbortSignal) => T | Promise<T>,
  options: WithTimeoutOptions = {},
): Promise<T> {
  const { clock = systemClock, signal } = options
  return new Promise((resolve, reject) => {
    if (typeof timeoutMs !== 'number' || Number.isNaN(timeoutMs)) throw invalidTimeout(operation, timeoutMs)
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    checkFunction(operation, fn)
    const controller = new AbortController()
    let timer: Timer | undefined
    const leave = () => {
      timer?.cancel()
      if (signal !== undefined) unwatchAbort(signal, watcher)
    }
    const giveUp = (error: unknown) => {
      leave()
      reject(error)
      controller.abort(error)
    }
    const watcher = { onAbort: () => giveUp(signal?.reason) }

    if (timeoutMs < Infinity) {
      timer = clock.setTimer(Math.max(0, timeoutMs), () => giveUp(new TimeoutError(operation, timeoutMs)))
    }
    if (signal !== undefined) watchAbort(signal, watcher)
    const settled =
      <A>(settle: (value: A) => void) =>
      (value: A) => {
        leave()
        settle(value)
      }
    start(fn, controller.signal).then(settled(resolve), settled(reject))
  })
}

/** A synchronous throw is a rejection. */
async function start<T>(fn: (signal: AbortSignal) => T | Promise<T>, signal: AbortSignal): Promise<T> {
  return fn(signal)
}

function invalidTimeout(operation: string, timeoutMs: unknown): HsError {
  return new HsError('INVALID_ARGUMENT', `The time limit of ${operation} must be a number, found ${String(timeoutMs)}`)
}
