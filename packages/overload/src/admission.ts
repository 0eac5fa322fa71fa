/**
 * One decision over state, slots and rates, in front of a handler.
 * Guarantee: what is refused has cost no token and holds no slot; critical work is never shed and never limited by
 * rate, only by the bound of the executor.
 */
import {
  deepFreeze,
  HsError,
  overloadStates,
  parseOptions,
  runtimeShape,
  type Clock,
  type MessagePriority,
  type OverloadState,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { checkCost } from './call-arguments.js'
import { priorityRank } from './message-priority.js'
import type { OverloadDetector } from './overload-detector.js'
import { levelOf } from './overload-level.js'
import type { PriorityExecutor } from './priority-executor.js'
import type { RateDecision, RateLimiter } from './rate-limiter.js'
import { shedRanks, shedTableSchema, type ShedTable } from './shed-table.js'
import type { WorkPermit } from './work-permit.js'

export interface AdmissionOptions extends RuntimeOptions {
  /** Measures how long calls take. @default that of the detector, or the system's */
  clock?: NonNullable<RuntimeOptions['clock']>
  /** Whose state decides what is shed, and which is told how long calls took. @default none: nothing is shed */
  detector?: OverloadDetector
  /** @default none: no limits of rate */
  limiter?: RateLimiter
  /** @default none: no bound */
  executor?: PriorityExecutor
  /** @default { busy: 'low', stressed: 'normal', overloaded: 'high' } */
  shedAt?: ShedTable
  /** What each state multiplies rates by, above 0, at most 1. @default { healthy: 1, busy: 1, stressed: 0.5, overloaded: 0.1 } */
  rateScale?: Partial<Record<OverloadState, number>>
  /** What those are told who were shed, or found no slot; in milliseconds, 0 or more. @default 1_000 */
  shedRetryAfterMs?: number
}

export interface AdmissionRequest {
  priority: MessagePriority
  /** Whom to charge. @default nobody: of the rates, only the total counts */
  client?: string
  /** @default '*' */
  operation?: string
  /** Above 0. @default 1 */
  cost?: number
}

export type AdmissionDecision =
  | {
      readonly admitted: true
      /** Must be given back: `success` and `failure` tell the detector how long it took. */
      readonly permit: WorkPermit
    }
  | {
      readonly admitted: false
      /** Shed by state; no slot; limited by rate. */
      readonly reason: 'shed' | 'full' | 'rate'
      /** In milliseconds; Infinity: never. */
      readonly retryAfterMs: number
    }

export interface AdmissionSnapshot {
  readonly admitted: number
  readonly refused: { readonly shed: number; readonly full: number; readonly rate: number }
}

const schema = /* @__PURE__ */ (() => {
  const scale = (byDefault: number) => z.number().positive().max(1).default(byDefault)
  const part = <T>(what: string, method: string) =>
    z.custom<T>(
      (x) => typeof x === 'object' && x !== null && typeof (x as Record<string, unknown>)[method] === 'function',
      `expected ${what}`,
    )
  return z.strictObject({
    ...runtimeShape,
    detector: part<OverloadDetector>('an OverloadDetector', 'record').optional(),
    limiter: part<RateLimiter>('a RateLimiter', 'tryTake').optional(),
    executor: part<PriorityExecutor>('a PriorityExecutor', 'tryAcquire').optional(),
    shedAt: shedTableSchema.prefault({}),
    rateScale: z
      .strictObject({ healthy: scale(1), busy: scale(1), stressed: scale(0.5), overloaded: scale(0.1) })
      .prefault({}),
    shedRetryAfterMs: z.number().min(0).default(1_000),
  })
})()

/** Put in front of a handler; its parts may also be used beside it. */
export class Admission {
  readonly #clock: Clock
  readonly #detector: OverloadDetector | undefined
  readonly #limiter: RateLimiter | undefined
  readonly #executor: PriorityExecutor | undefined
  // Whoever has the same clock is given the time, for reading it is most of what a call costs.
  readonly #isDetectorOnClock: boolean
  readonly #isLimiterOnClock: boolean
  readonly #isExecutorOnClock: boolean
  readonly #shedRanks: readonly number[]
  /** By state; undefined: the scale of the limiter is left alone. */
  readonly #scales: readonly number[] | undefined
  readonly #shedRetryAfterMs: number
  #admitted = 0
  #shed = 0
  #full = 0
  #rate = 0

  /** @throws ConfigError */
  constructor(options?: AdmissionOptions) {
    const settings = parseOptions(schema, options, 'Admission')
    const { detector, limiter, executor, shedAt, rateScale, shedRetryAfterMs } = settings
    this.#clock = options?.clock ?? detector?.clock ?? settings.clock
    this.#detector = detector
    this.#limiter = limiter
    this.#executor = executor
    this.#isDetectorOnClock = detector?.clock === this.#clock
    this.#isLimiterOnClock = limiter?.clock === this.#clock
    this.#isExecutorOnClock = executor?.clock === this.#clock
    this.#shedRanks = shedRanks(shedAt)
    const isScaling = detector !== undefined || options?.rateScale !== undefined
    this.#scales = isScaling ? overloadStates.map((state) => rateScale[state]) : undefined
    this.#shedRetryAfterMs = shedRetryAfterMs
  }

  /**
   * Lets a call in or refuses it: by state, by slots, by rates, in this order.
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  admit(request: AdmissionRequest): AdmissionDecision {
    const { priority, client, operation = '*', cost = 1 } = request
    const rank = priorityRank(priority)
    checkRequest(client, operation, cost)
    const isCritical = rank === 0
    const nowMs = this.#clock.now()
    const level = isCritical || this.#detector === undefined ? 0 : this.#levelOf(this.#detector, nowMs)
    if (rank >= (this.#shedRanks[level] as number)) {
      this.#shed++
      return { admitted: false, reason: 'shed', retryAfterMs: this.#shedRetryAfterMs }
    }
    const slot = this.#executor === undefined ? undefined : this.#slotOf(this.#executor, priority, nowMs)
    if (slot === null) {
      this.#full++
      return { admitted: false, reason: 'full', retryAfterMs: this.#shedRetryAfterMs }
    }
    if (!isCritical && this.#limiter !== undefined) {
      if (this.#scales !== undefined) this.#limiter.setScale(this.#scales[level] as number)
      const decision = this.#take(this.#limiter, nowMs, client, operation, cost)
      if (!decision.allowed) {
        slot?.release()
        this.#rate++
        return { admitted: false, reason: 'rate', retryAfterMs: decision.retryAfterMs }
      }
    }
    this.#admitted++
    return { admitted: true, permit: new AdmissionPermit(priority, slot, nowMs, this.#record) }
  }

  /** What a dashboard shows. */
  snapshot(): AdmissionSnapshot {
    const refused = { shed: this.#shed, full: this.#full, rate: this.#rate }
    return deepFreeze({ admitted: this.#admitted, refused })
  }

  #levelOf(detector: OverloadDetector, nowMs: number): number {
    return levelOf(this.#isDetectorOnClock ? detector.stateAt(nowMs) : detector.state)
  }

  #slotOf(executor: PriorityExecutor, priority: MessagePriority, nowMs: number): WorkPermit | null {
    return this.#isExecutorOnClock ? executor.tryAcquireAt(priority, nowMs) : executor.tryAcquire(priority)
  }

  #take(
    limiter: RateLimiter,
    nowMs: number,
    client: string | undefined,
    operation: string,
    cost: number,
  ): RateDecision {
    return limiter.tryTakeAt(this.#isLimiterOnClock ? nowMs : limiter.clock.now(), client, operation, cost)
  }

  readonly #record = (beganMs: number): void => {
    const detector = this.#detector
    if (detector === undefined) return
    const nowMs = this.#clock.now()
    if (this.#isDetectorOnClock) detector.recordAt(nowMs - beganMs, nowMs)
    else detector.record(nowMs - beganMs)
  }
}

class AdmissionPermit implements WorkPermit {
  readonly priority: MessagePriority
  readonly #slot: WorkPermit | undefined
  readonly #beganMs: number
  /** Undefined once it has been given back. */
  #record: ((beganMs: number) => void) | undefined

  constructor(
    priority: MessagePriority,
    slot: WorkPermit | undefined,
    beganMs: number,
    record: (beganMs: number) => void,
  ) {
    this.priority = priority
    this.#slot = slot
    this.#beganMs = beganMs
    this.#record = record
  }

  success(): void {
    if (this.#end()) this.#slot?.success()
  }

  failure(): void {
    if (this.#end()) this.#slot?.failure()
  }

  release(): void {
    if (this.#record === undefined) return
    this.#record = undefined
    this.#slot?.release()
  }

  #end(): boolean {
    const record = this.#record
    if (record === undefined) return false
    this.#record = undefined
    record(this.#beganMs)
    return true
  }
}

function checkRequest(client: string | undefined, operation: string, cost: number): void {
  checkCost(cost)
  if ((client === undefined || typeof client === 'string') && typeof operation === 'string') return
  throw new HsError('INVALID_ARGUMENT', 'A client and an operation are text')
}
