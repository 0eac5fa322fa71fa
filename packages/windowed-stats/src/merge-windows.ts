/** Windows put together: sliding windows, roll-ups, and what a slow reader gets instead of fewer counts. */
import { HsError } from '@hs/core'
import type { QuantileSketch } from './quantile-sketch.js'
import {
  addAmounts,
  addRecords,
  freezeWindow,
  plainRecord,
  type GaugeResult,
  type WindowResult,
} from './window-result.js'

/**
 * One window from the least start to the greatest end. Counts, records and sketches add up (into copies), sources
 * unite; a gauge of the later end wins, at equal ends they add, for then they are of different sources. `jobId` and
 * `workflowId` become '' where they differ; the cause is kept where span and cause are equal, else `'coalesced'`.
 * @throws HsError `'INVALID_ARGUMENT'` for no windows, `'SKETCH_MISMATCH'` for sketches of two kinds under one name.
 */
export function mergeWindows(windows: readonly WindowResult[]): WindowResult {
  const [first] = windows
  if (first === undefined) throw new HsError('INVALID_ARGUMENT', 'mergeWindows needs at least one window')

  const counts = new Map<string, number>()
  const gauges = new Map<string, { endMs: number; value: GaugeResult }>()
  const values = new Map<string, QuantileSketch>()
  const sources = new Set<string>()
  let { startMs, endMs, jobId, workflowId, cause } = first
  let records = 0
  for (const window of windows) {
    if (window.startMs !== startMs || window.endMs !== endMs || window.cause !== cause) cause = 'coalesced'
    startMs = Math.min(startMs, window.startMs)
    endMs = Math.max(endMs, window.endMs)
    if (window.jobId !== jobId) jobId = ''
    if (window.workflowId !== workflowId) workflowId = ''
    records = addRecords(records, window.records)
    for (const source of window.sources) sources.add(source)
    for (const [name, count] of Object.entries(window.counts))
      counts.set(name, addAmounts(counts.get(name) ?? 0, count))
    for (const [name, gauge] of Object.entries(window.gauges)) mergeGauge(gauges, name, window.endMs, gauge)
    for (const [name, sketch] of Object.entries(window.values)) mergeSketch(values, name, sketch)
  }
  return freezeWindow({
    jobId,
    workflowId,
    startMs,
    endMs,
    cause,
    records,
    sources: [...sources].sort(),
    counts: plainRecord(counts),
    gauges: plainRecord([...gauges].map(([name, { value }]) => [name, value] as const)),
    values: plainRecord(values),
  })
}

function mergeGauge(
  gauges: Map<string, { endMs: number; value: GaugeResult }>,
  name: string,
  endMs: number,
  gauge: GaugeResult,
): void {
  const known = gauges.get(name)
  if (known !== undefined && known.endMs > endMs) return
  const value = known?.endMs === endMs ? addGauges(known.value, gauge) : gauge
  gauges.set(name, { endMs, value })
}

function addGauges(a: GaugeResult, b: GaugeResult): GaugeResult {
  return {
    sources: a.sources + b.sources,
    sum: addAmounts(a.sum, b.sum),
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
  }
}

function mergeSketch(values: Map<string, QuantileSketch>, name: string, sketch: QuantileSketch): void {
  const known = values.get(name)
  if (known === undefined) values.set(name, sketch.clone())
  else known.merge(sketch)
}
