/**
 * A bounded queue with a lane for each priority: items leave by priority, in order within one. When it is full the
 * oldest of the least important makes way, unless that is more important than the newcomer.
 */
import { RingBuffer } from '@hs/core'

export type LaneOutcome = 'queued' | 'displaced' | 'dropped'

export class PriorityLanes<T> {
  readonly #capacity: number
  /** By rank. Made when they are first needed, and let go when nothing is in any. */
  #lanes: (RingBuffer<T> | undefined)[] = []
  #size = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#size
  }

  /** `'displaced'`: it is in, and another is lost for it; `'dropped'`: it is lost. */
  offer(item: T, rank: number): LaneOutcome {
    if (this.#size < this.#capacity) {
      this.#lane(rank).push(item)
      this.#size++
      return 'queued'
    }
    const least = this.#lanes.findLast((lane, at) => at >= rank && lane !== undefined && lane.size > 0)
    if (least === undefined) return 'dropped'
    least.shift()
    this.#lane(rank).push(item)
    return 'displaced'
  }

  /** The first of them, at most `most`. */
  take(most: number): T[] {
    const taken: T[] = []
    for (const lane of this.#lanes) {
      while (lane !== undefined && lane.size > 0 && taken.length < most) taken.push(lane.shift() as T)
    }
    this.#size -= taken.length
    if (this.#size === 0) this.#lanes = []
    return taken
  }

  /** Drops all; returns how many that were. */
  clear(): number {
    const dropped = this.#size
    this.#lanes = []
    this.#size = 0
    return dropped
  }

  #lane(rank: number): RingBuffer<T> {
    return (this.#lanes[rank] ??= new RingBuffer<T>(this.#capacity))
  }
}
