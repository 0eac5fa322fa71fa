/** Backpressure levels as numbers, and how long a sender pauses at each where nobody said otherwise. */
import { backpressureLevels, type BackpressureLevel } from '@hs/core'

/** By level, in milliseconds. */
export const defaultDelaysMs = Object.freeze({ none: 0, throttle: 100, batch: 500, reject: 1_000 })

/** 0 for `none` to 3 for `reject`; -1 for what is no level. */
export function levelRank(level: BackpressureLevel): number {
  return backpressureLevels.indexOf(level)
}

/** The level of a rank. */
export function levelAt(rank: number): BackpressureLevel {
  return backpressureLevels[rank] ?? 'none'
}
