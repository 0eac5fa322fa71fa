/** What one receiver asked for, and what is left of it: a level falls by one for each `decayMs` it was not renewed. */
import { defaultDelaysMs, levelAt, levelRank } from './backpressure-level.js'
import type { BackpressureSignal } from './backpressure-signal.js'

export class SourcePressure {
  readonly #decayMs: number
  #rank = 0
  #delayMs = 0
  #epoch = -1
  #seq = -1
  #receivedAtMs = 0

  constructor(decayMs: number) {
    this.#decayMs = decayMs
  }

  /** False if it is not newer than the last. */
  accept({ level, delayMs, epoch, seq }: BackpressureSignal, nowMs: number): boolean {
    if (epoch < this.#epoch || (epoch === this.#epoch && seq <= this.#seq)) return false
    this.#rank = levelRank(level)
    this.#delayMs = delayMs
    this.#epoch = epoch
    this.#seq = seq
    this.#receivedAtMs = nowMs
    return true
  }

  rankAt(nowMs: number): number {
    return Math.max(0, this.#rank - this.#stepsAt(nowMs))
  }

  delayAt(nowMs: number): number {
    return this.#stepsAt(nowMs) === 0 ? this.#delayMs : defaultDelaysMs[levelAt(this.rankAt(nowMs))]
  }

  /** Whether it asks for anything still. */
  isPressingAt(nowMs: number): boolean {
    return this.rankAt(nowMs) > 0 || this.delayAt(nowMs) > 0
  }

  /** A clock that stepped back makes nothing younger than new. */
  #stepsAt(nowMs: number): number {
    return Math.max(0, Math.floor((nowMs - this.#receivedAtMs) / this.#decayMs))
  }
}
