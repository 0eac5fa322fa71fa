export type { QuantileSketch, SketchFactory, SketchWire } from './quantile-sketch.js'
export { tdigestSketch, type TDigestSketchOptions } from './tdigest-sketch.js'
export {
  exponentialSketch,
  ExponentialSketch,
  type ExponentialBuckets,
  type ExponentialSketchFactory,
  type ExponentialSketchOptions,
} from './exponential-sketch.js'
export { sketchFromWire } from './sketch-from-wire.js'
export { summarize, type DigestSummary } from './digest-summary.js'
export type { StatsRecord } from './stats-record.js'
export type { GaugeResult, WindowCause, WindowResult } from './window-result.js'
export { mergeWindows } from './merge-windows.js'
export { windowFromWire, windowToWire, type WindowWire } from './window-wire.js'
export {
  WindowedStats,
  type DroppedRecord,
  type RecordOutcome,
  type StatsSource,
  type WindowedStatsEvents,
  type WindowedStatsOptions,
  type WindowedStatsSnapshot,
} from './windowed-stats.js'
