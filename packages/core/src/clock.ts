/**
 * Time as a parameter. Everything in this library reads the time and sets timers through a `Clock`, so that the same
 * code runs on the machine's time (`SystemClock`) or on a virtual one that a test moves (`@hs/core/testing`).
 */
import { unwatchAbort, watchAbort } from './abort-watch.js'
import { checkFunction } from './arguments.js'
import { HsError } from './errors.js'

/** A call that is to come. */
export interface Timer {
  /** Idempotent; does nothing after the timer has fired. */
  cancel(): void
}

/** The time, and timers on it. */
export interface Clock {
  /** Monotonic milliseconds, fractional, from an unspecified origin: for durations. */
  now(): number
  /** Unix epoch milliseconds, integer; may step back: for people, and for expiry with a stated tolerance. */
  wallNow(): number
  /**
   * Calls `fn` once after `delayMs`, never before this call has returned. A negative delay is 0.
   * @throws HsError `'INVALID_ARGUMENT'` for a delay that is not a finite number (whoever means "never" sets no timer),
   *   and for an `fn` that is no function.
   */
  setTimer(delayMs: number, fn: () => void): Timer
  /** Resolves after `ms` milliseconds; rejects with `signal.reason` when `signal` aborts, at once if it has. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** The longest delay that `setTimeout` takes; a longer one would fire after 1 ms. */
const MAX_NATIVE_DELAY_MS = 2 ** 31 - 1

/** The machine's time: `performance.now`, `Date.now` and `setTimeout`, for delays of any length. */
export class SystemClock implements Clock {
  now(): number {
    return performance.now()
  }

  wallNow(): number {
    return Date.now()
  }

  setTimer(delayMs: number, fn: () => void): Timer {
    if (!Number.isFinite(delayMs)) throw invalidDelay(delayMs)
    checkFunction('A timer', fn)
    return new SystemTimer(delayMs, fn)
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal)
  }
}

class SystemTimer implements Timer {
  #handle: ReturnType<typeof setTimeout> | undefined

  constructor(delayMs: number, fn: () => void) {
    // Rounded up: setTimeout cuts fractions off and would fire early.
    if (delayMs <= MAX_NATIVE_DELAY_MS) this.#handle = setTimeout(fn, Math.max(0, Math.ceil(delayMs)))
    else this.#arm(performance.now() + delayMs, fn)
  }

  cancel(): void {
    clearTimeout(this.#handle)
  }

  /** In hops that setTimeout can take. */
  #arm(dueMs: number, fn: () => void): void {
    const leftMs = Math.max(0, dueMs - performance.now())
    this.#handle =
      leftMs <= MAX_NATIVE_DELAY_MS
        ? setTimeout(fn, Math.ceil(leftMs))
        : setTimeout(() => this.#arm(dueMs, fn), MAX_NATIVE_DELAY_MS)
  }
}

/** The clock that is used where none is given. */
export const systemClock: SystemClock = /* @__PURE__ */ new SystemClock()

/**
 * `Clock.sleep` for whoever writes a `Clock`: once it settles, neither a timer nor a listener of it is left.
 * Rejects with `signal.reason` on abort, and with `'INVALID_ARGUMENT'` where `setTimer` throws it.
 */
export function sleepOn(clock: Pick<Clock, 'setTimer'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    if (signal === undefined) {
      clock.setTimer(ms, resolve)
      return
    }
    const watcher = {
      onAbort: () => {
        unwatchAbort(signal, watcher)
        timer.cancel()
        reject(signal.reason)
      },
    }
    const timer = clock.setTimer(ms, () => {
      unwatchAbort(signal, watcher)
      resolve()
    })
    watchAbort(signal, watcher)
  })
}

/** For whoever writes a `Clock`: the error that `setTimer` throws. */
export function invalidDelay(delayMs: number): HsError {
  return new HsError('INVALID_ARGUMENT', `A timer's delay must be a finite number of milliseconds, found ${delayMs}`, {
    details: { delayMs },
  })
}
