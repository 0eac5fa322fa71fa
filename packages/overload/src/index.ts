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
