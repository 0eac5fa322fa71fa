/**
 * Whether a node gets on with its work, measured in units that it finishes, not in heartbeats. A workflow of an hour is
 * no reason to evict its worker, as long as what it counts moves.
 */
import type { HealthReport } from './health-report.js'

export const progresses = ['idle', 'normal', 'slow', 'degraded', 'stuck'] as const
export type Progress = (typeof progresses)[number]

export interface ProgressSettings {
  readonly progressWindowMs: number
  readonly normalRatio: number
  readonly slowRatio: number
  readonly stuckMs: number
}

/** @param ratio units finished by units expected */
function rateProgress(ratio: number, { normalRatio, slowRatio }: ProgressSettings): Progress {
  if (ratio >= normalRatio) return 'normal'
  return ratio >= slowRatio ? 'slow' : 'degraded'
}

/** Points kept a window: the rate is measured over the window and at most a tenth more. */
const POINTS = 10

/** The work of one node in one life, as its reports tell it. Times are those of receipt. */
export class ProgressMeter {
  #assigned = 0
  #done = 0
  #expectedPerSecond = 0
  #reportedAtMs = 0
  /** Since when nothing has moved although there was work. */
  #unmovedSinceMs = 0
  /** Times and counts by turns, the oldest first; only what the rate needs. */
  #points: number[] = []

  note({ assigned, done, expectedPerSecond = 0 }: HealthReport, nowMs: number, settings: ProgressSettings): void {
    // A count that went back is another count, whatever its sender says: it begins anew, as work does after a rest.
    const isNew = this.#assigned === 0 || done < this.#done
    if (isNew || done > this.#done) this.#unmovedSinceMs = nowMs
    if (isNew) this.#points = []
    this.#assigned = assigned
    this.#done = done
    this.#expectedPerSecond = expectedPerSecond
    this.#reportedAtMs = nowMs
    if (assigned > 0) this.#addPoint(nowMs, done, settings.progressWindowMs)
  }

  assess(nowMs: number, settings: ProgressSettings): Progress {
    if (this.#assigned === 0) return 'idle'
    if (this.unmovedMs(nowMs) >= settings.stuckMs) return 'stuck'
    if (this.#expectedPerSecond === 0) return 'normal'
    const points = this.#points
    const observedMs = this.#reportedAtMs - (points[0] ?? nowMs)
    const doneThen = points[1] ?? 0
    if (observedMs < settings.progressWindowMs / 2) return 'normal'
    return rateProgress(((this.#done - doneThen) * 1_000) / observedMs / this.#expectedPerSecond, settings)
  }

  /** How long nothing has moved although there was work; 0 without work. */
  unmovedMs(nowMs: number): number {
    return this.#assigned === 0 ? 0 : nowMs - this.#unmovedSinceMs
  }

  /** The first point is to be the youngest that is a whole window old, or the oldest there is. */
  #addPoint(nowMs: number, done: number, windowMs: number): void {
    const points = this.#points
    const lastMs = points.at(-2)
    if (lastMs === undefined || nowMs - lastMs >= windowMs / POINTS) points.push(nowMs, done)
    let old = 0
    while (nowMs - (points[old + 2] ?? nowMs) >= windowMs) old += 2
    if (old > 0) points.splice(0, old)
  }
}
