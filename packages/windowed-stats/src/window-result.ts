/**
 * What a window gives out. Every result is a mergeable increment: results for the same window add up, so late data is
 * one more increment, and nothing that was given out has to be remembered.
 */
import type { QuantileSketch } from './quantile-sketch.js'

/**
 * `closed`: its time was over. `late`: a correction for a window already given out. `evicted`: given out early because
 * too many were open. `final`: the job ended. `coalesced`: several windows in one.
 */
export type WindowCause = 'closed' | 'late' | 'evicted' | 'final' | 'coalesced'
export const windowCauses = [
  'closed',
  'late',
  'evicted',
  'final',
  'coalesced',
] as const satisfies readonly WindowCause[]

/** Of a gauge's latest value of each source. */
export interface GaugeResult {
  readonly sources: number
  readonly sum: number
  readonly min: number
  readonly max: number
}

/** Frozen. The span is [startMs, endMs), Unix epoch milliseconds. */
export interface WindowResult {
  readonly jobId: string
  readonly workflowId: string
  readonly startMs: number
  readonly endMs: number
  readonly cause: WindowCause
  /** How many records are in it. */
  readonly records: number
  /** Sorted. */
  readonly sources: readonly string[]
  readonly counts: Readonly<Record<string, number>>
  readonly gauges: Readonly<Record<string, GaugeResult>>
  readonly values: Readonly<Record<string, QuantileSketch>>
}

/** Freezes all but the sketches, which may be plain objects too and may sort themselves out when they are read. */
export function freezeWindow(window: WindowResult): WindowResult {
  const { counts, gauges, sources, values } = window
  for (const name in gauges) Object.freeze(gauges[name])
  for (const part of [counts, gauges, sources, values]) Object.freeze(part)
  return Object.freeze(window)
}

/** A sum of amounts that stays finite, so that the window can travel. */
export function addAmounts(a: number, b: number): number {
  const sum = a + b
  return sum <= Number.MAX_VALUE ? sum : Number.MAX_VALUE // Math.min is several times as slow here
}

/** A sum of numbers of records, which stays one that is exact. */
export function addRecords(a: number, b: number): number {
  const sum = a + b
  return sum <= Number.MAX_SAFE_INTEGER ? sum : Number.MAX_SAFE_INTEGER
}

/** A record without a prototype, so that no name means anything but itself. */
export function plainRecord<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  const record: Record<string, T> = Object.create(null) as Record<string, T>
  for (const [name, value] of entries) record[name] = value
  return record
}
