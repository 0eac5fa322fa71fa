/**
 * A deadline that moves often and passes seldom: moving it later or clearing it is one store, and the timer behind it,
 * where it stands already, is looked at again only when it fires. So a deadline costs a request nothing but that.
 */
import type { Clock, TimingWheel, WheelTimer } from '@hs/core'

export class LazyTimer {
  readonly #clock: Clock
  readonly #wheel: TimingWheel
  readonly #fn: () => void
  #timer: WheelTimer | null = null
  #dueMs = Infinity
  #armedForMs = Infinity

  constructor(clock: Clock, wheel: TimingWheel, fn: () => void) {
    this.#clock = clock
    this.#wheel = wheel
    this.#fn = fn
  }

  /** Calls `fn` once, `delayMs` after `nowMs`, which is the clock's present; in place of what was set before. */
  set(nowMs: number, delayMs: number): void {
    this.#dueMs = nowMs + delayMs
    if (this.#dueMs < this.#armedForMs) this.#arm(delayMs)
  }

  /** Like `set`, but what stands behind moves too: for a deadline that moves seldom, so that nothing fires in vain. */
  move(nowMs: number, delayMs: number): void {
    this.#dueMs = nowMs + delayMs
    this.#arm(delayMs)
  }

  /** Nothing is due any more. */
  clear(): void {
    this.#dueMs = Infinity
  }

  /** Nothing is due, nor does anything stay behind. */
  cancel(): void {
    this.#dueMs = Infinity
    this.#armedForMs = Infinity
    this.#timer?.cancel()
  }

  #arm(delayMs: number): void {
    this.#armedForMs = this.#dueMs
    if (this.#timer === null) this.#timer = this.#wheel.schedule(delayMs, () => this.#fire())
    else this.#timer.reschedule(delayMs)
  }

  #fire(): void {
    this.#armedForMs = Infinity
    if (this.#dueMs === Infinity) return
    const leftMs = this.#dueMs - this.#clock.now()
    if (leftMs > 0) {
      this.#arm(leftMs)
      return
    }
    this.#dueMs = Infinity
    this.#fn()
  }
}
