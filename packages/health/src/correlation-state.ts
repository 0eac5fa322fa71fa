/**
 * The state of one datacenter, from when it was last up or down: a function of what was reported and of the time, so
 * that it is right whether or not a timer has fired.
 *
 *   healthy    -> failing (down), flapping (down once too often)
 *   failing    -> failed (after confirmMs), recovering (up)
 *   failed     -> recovering (up)
 *   recovering -> healthy (after recoverMs), failing (down), flapping (down once too often)
 *   flapping   -> after flapCooldownMs whatever it has been since
 */

export type CorrelationState = 'healthy' | 'failing' | 'failed' | 'recovering' | 'flapping'

export interface CorrelationTimes {
  readonly confirmMs: number
  readonly recoverMs: number
  readonly flapCount: number
  readonly flapWindowMs: number
  readonly flapCooldownMs: number
}

export class ReportedState {
  readonly #times: CorrelationTimes
  #up = true
  /** When it last went up or down; one that never went down has always been up. */
  #sinceMs = -Infinity
  /** When it flaps no more. */
  #flapsUntilMs = -Infinity
  /** The last `flapCount` times when it went down. */
  readonly #downs: number[] = []

  constructor(times: CorrelationTimes) {
    this.#times = times
  }

  /** Only going up or down counts, not to hear of it again. */
  report(up: boolean, nowMs: number): void {
    if (up === this.#up) return
    this.#up = up
    this.#sinceMs = nowMs
    if (!up) this.#noteDown(nowMs)
  }

  at(nowMs: number): CorrelationState {
    if (nowMs < this.#flapsUntilMs) return 'flapping'
    const isSettled = nowMs >= this.#settlesMs
    if (this.#up) return isSettled ? 'healthy' : 'recovering'
    return isSettled ? 'failed' : 'failing'
  }

  /** When the state changes next by time alone; null if it does not. */
  nextChangeMs(nowMs: number): number | null {
    if (nowMs < this.#flapsUntilMs) return this.#flapsUntilMs
    return nowMs < this.#settlesMs ? this.#settlesMs : null
  }

  get #settlesMs(): number {
    return this.#sinceMs + (this.#up ? this.#times.recoverMs : this.#times.confirmMs)
  }

  #noteDown(nowMs: number): void {
    const { flapCount, flapWindowMs, flapCooldownMs } = this.#times
    this.#downs.push(nowMs)
    if (this.#downs.length > flapCount) this.#downs.shift()
    const [first] = this.#downs
    if (this.#downs.length < flapCount || first === undefined || nowMs - first > flapWindowMs) return
    this.#flapsUntilMs = nowMs + flapCooldownMs
  }
}
