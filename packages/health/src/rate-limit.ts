/** At most so many in any second, exactly: the times of the last so many are kept. */
import { RingBuffer } from '@hs/core'

const SECOND_MS = 1_000

export class RateLimit {
  readonly #times: RingBuffer<number>

  /** @param perSecond an integer of at least 1 */
  constructor(perSecond: number) {
    this.#times = new RingBuffer(perSecond)
  }

  /** False: there were so many in the last second already. */
  tryTake(nowMs: number): boolean {
    const times = this.#times
    if (times.size === times.capacity && nowMs - (times.at(0) ?? nowMs) < SECOND_MS) return false
    times.push(nowMs)
    return true
  }
}
