/**
 * What gates use to add up a job over datacenters: totals that count every report once, through however many gates it
 * comes and however often, and rates that belong to the status they came with.
 * Sources: the counts are grow-only counters, rate and status a last-writer-wins register (Shapiro et al., INRIA
 * RR-7506, 2011); retiring a datacenter: see `slots.ts`.
 */
import { deepFreeze } from '@hs/core'
import { checkName, checkSame, checkTime, MAX_COUNT, overflow } from './arguments.js'
import type { Crdt } from './crdt.js'
import { JobLedger } from './job-ledger.js'
import {
  checkDatacenter,
  checkReport,
  otherJob,
  unfolded,
  type Counts,
  type DatacenterRecord,
  type DatacenterReport,
  type GateRecord,
} from './job-records.js'
import { jobLedgerFromWire, jobStatsToWire, type JobStatsWire } from './job-stats-wire.js'
import { Limits, type CrdtLimits } from './limits.js'
import { Marks } from './marks.js'
import { decoding, wireFields, wireName } from './wire.js'

export interface DatacenterStats extends DatacenterReport {
  readonly name: string
}

export interface JobStatsSnapshot {
  jobId: string
  completed: number
  failed: number
  rate: number
  /** The live ones, in order of name. */
  datacenters: readonly DatacenterStats[]
  /** What retired datacenters had done. */
  retired: { completed: number; failed: number }
}

const DEFAULTS = /* @__PURE__ */ Limits.of('JobStats', { maxEntries: 1_024 })

/** One job's totals over its datacenters. One object a job, owned by the job's record. */
export class JobStats implements Crdt<JobStats> {
  readonly jobId: string
  readonly #limits: Limits
  readonly #datacenters = new Marks<DatacenterRecord>()
  readonly #gates = new Marks<GateRecord>()
  #ledger = new JobLedger()

  /**
   * @param limits `maxEntries` is for datacenters, for gates that retired some, and for what they took over
   * @throws HsError `'INVALID_ARGUMENT'`; ConfigError
   */
  constructor(jobId: string, limits?: CrdtLimits) {
    this.#limits = Limits.of('JobStats', limits, DEFAULTS)
    checkName('A job id', jobId, this.#limits.maxNameLength)
    this.jobId = jobId
  }

  /**
   * Takes a report of a datacenter; true if anything changed. Each count is raised if it is higher, rate and status
   * are taken together if the report's time is later. So a report may come late, twice, or through two gates.
   * @throws HsError `'INVALID_ARGUMENT'`, before anything changes; LimitError for a datacenter beyond `maxEntries`
   */
  observe(datacenter: string, report: DatacenterReport): boolean {
    const { completed, failed, rate, status, time } = checkReport(report)
    const ledger = this.#ledger
    let record = ledger.datacenters.get(datacenter)
    if (record === undefined) {
      checkDatacenter(datacenter, this.#limits)
      this.#limits.checkEntries('Datacenters', ledger.datacenters.size + 1)
      record = ledger.open(datacenter)
    }
    const raised = ledger.raise(record, completed, failed)
    if (!ledger.write(record, time, { rate, status }) && !raised) return false
    this.#datacenters.add(record)
    return true
  }

  /**
   * The datacenter is decommissioned as of `time`: its counts stay in the totals, its rate and status go. False, and
   * without effect, if a report that is not older is here, or if nothing changes. A later report makes it live again;
   * what surfaces of it counts, and can be retired again.
   * @param time a logical time of the datacenter, later than its last report
   * @param by the retiring gate: a `NodeId`, whose record takes the counts over
   * @throws HsError `'INVALID_ARGUMENT'`, `'CRDT_OVERFLOW'` if the gate's record would pass 2^53 - 1; LimitError
   */
  retire(datacenter: string, time: number, by: string): boolean {
    checkDatacenter(datacenter, this.#limits)
    checkTime(time)
    checkName('A gate', by, this.#limits.maxNameLength)
    const ledger = this.#ledger
    const known = ledger.datacenters.get(datacenter)
    if (known !== undefined && known.pace !== null && known.time >= time) return false
    const moved = known === undefined ? { completed: 0, failed: 0 } : positive(unfolded(known))
    this.#checkRetire(known, by, moved)

    const record = known ?? ledger.open(datacenter)
    const written = ledger.write(record, time, null)
    const folded = moved.completed > 0 || moved.failed > 0
    if (folded) this.#fold(record, by, moved)
    if (!written && !folded) return false
    this.#datacenters.add(record)
    return true
  }

  /**
   * Drops the last traces of a retired datacenter whose counts a gate has taken over; false for any other. Local, and
   * to be called when every replica knows of the retirement: a replica that has been away since before would bring the
   * counts back, so let it in again empty.
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  forget(datacenter: string): boolean {
    checkDatacenter(datacenter, this.#limits)
    const { datacenters } = this.#ledger
    const record = datacenters.get(datacenter)
    if (record === undefined || record.pace !== null) return false
    const { completed, failed } = unfolded(record)
    if (completed !== 0 || failed !== 0) return false
    this.#ledger.drop(record)
    this.#datacenters.prune(datacenters.size, (marked) => datacenters.get(marked.name) === marked)
    return true
  }

  /** Stays at 2^53 - 1 where it would pass that; so does `totalFailed`. */
  get totalCompleted(): number {
    return this.#ledger.completed.value
  }

  get totalFailed(): number {
    return this.#ledger.failed.value
  }

  /** Of the live datacenters, added in order of name, so that all gates show the same last digit. */
  get totalRate(): number {
    let sum = 0
    for (const { pace } of this.#ledger.live) sum += pace?.rate ?? 0
    return Math.min(sum, Number.MAX_VALUE)
  }

  /** Its own totals, rate and status; undefined if it is unknown or retired. Frozen. */
  datacenter(name: string): DatacenterStats | undefined {
    const record = this.#ledger.datacenters.get(name)
    return record === undefined ? undefined : statsOf(record)
  }

  /** @throws HsError `'CRDT_MISMATCH'` for another job, `'INVALID_ARGUMENT'`; LimitError */
  merge(other: JobStats): boolean {
    checkSame('JobStats', JobStats.#is(other), other)
    if (other === this) return false
    this.#check(other)
    const { datacenters, gates } = other.#ledger
    let changed = false
    for (const theirs of datacenters.values()) {
      const record = this.#ledger.join(theirs)
      if (record === null) continue
      this.#datacenters.add(record)
      changed = true
    }
    for (const theirs of gates.values()) {
      const record = this.#ledger.joinGate(theirs)
      if (record === null) continue
      this.#gates.add(record)
      changed = true
    }
    return changed
  }

  takeDelta(): JobStats | null {
    const datacenters = this.#datacenters.take()
    const gates = this.#gates.take()
    if (datacenters.length === 0 && gates.length === 0) return null
    const delta = new JobStats(this.jobId, this.#limits)
    this.#ledger.copyLinked(datacenters, gates, delta.#ledger)
    return delta
  }

  clone(): JobStats {
    const copy = new JobStats(this.jobId, this.#limits)
    copy.#ledger = this.#ledger.clone()
    return copy
  }

  equals(other: JobStats): boolean {
    return JobStats.#is(other) && this.jobId === other.jobId && this.#ledger.equals(other.#ledger)
  }

  toWire(): JobStatsWire {
    return jobStatsToWire(this.jobId, this.#ledger)
  }

  /** Frozen, sorted by name, and independent of later changes. */
  snapshot(): JobStatsSnapshot {
    const datacenters: DatacenterStats[] = []
    const completed = this.#ledger.completed.clone()
    const failed = this.#ledger.failed.clone()
    for (const record of this.#ledger.live) {
      const stats = statsOf(record)
      if (stats === undefined) continue
      datacenters.push(stats)
      completed.subtract(stats.completed)
      failed.subtract(stats.failed)
    }
    return deepFreeze({
      jobId: this.jobId,
      completed: this.totalCompleted,
      failed: this.totalFailed,
      rate: this.totalRate,
      datacenters,
      retired: positive({ completed: completed.value, failed: failed.value }),
    })
  }

  /** @throws DecodeError, ConfigError */
  static fromWire(wire: unknown, limits?: CrdtLimits): JobStats {
    const checked = Limits.of('JobStats', limits, DEFAULTS)
    return decoding(() => {
      const fields = wireFields(wire, '')
      const stats = new JobStats(wireName([fields['j']], 0, 'j', checked.maxNameLength), checked)
      stats.#ledger = jobLedgerFromWire(fields, checked)
      return stats
    })
  }

  #checkRetire(record: DatacenterRecord | undefined, by: string, moved: Counts): void {
    const { datacenters, gates, folds } = this.#ledger
    if (record === undefined) this.#limits.checkEntries('Datacenters', datacenters.size + 1)
    if (moved.completed === 0 && moved.failed === 0) return
    const gate = gates.get(by)
    if (gate === undefined) this.#limits.checkEntries('Gates', gates.size + 1)
    if (record?.folds?.has(by) !== true) this.#limits.checkEntries('Folds', folds + 1)
    if (moved.completed > MAX_COUNT - (gate?.completed ?? 0) || moved.failed > MAX_COUNT - (gate?.failed ?? 0)) {
      throw overflow(`The record of ${by}`)
    }
  }

  #fold(record: DatacenterRecord, by: string, moved: Counts): void {
    const gate = this.#ledger.gate(by)
    this.#ledger.raise(gate, gate.completed + moved.completed, gate.failed + moved.failed)
    const { completed, failed } = record.folds?.get(by) ?? { completed: 0, failed: 0 }
    this.#ledger.raiseFold(record, by, completed + moved.completed, failed + moved.failed)
    this.#gates.add(gate)
  }

  #check(other: JobStats): void {
    if (other.jobId !== this.jobId) throw otherJob(this.jobId, other.jobId)
    if (this.#limits.stricterOnNamesThan(other.#limits)) other.#ledger.checkNames(this.#limits)
    const mine = this.#ledger
    const theirs = other.#ledger
    const { maxEntries } = this.#limits
    const fits =
      mine.datacenters.size + theirs.datacenters.size <= maxEntries &&
      mine.gates.size + theirs.gates.size <= maxEntries &&
      mine.folds + theirs.folds <= maxEntries
    if (fits) return
    const sizes = mine.sizesWith(theirs)
    this.#limits.checkEntries('Datacenters', sizes.datacenters)
    this.#limits.checkEntries('Gates', sizes.gates)
    this.#limits.checkEntries('Folds', sizes.folds)
  }

  static #is(value: unknown): boolean {
    return typeof value === 'object' && value !== null && #ledger in value
  }
}

function statsOf({ name, completed, failed, time, pace }: DatacenterRecord): DatacenterStats | undefined {
  if (pace === null) return undefined
  return Object.freeze({ name, completed, failed, rate: pace.rate, status: pace.status, time })
}

function positive({ completed, failed }: Counts): Counts {
  return { completed: Math.max(0, completed), failed: Math.max(0, failed) }
}
