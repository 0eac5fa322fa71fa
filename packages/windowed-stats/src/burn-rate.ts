/**
 * How fast an error budget burns, and whether someone must be told: multi-window, multi-burn-rate alerts. A rule fires
 * while both its long window (it matters) and its short one (it still goes on) burn faster than its factor.
 * Source: Google, *The Site Reliability Workbook*, chapter 5.
 */
import { deepFreeze, HsError, parseOptions, runtimeShape, type Clock, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'

export interface BurnRateRule {
  readonly severity: 'page' | 'ticket'
  /** A multiple of a tenth of `shortMs`, and at least `shortMs`. */
  readonly longMs: number
  readonly shortMs: number
  /** Burn rate above which it fires; 1 uses up the budget exactly in its period. */
  readonly factor: number
}

/** The workbook's: 2 % of a 30-day budget in an hour, 5 % in six hours, 10 % in three days. */
export const SRE_BURN_RATE_RULES: readonly BurnRateRule[] = /* @__PURE__ */ deepFreeze([
  { severity: 'page', longMs: 3_600_000, shortMs: 300_000, factor: 14.4 },
  { severity: 'page', longMs: 21_600_000, shortMs: 1_800_000, factor: 6 },
  { severity: 'ticket', longMs: 259_200_000, shortMs: 21_600_000, factor: 1 },
])

export interface BurnRateOptions extends RuntimeOptions {
  /** Share of events that shall be good, between 0 and 1. @default 0.999 */
  objective?: number
  /** 1 to 64 of them. @default SRE_BURN_RATE_RULES */
  rules?: readonly BurnRateRule[]
  /** A window with fewer events burns at 0. @default 1 */
  minEvents?: number
}

export interface BurnRateRuleResult extends BurnRateRule {
  readonly longBurnRate: number
  readonly shortBurnRate: number
  readonly firing: boolean
}

export interface BurnRateEvaluation {
  /** The worst of the rules that fire. */
  readonly severity: 'page' | 'ticket' | 'none'
  readonly rules: readonly BurnRateRuleResult[]
}

const BUCKETS_PER_SHORT_WINDOW = 10
const MAX_BUCKETS = 100_000

const ruleSchema = /* @__PURE__ */ (() =>
  z
    .strictObject({
      severity: z.enum(['page', 'ticket']),
      longMs: z.number().positive(),
      shortMs: z.number().positive(),
      factor: z.number().positive(),
    })
    .refine(({ longMs, shortMs }) => longMs >= shortMs, { path: ['longMs'], message: 'expected at least shortMs' })
    .refine(({ longMs, shortMs }) => Number.isInteger((longMs * BUCKETS_PER_SHORT_WINDOW) / shortMs), {
      path: ['longMs'],
      message: 'expected a multiple of shortMs / 10',
    })
    .refine(({ longMs, shortMs }) => (longMs * BUCKETS_PER_SHORT_WINDOW) / shortMs <= MAX_BUCKETS, {
      path: ['longMs'],
      message: 'expected at most 10,000 times shortMs',
    }))()

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    objective: z.number().gt(0).lt(1).default(0.999),
    rules: z
      .array(ruleSchema)
      .min(1)
      .max(64)
      .default(() => [...SRE_BURN_RATE_RULES]),
    minEvents: z.number().min(0).default(1),
  }))()

export class BurnRate {
  readonly #clock: Clock
  readonly #budget: number
  readonly #minEvents: number
  readonly #rules: readonly { readonly rule: BurnRateRule; readonly events: EventRing }[]

  /** @throws ConfigError */
  constructor(options: BurnRateOptions = {}) {
    const { clock, objective, rules, minEvents } = parseOptions(schema, options, 'BurnRate')
    this.#clock = clock
    this.#budget = 1 - objective
    this.#minEvents = minEvents
    this.#rules = rules.map((rule) => ({ rule, events: new EventRing(rule) }))
  }

  /**
   * Events of now.
   * @param good from 0 @param bad from 0
   * @throws HsError `'INVALID_ARGUMENT'`; nothing is counted then.
   */
  record(good: number, bad: number): void {
    checkEvents('good', good)
    checkEvents('bad', bad)
    const now = this.#clock.now()
    for (const { events } of this.#rules) events.add(now, good, bad)
  }

  /** Frozen. */
  evaluate(): BurnRateEvaluation {
    const now = this.#clock.now()
    const rules = this.#rules.map(({ rule, events }) => {
      const longBurnRate = this.#burnRate(events.sum(now, rule.longMs))
      const shortBurnRate = this.#burnRate(events.sum(now, rule.shortMs))
      const firing = longBurnRate > rule.factor && shortBurnRate > rule.factor
      return { ...rule, longBurnRate, shortBurnRate, firing }
    })
    const firing = rules.filter((rule) => rule.firing)
    const isPage = firing.some(({ severity }) => severity === 'page')
    return deepFreeze({ severity: isPage ? 'page' : firing.length > 0 ? 'ticket' : 'none', rules })
  }

  #burnRate({ good, bad }: Events): number {
    const events = good + bad
    return events === 0 || events < this.#minEvents ? 0 : bad / events / this.#budget
  }
}

interface Events {
  readonly good: number
  readonly bad: number
}

/** Good and bad events of the last `longMs`, in buckets of a tenth of `shortMs`. */
class EventRing {
  readonly #widthMs: number
  readonly #good: Float64Array
  readonly #bad: Float64Array
  /** Number of the newest bucket. */
  #newest = -Infinity

  constructor({ longMs, shortMs }: BurnRateRule) {
    this.#widthMs = shortMs / BUCKETS_PER_SHORT_WINDOW
    const buckets = (longMs * BUCKETS_PER_SHORT_WINDOW) / shortMs
    this.#good = new Float64Array(buckets)
    this.#bad = new Float64Array(buckets)
  }

  add(nowMs: number, good: number, bad: number): void {
    const at = this.#moveTo(nowMs)
    this.#good[at] = (this.#good[at] ?? 0) + good
    this.#bad[at] = (this.#bad[at] ?? 0) + bad
  }

  /** Of the current bucket and those before it within `lengthMs`. */
  sum(nowMs: number, lengthMs: number): Events {
    const at = this.#moveTo(nowMs)
    const size = this.#good.length
    let good = 0
    let bad = 0
    for (let back = Math.round(lengthMs / this.#widthMs) - 1; back >= 0; back--) {
      const bucket = (at - back + size) % size
      good += this.#good[bucket] ?? 0
      bad += this.#bad[bucket] ?? 0
    }
    return { good, bad }
  }

  /** Empties the buckets that time has come to again. @returns where the current one is. */
  #moveTo(nowMs: number): number {
    const size = this.#good.length
    const number = Math.floor(nowMs / this.#widthMs)
    const first = Math.max(this.#newest, number - size) + 1
    for (let n = first; n <= number; n++) {
      const bucket = indexOf(n, size)
      this.#good[bucket] = this.#bad[bucket] = 0
    }
    this.#newest = Math.max(this.#newest, number)
    return indexOf(this.#newest, size)
  }
}

function indexOf(number: number, size: number): number {
  return ((number % size) + size) % size
}

function checkEvents(name: string, count: unknown): void {
  if (typeof count === 'number' && count >= 0 && count < Infinity) return
  throw new HsError('INVALID_ARGUMENT', `BurnRate: expected a number of ${name} events from 0, found ${String(count)}`)
}
