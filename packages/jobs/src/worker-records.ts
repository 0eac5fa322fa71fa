/**
 * One record a worker: who it is, what room it has, and a lease for each shard that was given cores on it.
 * Guarantee: free cores are always total minus the leases of our own records; a heartbeat corrects single leases and
 * never starts the sum anew, so cores that are promised cannot be promised again.
 */
import { LimitError } from '@hs/core'
import { invalidArgument, requireInteger } from './arguments.js'
import { Fleet, FleetWorker, type HealthBucket } from './fleet.js'
import type { RunningShard } from './shard-result.js'

export interface WorkerRegistration {
  readonly workerId: string
  /** Numbers the lives of the worker: higher after every restart. */
  readonly incarnation: number
  readonly address: string
  readonly cores: number
  /** Names of the workflows it runs. @default all */
  readonly workflows?: readonly string[]
}

export interface WorkerHeartbeat {
  readonly workerId: string
  readonly incarnation: number
  /** Grows with every heartbeat of this incarnation. */
  readonly version: number
  /** All that runs on it now. */
  readonly running: readonly RunningShard[]
  readonly bucket?: HealthBucket
}

/** Whom cores were given to, told when they come back. */
export interface LeaseHolder {
  released(cores: number): void
}

/** Cores of a worker that one execution of a shard has. */
export interface Lease {
  readonly worker: WorkerRecord
  readonly key: string
  readonly fence: number
  readonly holder: LeaseHolder | null
  cores: number
  /** Whether the worker has said that it runs it. */
  isConfirmed: boolean
  /** Heartbeats in a row that did not list it. */
  misses: number
  /** Version of the heartbeat that listed it last. */
  listedIn: number
  /** The lease of another execution of the same shard, which is still to be given back. */
  next: Lease | null
  /** Its place among the leases of the worker, -1 once it is given back. */
  index: number
}

export interface WorkerRecord {
  readonly slot: FleetWorker
  readonly incarnation: number
  /** In no order that means anything. */
  readonly leases: Lease[]
  address: string
  version: number
}

export type RegistrationOutcome = 'registered' | 'refreshed' | 'restarted' | 'stale'
export type HeartbeatOutcome = 'ok' | 'stale' | 'unknown-worker'

export interface LeaseRequest {
  readonly workerId: string
  readonly key: string
  readonly fence: number
  readonly cores: number
}

const NO_VERSION = -1

export class WorkerRecords {
  readonly fleet = new Fleet()
  readonly #workers = new Map<string, WorkerRecord>()
  readonly #leases = new Map<string, Lease>()
  readonly #maxUnconfirmed: number
  readonly #maxWorkers: number
  readonly #announce: () => void
  /** Steps under way: capacity is announced when the last has ended. */
  #steps = 0
  #hasCapacity = false
  /** Called when capacity appears outside of a step: whoever plans has not seen it. */
  onUnplanned: (() => void) | null = null

  /** @param announce cores or workers have appeared */
  constructor(maxUnconfirmed: number, maxWorkers: number, announce: () => void) {
    this.#maxUnconfirmed = maxUnconfirmed
    this.#maxWorkers = maxWorkers
    this.#announce = announce
  }

  /** What changes until `endStep` is announced once, at its end. */
  beginStep(): void {
    this.#steps++
  }

  endStep(): void {
    this.#steps--
    if (this.#steps > 0 || !this.#hasCapacity) return
    this.#hasCapacity = false
    this.#announce()
  }

  get size(): number {
    return this.#workers.size
  }

  get(workerId: string): WorkerRecord | undefined {
    return this.#workers.get(workerId)
  }

  values(): Iterable<WorkerRecord> {
    return this.#workers.values()
  }

  /** @throws HsError `'INVALID_ARGUMENT'`. @throws LimitError for a new worker beyond the limit. */
  register(registration: WorkerRegistration): { outcome: RegistrationOutcome; lost: Lease[] } {
    checkRegistration(registration)
    const { workerId, incarnation, address, cores, workflows } = registration
    const known = this.#workers.get(workerId)
    if (known !== undefined && incarnation < known.incarnation) return { outcome: 'stale', lost: [] }
    if (known !== undefined && incarnation === known.incarnation) {
      known.address = address
      this.#refresh(known.slot, cores, workflows)
      return { outcome: 'refreshed', lost: [] }
    }
    if (known === undefined && this.#workers.size >= this.#maxWorkers) throw new LimitError('workers', this.#maxWorkers)
    const lost = known === undefined ? [] : this.remove(workerId)
    const slot = new FleetWorker(
      { workerId, bucket: 'healthy', free: cores, total: cores, ...(workflows === undefined ? {} : { workflows }) },
      this.#maxUnconfirmed,
    )
    this.#workers.set(workerId, { slot, incarnation, leases: [], address, version: NO_VERSION })
    this.fleet.add(slot)
    this.#appeared()
    return { outcome: known === undefined ? 'registered' : 'restarted', lost }
  }

  /** Forgets the worker; returns what was on it. */
  remove(workerId: string): Lease[] {
    const worker = this.#workers.get(workerId)
    if (worker === undefined) return []
    const lost = [...worker.leases]
    for (const lease of lost) this.release(lease)
    this.#workers.delete(workerId)
    this.fleet.remove(worker.slot)
    return lost
  }

  /**
   * `missing`: confirmed, and absent from two heartbeats in a row; their cores are given back. `unlisted`: what the
   * worker lists and has no lease for. A worker of an incarnation that has not registered yet is unknown.
   */
  heartbeat(beat: WorkerHeartbeat): { outcome: HeartbeatOutcome; missing: Lease[]; unlisted: RunningShard[] } {
    requireInteger('version', beat.version)
    const worker = this.#workers.get(beat.workerId)
    if (worker === undefined || beat.incarnation > worker.incarnation) {
      return { outcome: 'unknown-worker', missing: [], unlisted: [] }
    }
    if (beat.incarnation < worker.incarnation || beat.version <= worker.version) {
      return { outcome: 'stale', missing: [], unlisted: [] }
    }
    worker.version = beat.version
    if (beat.bucket !== undefined) this.setHealth(beat.workerId, beat.bucket)
    const unlisted: RunningShard[] = []
    for (const shard of beat.running) {
      const lease = this.findOn(worker, shard.key, shard.fence)
      if (lease === null) unlisted.push(shard)
      else this.#listed(lease, shard.cores, beat.version)
    }
    return { outcome: 'ok', missing: this.#missing(worker, beat.version), unlisted }
  }

  setHealth(workerId: string, bucket: HealthBucket): void {
    const slot = this.#workers.get(workerId)?.slot
    if (slot === undefined || slot.bucket === bucket) return
    const wasUnusable = slot.bucket === 'unhealthy'
    this.fleet.reclassify(slot, () => {
      slot.bucket = bucket
    })
    if (wasUnusable) this.#appeared()
  }

  /** Takes the cores of all of them, or of none; null if one does not fit. */
  reserve(requests: readonly LeaseRequest[], holder: LeaseHolder | null = null): Lease[] | null {
    const leases: Lease[] = []
    for (const { workerId, key, fence, cores } of requests) {
      requireInteger('fence', fence)
      requireInteger('cores', cores)
      const worker = this.#workers.get(workerId)
      const fits = worker !== undefined && cores <= worker.slot.free && worker.slot.slots > 0
      if (!fits || this.findOn(worker, key, fence) !== null) {
        for (const lease of leases) this.release(lease)
        return null
      }
      this.fleet.take(worker.slot, cores, -1)
      leases.push(this.book(worker, key, fence, cores, holder))
    }
    return leases
  }

  /** A confirmed lease for what runs already; null if its cores are not free. */
  adopt(worker: WorkerRecord, key: string, fence: number, cores: number, holder: LeaseHolder | null): Lease | null {
    if (cores > worker.slot.free) return null
    this.fleet.take(worker.slot, cores)
    const lease = this.book(worker, key, fence, cores, holder)
    lease.isConfirmed = true
    return lease
  }

  /** A lease for cores and a slot that were taken already. */
  book(worker: WorkerRecord, key: string, fence: number, cores: number, holder: LeaseHolder | null): Lease {
    const lease: Lease = {
      worker,
      key,
      fence,
      holder,
      cores,
      isConfirmed: false,
      misses: 0,
      listedIn: NO_VERSION,
      next: this.#leases.get(key) ?? null,
      index: worker.leases.length,
    }
    this.#leases.set(key, lease)
    worker.leases.push(lease)
    return lease
  }

  /** The lease of an execution, wherever it runs. */
  find(key: string, fence: number): Lease | null {
    let lease = this.#leases.get(key) ?? null
    while (lease !== null && lease.fence !== fence) lease = lease.next
    return lease
  }

  findOn(worker: WorkerRecord, key: string, fence: number): Lease | null {
    let lease = this.#leases.get(key) ?? null
    while (lease !== null && (lease.fence !== fence || lease.worker !== worker)) lease = lease.next
    return lease
  }

  /** The worker has said that it runs it: its slot is free for another dispatch. */
  confirm(lease: Lease): void {
    if (lease.isConfirmed) return
    lease.isConfirmed = true
    this.fleet.take(lease.worker.slot, 0, 1)
  }

  /**
   * Nobody waits for an answer about this execution any more: from now on it is over as soon as the worker does not
   * list it, even if it was never confirmed.
   */
  leaveToHeartbeats(key: string, fence: number): void {
    const lease = this.find(key, fence)
    if (lease !== null) this.confirm(lease)
  }

  /** Gives its cores back; once. */
  release(lease: Lease): void {
    if (lease.index < 0) return
    const { leases } = lease.worker
    const last = leases.pop()
    if (last !== undefined && last !== lease) {
      leases[lease.index] = last
      last.index = lease.index
    }
    lease.index = -1
    this.#unchain(lease)
    this.fleet.take(lease.worker.slot, -lease.cores, lease.isConfirmed ? 0 : 1)
    lease.holder?.released(lease.cores)
    this.#appeared()
  }

  #appeared(): void {
    if (this.#steps > 0) {
      this.#hasCapacity = true
      return
    }
    this.#announce()
    this.onUnplanned?.()
  }

  #refresh(slot: FleetWorker, cores: number, workflows: readonly string[] | undefined): void {
    this.fleet.reclassify(slot, () => {
      slot.free += cores - slot.total
      slot.total = cores
      slot.workflows = workflows
    })
    this.#appeared()
  }

  /** A listed shard runs; and what the worker says of its cores is so. */
  #listed(lease: Lease, cores: number, version: number): void {
    lease.listedIn = version
    lease.misses = 0
    this.confirm(lease)
    if (cores === lease.cores || !Number.isSafeInteger(cores) || cores < 0) return
    this.fleet.take(lease.worker.slot, cores - lease.cores)
    lease.holder?.released(lease.cores - cores)
    lease.cores = cores
  }

  #missing(worker: WorkerRecord, version: number): Lease[] {
    const missing: Lease[] = []
    for (const lease of worker.leases) {
      if (!lease.isConfirmed || lease.listedIn === version) continue
      lease.misses++
      if (lease.misses >= 2) missing.push(lease)
    }
    for (const lease of missing) this.release(lease)
    return missing
  }

  #unchain(lease: Lease): void {
    const first = this.#leases.get(lease.key)
    if (first === lease) {
      if (lease.next === null) this.#leases.delete(lease.key)
      else this.#leases.set(lease.key, lease.next)
      return
    }
    let before = first
    while (before !== undefined && before.next !== null && before.next !== lease) before = before.next
    if (before !== undefined) before.next = lease.next
  }
}

function checkRegistration({ workerId, incarnation, cores, workflows }: WorkerRegistration): void {
  if (typeof workerId !== 'string' || workerId === '') throw invalidArgument('a worker needs an id', { workerId })
  requireInteger('incarnation', incarnation)
  requireInteger('cores', cores, 1)
  if (workflows !== undefined && !Array.isArray(workflows)) {
    throw invalidArgument('workflows: expected a list of names', { workflows })
  }
}
