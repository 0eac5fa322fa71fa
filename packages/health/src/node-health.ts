/**
 * A node by three signals: is it alive, does it take work, does it get on with it. Each has its own source (probes, what
 * the node says, what it has finished), and each its own consequence, so that a busy node is not taken for a dead one.
 * Ages are counted from receipt; no other machine's clock is looked at.
 * Source: liveness and readiness are those of Kubernetes' probes; progress is the third.
 */
import { deepFreeze, parseOptions, runtimeShape, type Clock, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import { isNewer } from './decode.js'
import { decodeHealthReport, type HealthReport } from './health-report.js'
import { verdictOn, type NodeVerdict } from './node-verdict.js'
import { ProgressMeter, type ProgressSettings } from './progress.js'

export interface NodeHealthSnapshot extends NodeVerdict {
  /** Since the last sign of life, or since construction, in milliseconds. */
  readonly silentMs: number
  /** Probes without an answer, in a row. */
  readonly misses: number
  /** The newest. */
  readonly report: HealthReport | null
}

export interface NodeHealthOptions extends RuntimeOptions {
  /** How long a sign of life lasts, and the grace at the start, in milliseconds, above 0. @default 30_000 */
  livenessMs?: number
  /** Misses in a row at which it is dead, at least 1. @default 3 */
  maxMisses?: number
  /** Over what time progress is measured, in milliseconds, above 0. @default 30_000 */
  progressWindowMs?: number
  /** Share of the expected progress from which it is normal, above 0. @default 0.8 */
  normalRatio?: number
  /** Share from which it is slow; below, it is degraded. From 0 up to `normalRatio`. @default 0.3 */
  slowRatio?: number
  /** After how long without any progress a node with work is stuck, in milliseconds, above 0. @default 60_000 */
  stuckMs?: number
  /** How much longer until it is to be evicted, in milliseconds, 0 or more. @default 60_000 */
  stuckEvictMs?: number
}

/** The fields of the options, for schemas that have more. */
export const nodeHealthShape = /* @__PURE__ */ (() => ({
  ...runtimeShape,
  livenessMs: z.number().positive().default(30_000),
  maxMisses: z.int().min(1).default(3),
  progressWindowMs: z.number().positive().default(30_000),
  normalRatio: z.number().positive().default(0.8),
  slowRatio: z.number().min(0).default(0.3),
  stuckMs: z.number().positive().default(60_000),
  stuckEvictMs: z.number().min(0).default(60_000),
}))()

/** The rule across fields, beside whatever else is wrong. */
export const ratiosAscend = {
  check: ({ slowRatio, normalRatio }: { slowRatio: number; normalRatio: number }) => slowRatio <= normalRatio,
  issue: {
    path: ['slowRatio'],
    message: 'expected at most normalRatio',
    when: ({ value }: { value: unknown }) => {
      if (typeof value !== 'object' || value === null) return false
      const { slowRatio, normalRatio } = value as { slowRatio?: unknown; normalRatio?: unknown }
      return typeof slowRatio === 'number' && typeof normalRatio === 'number'
    },
  },
}

const schema = /* @__PURE__ */ (() => z.strictObject(nodeHealthShape).refine(ratiosAscend.check, ratiosAscend.issue))()

/** What a node is judged by, checked; all nodes of a tracker share one. */
export class NodeHealthSettings implements ProgressSettings {
  readonly clock: Clock
  readonly livenessMs: number
  readonly maxMisses: number
  readonly progressWindowMs: number
  readonly normalRatio: number
  readonly slowRatio: number
  readonly stuckMs: number
  readonly stuckEvictMs: number

  constructor(options: Required<Omit<NodeHealthOptions, 'random' | 'logger'>>) {
    this.clock = options.clock
    this.livenessMs = options.livenessMs
    this.maxMisses = options.maxMisses
    this.progressWindowMs = options.progressWindowMs
    this.normalRatio = options.normalRatio
    this.slowRatio = options.slowRatio
    this.stuckMs = options.stuckMs
    this.stuckEvictMs = options.stuckEvictMs
  }
}

/** Told what changes whether a node lives, or is to be evicted. */
export interface NodeOwner {
  heard(): void
  missedTooOften(): void
  /** It was to be evicted, and is not any more. */
  recovered(): void
}

/** One for each node, on whoever judges it. */
export class NodeHealth {
  readonly #settings: NodeHealthSettings
  readonly #owner: NodeOwner | undefined
  #heardAtMs: number
  #misses = 0
  #report: HealthReport | undefined = undefined
  #progress: ProgressMeter | undefined = undefined

  /** @throws ConfigError */
  constructor(options?: NodeHealthOptions)
  /** @internal */
  constructor(settings: NodeHealthSettings, owner: NodeOwner)
  constructor(options?: NodeHealthOptions | NodeHealthSettings, owner?: NodeOwner) {
    this.#settings =
      options instanceof NodeHealthSettings
        ? options
        : new NodeHealthSettings(parseOptions(schema, options, 'NodeHealth'))
    this.#owner = owner
    this.#heardAtMs = this.#settings.clock.now()
  }

  /** What came of a probe: an answer, or none in time. */
  probe(ok: boolean): void {
    if (ok) {
      this.#hear()
      return
    }
    this.#misses++
    if (this.#misses === this.#settings.maxMisses) this.#owner?.missedTooOften()
  }

  /**
   * Takes what the node says of itself. False: it is no newer than what is known, and changes nothing.
   * @throws DecodeError if it is malformed
   */
  report(report: HealthReport): boolean {
    const checked = decodeHealthReport(report)
    const known = this.#report
    if (!isNewer(known, checked)) return false
    this.#hear(() => {
      if (checked.incarnation !== known?.incarnation) this.#progress = undefined
      this.#report = checked
      this.#progress ??= new ProgressMeter()
      this.#progress.note(checked, this.#settings.clock.now(), this.#settings)
    })
    return true
  }

  /** How it is now, and what to do about it. */
  verdict(): NodeVerdict {
    return this.verdictAt(this.#settings.clock.now())
  }

  /** @internal For whoever judges many at once. */
  verdictAt(nowMs: number): NodeVerdict {
    const live = this.isLiveAt(nowMs)
    const report = this.#report
    const overload = report?.overload ?? 'healthy'
    const ready = report !== undefined && report.ready && report.capacity > 0 && overload !== 'overloaded'
    const progress = this.#progress?.assess(nowMs, this.#settings) ?? 'idle'
    return verdictOn({ live, ready, progress, overload, isGivenUp: this.#isStuckTooLong(nowMs) })
  }

  /** @internal */
  isLiveAt(nowMs: number): boolean {
    return nowMs - this.#heardAtMs <= this.#settings.livenessMs && this.#misses < this.#settings.maxMisses
  }

  /** What a dashboard shows. */
  snapshot(): NodeHealthSnapshot {
    const nowMs = this.#settings.clock.now()
    return deepFreeze({
      ...this.verdictAt(nowMs),
      silentMs: nowMs - this.#heardAtMs,
      misses: this.#misses,
      report: this.#report ?? null,
    })
  }

  /** A sign of life, together with what it tells. */
  #hear(learn?: () => void): void {
    const nowMs = this.#settings.clock.now()
    const wasToBeEvicted = this.#isToBeEvicted(nowMs)
    this.#heardAtMs = nowMs
    this.#misses = 0
    learn?.()
    this.#owner?.heard()
    if (wasToBeEvicted && !this.#isToBeEvicted(nowMs)) this.#owner?.recovered()
  }

  #isToBeEvicted(nowMs: number): boolean {
    return !this.isLiveAt(nowMs) || this.#isStuckTooLong(nowMs)
  }

  #isStuckTooLong(nowMs: number): boolean {
    const { stuckMs, stuckEvictMs } = this.#settings
    return this.#progress !== undefined && this.#progress.unmovedMs(nowMs) >= stuckMs + stuckEvictMs
  }
}
