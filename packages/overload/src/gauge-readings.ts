/** The last value of each named gauge, for as long as it says anything. */
import type { OverloadState } from '@hs/core'
import { stateOf } from './overload-level.js'
import { ROUNDING_MS } from './rounding.js'
import { reached, type Thresholds } from './thresholds.js'

export interface GaugeSignal {
  readonly value: number
  readonly state: OverloadState
}

interface Reading {
  readonly thresholds: Thresholds
  value: number
  level: number
  /** -Infinity: never. */
  seenAtMs: number
}

export class GaugeReadings {
  readonly #ttlMs: number
  readonly #readings = new Map<string, Reading>()

  constructor(gauges: Readonly<Record<string, Thresholds>>, ttlMs: number) {
    this.#ttlMs = ttlMs
    for (const [name, thresholds] of Object.entries(gauges)) {
      this.#readings.set(name, { thresholds, value: 0, level: 0, seenAtMs: -Infinity })
    }
  }

  /** False: an unknown gauge, or no value of one. */
  observe(name: string, value: number, nowMs: number): boolean {
    const reading = this.#readings.get(name)
    if (reading === undefined || typeof value !== 'number' || !(value >= 0 && value < Infinity)) return false
    reading.value = value
    reading.level = reached(value, reading.thresholds)
    reading.seenAtMs = nowMs
    return true
  }

  /** The worst of those that are not too old. */
  level(atMs: number): number {
    let worst = 0
    for (const reading of this.#readings.values()) {
      if (reading.level > worst && this.#isFresh(reading, atMs)) worst = reading.level
    }
    return worst
  }

  /** When the next of those that are not too old at `atMs` will be; Infinity if there is none. */
  nextExpiryMs(atMs: number): number {
    let next = Infinity
    for (const reading of this.#readings.values()) {
      if (this.#isFresh(reading, atMs)) next = Math.min(next, reading.seenAtMs + this.#ttlMs)
    }
    return next
  }

  signals(atMs: number): Record<string, GaugeSignal> {
    const fresh = [...this.#readings].filter(([, reading]) => this.#isFresh(reading, atMs))
    return Object.fromEntries(fresh.map(([name, { value, level }]) => [name, { value, state: stateOf(level) }]))
  }

  clear(): void {
    for (const reading of this.#readings.values()) reading.seenAtMs = -Infinity
  }

  #isFresh(reading: Reading, atMs: number): boolean {
    return atMs - reading.seenAtMs <= this.#ttlMs + ROUNDING_MS
  }
}
