/**
 * What a job's windows were: finely for a while, coarsely for longer. Each tier merges windows into buckets of its
 * width; what no tier keeps any more is counted and gone.
 */
import { deepFreeze, HsError, parseOptions } from '@hs/core'
import * as z from 'zod'
import { mergeWindows } from './merge-windows.js'
import { freezeWindow, type WindowResult } from './window-result.js'

export interface HistoryTier {
  /** Width of a bucket in milliseconds, an integer from 1. */
  readonly widthMs: number
  /** How long it is kept, in milliseconds: a multiple of `widthMs`, at most 100,000 times as long. */
  readonly keepMs: number
}

export interface WindowHistoryOptions {
  /**
   * Finest first: each width divides the next, and `keepMs` rises; 1 to 16 tiers of at most 100,000 buckets.
   * @default 1 s for 1 min, 10 s for 1 h, 1 min for 24 h
   */
  tiers?: readonly HistoryTier[]
}

export interface WindowHistorySnapshot {
  /** Windows held, by tier. */
  readonly tiers: readonly number[]
  /** Windows that were older than the last tier when they came. */
  readonly dropped: number
}

const DEFAULT_TIERS: readonly HistoryTier[] = [
  { widthMs: 1_000, keepMs: 60_000 },
  { widthMs: 10_000, keepMs: 3_600_000 },
  { widthMs: 60_000, keepMs: 86_400_000 },
]
const MAX_BUCKETS = 100_000

const tierSchema = /* @__PURE__ */ (() =>
  z
    .strictObject({ widthMs: z.int().min(1), keepMs: z.int().min(1) })
    .refine(({ widthMs, keepMs }) => keepMs % widthMs === 0, {
      path: ['keepMs'],
      message: 'expected a multiple of widthMs',
    })
    .refine(({ widthMs, keepMs }) => keepMs / widthMs <= MAX_BUCKETS, {
      path: ['keepMs'],
      message: `expected at most ${MAX_BUCKETS} times widthMs`,
    }))()

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    tiers: z
      .array(tierSchema)
      .min(1)
      .max(16)
      .superRefine((tiers, context) => {
        for (const [i, tier] of tiers.entries()) {
          const finer = tiers[i - 1]
          if (finer === undefined) continue
          if (tier.widthMs <= finer.widthMs || tier.widthMs % finer.widthMs !== 0)
            context.addIssue({
              code: 'custom',
              path: [i, 'widthMs'],
              message: `expected a multiple of ${finer.widthMs}`,
            })
          if (tier.keepMs <= finer.keepMs)
            context.addIssue({ code: 'custom', path: [i, 'keepMs'], message: `expected more than ${finer.keepMs}` })
        }
      })
      .default(() => [...DEFAULT_TIERS]),
  }))()

/** One a job. */
export class WindowHistory {
  readonly #tiers: readonly Tier[]
  /** The greatest end of all windows added: what ages count from. */
  #newestMs = -Infinity
  #dropped = 0

  /** @throws ConfigError */
  constructor(options: WindowHistoryOptions = {}) {
    const { tiers } = parseOptions(schema, options, 'WindowHistory')
    this.#tiers = tiers.map((tier) => new Tier(tier))
  }

  /**
   * Merges it into the bucket of its last millisecond in every tier that still keeps that.
   * @throws HsError `'INVALID_ARGUMENT'` for an end that is no integer; `'SKETCH_MISMATCH'` for sketches of another kind
   * than those under the same name in its bucket. Nothing is changed then.
   */
  add(window: WindowResult): void {
    if (!Number.isSafeInteger(window.endMs))
      throw new HsError('INVALID_ARGUMENT', `add: expected a window that ends at an integer, found ${window.endMs}`)
    const newestMs = Math.max(this.#newestMs, window.endMs)
    const places = this.#tiers.map((tier) => ({ tier, merged: tier.merged(window, newestMs) }))
    if (newestMs > this.#newestMs) {
      this.#newestMs = newestMs
      for (const tier of this.#tiers) tier.expire(newestMs)
    }
    let isKept = false
    for (const { tier, merged } of places) {
      if (merged === undefined) continue
      tier.put(window, merged)
      isKept = true
    }
    if (!isKept) this.#dropped++
  }

  /**
   * Windows that overlap [fromMs, toMs), ascending, each part of the span from the finest tier that keeps it. A coarser
   * tier answers up to one of its own boundaries, so nothing appears twice.
   * @throws HsError `'INVALID_ARGUMENT'` unless fromMs <= toMs.
   */
  read(fromMs: number, toMs: number): readonly WindowResult[] {
    if (!(fromMs <= toMs)) throw new HsError('INVALID_ARGUMENT', `read: expected from <= to, found ${fromMs}, ${toMs}`)
    const parts: WindowResult[][] = []
    let endMs = toMs
    for (const [i, tier] of this.#tiers.entries()) {
      const coarser = this.#tiers[i + 1]
      const startMs = coarser === undefined ? -Infinity : ceilTo(tier.oldestMs(this.#newestMs), coarser.widthMs)
      parts.unshift(tier.read(Math.max(fromMs, startMs), endMs))
      endMs = Math.min(endMs, startMs)
    }
    return Object.freeze(parts.flat())
  }

  snapshot(): WindowHistorySnapshot {
    return deepFreeze({ tiers: this.#tiers.map(({ size }) => size), dropped: this.#dropped })
  }
}

class Tier {
  readonly widthMs: number
  readonly #keepMs: number
  /** What fell into each bucket, merged, by the bucket's start. */
  readonly #buckets = new Map<number, WindowResult>()
  /** No bucket starts before it. */
  #leastMs = Infinity

  constructor({ widthMs, keepMs }: HistoryTier) {
    this.widthMs = widthMs
    this.#keepMs = keepMs
  }

  get size(): number {
    return this.#buckets.size
  }

  /** Where the oldest bucket that is kept begins. */
  oldestMs(newestMs: number): number {
    return floorTo(newestMs - this.#keepMs, this.widthMs)
  }

  /** What its bucket will hold with this window; undefined if that is not kept any more. */
  merged(window: WindowResult, newestMs: number): WindowResult | undefined {
    const startMs = this.#bucketOf(window)
    if (startMs < this.oldestMs(newestMs)) return undefined
    const known = this.#buckets.get(startMs)
    return known === undefined ? window : mergeWindows([known, window])
  }

  put(window: WindowResult, merged: WindowResult): void {
    const startMs = this.#bucketOf(window)
    this.#buckets.set(startMs, merged)
    this.#leastMs = Math.min(this.#leastMs, startMs)
  }

  expire(newestMs: number): void {
    const oldestMs = this.oldestMs(newestMs)
    if (this.#leastMs >= oldestMs) return
    // A jump ahead may pass over more buckets than there are.
    if ((oldestMs - this.#leastMs) / this.widthMs > this.#buckets.size) {
      for (const startMs of this.#buckets.keys()) if (startMs < oldestMs) this.#buckets.delete(startMs)
    } else for (let startMs = this.#leastMs; startMs < oldestMs; startMs += this.widthMs) this.#buckets.delete(startMs)
    this.#leastMs = this.#buckets.size === 0 ? Infinity : oldestMs
  }

  read(fromMs: number, toMs: number): WindowResult[] {
    if (!(fromMs < toMs)) return []
    const found: WindowResult[] = []
    for (const [startMs, window] of this.#buckets) {
      if (startMs < toMs && startMs + this.widthMs > fromMs) found.push(spanning(window, startMs, this.widthMs))
    }
    return found.sort((a, b) => a.startMs - b.startMs)
  }

  #bucketOf({ endMs }: WindowResult): number {
    return floorTo(endMs - 1, this.widthMs)
  }
}

/** The window as that of a whole bucket. */
function spanning(window: WindowResult, startMs: number, widthMs: number): WindowResult {
  const endMs = startMs + widthMs
  if (window.startMs === startMs && window.endMs === endMs) return window
  return freezeWindow({ ...window, startMs, endMs, cause: 'coalesced' })
}

function floorTo(ms: number, widthMs: number): number {
  return Math.floor(ms / widthMs) * widthMs
}

function ceilTo(ms: number, widthMs: number): number {
  return Math.ceil(ms / widthMs) * widthMs
}
