export type { BackpressureLevel, MessagePriority, OverloadState } from '@hs/core'
export type { Thresholds } from './thresholds.js'
