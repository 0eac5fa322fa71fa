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
export {
  WindowHistory,
  type HistoryTier,
  type WindowHistoryOptions,
  type WindowHistorySnapshot,
} from './window-history.js'
export { classifyUpdate, type StatsUpdate } from './stats-update.js'
export {
  StatsPusher,
  type CompletedJob,
  type StatsPusherEvents,
  type StatsPusherOptions,
  type StatsPusherSnapshot,
} from './stats-pusher.js'
export { TimeWindowedDigest, type TimeWindowedDigestOptions } from './time-windowed-digest.js'
export {
  blendResourceRisk,
  evaluateSlo,
  latencySlo,
  type LatencySlo,
  type ResourcePressure,
  type ResourceRiskWeights,
  type SloEvaluation,
  type SloLevel,
} from './latency-slo.js'
export { decodeSloSummary, encodeSloSummary, type SloSummary } from './slo-summary.js'
export {
  BurnRate,
  SRE_BURN_RATE_RULES,
  type BurnRateEvaluation,
  type BurnRateOptions,
  type BurnRateRule,
  type BurnRateRuleResult,
} from './burn-rate.js'
