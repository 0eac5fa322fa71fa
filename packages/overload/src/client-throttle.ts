/**
 * At a client of a service that refuses: when most of what it sends is refused, it keeps most of it back, for refusing
 * costs the service too. It never asks anybody; what it sends and what is accepted is all it knows.
 * Guarantee: a service that refuses most is sent about k times what it accepts. `minPerSecond` calls always pass, so
 * that a service that was away for long is found again within a second, and used in full again within two minutes.
 * Source: Google SRE book, chapter 21, "Handling Overload"; the constant stream of probes and the short window are ours,
 * as the book's form reopens after a total outage only by one lucky call in a window.
 */
import { HsError, parseOptions, runtimeShape, type Clock, type Random, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import { ThrottleWindow } from './throttle-window.js'

export interface ClientThrottleOptions extends RuntimeOptions {
  /** How many calls to let through for each that is accepted, 1 or more. @default 2 */
  k?: number
  /** How long a call counts, in milliseconds, above 0. @default 30_000 */
  windowMs?: number
  /** Calls that pass in any case, 0 or more. @default 1 */
  minPerSecond?: number
}

export interface ClientThrottleSnapshot {
  /** Calls within the window, those that were kept back included. */
  readonly requests: number
  /** Those of them that the service accepted. */
  readonly accepts: number
  /** With which the next call is kept back, unless it is one of `minPerSecond`; 0 to 1. */
  readonly rejectProbability: number
  /** For how long nothing passes, as the service asked; 0 if it may. */
  readonly blockedMs: number
}

const SECOND_MS = 1_000

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    k: z.number().min(1).default(2),
    windowMs: z.number().positive().default(30_000),
    minPerSecond: z.number().min(0).default(1),
  }))()

/**
 * The book's formula: requests beyond k times the accepted ones are kept back.
 * @param requests of the window, also those that were kept back
 */
export function rejectProbability(requests: number, accepts: number, k: number): number {
  return Math.max(0, (requests - k * accepts) / (requests + 1))
}

/** One for each service that is called. No call of it allocates. */
export class ClientThrottle {
  readonly #clock: Clock
  readonly #random: Random
  readonly #k: number
  readonly #window: ThrottleWindow
  /** `minPerSecond` below 1 is one in several seconds. */
  readonly #assuredPerPeriod: number
  readonly #periodMs: number
  #periodEndsAtMs = -Infinity
  #assured = 0
  #blockedUntilMs = -Infinity

  /** @throws ConfigError */
  constructor(options?: ClientThrottleOptions) {
    const { clock, random, k, windowMs, minPerSecond } = parseOptions(schema, options, 'ClientThrottle')
    this.#clock = clock
    this.#random = random
    this.#k = k
    this.#window = new ThrottleWindow(clock.now(), windowMs)
    this.#assuredPerPeriod = minPerSecond === 0 ? 0 : Math.max(1, minPerSecond)
    this.#periodMs = minPerSecond === 0 ? Infinity : Math.max(SECOND_MS, SECOND_MS / minPerSecond)
  }

  /** Whether to send this call. False: it would most likely be refused; treat it as if it had been. */
  allow(): boolean {
    const nowMs = this.#clock.now()
    this.#window.moveTo(nowMs)
    const probability = this.#rejectProbability()
    this.#window.request()
    if (nowMs < this.#blockedUntilMs) return false
    if (this.#isAssured(nowMs) || probability === 0) return true
    return this.#random.next() >= probability
  }

  /** The service did what was asked, or failed for a reason of its own: it did not refuse. */
  accepted(): void {
    this.#window.moveTo(this.#clock.now())
    this.#window.accept()
  }

  /**
   * The service refused.
   * @param retryAfterMs for how long it wants to hear nothing. `Infinity` ("never", of one request) blocks no other.
   * @throws HsError `'INVALID_ARGUMENT'` if that is negative or no number
   */
  rejected(retryAfterMs = 0): void {
    if (!(typeof retryAfterMs === 'number' && retryAfterMs >= 0)) {
      throw new HsError('INVALID_ARGUMENT', `retryAfterMs must be 0 or more, found ${String(retryAfterMs)}`)
    }
    if (retryAfterMs === Infinity) return
    this.#blockedUntilMs = Math.max(this.#blockedUntilMs, this.#clock.now() + retryAfterMs)
  }

  /** What a dashboard shows. */
  snapshot(): ClientThrottleSnapshot {
    const nowMs = this.#clock.now()
    this.#window.moveTo(nowMs)
    return Object.freeze({
      requests: this.#window.requests,
      accepts: this.#window.accepts,
      rejectProbability: this.#rejectProbability(),
      blockedMs: Math.max(0, this.#blockedUntilMs - nowMs),
    })
  }

  #rejectProbability(): number {
    return rejectProbability(this.#window.requests, this.#window.accepts, this.#k)
  }

  /** Whether it is among the first of its period, which begins with the first call after the last one. */
  #isAssured(nowMs: number): boolean {
    if (nowMs >= this.#periodEndsAtMs) {
      this.#periodEndsAtMs = nowMs + this.#periodMs
      this.#assured = 0
    }
    if (this.#assured >= this.#assuredPerPeriod) return false
    this.#assured++
    return true
  }
}
