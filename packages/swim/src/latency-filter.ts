/**
 * The median of the last few round trips of each peer: one spike moves nothing. Samples of all peers lie in one block
 * of numbers, so a peer costs a map entry and `window` numbers, and a sample allocates nothing.
 * Source: Ledlie, Gardner, Seltzer, "Network Coordinates in the Wild" (NSDI 2007), the moving percentile filter.
 * Bound: at `maxPeers`, the peer that was added first gives way.
 */

export class LatencyFilter {
  readonly #window: number
  readonly #maxPeers: number
  readonly #slots = new Map<string, number>()
  readonly #free: number[] = []
  readonly #sorted: Float64Array
  /** Per slot: how many samples it ever took, then the last `window` of them in a ring. */
  #data: Float64Array

  constructor(window: number, maxPeers: number) {
    this.#window = window
    this.#maxPeers = maxPeers
    this.#sorted = new Float64Array(window)
    this.#data = new Float64Array((window + 1) * 8)
  }

  get size(): number {
    return this.#slots.size
  }

  /** Takes a sample in and returns the median; of an even number of samples the lower one, for what disturbs a round trip lengthens it. */
  push(peer: string, value: number): number {
    const window = this.#window
    const base = (this.#slots.get(peer) ?? this.#newSlot(peer)) * (window + 1)
    const data = this.#data
    const taken = data[base] ?? 0
    data[base] = taken + 1
    data[base + 1 + (taken % window)] = value
    const count = Math.min(taken + 1, window)
    if (count === 1) return value
    if (count === 3) return medianOfThree(data[base + 1] ?? 0, data[base + 2] ?? 0, data[base + 3] ?? 0)
    return this.#median(base + 1, count)
  }

  forget(peer: string): void {
    const slot = this.#slots.get(peer)
    if (slot === undefined) return
    this.#slots.delete(peer)
    this.#data[slot * (this.#window + 1)] = 0
    this.#free.push(slot)
  }

  #newSlot(peer: string): number {
    if (this.#slots.size >= this.#maxPeers) {
      for (const oldest of this.#slots.keys()) {
        this.forget(oldest)
        break
      }
    }
    const slot = this.#free.pop() ?? this.#slots.size
    const end = (slot + 1) * (this.#window + 1)
    if (end > this.#data.length) {
      const larger = new Float64Array(this.#data.length * 2)
      larger.set(this.#data)
      this.#data = larger
    }
    this.#slots.set(peer, slot)
    return slot
  }

  /** Insertion sort: a window is a handful of numbers. */
  #median(from: number, count: number): number {
    const sorted = this.#sorted
    for (let i = 0; i < count; i++) {
      const value = this.#data[from + i] ?? 0
      let at = i
      while (at > 0 && (sorted[at - 1] ?? 0) > value) {
        sorted[at] = sorted[at - 1] ?? 0
        at--
      }
      sorted[at] = value
    }
    return sorted[(count - 1) >> 1] ?? 0
  }
}

export function medianOfThree(a: number, b: number, c: number): number {
  const low = a < b ? a : b
  const high = a < b ? b : a
  return c < low ? low : c > high ? high : c
}
