/**
 * When a periodic task runs next. A fixed interval keeps the grid start + k x interval whatever the runs take, and
 * leaves out the ticks that a long run missed; a function starts a new grid at each wait.
 */
import * as z from 'zod'
import { HsError } from './errors.js'
import type { Random } from './random.js'

export const jitterSchema = /* @__PURE__ */ (() => z.number().min(0).max(1).default(0))()

/** The tick after tick `k`: the first that is not before now, `elapsedMs` after the start. */
export function nextTick(k: number, elapsedMs: number, intervalMs: number): number {
  return Math.max(k + 1, Math.ceil(elapsedMs / intervalMs))
}

export class TickGrid {
  readonly #interval: number | (() => number)
  readonly #jitter: number
  readonly #random: Random
  readonly #startMs: number
  /** The last tick of a grid without jitter. */
  #k = 0
  /** When the last tick was due, with jitter. */
  #dueMs: number
  #lastIntervalMs: number | undefined

  /** @throws HsError `'INVALID_ARGUMENT'` for an interval that is not a positive finite number. */
  constructor(interval: number | (() => number), jitter: number, random: Random, startMs: number) {
    this.#interval = typeof interval === 'function' ? interval : checkInterval(interval)
    this.#jitter = jitter
    this.#random = random
    this.#startMs = startMs
    this.#dueMs = startMs
  }

  /**
   * How long to wait from now on.
   * @param onError is told when an interval function fails; the last interval it gave is used again.
   * @throws what the interval function throws, if it has given none yet.
   */
  waitMs(nowMs: number, onError: (error: unknown) => void): number {
    if (typeof this.#interval === 'function') return this.#draw(this.#askedInterval(this.#interval, onError))
    if (this.#jitter > 0) {
      const wait = this.#draw(this.#interval)
      this.#dueMs = this.#dueMs + wait >= nowMs ? this.#dueMs + wait : nowMs + wait
      return this.#dueMs - nowMs
    }
    this.#k = nextTick(this.#k, nowMs - this.#startMs, this.#interval)
    return this.#startMs + this.#k * this.#interval - nowMs
  }

  #askedInterval(ask: () => number, onError: (error: unknown) => void): number {
    try {
      this.#lastIntervalMs = checkInterval(ask())
      return this.#lastIntervalMs
    } catch (error) {
      if (this.#lastIntervalMs === undefined) throw error
      onError(error)
      return this.#lastIntervalMs
    }
  }

  #draw(intervalMs: number): number {
    if (this.#jitter === 0) return intervalMs
    return intervalMs * (1 - this.#jitter + 2 * this.#jitter * this.#random.next())
  }
}

function checkInterval(intervalMs: number): number {
  if (Number.isFinite(intervalMs) && intervalMs > 0) return intervalMs
  throw new HsError('INVALID_ARGUMENT', `An interval must be a positive number of milliseconds, found ${intervalMs}`)
}
