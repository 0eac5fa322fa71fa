/** The records of one job and their totals: what `JobStats` keeps, what its deltas are cut from. */
import { ExactSum } from './exact-sum.js'
import { isLaterPace, samePace, type Counts, type DatacenterRecord, type GateRecord, type Pace } from './job-records.js'
import type { Limits } from './limits.js'

export class JobLedger {
  readonly datacenters = new Map<string, DatacenterRecord>()
  readonly gates = new Map<string, GateRecord>()
  readonly completed = new ExactSum()
  readonly failed = new ExactSum()
  /** Pairs of folds. */
  folds = 0
  #live: readonly DatacenterRecord[] | undefined

  /** Those that are not retired, in order of name. */
  get live(): readonly DatacenterRecord[] {
    return (this.#live ??= [...this.datacenters.values()].filter(({ pace }) => pace !== null).sort(byName))
  }

  open(name: string): DatacenterRecord {
    const record: DatacenterRecord = {
      name,
      completed: 0,
      failed: 0,
      time: 0,
      pace: null,
      folds: undefined,
      marked: false,
    }
    this.datacenters.set(name, record)
    return record
  }

  gate(name: string): GateRecord {
    const known = this.gates.get(name)
    if (known !== undefined) return known
    const record: GateRecord = { name, completed: 0, failed: 0, marked: false }
    this.gates.set(name, record)
    return record
  }

  /** Raises what is lower. */
  raise(record: Counts, completed: number, failed: number): boolean {
    let changed = false
    if (completed > record.completed) {
      this.completed.add(completed - record.completed)
      record.completed = completed
      changed = true
    }
    if (failed > record.failed) {
      this.failed.add(failed - record.failed)
      record.failed = failed
      changed = true
    }
    return changed
  }

  raiseFold(record: DatacenterRecord, gate: string, completed: number, failed: number): boolean {
    const folds = (record.folds ??= new Map<string, Counts>())
    let fold = folds.get(gate)
    const isNew = fold === undefined
    if (fold === undefined) {
      fold = { completed: 0, failed: 0 }
      folds.set(gate, fold)
      this.folds++
    }
    let changed = isNew
    if (completed > fold.completed) {
      this.completed.subtract(completed - fold.completed)
      fold.completed = completed
      changed = true
    }
    if (failed > fold.failed) {
      this.failed.subtract(failed - fold.failed)
      fold.failed = failed
      changed = true
    }
    return changed
  }

  /** Takes the value if it is later. */
  write(record: DatacenterRecord, time: number, pace: Pace | null): boolean {
    if (!isLaterPace(time, pace, record)) return false
    if ((pace === null) !== (record.pace === null)) this.#live = undefined
    record.time = time
    record.pace = pace
    return true
  }

  join(theirs: DatacenterRecord): DatacenterRecord | null {
    const record = this.datacenters.get(theirs.name) ?? this.open(theirs.name)
    const raised = this.raise(record, theirs.completed, theirs.failed)
    let changed = this.write(record, theirs.time, theirs.pace) || raised
    if (theirs.folds === undefined) return changed ? record : null
    for (const [gate, { completed, failed }] of theirs.folds) {
      changed = this.raiseFold(record, gate, completed, failed) || changed
    }
    return changed ? record : null
  }

  joinGate(theirs: GateRecord): GateRecord | null {
    const isNew = !this.gates.has(theirs.name)
    const record = this.gate(theirs.name)
    return this.raise(record, theirs.completed, theirs.failed) || isNew ? record : null
  }

  /** A record that contributes nothing. */
  drop(record: DatacenterRecord): void {
    this.datacenters.delete(record.name)
    this.folds -= record.folds?.size ?? 0
    this.completed.subtract(record.completed)
    this.failed.subtract(record.failed)
    for (const { completed, failed } of record.folds?.values() ?? []) {
      this.completed.add(completed)
      this.failed.add(failed)
    }
    this.#live = undefined
  }

  /** How many datacenters, gates and folds there would be with those of `other`. */
  sizesWith(other: JobLedger): { datacenters: number; gates: number; folds: number } {
    let { folds } = this
    for (const { name, folds: theirs } of other.datacenters.values()) {
      const mine = this.datacenters.get(name)?.folds
      for (const gate of theirs?.keys() ?? []) if (mine?.has(gate) !== true) folds++
    }
    return { datacenters: union(this.datacenters, other.datacenters), gates: union(this.gates, other.gates), folds }
  }

  /** @throws LimitError */
  checkNames(limits: Limits): void {
    for (const name of this.datacenters.keys()) limits.checkLength(name)
    for (const name of this.gates.keys()) limits.checkLength(name)
  }

  /** The records, and all that folds link with them: a count without its fold would be counted twice. */
  copyLinked(datacenters: readonly DatacenterRecord[], gates: readonly GateRecord[], into: JobLedger): void {
    const sources = this.folds === 0 ? undefined : this.#byGate()
    const linked = new Set(datacenters)
    const taking = new Set<string>()
    const take = (gate: string) => {
      if (taking.has(gate)) return
      taking.add(gate)
      for (const record of sources?.get(gate) ?? []) linked.add(record)
    }
    for (const { name } of gates) take(name)
    // A set is iterated in the order of insertion, with what is added meanwhile.
    for (const record of linked) {
      into.join(record)
      for (const gate of record.folds?.keys() ?? []) take(gate)
    }
    for (const name of taking) {
      const gate = this.gates.get(name)
      if (gate !== undefined) into.joinGate(gate)
    }
  }

  #byGate(): ReadonlyMap<string, readonly DatacenterRecord[]> {
    const sources = new Map<string, DatacenterRecord[]>()
    for (const record of this.datacenters.values()) {
      for (const gate of record.folds?.keys() ?? []) {
        const list = sources.get(gate)
        if (list === undefined) sources.set(gate, [record])
        else list.push(record)
      }
    }
    return sources
  }

  clone(): JobLedger {
    const copy = new JobLedger()
    for (const record of this.datacenters.values()) copy.join(record)
    for (const gate of this.gates.values()) copy.joinGate(gate)
    return copy
  }

  equals(other: JobLedger): boolean {
    if (this.datacenters.size !== other.datacenters.size || this.gates.size !== other.gates.size) return false
    for (const record of this.datacenters.values()) {
      const theirs = other.datacenters.get(record.name)
      if (theirs === undefined || !sameRecord(record, theirs)) return false
    }
    for (const gate of this.gates.values()) if (!sameCounts(gate, other.gates.get(gate.name))) return false
    return true
  }
}

function byName(a: DatacenterRecord, b: DatacenterRecord): number {
  return a.name < b.name ? -1 : 1
}

function union(mine: ReadonlyMap<string, unknown>, theirs: ReadonlyMap<string, unknown>): number {
  let size = mine.size
  for (const name of theirs.keys()) if (!mine.has(name)) size++
  return size
}

function sameCounts(a: Counts, b: Counts | undefined): boolean {
  return b !== undefined && a.completed === b.completed && a.failed === b.failed
}

function sameRecord(a: DatacenterRecord, b: DatacenterRecord): boolean {
  if (!sameCounts(a, b) || a.time !== b.time || !samePace(a.pace, b.pace)) return false
  if ((a.folds?.size ?? 0) !== (b.folds?.size ?? 0)) return false
  for (const [gate, fold] of a.folds ?? []) if (!sameCounts(fold, b.folds?.get(gate))) return false
  return true
}
