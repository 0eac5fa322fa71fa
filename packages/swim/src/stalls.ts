/**
 * Stalls of this process: a deadline that fires long after its time means that the process did not run meanwhile, and
 * that what would have met the deadline may lie unread in the socket. A stall is counted once, however many deadlines
 * fire late because of it.
 */

export class Stalls {
  readonly #toleranceMs: number
  readonly #onStall: () => void
  /** Deadlines up to this time were due before the last stall was over. */
  #overMs = -Infinity

  constructor(toleranceMs: number, onStall: () => void) {
    this.#toleranceMs = toleranceMs
    this.#onStall = onStall
  }

  /** How late a deadline fires because of a stall; 0 if it is on time. */
  lateness(dueMs: number, nowMs: number): number {
    const lateMs = nowMs - dueMs
    if (lateMs <= this.#toleranceMs) return 0
    if (dueMs > this.#overMs) this.#onStall()
    this.#overMs = nowMs
    return lateMs
  }
}
