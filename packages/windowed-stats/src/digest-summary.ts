/** What people read of a sketch. */
import type { QuantileSketch } from './quantile-sketch.js'

export interface DigestSummary {
  readonly count: number
  readonly min: number
  readonly max: number
  readonly mean: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly p999: number
}

/** Frozen; undefined when the sketch is empty. */
export function summarize(sketch: QuantileSketch): DigestSummary | undefined {
  if (sketch.count === 0) return undefined
  const at = (q: number) => sketch.quantile(q) ?? sketch.min
  return Object.freeze({
    count: sketch.count,
    min: sketch.min,
    max: sketch.max,
    mean: sketch.sum / sketch.count,
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    p999: at(0.999),
  })
}
