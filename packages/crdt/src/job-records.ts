/**
 * What `JobStats` holds. A datacenter's record has two counts, which only grow, and one value of which the last write
 * wins: rate and status, or that it is retired. What a retired datacenter had done is folded into the record of the
 * gate that retired it, as `slots.ts` explains; gates' records take folds and are never folded themselves.
 */
import { HsError } from '@hs/core'
import { checkCount, checkName, checkTime, invalidArgument } from './arguments.js'
import { canonicalJson } from './json.js'
import type { Limits } from './limits.js'

export interface Counts {
  completed: number
  failed: number
}

/** Written by the datacenter itself; null: retired. */
export interface Pace {
  readonly rate: number
  readonly status: string
}

export interface DatacenterRecord extends Counts {
  readonly name: string
  time: number
  pace: Pace | null
  /** What was folded out of it, by the gate that took it. */
  folds: Map<string, Counts> | undefined
  marked: boolean
}

/** What a gate has taken over from datacenters that it retired. */
export interface GateRecord extends Counts {
  readonly name: string
  marked: boolean
}

/** A datacenter's totals since the job began, and how fast it works. */
export interface DatacenterReport {
  /** Cumulative: from 0 to 2^53 - 1. They never restart; a new leader rebuilds them from its workers' totals. */
  completed: number
  failed: number
  /** Per second, finite, from 0. */
  rate: number
  /** 1 to 64 characters. */
  status: string
  /** A logical time of the datacenter, from 1 to 2^53 - 1; never a clock's. */
  time: number
}

const MAX_STATUS_LENGTH = 64

export function isDatacenterName(name: string): boolean {
  return !name.startsWith('~')
}

export function isRate(rate: unknown): rate is number {
  return typeof rate === 'number' && rate >= 0 && rate < Infinity
}

export function isStatus(status: unknown): status is string {
  return typeof status === 'string' && status.length > 0 && status.length <= MAX_STATUS_LENGTH
}

/** @throws HsError `'INVALID_ARGUMENT'` */
export function checkDatacenter(name: string, limits: Limits): void {
  checkName('A datacenter', name, limits.maxNameLength)
  if (!isDatacenterName(name)) throw invalidArgument('A datacenter begins with another character than ~', name)
}

/** A copy, each field of which was read once. @throws HsError `'INVALID_ARGUMENT'` */
export function checkReport(report: DatacenterReport): DatacenterReport {
  if (typeof report !== 'object' || report === null) throw invalidArgument('A report is an object', report)
  const { completed, failed, rate, status, time } = report
  checkCount('A total of completed', completed)
  checkCount('A total of failed', failed)
  if (!isRate(rate)) throw invalidArgument('A rate is a finite number from 0', rate)
  if (!isStatus(status)) throw invalidArgument(`A status is a text of 1 to ${MAX_STATUS_LENGTH} characters`, status)
  checkTime(time)
  return { completed, failed, rate: rate + 0, status, time } // peers drop the sign of zero
}

/** Whether the value of `time` and `pace` comes after the record's: greater time, then greater value, retired last. */
export function isLaterPace(time: number, pace: Pace | null, record: DatacenterRecord): boolean {
  if (time !== record.time) return time > record.time
  if (pace === null || record.pace === null) return pace !== null && record.pace === null
  if (samePace(pace, record.pace)) return false
  return canonicalJson({ ...pace }) > canonicalJson({ ...record.pace })
}

export function samePace(a: Pace | null, b: Pace | null): boolean {
  return a === b || (a !== null && b !== null && a.rate === b.rate && a.status === b.status)
}

/** What the datacenter counted and nobody has folded; below 0 after two gates have retired it at once. */
export function unfolded({ completed, failed, folds }: DatacenterRecord): Counts {
  const rest = { completed, failed }
  for (const fold of folds?.values() ?? []) {
    rest.completed -= fold.completed
    rest.failed -= fold.failed
  }
  return rest
}

export function otherJob(mine: string, theirs: string): HsError {
  return new HsError('CRDT_MISMATCH', `Stats of job ${mine} do not merge with those of job ${theirs}`)
}
