/** One window of one workflow while it fills up. */
import type { QuantileSketch, SketchFactory } from './quantile-sketch.js'
import type { StatsRecord } from './stats-record.js'
import {
  addAmounts,
  addRecords,
  freezeWindow,
  plainRecord,
  type GaugeResult,
  type WindowCause,
  type WindowResult,
} from './window-result.js'

export interface WindowPlace {
  readonly jobId: string
  readonly workflowId: string
  readonly startMs: number
  readonly endMs: number
}

/** An object, so that a count that is known costs one look-up. */
interface Sum {
  amount: number
}

interface LatestGauge {
  atMs: number
  value: number
}

export class WindowAccumulator {
  readonly place: WindowPlace
  /** Another one for each, from 1. */
  readonly serial: number
  readonly #factory: SketchFactory
  readonly #counts = new Map<string, Sum>()
  /** Made when the first sample comes. */
  #values: Map<string, QuantileSketch> | undefined
  readonly #sources = new Set<string>()
  /** By name, then by source; made when the first gauge comes. */
  #gauges: Map<string, Map<string, LatestGauge>> | undefined
  #records = 0

  constructor(place: WindowPlace, serial: number, factory: SketchFactory) {
    this.place = place
    this.serial = serial
    this.#factory = factory
  }

  /** @param records how many records this one stands for. */
  add(record: StatsRecord, records: number): void {
    const { source, atMs, counts, gauges, values } = record
    this.#records = addRecords(this.#records, records)
    for (const name in counts) this.#addCount(name, counts[name] ?? 0)
    for (const name in gauges) this.#setGauge(name, source, atMs, (gauges[name] ?? 0) + 0) // -0 is 0
    for (const name in values) this.#addSamples(name, values[name])
  }

  /** Call it before the first record of a source; a repetition changes nothing. */
  addSource(source: string): void {
    this.#sources.add(source)
  }

  /** What was gathered. The accumulator must not be used any more: its sketches are the result's. */
  seal(cause: WindowCause): WindowResult {
    // Field by field: V8 gives each object that is spread into a larger one a hidden class of its own, which outlives it.
    const { jobId, workflowId, startMs, endMs } = this.place
    return freezeWindow({
      jobId,
      workflowId,
      startMs,
      endMs,
      cause,
      records: this.#records,
      sources: [...this.#sources].sort(),
      counts: mapRecord(this.#counts, ({ amount }) => amount),
      gauges: mapRecord(this.#gauges, gaugeOf),
      values: mapRecord(this.#values, (sketch) => sketch),
    })
  }

  #addCount(name: string, amount: number): void {
    const sum = this.#counts.get(name)
    if (sum === undefined)
      this.#counts.set(name, { amount: amount + 0 }) // -0 is 0
    else sum.amount = addAmounts(sum.amount, amount)
  }

  #setGauge(name: string, source: string, atMs: number, value: number): void {
    this.#gauges ??= new Map()
    let latest = this.#gauges.get(name)
    if (latest === undefined) this.#gauges.set(name, (latest = new Map<string, LatestGauge>()))
    const known = latest.get(source)
    if (known === undefined) latest.set(source, { atMs, value })
    else if (atMs >= known.atMs) {
      known.atMs = atMs
      known.value = value
    }
  }

  #addSamples(name: string, samples: number | readonly number[] | QuantileSketch | undefined): void {
    if (samples === undefined) return
    this.#values ??= new Map()
    let sketch = this.#values.get(name)
    if (sketch === undefined) this.#values.set(name, (sketch = this.#factory.create()))
    if (typeof samples === 'number') sketch.add(samples)
    else if ('kind' in samples) sketch.merge(samples)
    else if (sketch.addAll !== undefined) sketch.addAll(samples)
    else for (const sample of samples) sketch.add(sample)
  }
}

/** Shared by all windows that have nothing of a sort. */
const NOTHING: Readonly<Record<string, never>> = Object.freeze(plainRecord<never>([]))

function mapRecord<T, U>(map: ReadonlyMap<string, T> | undefined, of: (value: T) => U): Readonly<Record<string, U>> {
  if (map === undefined || map.size === 0) return NOTHING
  const record = plainRecord<U>([])
  for (const [name, value] of map) record[name] = of(value)
  return record
}

function gaugeOf(latest: ReadonlyMap<string, LatestGauge>): GaugeResult {
  const result = { sources: latest.size, sum: 0, min: Infinity, max: -Infinity }
  for (const { value } of latest.values()) {
    result.sum = addAmounts(result.sum, value)
    result.min = Math.min(result.min, value)
    result.max = Math.max(result.max, value)
  }
  return result
}
