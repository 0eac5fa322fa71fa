/**
 * Candidates that fit, or do not fit, under the same conditions: the same workflow, the same fixed cores, the same
 * workers to avoid. When one of them does not fit, none does, and all are passed over at once.
 */
import type { Candidate } from './candidate.js'
import type { Fleet } from './fleet.js'
import { TenantLevels } from './tenant-levels.js'

const NOBODY: readonly string[] = Object.freeze([])

/** Those that have waited too long and began to wait at the same moment. */
export class AgedGroup<T> {
  readonly queuedAtMs: number
  readonly levels = new TenantLevels<T>(false)

  constructor(queuedAtMs: number) {
    this.queuedAtMs = queuedAtMs
  }
}

export class Shape<T> {
  readonly workflow: string | undefined
  readonly fixed: number
  readonly #spread: boolean
  readonly #givenAvoid: readonly string[]
  /** Not aged. */
  readonly fresh = new TenantLevels<T>(true)
  /** By the moment at which they began to wait, the oldest first. */
  readonly #aged = new Map<number, AgedGroup<T>>()
  size = 0
  /** The walk in which it was found not to fit. */
  passedOverIn = 0
  #revision = -1
  #isCapable = false
  #avoid: readonly string[] = NOBODY

  /** @param sample its first candidate */
  constructor({ workflow, fixed, spread, avoid }: Candidate<T>) {
    this.workflow = workflow
    this.fixed = fixed
    this.#spread = spread
    this.#givenAvoid = avoid
  }

  /** Whether a candidate is of this shape. */
  fits({ fixed, spread, avoid }: Candidate<T>): boolean {
    if (fixed !== this.fixed || spread !== this.#spread || avoid.length !== this.#givenAvoid.length) return false
    return avoid.every((workerId) => this.#givenAvoid.includes(workerId))
  }

  /** Whether a usable worker could ever run it. */
  isCapable(fleet: Fleet): boolean {
    this.#judge(fleet)
    return this.#isCapable
  }

  /** The workers to avoid, or nobody if no other could ever run it. */
  avoid(fleet: Fleet): readonly string[] {
    this.#judge(fleet)
    return this.#avoid
  }

  add(candidate: Candidate<T>): void {
    candidate.shape = this
    this.size++
    this.fresh.add(candidate)
  }

  remove(candidate: Candidate<T>): void {
    candidate.shape = null
    this.size--
    const group = candidate.agedGroup
    if (group === null) {
      this.fresh.remove(candidate)
      return
    }
    candidate.agedGroup = null
    group.levels.remove(candidate)
    if (group.levels.isEmpty) this.#aged.delete(group.queuedAtMs)
  }

  /** It has waited too long. To be called in order of waiting. */
  age(candidate: Candidate<T>): void {
    this.fresh.remove(candidate)
    let group = this.#aged.get(candidate.queuedAtMs)
    if (group === undefined) {
      group = new AgedGroup<T>(candidate.queuedAtMs)
      this.#aged.set(candidate.queuedAtMs, group)
    }
    candidate.agedGroup = group
    group.levels.add(candidate)
  }

  /** The first of those that have waited too long. */
  firstAged(): Candidate<T> | undefined {
    for (const group of this.#aged.values()) return group.levels.first()
    return undefined
  }

  /** All of them, in no order. */
  candidates(): Candidate<T>[] {
    return [this.fresh, ...Array.from(this.#aged.values(), ({ levels }) => levels)].flatMap((levels) => levels.all())
  }

  #judge(fleet: Fleet): void {
    if (this.#revision === fleet.revision) return
    this.#revision = fleet.revision
    const cores = Math.max(1, this.fixed)
    const others = fleet.countCapable(this.workflow, cores, this.#givenAvoid)
    this.#avoid = others > 0 ? this.#givenAvoid : NOBODY
    this.#isCapable = others > 0 || fleet.countCapable(this.workflow, cores, NOBODY) > 0
  }
}
