/**
 * Lifeguard's local health: how far this process should trust its own clock and its own ears, from 0 (well) to S.
 * Missed answers and refutations raise it, answers lower it, and all times that judge others are multiplied by it.
 * Source: Dadgar, Phillips, Currey, "Lifeguard" (arXiv 1707.00788), Local Health Multiplier and LHA-Probe.
 */
import { HsError } from '@hs/core'

export class LocalHealth {
  readonly #max: number
  #score = 0

  /**
   * @param max S, 0 to 255; 0 turns it off. @default 8
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  constructor(max = 8) {
    if (!Number.isInteger(max) || max < 0 || max > 255)
      throw new HsError('INVALID_ARGUMENT', `The highest score is an integer from 0 to 255, found ${max}`)
    this.#max = max
  }

  get score(): number {
    return this.#score
  }

  /**
   * Moves the score and returns it, never outside 0 to S.
   * @throws HsError `'INVALID_ARGUMENT'` for what is no finite number
   */
  apply(delta: number): number {
    if (!Number.isFinite(delta))
      throw new HsError('INVALID_ARGUMENT', `A change of the score is finite, found ${delta}`)
    this.#score = Math.min(this.#max, Math.max(0, this.#score + delta))
    return this.#score
  }

  /** A time as it is for this process: multiplied by the score and one. */
  scale(ms: number): number {
    return ms * (this.#score + 1)
  }
}
