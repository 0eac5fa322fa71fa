/**
 * Leadership that changes hands too often is held back: each further change lengthens the time before anyone stands
 * again, so that a cluster on the edge has time to recover. A quiet minute clears it.
 */

const WINDOW_MS = 60_000
const CHANGES = 5
const GROWTH = 1.5
const MAX_COOLDOWN_MS = 60_000

export class FlapDamper {
  readonly #firstCooldownMs: number
  readonly #maxCooldownMs: number
  /** Times of the changes within the window, oldest first; the cooldown keeps them few. */
  #changes: number[] = []
  #lastMs = -Infinity
  #cooldownMs = 0

  constructor(leaseMs: number) {
    this.#firstCooldownMs = leaseMs
    this.#maxCooldownMs = Math.max(leaseMs, MAX_COOLDOWN_MS)
  }

  /** What is added to standing now, in milliseconds. */
  cooldownMs(nowMs: number): number {
    if (nowMs - this.#lastMs >= WINDOW_MS) this.#cooldownMs = 0
    return this.#cooldownMs
  }

  /** Leadership changes hands now. What to report, if that is flapping. */
  change(nowMs: number): { changes: number; cooldownMs: number } | undefined {
    const before = this.cooldownMs(nowMs)
    this.#lastMs = nowMs
    this.#changes = this.#changes.filter((at) => nowMs - at < WINDOW_MS).slice(-99)
    this.#changes.push(nowMs)
    if (before === 0 && this.#changes.length < CHANGES) return undefined
    this.#cooldownMs = before === 0 ? this.#firstCooldownMs : Math.min(this.#maxCooldownMs, before * GROWTH)
    return { changes: this.#changes.length, cooldownMs: this.#cooldownMs }
  }
}
