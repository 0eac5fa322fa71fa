/**
 * How long workers take to accept what is sent to them, over the last minute, and whether that keeps the targets: a
 * datacenter that is slow to take work says so before it fails (AD-42).
 */
import type { DatacenterHealth, RuntimeOptions } from '@hs/core'
import { SloHealth } from '@hs/health'
import { exponentialSketch, latencySlo, TimeWindowedDigest } from '@hs/windowed-stats'
import type { SloField } from './wire/datacenter-facts.js'

const PANE_MS = 10_000
const PANES = 6

export class DispatchLatency {
  readonly #digest: TimeWindowedDigest
  readonly #slo: SloHealth

  constructor(runtime: Required<RuntimeOptions>) {
    const { p50Ms, p95Ms, p99Ms } = latencySlo()
    this.#digest = new TimeWindowedDigest({
      ...runtime,
      windowMs: PANE_MS,
      windows: PANES,
      sketch: exponentialSketch(),
    })
    this.#slo = new SloHealth({ ...runtime, slo: { p50Ms, p95Ms, p99Ms } })
  }

  /** From a dispatch to the worker's answer. */
  record(ms: number): void {
    this.#digest.add(ms)
  }

  /** Judges the last minute; to be called every now and then. */
  judge(): void {
    const summary = this.summary
    if (summary !== null) this.#slo.update(summary)
  }

  get health(): DatacenterHealth {
    return this.#slo.health
  }

  /** Null where nothing was dispatched lately. */
  get summary(): SloField | null {
    const summary = this.#digest.summary()
    if (summary === undefined) return null
    const { p50, p95, p99, count } = summary
    return { p50Ms: p50, p95Ms: p95, p99Ms: p99, samples: count }
  }
}
