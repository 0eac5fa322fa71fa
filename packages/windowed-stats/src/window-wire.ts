/** A window as plain data: the fields of `WindowResult`, its sketches in their own wire form. */
import type { QuantileSketch } from './quantile-sketch.js'
import { sketchFromWire } from './sketch-from-wire.js'
import { freezeWindow, plainRecord, windowCauses, type GaugeResult, type WindowResult } from './window-result.js'
import { wireAmount, wireArray, wireError, wireInteger, wireObject, wireText } from './wire-checks.js'

export type WindowWire = unknown

const MAX_SOURCES = 65_536
const MAX_NAMES = 65_536

export function windowToWire(window: WindowResult): WindowWire {
  const values = plainRecord(Object.entries(window.values).map(([name, sketch]) => [name, sketch.toWire()] as const))
  return { ...window, values }
}

/** @throws DecodeError */
export function windowFromWire(wire: unknown): WindowResult {
  const fields = wireObject(wire, 'window')
  const startMs = wireTime(fields['startMs'], 'window.startMs')
  const endMs = wireTime(fields['endMs'], 'window.endMs')
  if (endMs <= startMs) throw wireError('window.endMs', 'an end after the start')
  const cause = windowCauses.find((c) => c === fields['cause'])
  if (cause === undefined) throw wireError('window.cause', `one of ${windowCauses.join(', ')}`)
  const sources = wireArray(fields['sources'], 'window.sources', MAX_SOURCES)
  return freezeWindow({
    jobId: wireText(fields['jobId'], 'window.jobId'),
    workflowId: wireText(fields['workflowId'], 'window.workflowId'),
    startMs,
    endMs,
    cause,
    records: wireInteger(fields['records'], 'window.records', 0),
    sources: [...new Set(sources.map((source, i) => wireText(source, `window.sources.${i}`)))].sort(),
    counts: wireRecord(fields['counts'], 'window.counts', wireAmount),
    gauges: wireRecord(fields['gauges'], 'window.gauges', gaugeFromWire),
    values: wireRecord(fields['values'], 'window.values', (value): QuantileSketch => sketchFromWire(value)),
  })
}

function gaugeFromWire(wire: unknown, path: string): GaugeResult {
  const fields = wireObject(wire, path)
  const sources = wireInteger(fields['sources'], `${path}.sources`, 1)
  const sum = wireAmount(fields['sum'], `${path}.sum`)
  const min = wireAmount(fields['min'], `${path}.min`)
  const max = wireAmount(fields['max'], `${path}.max`)
  if (min > max) throw wireError(path, 'the minimum below the maximum')
  return { sources, sum, min, max }
}

function wireRecord<T>(wire: unknown, path: string, read: (value: unknown, path: string) => T): Record<string, T> {
  const entries = Object.entries(wireObject(wire, path))
  if (entries.length > MAX_NAMES) throw wireError(path, `at most ${MAX_NAMES} names`)
  return plainRecord(entries.map(([name, value]) => [name, read(value, `${path}.${name}`)] as const))
}

function wireTime(value: unknown, path: string): number {
  return wireInteger(value, path, -Number.MAX_SAFE_INTEGER)
}
