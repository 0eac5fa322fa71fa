/** The windows of all steps put together: one row for each second, from increments that may come in any order. */

import { type QuantileSketch, type WindowResult } from '@hs/windowed-stats'

export interface TimelineRow {
  /** Start of the second, Unix epoch milliseconds. */
  readonly startMs: number
  readonly requests: number
  readonly errors: number
  readonly p50: number | null
  readonly p95: number | null
  readonly p99: number | null
}

interface Second {
  requests: number
  errors: number
  latency: QuantileSketch | null
}

export class Timeline {
  readonly #seconds = new Map<number, Second>()
  #newest = Number.NEGATIVE_INFINITY

  add(window: WindowResult): void {
    const second = this.#secondAt(Math.floor(window.startMs / 1_000) * 1_000)
    second.requests += window.counts['requests'] ?? 0
    second.errors += window.counts['errors'] ?? 0
    const latency = window.values['latency']
    if (latency === undefined) return
    if (second.latency === null) second.latency = latency.clone()
    else second.latency.merge(latency)
  }

  rows(): TimelineRow[] {
    return [...this.#seconds.keys()].sort((a, b) => a - b).map((startMs) => this.#row(startMs))
  }

  /** The latest second that is not still filling up. */
  latest(): TimelineRow | null {
    return this.#seconds.has(this.#newest - 1_000) ? this.#row(this.#newest - 1_000) : null
  }

  #secondAt(startMs: number): Second {
    let second = this.#seconds.get(startMs)
    if (second === undefined) {
      second = { requests: 0, errors: 0, latency: null }
      this.#seconds.set(startMs, second)
      this.#newest = Math.max(this.#newest, startMs)
    }
    return second
  }

  #row(startMs: number): TimelineRow {
    const { requests, errors, latency } = this.#seconds.get(startMs) ?? { requests: 0, errors: 0, latency: null }
    const at = (q: number) => latency?.quantile(q) ?? null
    return { startMs, requests, errors, p50: at(0.5), p95: at(0.95), p99: at(0.99) }
  }
}
