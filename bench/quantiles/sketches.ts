/** Our sketches and their peers behind one face: for figures of accuracy and size, where a call more costs nothing. */
import { DDSketch } from '@datadog/sketches-js'
import { msgpackCodec } from '@hs/core'
import { exponentialSketch, tdigestSketch, type QuantileSketch, type SketchFactory } from '@hs/windowed-stats'
import { build, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js'
import { TDigest } from 'tdigest'
import * as z from 'zod'

export interface Kind<T = unknown> {
  readonly name: string
  readonly ours?: boolean
  create(): T
  add(sketch: T, value: number): void
  quantile(sketch: T, q: number): number | undefined
  merge(into: T, from: T): void
  /** Bytes on the wire. */
  bytes(sketch: T): number
}

/** hdr-histogram-js counts whole numbers: samples in thousandths. */
export const HDR_UNITS = 1_000
const codec = msgpackCodec(z.unknown())

export const exponential = ours('exponential', exponentialSketch())
export const tdigest = ours('tdigest', tdigestSketch())

export const npmTDigest: Kind<TDigest> = {
  name: 'npm tdigest',
  create: () => new TDigest(0.01, 25, 1.1),
  add: (digest, value) => digest.push(value),
  quantile: (digest, q) => digest.percentile(q),
  merge: (into, from) => into.push_centroid(from.toArray()),
  bytes: (digest) => codec.encode(digest.toArray().flatMap(({ mean, n }) => [mean, n])).length,
}

export const ddSketch: Kind<DDSketch> = {
  name: 'sketches-js',
  create: () => new DDSketch({ relativeAccuracy: 0.01 }),
  add: (sketch, value) => sketch.accept(value),
  quantile: (sketch, q) => sketch.getValueAtQuantile(q),
  merge: (into, from) => into.merge(from),
  bytes: (sketch) => sketch.toProto().length,
}

export const hdr2 = hdr(2)
const hdr3 = hdr(3)

/** Their settings: delta 0.01 and scale 6, the defaults; 1 % of relative error for DDSketch. */
export const kinds: readonly Kind[] = [exponential, tdigest, npmTDigest, ddSketch, hdr2, hdr3]

export function filled<T>(kind: Kind<T>, samples: Iterable<number>): T {
  const sketch = kind.create()
  for (const sample of samples) kind.add(sketch, sample)
  return sketch
}

function ours(name: string, factory: SketchFactory): Kind<QuantileSketch> {
  return {
    name,
    ours: true,
    create: () => factory.create(),
    add: (sketch, value) => sketch.add(value),
    quantile: (sketch, q) => sketch.quantile(q),
    merge: (into, from) => into.merge(from),
    bytes: (sketch) => codec.encode(sketch.toWire()).length,
  }
}

function hdr(numberOfSignificantValueDigits: 2 | 3): Kind<Histogram> {
  return {
    name: `hdr-histogram-js, ${numberOfSignificantValueDigits} digits`,
    create: () => build({ numberOfSignificantValueDigits }),
    add: (histogram, value) => histogram.recordValue(Math.round(value * HDR_UNITS)),
    quantile: (histogram, q) => histogram.getValueAtPercentile(q * 100) / HDR_UNITS,
    merge: (into, from) => into.add(from),
    bytes: (histogram) => {
      // When it was filled is written too, and would be compressed to another length on every run.
      histogram.startTimeStampMsec = histogram.endTimeStampMsec = 0
      return Buffer.from(encodeIntoCompressedBase64(histogram), 'base64').length
    },
  }
}
