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
