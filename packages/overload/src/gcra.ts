/**
 * A rate with a burst, kept as one number an account: the theoretical arrival time (TAT), until when it is in debt.
 * Guarantee: in any interval L at most burst + L / intervalMs is admitted.
 * Source: GCRA, virtual scheduling (ITU-T I.371).
 */
import { ROUNDING_MS } from './rounding.js'

export interface Rate {
  /** How many per `perMs`, above 0. */
  limit: number
  /** In milliseconds, above 0. */
  perMs: number
  /** How many at once after a pause, from 1. @default limit, at least 1 */
  burst?: number
}

/** Of a time, what some sixty roundings may be off by. */
const COARSENESS = 2 ** -47

export class Gcra {
  /** What a request of cost 1 adds to the debt. */
  readonly intervalMs: number
  readonly burst: number
  /** The debt that is allowed. */
  readonly #burstMs: number
  /** What is due within it is due now, but never more than this: next to nothing of an interval. */
  readonly #mostRoundingMs: number

  constructor({
    limit,
    perMs,
    burst = Math.max(1, limit),
  }: Readonly<Omit<Rate, 'burst'>> & { burst?: number | undefined }) {
    this.intervalMs = perMs / limit
    this.burst = burst
    this.#burstMs = burst * this.intervalMs
    this.#mostRoundingMs = this.intervalMs / 1_000
  }

  /** How long until a request of this cost conforms: 0 now, Infinity never. */
  waitMs(tatMs: number, nowMs: number, cost: number): number {
    if (cost > this.burst) return Infinity
    const debtMs = tatMs > nowMs ? tatMs - nowMs : 0
    const waitMs = debtMs + cost * this.intervalMs - this.#burstMs
    return waitMs > this.#roundingMs(nowMs) ? waitMs : 0
  }

  /** The TAT after a request of this cost. */
  charge(tatMs: number, nowMs: number, cost: number): number {
    return (tatMs > nowMs ? tatMs : nowMs) + cost * this.intervalMs
  }

  /** Whole requests of cost 1 that conform now. */
  remaining(tatMs: number, nowMs: number): number {
    const debtMs = tatMs > nowMs ? tatMs - nowMs : 0
    const left = Math.floor((this.#burstMs + this.#roundingMs(nowMs) - debtMs) / this.intervalMs)
    return left > 0 ? left : 0
  }

  /** What sums of intervals may be off by: the later it is, the coarser are times. */
  #roundingMs(nowMs: number): number {
    return Math.min(this.#mostRoundingMs, Math.max(ROUNDING_MS, nowMs * COARSENESS))
  }
}
