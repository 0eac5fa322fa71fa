/**
 * What one execution has counted and measured. Its totals travel with its result, so they are exact; the same goes into
 * the worker's stream for whoever watches meanwhile.
 */
import { LimitError, HsError, msgpackCodec, type Codec } from '@hs/core'
import { exponentialSketch, type QuantileSketch } from '@hs/windowed-stats'
import * as z from 'zod'
import { MAX_FRAME_BYTES } from './wire/codecs.js'

/** As `WindowedStats` has it. */
const MAX_NAMES = 128

const sketches = /* @__PURE__ */ exponentialSketch()

/** Counts and samples by name. */
export class StatsTotals {
  readonly counts = new Map<string, number>()
  readonly values = new Map<string, QuantileSketch>()

  get isEmpty(): boolean {
    return this.counts.size === 0 && this.values.size === 0
  }

  /** @throws HsError `'INVALID_ARGUMENT'`; LimitError for more than 128 names. */
  record(metric: string, value: number): void {
    let sketch = this.values.get(metric)
    if (sketch === undefined) {
      this.#checkName(metric)
      sketch = sketches.create()
      sketch.add(value) // before it is kept: a bad value leaves no name behind
      this.values.set(metric, sketch)
    } else sketch.add(value)
  }

  /** @throws as `record` */
  count(name: string, n: number): void {
    if (typeof n !== 'number' || !(n >= 0 && n < Infinity))
      throw new HsError('INVALID_ARGUMENT', `A count is a finite number from 0, found ${String(n)}`)
    const known = this.counts.get(name)
    if (known === undefined) this.#checkName(name)
    this.counts.set(name, (known ?? 0) + n)
  }

  #checkName(name: string): void {
    if (typeof name !== 'string' || name === '' || name.length > 256)
      throw new HsError('INVALID_ARGUMENT', `The name of a statistic is a text of 1 to 256 characters`)
    const names = this.counts.size + this.values.size
    if (names >= MAX_NAMES) throw new LimitError('Names of statistics of an execution', MAX_NAMES)
  }
}

const totalsSchema = () =>
  z.object({ counts: z.record(z.string(), z.number().min(0)), values: z.record(z.string(), z.unknown()) })
const codec: Codec<z.output<ReturnType<typeof totalsSchema>>> = /* @__PURE__ */ (() =>
  msgpackCodec(totalsSchema(), { maxBytes: MAX_FRAME_BYTES, maxItems: 1_000_000 }))()

/** Undefined when there is nothing. */
export function encodeTotals(totals: StatsTotals): Uint8Array | undefined {
  if (totals.isEmpty) return undefined
  return codec.encode(totalsToWire(totals))
}

export function totalsToWire({ counts, values }: StatsTotals): {
  counts: Record<string, number>
  values: Record<string, unknown>
} {
  return {
    counts: Object.fromEntries(counts),
    values: Object.fromEntries(Array.from(values, ([name, sketch]) => [name, sketch.toWire()])),
  }
}

/** Adds what a counted execution sent. @throws DecodeError */
export function addEncodedTotals(
  bytes: Uint8Array,
  counters: readonly Map<string, number>[],
  values: Map<string, QuantileSketch>,
): void {
  const decoded = codec.decode(bytes)
  const merged = Object.entries(decoded.values).map(([name, wire]) => [name, sketches.fromWire(wire)] as const)
  for (const [name, count] of Object.entries(decoded.counts)) {
    for (const totals of counters) totals.set(name, (totals.get(name) ?? 0) + count)
  }
  for (const [name, sketch] of merged) {
    const known = values.get(name)
    if (known === undefined) values.set(name, sketch)
    else known.merge(sketch)
  }
}
