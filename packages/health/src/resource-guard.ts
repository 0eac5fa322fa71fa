/**
 * What to do about whoever uses more than its budget: warn, throttle, cancel. In doubt for the accused: what is not
 * certain does not count, and what lasts less than the grace does not either.
 */
import {
  BoundedMap,
  deepFreeze,
  ErrorReporter,
  parseOptions,
  runtimeShape,
  type Clock,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'

/** From least to most. */
const levels = ['ok', 'warn', 'throttle', 'cancel'] as const
export type GuardLevel = (typeof levels)[number]

export interface GuardAction {
  readonly subject: string
  readonly level: GuardLevel
  readonly previous: GuardLevel
  /** Which resource is nearest to its budget, or furthest beyond; null if none is measured. */
  readonly resource: string | null
  /** What is used of its budget for certain; 0 if none is measured. */
  readonly ratio: number
}

export interface ResourceGuardOptions extends RuntimeOptions {
  /** Shares of the budget, above 0, each at least the one before. @default 0.7 */
  warnAt?: number
  /** @default 0.85 */
  throttleAt?: number
  /** @default 1 */
  cancelAt?: number
  /** How long a threshold must have been exceeded without a pause, in milliseconds, 0 or more. @default 5_000 */
  graceMs?: number
  /** By how many sigmas a figure is taken to be lower than it looks, 0 or more. @default 1 */
  sigmas?: number
  /** Subjects remembered, at least 1; the one least recently observed goes. @default 10_000 */
  maxSubjects?: number
  /** Called once for each change of a level. What it throws is reported. */
  onAction?: (action: GuardAction) => void
}

export type ResourceGuardSnapshot = Readonly<Record<string, GuardLevel>>

const schema = /* @__PURE__ */ (() =>
  z
    .strictObject({
      ...runtimeShape,
      warnAt: z.number().positive().default(0.7),
      throttleAt: z.number().positive().default(0.85),
      cancelAt: z.number().positive().default(1),
      graceMs: z.number().min(0).default(5_000),
      sigmas: z.number().min(0).default(1),
      maxSubjects: z.int().min(1).default(10_000),
      onAction: z
        .custom<(action: GuardAction) => void>((x) => typeof x === 'function', 'expected a function')
        .optional(),
    })
    .refine(({ warnAt, throttleAt }) => warnAt <= throttleAt, {
      path: ['throttleAt'],
      message: 'expected at least warnAt',
      when: ({ value }) => areNumbers(value, 'warnAt', 'throttleAt'),
    })
    .refine(({ throttleAt, cancelAt }) => throttleAt <= cancelAt, {
      path: ['cancelAt'],
      message: 'expected at least throttleAt',
      when: ({ value }) => areNumbers(value, 'throttleAt', 'cancelAt'),
    }))()

function areNumbers(value: unknown, ...names: string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'number')
}

interface Use {
  readonly resource: string | null
  readonly ratio: number
}

/** One who is observed. */
class Subject {
  level: GuardLevel = 'ok'
  /** Since when each threshold has been exceeded; undefined where it is not. By level, `'ok'` left out. */
  readonly sinceMs: (number | undefined)[] = [undefined, undefined, undefined]
}

/** Decides by level; whoever observes also cancels. */
export class ResourceGuard {
  readonly #clock: Clock
  readonly #thresholds: readonly number[]
  readonly #graceMs: number
  readonly #sigmas: number
  readonly #subjects: BoundedMap<string, Subject>
  readonly #tell: ((action: GuardAction) => void) | undefined

  /** @throws ConfigError */
  constructor(options?: ResourceGuardOptions) {
    const settings = parseOptions(schema, options, 'ResourceGuard')
    const { clock, random, logger, warnAt, throttleAt, cancelAt, maxSubjects, onAction } = settings
    const runtime = { clock, random, logger }
    this.#clock = clock
    this.#thresholds = [warnAt, throttleAt, cancelAt]
    this.#graceMs = settings.graceMs
    this.#sigmas = settings.sigmas
    this.#subjects = new BoundedMap({ ...runtime, maxEntries: maxSubjects })
    this.#tell = onAction && new ErrorReporter(runtime).guard('ResourceGuard.onAction', onAction)
  }

  /**
   * What the subject uses now, and what it may use. Resources without a budget, and figures that are none, say nothing.
   * Returns its level, which `onAction` has heard of already.
   */
  observe(
    subject: string,
    usage: Readonly<Record<string, { readonly value: number; readonly uncertainty: number }>>,
    budget: Readonly<Record<string, number>>,
  ): GuardLevel {
    const known = this.#subjects.get(subject)
    const record = known ?? new Subject()
    if (known === undefined) this.#subjects.set(subject, record)
    const previous = record.level
    // Final: what is cancelled does not come back by using less.
    if (previous === 'cancel') return previous
    const use = this.#greatest(usage, budget)
    record.level = this.#levelOf(record, use.ratio)
    if (record.level !== previous) this.#tell?.(Object.freeze({ subject, level: record.level, previous, ...use }))
    return record.level
  }

  /** True if it was there. */
  forget(subject: string): boolean {
    return this.#subjects.delete(subject)
  }

  /** Subjects that are remembered. */
  get size(): number {
    return this.#subjects.size
  }

  /** What a dashboard shows: levels by subject. */
  snapshot(): ResourceGuardSnapshot {
    return deepFreeze(Object.fromEntries(Array.from(this.#subjects, ([subject, { level }]) => [subject, level])))
  }

  #greatest(
    usage: Readonly<Record<string, { readonly value: number; readonly uncertainty: number }>>,
    budget: Readonly<Record<string, number>>,
  ): Use {
    let resource: string | null = null
    let ratio = 0
    for (const name of Object.keys(budget)) {
      const used = Object.hasOwn(usage, name) ? usage[name] : undefined
      if (used === undefined) continue
      const share = this.#certainShare(used.value, used.uncertainty, budget[name] as number)
      // Of what is not known at all, nothing is certain.
      if (!(share > -Infinity) || (resource !== null && share <= ratio)) continue
      resource = name
      ratio = share
    }
    return { resource, ratio }
  }

  #certainShare(value: number, uncertainty: number, budget: number): number {
    const certain = this.#sigmas === 0 ? value : value - this.#sigmas * uncertainty
    // Whoever may use nothing exceeds that with anything.
    if (budget === 0) return certain > 0 ? Infinity : 0
    return budget > 0 ? certain / budget : NaN
  }

  /** The highest level whose threshold has been exceeded for the grace. */
  #levelOf({ sinceMs }: Subject, ratio: number): GuardLevel {
    const nowMs = this.#clock.now()
    let reached: GuardLevel = 'ok'
    for (const [index, threshold] of this.#thresholds.entries()) {
      const since = ratio > threshold ? (sinceMs[index] ?? nowMs) : undefined
      sinceMs[index] = since
      if (since !== undefined && nowMs - since >= this.#graceMs) reached = levels[index + 1] ?? reached
    }
    return reached
  }
}
