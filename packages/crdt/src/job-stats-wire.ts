/** The wire form of `JobStats`: one row a datacenter, a gate and a fold, all in flat lists. */
import { MAX_COUNT } from './arguments.js'
import { isDatacenterName, isRate, isStatus, type Pace } from './job-records.js'
import { JobLedger } from './job-ledger.js'
import type { Limits } from './limits.js'
import { wireError, wireInteger, wireList, wireName, wireOptionalList, type Fields } from './wire.js'

export interface JobStatsWire {
  /** The job. */
  readonly j: string
  /** Name, completed, failed, time, rate, status of each live datacenter. */
  readonly d: readonly (string | number)[]
  /** Name, completed, failed, time of each retired one. */
  readonly g?: readonly (string | number)[]
  /** Gate, completed, failed that it took over. */
  readonly k?: readonly (string | number)[]
  /** Datacenter, gate, completed, failed of each fold. */
  readonly f?: readonly (string | number)[]
}

export function jobStatsToWire(jobId: string, ledger: JobLedger): JobStatsWire {
  const d: (string | number)[] = []
  const g: (string | number)[] = []
  const k: (string | number)[] = []
  const f: (string | number)[] = []
  const ofRetired: (string | number)[] = []
  for (const { name, completed, failed, time, pace, folds } of ledger.datacenters.values()) {
    if (pace === null) g.push(name, completed, failed, time)
    else d.push(name, completed, failed, time, pace.rate, pace.status)
    if (folds === undefined) continue
    const rows = pace === null ? ofRetired : f
    for (const [gate, fold] of folds) rows.push(name, gate, fold.completed, fold.failed)
  }
  f.push(...ofRetired)
  for (const { name, completed, failed } of ledger.gates.values()) k.push(name, completed, failed)
  return {
    j: jobId,
    d,
    ...(g.length > 0 && { g }),
    ...(k.length > 0 && { k }),
    ...(f.length > 0 && { f }),
  }
}

/** @throws DecodeError */
export function jobLedgerFromWire(fields: Fields, limits: Limits): JobLedger {
  const ledger = new JobLedger()
  readDatacenters(ledger, wireList(fields['d'], 'd', 6, limits.maxEntries), 'd', limits)
  readDatacenters(ledger, wireOptionalList(fields['g'], 'g', 4, limits.maxEntries), 'g', limits)
  if (ledger.datacenters.size > limits.maxEntries) throw wireError('g', `at most ${limits.maxEntries} datacenters`)
  readGates(ledger, wireOptionalList(fields['k'], 'k', 3, limits.maxEntries), limits)
  readFolds(ledger, wireOptionalList(fields['f'], 'f', 4, limits.maxEntries), limits)
  return ledger
}

function readDatacenters(ledger: JobLedger, list: readonly unknown[], path: 'd' | 'g', limits: Limits): void {
  const width = path === 'd' ? 6 : 4
  for (let i = 0, end = list.length; i < end; i += width) {
    const name = wireName(list, i, path, limits.maxNameLength)
    if (!isDatacenterName(name)) throw wireError(`${path}.${i}`, 'a name that does not begin with ~')
    if (ledger.datacenters.has(name)) throw wireError(`${path}.${i}`, 'each datacenter once')
    const completed = wireInteger(list, i + 1, path, 0)
    const failed = wireInteger(list, i + 2, path, 0)
    const time = wireInteger(list, i + 3, path, 1, limits.maxTime)
    const pace = path === 'd' ? readPace(list, i + 4) : null
    ledger.join({ name, completed, failed, time, pace, folds: undefined, marked: false })
  }
}

function readPace(list: readonly unknown[], index: number): Pace {
  const rate = list[index]
  const status = list[index + 1]
  if (!isRate(rate)) throw wireError(`d.${index}`, 'a finite number from 0')
  if (!isStatus(status)) throw wireError(`d.${index + 1}`, 'a text of 1 to 64 characters')
  return { rate: rate + 0, status }
}

function readGates(ledger: JobLedger, list: readonly unknown[], limits: Limits): void {
  for (let i = 0, end = list.length; i < end; i += 3) {
    const name = wireName(list, i, 'k', limits.maxNameLength)
    if (ledger.gates.has(name)) throw wireError(`k.${i}`, 'each gate once')
    ledger.raise(ledger.gate(name), wireInteger(list, i + 1, 'k', 0), wireInteger(list, i + 2, 'k', 0))
  }
}

function readFolds(ledger: JobLedger, list: readonly unknown[], limits: Limits): void {
  for (let i = 0, end = list.length; i < end; i += 4) {
    const record = ledger.datacenters.get(wireName(list, i, 'f', limits.maxNameLength))
    const gate = wireName(list, i + 1, 'f', limits.maxNameLength)
    if (record === undefined) throw wireError(`f.${i}`, 'a datacenter of d or g')
    if (!ledger.gates.has(gate)) throw wireError(`f.${i + 1}`, 'a gate of k')
    if (record.folds?.has(gate) === true) throw wireError(`f.${i}`, 'each pair once')
    const completed = wireInteger(list, i + 2, 'f', 0, MAX_COUNT)
    ledger.raiseFold(record, gate, completed, wireInteger(list, i + 3, 'f', 0, MAX_COUNT))
  }
}
