/** What a source reports, and the check of its form. */
import { HsError } from '@hs/core'
import type { QuantileSketch } from './quantile-sketch.js'
import type { SketchCheck } from './sketch-check.js'
import type { WindowResult } from './window-result.js'

export interface StatsRecord {
  readonly jobId: string
  readonly workflowId: string
  /** Who reports: a worker's NodeId on a manager, a datacenter on a gate. */
  readonly source: string
  /** When it happened at the source, Unix epoch milliseconds. */
  readonly atMs: number
  /** Grows by one a record of this (job, workflow, source); repeats are refused by it. */
  readonly seq?: number
  /** Increments since the source's last record, finite, from 0. */
  readonly counts?: Readonly<Record<string, number>>
  /** Current values, finite, from 0. */
  readonly gauges?: Readonly<Record<string, number>>
  /** Samples. */
  readonly values?: Readonly<Record<string, number | readonly number[] | QuantileSketch>>
}

/**
 * @param sketches whether the sketches among the values can be merged.
 * @throws HsError `'INVALID_ARGUMENT'` naming the field, `'SKETCH_MISMATCH'`.
 */
export function checkRecord(record: StatsRecord, sketches: SketchCheck): void {
  if (typeof record !== 'object' || record === null) throw invalid('record', 'an object', record)
  checkText(record.jobId, 'jobId')
  checkText(record.workflowId, 'workflowId')
  checkText(record.source, 'source')
  if (!Number.isFinite(record.atMs)) throw invalid('atMs', 'Unix epoch milliseconds', record.atMs)
  const { seq, counts, gauges, values } = record
  if (seq !== undefined && !(Number.isSafeInteger(seq) && seq >= 0)) throw invalid('seq', 'an integer from 0', seq)
  if (counts !== undefined) checkAmounts(counts, 'counts')
  if (gauges !== undefined) checkAmounts(gauges, 'gauges')
  if (values !== undefined) checkValues(values, sketches)
}

function checkText(value: unknown, field: string): void {
  if (typeof value !== 'string' || value === '') throw invalid(field, 'a text', value)
}

function checkAmounts(amounts: Readonly<Record<string, number>>, field: string): void {
  if (!isRecord(amounts)) throw invalid(field, 'an object', amounts)
  for (const name in amounts) if (!isAmount(amounts[name])) throw badAmount(`${field}.${name}`, amounts[name])
}

function checkValues(values: NonNullable<StatsRecord['values']>, sketches: SketchCheck): void {
  if (!isRecord(values)) throw invalid('values', 'an object', values)
  for (const name in values) {
    const value: unknown = values[name]
    if (typeof value === 'number') {
      if (!isAmount(value)) throw badAmount(`values.${name}`, value)
    } else if (Array.isArray(value)) {
      checkSamples(value, name)
    } else if (!sketches.isSketch(value))
      throw invalid(`values.${name}`, 'a number, a list of numbers or a sketch', value)
  }
}

/** By index: an iterator would put each number into an object of its own. */
function checkSamples(samples: readonly unknown[], name: string): void {
  for (let i = 0; i < samples.length; i++) {
    if (!isAmount(samples[i])) throw badAmount(`values.${name}`, samples[i])
  }
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value < Infinity
}

/** A list or a map would be read as a record without names, and what it holds be lost. */
function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !(Symbol.iterator in value)
}

function badAmount(field: string, found: unknown): HsError {
  return invalid(field, 'a finite number from 0', found)
}

/** @throws HsError `'INVALID_ARGUMENT'` unless it has what `absorb` reads of it; the rest is checked as a record is. */
export function checkWindow(window: WindowResult): void {
  if (typeof window !== 'object' || window === null) throw invalid('window', 'an object', window)
  const { gauges, records } = window
  if (!isRecord(gauges)) throw invalid('gauges', 'an object', gauges)
  for (const [name, gauge] of Object.entries<unknown>(gauges)) {
    if (!isRecord(gauge)) throw invalid(`gauges.${name}`, 'an object', gauge)
  }
  if (!(Number.isSafeInteger(records) && records >= 0)) throw invalid('records', 'an integer from 0', records)
}

function invalid(field: string, expected: string, found: unknown): HsError {
  return new HsError('INVALID_ARGUMENT', `${field} of a stats record: expected ${expected}, found ${String(found)}`, {
    details: { field },
  })
}
