/**
 * What a worker knows of its shards: which run on which cores, which results nobody has taken over yet, and under which
 * fence each was seen last.
 * Guarantee: fence and cores are checked in one step, so two dispatches of a shard never run at once; a result is kept
 * until it is acknowledged, and rather than drop one the worker takes no new work.
 */
import { parseOptions, runtimeShape, type Clock, type Logger, type Random, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import { requireInteger } from './arguments.js'
import { backoffSchema, equalJitterMs, type Backoff } from './backoff.js'
import { CoreAllocator } from './core-allocator.js'
import type { RunningShard, ShardResult } from './shard-result.js'

export interface ShardTableOptions extends RuntimeOptions {
  /** Cores of this worker. */
  cores: number
  /** How long a shard may run without a leader, in milliseconds. @default 30_000 */
  orphanGraceMs?: number
  /** Undelivered results at which new work is refused. @default 1_000 */
  maxPendingResults?: number
  /** When an unacknowledged result is offered again. @default 500 ms, doubling up to 60_000 */
  retry?: { baseMs?: number; maxMs?: number }
  /** How long a result is kept that nobody takes, in milliseconds. @default 600_000 */
  resultTtlMs?: number
  /** Fences remembered of shards that are over; the oldest is forgotten. @default 10_000 */
  maxTombstones?: number
}

export interface ShardAdmission {
  key: string
  fence: number
  cores: number
  attempt?: number
  plan?: readonly number[]
}

export type AdmissionOutcome =
  | { readonly kind: 'run'; readonly cores: readonly number[] }
  | { readonly kind: 'duplicate'; readonly state: 'running' | 'finished' }
  /** A higher fence was seen, or this one is over. */
  | { readonly kind: 'stale'; readonly fence: number }
  /** An older execution still runs here: abort it first. */
  | { readonly kind: 'superseded'; readonly fence: number }
  | { readonly kind: 'busy'; readonly reason: 'no-cores' | 'pending-results' }

export interface ShardTableSnapshot {
  readonly running: number
  readonly pendingResults: number
  readonly freeCores: number
  readonly totalCores: number
  /** Results dropped because nobody took them in time. */
  readonly expiredResults: number
}

interface Running {
  readonly key: string
  readonly fence: number
  readonly cores: number
  readonly attempt: number
  readonly plan: readonly number[] | undefined
  aborting: boolean
  /** When its leader was lost. */
  orphanedAtMs: number | null
  /** The highest fence that was aborted before it came. */
  abortedFence: number
}

interface Pending {
  readonly result: ShardResult
  readonly finishedAtMs: number
  dueAtMs: number
  /** How often it was offered. */
  offers: number
  abortedFence: number
}

/** What is left of a shard that is over. */
interface Tombstone {
  /** The highest fence that shall not run any more. */
  readonly fence: number
  /** The fence of the result that was acknowledged, or null. */
  readonly finished: number | null
}

const NO_FENCE = -1

const optionsSchema = /* @__PURE__ */ z.strictObject({
  cores: z.int().min(1),
  orphanGraceMs: z.number().min(0).default(30_000),
  maxPendingResults: z.int().min(1).default(1_000),
  retry: backoffSchema(500, 60_000),
  resultTtlMs: z.number().positive().default(600_000),
  maxTombstones: z.int().min(1).default(10_000),
  ...runtimeShape,
})

export class ShardTable {
  readonly cores: CoreAllocator
  readonly #clock: Clock
  readonly #random: Random
  readonly #logger: Logger
  readonly #orphanGraceMs: number
  readonly #maxPendingResults: number
  readonly #retry: Backoff
  readonly #resultTtlMs: number
  readonly #maxTombstones: number
  readonly #running = new Map<string, Running>()
  /** In the order in which they finished. */
  readonly #pending = new Map<string, Pending>()
  readonly #tombstones = new Map<string, Tombstone>()
  #expiredResults = 0

  /** @throws ConfigError */
  constructor(options: ShardTableOptions) {
    const parsed = parseOptions(optionsSchema, options, 'ShardTable')
    const { clock, random, logger } = parsed
    this.cores = new CoreAllocator({ total: parsed.cores, clock, random, logger })
    this.#clock = clock
    this.#random = random
    this.#logger = logger
    this.#orphanGraceMs = parsed.orphanGraceMs
    this.#maxPendingResults = parsed.maxPendingResults
    this.#retry = parsed.retry
    this.#resultTtlMs = parsed.resultTtlMs
    this.#maxTombstones = parsed.maxTombstones
  }

  /** Shards that run or whose result is not acknowledged yet. */
  get size(): number {
    return this.#running.size + this.#pending.size
  }

  /**
   * Whether a dispatched shard may run, and on which cores. Anything but `'run'` and `'duplicate'` leaves no mark.
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  admit(dispatch: ShardAdmission): AdmissionOutcome {
    const { key, fence, cores, attempt = 1, plan } = dispatch
    requireInteger('fence', fence)
    requireInteger('cores', cores, 1)
    const refusal = this.#refusal(key, fence)
    if (refusal !== null) return refusal
    this.#expire()
    if (this.#pending.size >= this.#maxPendingResults) return { kind: 'busy', reason: 'pending-results' }
    const given = this.cores.allocate(key, cores)
    if (given === null) return { kind: 'busy', reason: 'no-cores' }
    // A result of an older fence can count no more: that a newer one was issued shuts it out.
    this.#pending.delete(key)
    this.#tombstones.delete(key)
    this.#running.set(key, {
      key,
      fence,
      cores,
      attempt,
      plan,
      aborting: false,
      orphanedAtMs: null,
      abortedFence: NO_FENCE,
    })
    return { kind: 'run', cores: given }
  }

  /** The run has ended: frees its cores and keeps the result until it is acknowledged. False: no such run. */
  finish(key: string, fence: number, result: Omit<ShardResult, 'key' | 'fence'>): boolean {
    const shard = this.#running.get(key)
    if (shard === undefined || shard.fence !== fence) return false
    const now = this.#clock.now()
    this.#running.delete(key)
    this.cores.release(key)
    this.#pending.set(key, {
      result: { attempt: shard.attempt, ...result, key, fence },
      finishedAtMs: now,
      dueAtMs: now,
      offers: 0,
      abortedFence: shard.abortedFence,
    })
    return true
  }

  /**
   * `'aborting'`: it runs, end it and call `finish`; `'finished'`: its result stands already; `'unknown'`: it does not
   * run here, and if its dispatch is still on the way, it will be refused as stale.
   */
  abort(key: string, fence: number): 'aborting' | 'finished' | 'unknown' {
    requireInteger('fence', fence)
    const running = this.#running.get(key)
    if (running !== undefined) {
      if (running.fence === fence) {
        running.aborting = true
        return 'aborting'
      }
      running.abortedFence = Math.max(running.abortedFence, fence)
      return 'unknown'
    }
    const pending = this.#pending.get(key)
    if (pending !== undefined) {
      if (pending.result.fence === fence) return 'finished'
      pending.abortedFence = Math.max(pending.abortedFence, fence)
      return 'unknown'
    }
    const tombstone = this.#tombstones.get(key)
    if (tombstone?.finished === fence) return 'finished'
    this.#bury(key, fence, tombstone?.finished ?? null)
    return 'unknown'
  }

  /**
   * Results to be offered now, the oldest first; each is offered again later unless it is acknowledged.
   * @param limit @default 64
   */
  dueResults(limit = 64): ShardResult[] {
    requireInteger('limit', limit)
    this.#expire()
    const now = this.#clock.now()
    const due: ShardResult[] = []
    for (const pending of this.#pending.values()) {
      if (due.length >= limit) break
      if (pending.dueAtMs > now) continue
      pending.dueAtMs = now + equalJitterMs(this.#retry, pending.offers, this.#random)
      pending.offers++
      due.push(pending.result)
    }
    return due
  }

  /** Somebody has taken the result over: forgets it. False: there is none of this fence. */
  acknowledge(key: string, fence: number): boolean {
    const pending = this.#pending.get(key)
    if (pending === undefined || pending.result.fence !== fence) return false
    this.#pending.delete(key)
    this.#bury(key, Math.max(fence, pending.abortedFence), fence)
    return true
  }

  /** What a heartbeat and a registration list. */
  running(): RunningShard[] {
    return Array.from(this.#running.values(), ({ key, fence, cores, attempt, plan }) =>
      plan === undefined ? { key, fence, cores, attempt } : { key, fence, cores, attempt, plan },
    )
  }

  /** From now on the grace of what runs is counted; a second call does not begin it anew. */
  leaderLost(): void {
    const now = this.#clock.now()
    for (const shard of this.#running.values()) shard.orphanedAtMs ??= now
  }

  /** Nothing is orphaned any more, and every result is offered at once to whoever leads now. */
  leaderFound(): void {
    const now = this.#clock.now()
    for (const shard of this.#running.values()) shard.orphanedAtMs = null
    for (const pending of this.#pending.values()) {
      pending.dueAtMs = now
      pending.offers = 0
    }
  }

  /** What has run without a leader for longer than the grace and is not being aborted yet. */
  expiredOrphans(): { key: string; fence: number }[] {
    const now = this.#clock.now()
    const expired: { key: string; fence: number }[] = []
    for (const { key, fence, aborting, orphanedAtMs } of this.#running.values()) {
      if (aborting || orphanedAtMs === null || now - orphanedAtMs < this.#orphanGraceMs) continue
      expired.push({ key, fence })
    }
    return expired
  }

  snapshot(): ShardTableSnapshot {
    return Object.freeze({
      running: this.#running.size,
      pendingResults: this.#pending.size,
      freeCores: this.cores.available,
      totalCores: this.cores.total,
      expiredResults: this.#expiredResults,
    })
  }

  /** What the fences seen so far say against this one. */
  #refusal(key: string, fence: number): AdmissionOutcome | null {
    const running = this.#running.get(key)
    if (running !== undefined) {
      if (fence === running.fence) return { kind: 'duplicate', state: 'running' }
      const highest = Math.max(running.fence, running.abortedFence)
      return fence <= highest ? { kind: 'stale', fence: highest } : { kind: 'superseded', fence: running.fence }
    }
    const pending = this.#pending.get(key)
    if (pending !== undefined) {
      if (fence === pending.result.fence) return { kind: 'duplicate', state: 'finished' }
      const highest = Math.max(pending.result.fence, pending.abortedFence)
      return fence <= highest ? { kind: 'stale', fence: highest } : null
    }
    const tombstone = this.#tombstones.get(key)
    return tombstone !== undefined && fence <= tombstone.fence ? { kind: 'stale', fence: tombstone.fence } : null
  }

  /** In order of burial, so that the first is the one to forget. */
  #bury(key: string, fence: number, finished: number | null): void {
    const known = this.#tombstones.get(key)
    this.#tombstones.delete(key)
    this.#tombstones.set(key, { fence: Math.max(fence, known?.fence ?? NO_FENCE), finished })
    if (this.#tombstones.size <= this.#maxTombstones) return
    const [oldest] = this.#tombstones.keys()
    if (oldest !== undefined) this.#tombstones.delete(oldest)
  }

  #expire(): void {
    const expiredBefore = this.#clock.now() - this.#resultTtlMs
    for (const [key, { result, finishedAtMs, abortedFence }] of this.#pending) {
      if (finishedAtMs > expiredBefore) return
      this.#pending.delete(key)
      this.#expiredResults++
      this.#bury(key, Math.max(result.fence, abortedFence), result.fence)
      this.#logger.warn('a result was dropped: nobody took it over in time', {
        key,
        fence: result.fence,
        status: result.status,
        resultTtlMs: this.#resultTtlMs,
      })
    }
  }
}
