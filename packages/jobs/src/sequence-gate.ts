/**
 * Lets numbered messages through in order, however the network reorders or repeats them: an epoch (the leader's term,
 * or a fence) and a sequence within it. A higher epoch begins anew, and an older one is never believed again.
 */
import { requireInteger } from './arguments.js'

export class SequenceGate {
  #epoch = -1
  #sequence = -1
  #gaps = 0

  /** The highest epoch seen, -1 before the first message. */
  get epoch(): number {
    return this.#epoch
  }

  /** The highest sequence seen in this epoch, -1 before the first message. */
  get sequence(): number {
    return this.#sequence
  }

  /** Messages that were passed over, in all epochs; the first of an epoch sets the base and leaves no gap. */
  get gaps(): number {
    return this.#gaps
  }

  /** @throws HsError `'INVALID_ARGUMENT'` unless both are integers from 0. */
  admit(epoch: number, sequence: number): 'new' | 'duplicate' | 'stale' {
    requireInteger('epoch', epoch)
    requireInteger('sequence', sequence)
    if (epoch < this.#epoch) return 'stale'
    if (epoch > this.#epoch) {
      this.#epoch = epoch
      this.#sequence = sequence
      return 'new'
    }
    if (sequence === this.#sequence) return 'duplicate'
    if (sequence < this.#sequence) return 'stale'
    this.#gaps += sequence - this.#sequence - 1
    this.#sequence = sequence
    return 'new'
  }
}
