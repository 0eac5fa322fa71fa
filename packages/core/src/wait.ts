/**
 * What all waiting in this package has in common: waiters stand in order of arrival, each may leave by its time limit
 * or its signal, and each settles once. A waiter that was served has left the queue, its timer and its listener in the
 * same step, so it is either served or gone, never both, and nothing of it is left.
 */
import { unwatchAbort, watchAbort } from './abort-watch.js'
import type { Clock, Timer } from './clock.js'
import { HsError, LimitError, TimeoutError } from './errors.js'
import { isThenable } from './when-rejected.js'

export interface WaitOptions {
  /** How long to wait, in milliseconds; with 0 or less the call fails unless it can be served at once. @default Infinity */
  timeoutMs?: number
  /** Ends the wait when it aborts, with its reason; when it has aborted already, the call fails at once. */
  signal?: AbortSignal
}

/** Gives back what was acquired; calling it again does nothing. Also for `using`. */
export type Release = (() => void) & Disposable

/** Makes `giveBack` safe to call twice. */
export function releaseOnce(giveBack: () => void): Release {
  let held = true
  return disposable(() => {
    if (!held) return
    held = false
    giveBack()
  })
}

function disposable(release: () => void): Release {
  const result = release as Release
  result[Symbol.dispose] = release
  return result
}

/** A rejection if a call with these options must not even begin: bad options, or a signal that has aborted. */
export function refusal(options: WaitOptions | undefined): Promise<never> | undefined {
  if (options === undefined) return undefined
  const { timeoutMs, signal } = options
  if (timeoutMs !== undefined && (typeof timeoutMs !== 'number' || Number.isNaN(timeoutMs))) {
    return badArgument(`timeoutMs must be a number, found ${String(timeoutMs)}`)
  }
  if (signal === undefined) return undefined
  if (typeof signal?.addEventListener !== 'function') return badArgument('signal must be an AbortSignal')
  return signal.aborted ? Promise.reject(signal.reason) : undefined
}

export function badArgument(message: string): Promise<never> {
  return Promise.reject(new HsError('INVALID_ARGUMENT', message))
}

/** Runs a section and releases when it is over: within this call if it is synchronous. Never throws. */
export function runSection<T>(fn: () => T | Promise<T>, release: () => void): Promise<T> {
  let result: T | Promise<T>
  try {
    result = fn()
  } catch (error) {
    release()
    return Promise.reject(error)
  }
  if (isThenable(result)) return releaseAfter(result, release)
  release()
  return Promise.resolve(result)
}

async function releaseAfter<T>(result: Promise<T>, release: () => void): Promise<T> {
  try {
    return await result
  } finally {
    release()
  }
}

/** Who waits for a lock or a permit: true if it wants a `Release`, false if it only waits for its turn. */
export type LockQueue = WaitQueue<Release | undefined, boolean>

/** Serves a waiter: from here on it holds what `giveBack` gives back. */
export function handOver(waiter: Waiter<Release | undefined, boolean>, giveBack: () => void): void {
  waiter.resolve(waiter.payload ? releaseOnce(giveBack) : undefined)
}

/** `runSection` for who has to wait for its turn first. */
export async function runInTurn<T>(
  queue: LockQueue,
  options: WaitOptions | undefined,
  fn: () => T | Promise<T>,
  giveBack: () => void,
): Promise<T> {
  await queue.join(options, false)
  try {
    // Its signal may have aborted in the turn of the hand-over, and the section has not run.
    if (options?.signal?.aborted) throw options.signal.reason
    const result = fn()
    return isThenable(result) ? await result : result
  } finally {
    giveBack()
  }
}

const ignore = () => undefined
const noRelease = /* @__PURE__ */ releaseOnce(ignore)

/** Waiters in order of arrival. `P` is what each brings along, `T` what it waits for. */
export class WaitQueue<T, P = undefined> {
  readonly #clock: Clock
  readonly #operation: () => string
  readonly #limit: number
  /**
   * What stands before the first and after the last, so that an empty queue is no case of its own. It also keeps the
   * shapes of a `Waiter` and of a `Release` known to the engine: when V8 collects garbage it forgets a shape that
   * nobody has at that moment, and with it all code that was optimised for it.
   */
  readonly #ends = new Waiter<T, P>(undefined, undefined as P, undefined, noRelease, ignore)
  #size = 0

  /**
   * @param operation names the wait in errors: `'Waiting for …'`
   * @param limit how many may wait at a time
   */
  constructor(clock: Clock, operation: () => string, limit = Infinity) {
    this.#clock = clock
    this.#operation = operation
    this.#limit = limit
  }

  get size(): number {
    return this.#size
  }

  get first(): Waiter<T, P> | undefined {
    const { next } = this.#ends
    return next === this.#ends ? undefined : next
  }

  /** All who wait now, for whoever must bear that they come and go meanwhile. */
  toArray(): Waiter<T, P>[] {
    const all: Waiter<T, P>[] = []
    for (let { next } = this.#ends; next !== this.#ends; next = next.next) all.push(next)
    return all
  }

  /** Waits at the end. Options must have passed `refusal`. */
  join(options: WaitOptions | undefined, payload: P): Promise<T> {
    if (this.#size >= this.#limit) return Promise.reject(new LimitError(this.#operation(), this.#limit))
    if (options !== undefined) return this.#joinForAWhile(options, payload)
    return new Promise((resolve, reject) => this.#append(new Waiter(this, payload, undefined, resolve, reject)))
  }

  #joinForAWhile({ timeoutMs = Infinity, signal }: WaitOptions, payload: P): Promise<T> {
    if (timeoutMs <= 0) return Promise.reject(new TimeoutError(this.#operation(), timeoutMs))
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(this, payload, signal, resolve, reject)
      if (timeoutMs < Infinity) {
        const leave = () => waiter.reject(new TimeoutError(this.#operation(), timeoutMs))
        waiter.timer = this.#clock.setTimer(timeoutMs, leave)
      }
      if (signal !== undefined) watchAbort(signal, waiter)
      this.#append(waiter)
    })
  }

  #append(waiter: Waiter<T, P>): void {
    const ends = this.#ends
    const last = ends.previous
    waiter.previous = last
    waiter.next = ends
    last.next = waiter
    ends.previous = waiter
    this.#size++
  }

  /** For the waiter itself. */
  remove(waiter: Waiter<T, P>): void {
    const { previous, next } = waiter
    previous.next = next
    next.previous = previous
    waiter.previous = waiter.next = waiter
    this.#size--
  }
}

class Waiter<T, P> {
  readonly payload: P
  readonly signal: AbortSignal | undefined
  previous: Waiter<T, P> = this
  next: Waiter<T, P> = this
  timer: Timer | undefined = undefined
  /** Undefined once it has left. */
  #queue: WaitQueue<T, P> | undefined
  readonly #resolve: (value: T) => void
  readonly #reject: (error: unknown) => void

  constructor(
    queue: WaitQueue<T, P> | undefined,
    payload: P,
    signal: AbortSignal | undefined,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.#queue = queue
    this.payload = payload
    this.signal = signal
    this.#resolve = resolve
    this.#reject = reject
  }

  get isWaiting(): boolean {
    return this.#queue !== undefined
  }

  resolve(value: T): void {
    if (this.#leave()) this.#resolve(value)
  }

  reject(error: unknown): void {
    if (this.#leave()) this.#reject(error)
  }

  /** Called by its signal. */
  onAbort(): void {
    this.reject(this.signal?.reason)
  }

  #leave(): boolean {
    if (this.#queue === undefined) return false
    this.#queue.remove(this)
    this.#queue = undefined
    this.timer?.cancel()
    if (this.signal !== undefined) unwatchAbort(this.signal, this)
    return true
  }
}
