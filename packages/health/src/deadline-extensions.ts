/**
 * More time for who makes progress, and less with every time: 30 s, 15 s, 7.5 s, … So whoever gets on is not cut off,
 * and nobody can hold a slot for ever.
 */
import { deepFreeze, HsError, parseOptions, runtimeShape, type Clock, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'

export interface DeadlineExtensionsOptions extends RuntimeOptions {
  /** The first deadline, from construction or `reset`, and the first grant, in milliseconds, above 0. @default 30_000 */
  baseMs?: number
  /** The smallest grant, in milliseconds, above 0. @default 1_000 */
  minGrantMs?: number
  /** Grants in all, 0 or more. @default 5 */
  maxExtensions?: number
  /** How long after the deadline it is not evicted yet, in milliseconds, 0 or more. @default 10_000 */
  graceMs?: number
  /** Denials in a row with which there is no such grace, at least 1. @default 3 */
  maxDenials?: number
}

export interface ExtensionRequest {
  /** Units done so far, any count that grows; it must be above that of the last grant. */
  readonly progress: number
  /** Whether the worker is suspected to be dead. @default false */
  readonly suspect?: boolean
  /** Whether whoever would grant it is overloaded. @default false */
  readonly overloaded?: boolean
}

/** In the order in which they are asked. */
export type ExtensionDenial = 'exhausted' | 'suspect' | 'expired' | 'overloaded' | 'no-progress'

export type ExtensionDecision =
  | {
      readonly granted: true
      readonly grantMs: number
      /** On `clock.now()`. */
      readonly deadline: number
      /** Grants left. */
      readonly remaining: number
      /** None is left. */
      readonly last: boolean
    }
  | {
      readonly granted: false
      readonly reason: ExtensionDenial
      readonly deadline: number
      readonly remaining: number
    }

export interface DeadlineExtensionsSnapshot {
  /** Grants so far. */
  readonly granted: number
  /** Grants left. */
  readonly remaining: number
  /** What all grants come to: what a job's own time-out is moved by. */
  readonly totalGrantedMs: number
  /** Until the deadline; 0 after it. */
  readonly remainingMs: number
  /** In a row. */
  readonly denials: number
  readonly expired: boolean
  readonly shouldEvict: boolean
}

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    baseMs: z.number().positive().default(30_000),
    minGrantMs: z.number().positive().default(1_000),
    maxExtensions: z.int().min(0).default(5),
    graceMs: z.number().min(0).default(10_000),
    maxDenials: z.int().min(1).default(3),
  }))()

/** What grant `n` comes to, counted from 0, in milliseconds. */
export function extensionGrantMs(n: number, baseMs: number, minGrantMs: number): number {
  return Math.max(minGrantMs, baseMs / 2 ** n)
}

/** The deadline of one piece of work; hangs on the worker's record, and goes with it. */
export class DeadlineExtensions {
  readonly #clock: Clock
  readonly #baseMs: number
  readonly #minGrantMs: number
  readonly #maxExtensions: number
  readonly #graceMs: number
  readonly #maxDenials: number
  #deadline: number
  #granted = 0
  #totalGrantedMs = 0
  #denials = 0
  /** At the last grant; any is more than none. */
  #progress = -Infinity

  /** @throws ConfigError */
  constructor(options?: DeadlineExtensionsOptions) {
    const settings = parseOptions(schema, options, 'DeadlineExtensions')
    this.#clock = settings.clock
    this.#baseMs = settings.baseMs
    this.#minGrantMs = settings.minGrantMs
    this.#maxExtensions = settings.maxExtensions
    this.#graceMs = settings.graceMs
    this.#maxDenials = settings.maxDenials
    this.#deadline = this.#clock.now() + this.#baseMs
  }

  /**
   * Asks for more time.
   * @throws HsError `'INVALID_ARGUMENT'` if the progress is no finite number.
   */
  request(request: ExtensionRequest): ExtensionDecision {
    const { progress } = request
    if (!Number.isFinite(progress))
      throw new HsError('INVALID_ARGUMENT', `Progress is a finite number, found ${String(progress)}`)
    const reason = this.#denialOf(request)
    if (reason !== null) {
      this.#denials++
      return { granted: false, reason, deadline: this.#deadline, remaining: this.#remaining }
    }
    const grantMs = extensionGrantMs(this.#granted, this.#baseMs, this.#minGrantMs)
    this.#granted++
    this.#totalGrantedMs += grantMs
    this.#deadline += grantMs
    this.#denials = 0
    this.#progress = progress
    const remaining = this.#remaining
    return { granted: true, grantMs, deadline: this.#deadline, remaining, last: remaining === 0 }
  }

  /** On `clock.now()`. */
  get deadline(): number {
    return this.#deadline
  }

  get expired(): boolean {
    return this.#clock.now() >= this.#deadline
  }

  /** Never before the deadline. After it at once if it was denied too often, else once the grace is over. */
  get shouldEvict(): boolean {
    const overMs = this.#clock.now() - this.#deadline
    return overMs >= 0 && (this.#denials >= this.#maxDenials || overMs >= this.#graceMs)
  }

  /** Begins anew, from now. */
  reset(): void {
    this.#deadline = this.#clock.now() + this.#baseMs
    this.#granted = 0
    this.#totalGrantedMs = 0
    this.#denials = 0
    this.#progress = -Infinity
  }

  /** What a dashboard shows. */
  snapshot(): DeadlineExtensionsSnapshot {
    return deepFreeze({
      granted: this.#granted,
      remaining: this.#remaining,
      totalGrantedMs: this.#totalGrantedMs,
      remainingMs: Math.max(0, this.#deadline - this.#clock.now()),
      denials: this.#denials,
      expired: this.expired,
      shouldEvict: this.shouldEvict,
    })
  }

  get #remaining(): number {
    return this.#maxExtensions - this.#granted
  }

  #denialOf({ progress, suspect = false, overloaded = false }: ExtensionRequest): ExtensionDenial | null {
    if (this.#remaining === 0) return 'exhausted'
    if (suspect) return 'suspect'
    if (this.expired) return 'expired'
    if (overloaded) return 'overloaded'
    return progress > this.#progress ? null : 'no-progress'
  }
}
