/**
 * The dots of one replica that the next delta will speak of. They come one by one in any order and are put into ranges
 * batch by batch, so that a mutator only appends a number, and so that what waits stays small where nobody takes deltas.
 */
import { SeenDots } from './seen-dots.js'

const BATCH = 64

export class PendingDots {
  #sorted: SeenDots | undefined
  #loose: number[] = []

  add(counter: number): void {
    this.#loose.push(counter)
    if (this.#loose.length >= BATCH && this.#loose.length > 2 * (this.#sorted?.gapCount ?? 0)) this.#sort()
  }

  addRanges(ranges: readonly number[]): void {
    if (ranges.length === 0) return
    const more = SeenDots.ofRanges(ranges)
    if (this.#sorted === undefined) this.#sorted = more
    else this.#sorted.absorb(more)
  }

  get isEmpty(): boolean {
    return this.#sorted === undefined && this.#loose.length === 0
  }

  /** The dots, and none is pending any more. */
  take(): SeenDots {
    const dots = this.#sort()
    this.#sorted = undefined
    return dots
  }

  #sort(): SeenDots {
    const batch = SeenDots.of(0, this.#loose)
    this.#loose = []
    if (this.#sorted === undefined) this.#sorted = batch
    else this.#sorted.absorb(batch)
    return this.#sorted
  }
}
