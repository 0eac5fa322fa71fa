/**
 * The workers of one datacenter and the cores that are promised on them. A scheduler owns one and changes it; others
 * read it.
 */
import {
  ErrorReporter,
  TypedEmitter,
  datacenterHealths,
  parseOptions,
  runtimeShape,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import type { HealthBucket, WorkerSlot } from './fleet.js'
import {
  WorkerRecords,
  type HeartbeatOutcome,
  type Lease,
  type LeaseRequest,
  type RegistrationOutcome,
  type WorkerHeartbeat,
  type WorkerRegistration,
} from './worker-records.js'

export interface WorkerPoolOptions extends RuntimeOptions {
  /** Shards a worker may be sent before it has confirmed one of them. @default 64 */
  maxUnconfirmedPerWorker?: number
  /** Beyond: LimitError. @default 10_000 */
  maxWorkers?: number
}

/** An execution of a shard that has cores on a worker. */
export interface LeasedShard {
  readonly workerId: string
  readonly key: string
  readonly fence: number
  readonly cores: number
}

export interface WorkerView {
  readonly workerId: string
  readonly incarnation: number
  readonly address: string
  readonly bucket: HealthBucket
  readonly totalCores: number
  readonly freeCores: number
  /** Cores that are promised. */
  readonly reserved: number
  /** Shards that have them. */
  readonly running: number
}

export interface WorkerPoolSnapshot {
  readonly workers: number
  readonly totalCores: number
  readonly freeCores: number
  /** Workers in each bucket. */
  readonly byBucket: Readonly<Record<string, number>>
}

/** The events of a pool, with their arguments. */
export interface WorkerPoolEvents {
  /** Cores or workers appeared. */
  capacity: []
}

const optionsSchema = /* @__PURE__ */ z.strictObject({
  maxUnconfirmedPerWorker: z.int().min(1).default(64),
  maxWorkers: z.int().min(1).default(10_000),
  ...runtimeShape,
})

let recordsWithin: (pool: WorkerPool) => WorkerRecords

export class WorkerPool {
  readonly events: TypedEmitter<WorkerPoolEvents>
  readonly #records: WorkerRecords

  static {
    recordsWithin = (pool) => pool.#records
  }

  /** @throws ConfigError */
  constructor(options: WorkerPoolOptions = {}) {
    const parsed = parseOptions(optionsSchema, options, 'WorkerPool')
    const { clock, random, logger, maxUnconfirmedPerWorker, maxWorkers } = parsed
    const events = new TypedEmitter<WorkerPoolEvents>('WorkerPool', new ErrorReporter({ clock, random, logger }))
    this.events = events
    this.#records = new WorkerRecords(maxUnconfirmedPerWorker, maxWorkers, () => events.emit('capacity'))
  }

  /** Workers registered. */
  get size(): number {
    return this.#records.size
  }

  /**
   * `'restarted'`: a higher incarnation, `lost` is what was on the earlier one; `'stale'`: a lower one, nothing changed.
   * @throws HsError `'INVALID_ARGUMENT'`. @throws LimitError for a new worker beyond `maxWorkers`.
   */
  register(registration: WorkerRegistration): { outcome: RegistrationOutcome; lost: LeasedShard[] } {
    const { outcome, lost } = this.#records.register(registration)
    return { outcome, lost: lost.map(leasedShard) }
  }

  /**
   * `missing`: confirmed shards absent from two heartbeats in a row, whose cores are free again; `unknown`: listed ones
   * that nobody reserved. What is listed is confirmed. A heartbeat that is not newer than the last is `'stale'`.
   */
  heartbeat(beat: WorkerHeartbeat): {
    outcome: HeartbeatOutcome
    missing: LeasedShard[]
    unknown: { key: string; fence: number }[]
  } {
    const { outcome, missing, unlisted } = this.#records.heartbeat(beat)
    return { outcome, missing: missing.map(leasedShard), unknown: unlisted.map(({ key, fence }) => ({ key, fence })) }
  }

  /** An `'unhealthy'` worker is given nothing new. */
  setHealth(workerId: string, bucket: HealthBucket): void {
    this.#records.setHealth(workerId, bucket)
  }

  get(workerId: string): WorkerView | undefined {
    const worker = this.#records.get(workerId)
    if (worker === undefined) return undefined
    const { slot, incarnation, address, leases } = worker
    return Object.freeze({
      workerId,
      incarnation,
      address,
      bucket: slot.bucket,
      totalCores: slot.total,
      freeCores: Math.max(0, slot.free),
      reserved: slot.total - slot.free,
      running: leases.length,
    })
  }

  /** What `planCores` takes: a worker that may be sent no more shards now has none free. */
  slots(): WorkerSlot[] {
    return Array.from(this.#records.values(), ({ slot: { workerId, bucket, room, total, workflows } }) => {
      const slot = { workerId, bucket, free: room, total }
      return workflows === undefined ? slot : { ...slot, workflows }
    })
  }

  /** All of them, or none: false if one does not fit. @throws HsError `'INVALID_ARGUMENT'` */
  reserve(list: readonly LeaseRequest[]): boolean {
    return this.#records.reserve(list) !== null
  }

  /** The worker has said that it runs it. False: no such reservation. */
  confirm(workerId: string, key: string, fence: number): boolean {
    const lease = this.#lease(workerId, key, fence)
    if (lease !== null) this.#records.confirm(lease)
    return lease !== null
  }

  /** Its cores are free again. False: no such reservation. */
  release(workerId: string, key: string, fence: number): boolean {
    const lease = this.#lease(workerId, key, fence)
    if (lease !== null) this.#records.release(lease)
    return lease !== null
  }

  /** Forgets a worker that is lost; returns what was on it. */
  remove(workerId: string): LeasedShard[] {
    return this.#records.remove(workerId).map(leasedShard)
  }

  snapshot(): WorkerPoolSnapshot {
    let totalCores = 0
    let freeCores = 0
    const byBucket: Record<string, number> = Object.fromEntries(datacenterHealths.map((bucket) => [bucket, 0]))
    for (const { slot } of this.#records.values()) {
      totalCores += slot.total
      freeCores += Math.max(0, slot.free)
      byBucket[slot.bucket] = (byBucket[slot.bucket] ?? 0) + 1
    }
    return Object.freeze({ workers: this.size, totalCores, freeCores, byBucket: Object.freeze(byBucket) })
  }

  #lease(workerId: string, key: string, fence: number): Lease | null {
    const worker = this.#records.get(workerId)
    return worker === undefined ? null : this.#records.findOn(worker, key, fence)
  }
}

/** For the scheduler: the records within a pool. */
export function recordsOf(pool: WorkerPool): WorkerRecords {
  return recordsWithin(pool)
}

function leasedShard({ worker, key, fence, cores }: Lease): LeasedShard {
  return { workerId: worker.slot.workerId, key, fence, cores }
}
