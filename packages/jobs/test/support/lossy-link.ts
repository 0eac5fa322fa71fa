/** A link in memory that loses, repeats and reorders what is sent over it, as a network does. */
import type { Clock, Random } from '@hs/core'

export interface LinkFaults {
  readonly loss: number
  readonly duplication: number
  readonly maxDelayMs: number
}

export class LossyLink {
  readonly #clock: Clock
  readonly #random: Random
  readonly #faults: LinkFaults
  isCalm = false

  constructor(clock: Clock, random: Random, faults: LinkFaults) {
    this.#clock = clock
    this.#random = random
    this.#faults = faults
  }

  /** Calls `deliver` later: never, once or twice. */
  send(deliver: () => void): void {
    if (this.isCalm) {
      this.#clock.setTimer(1, deliver)
      return
    }
    if (this.#random.next() < this.#faults.loss) return
    this.#later(deliver)
    if (this.#random.next() < this.#faults.duplication) this.#later(deliver)
  }

  #later(deliver: () => void): void {
    this.#clock.setTimer(1 + this.#random.next() * this.#faults.maxDelayMs, deliver)
  }
}
