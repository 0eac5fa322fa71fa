export type { BackpressureLevel, MessagePriority, OverloadState } from '@hs/core'
export type { Thresholds } from './thresholds.js'
export {
  OverloadDetector,
  type OverloadDetectorEvents,
  type OverloadDetectorOptions,
  type OverloadDetectorSnapshot,
} from './overload-detector.js'
export type { GaugeSignal } from './gauge-readings.js'
export { shouldShed, type ShedTable } from './shed-table.js'
export { AdmissionError, type AdmissionErrorCode, type AdmissionErrorOptions } from './admission-error.js'
export { decodeBackpressureSignal, type BackpressureSignal } from './backpressure-signal.js'
export { BackpressureMeter, type BackpressureMeterEvents, type BackpressureMeterOptions } from './backpressure-meter.js'
export {
  BackpressureView,
  type BackpressureAction,
  type BackpressureViewOptions,
  type BackpressureViewSnapshot,
  type WaitTurnOptions,
} from './backpressure-view.js'
export { ClientThrottle, type ClientThrottleOptions, type ClientThrottleSnapshot } from './client-throttle.js'
export {
  DestinationQueues,
  type DestinationQueuesOptions,
  type DestinationQueuesSnapshot,
} from './destination-queues.js'
export type { Rate } from './gcra.js'
export {
  RateLimiter,
  type RateDecision,
  type RateLimiterOptions,
  type RateLimiterSnapshot,
  type RateWaitOptions,
} from './rate-limiter.js'
export type { WorkPermit } from './work-permit.js'
export {
  PriorityExecutor,
  type ExecutorCall,
  type PriorityExecutorOptions,
  type PriorityExecutorSnapshot,
} from './priority-executor.js'
export type { ConcurrencyLimit } from './concurrency-limit.js'
export { GradientLimit, type GradientLimitOptions, type GradientLimitSnapshot } from './gradient-limit.js'
export {
  Admission,
  type AdmissionDecision,
  type AdmissionOptions,
  type AdmissionRequest,
  type AdmissionSnapshot,
} from './admission.js'
