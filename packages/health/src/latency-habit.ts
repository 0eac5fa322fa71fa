/**
 * Whether a link is slower than it uses to be. Each link is its own measure, for a far datacenter is slow every day:
 * a smoothed latency is compared with a baseline that forgets improvements in seconds and accepts worse in hours.
 */

const SMOOTHING = 0.3
/** The baseline follows a lasting rise slowly, lest it take an incident for the habit. */
const LEARN_UP = 0.005
const LEARN_DOWN = 0.1
const MIN_SAMPLES = 3

export class LatencyHabit {
  #samples = 0
  #smoothedMs = 0
  #baselineMs = 0

  /** Numbers that are no latency are ignored. */
  record(ms: number): void {
    if (!Number.isFinite(ms) || ms < 0) return
    if (this.#samples === 0) {
      this.#smoothedMs = ms
      this.#baselineMs = ms
    }
    this.#samples++
    this.#smoothedMs += SMOOTHING * (ms - this.#smoothedMs)
    this.#baselineMs += (ms > this.#baselineMs ? LEARN_UP : LEARN_DOWN) * (ms - this.#baselineMs)
  }

  /** Whether it is `ratio` times its habit, and so slow that it matters. */
  isElevated(ratio: number, floorMs: number): boolean {
    return this.#samples >= MIN_SAMPLES && this.#smoothedMs >= floorMs && this.#smoothedMs >= ratio * this.#baselineMs
  }
}
