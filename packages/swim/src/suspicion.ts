/**
 * Lifeguard's suspicion: a member that one node accuses gets long to refute, one that several accuse independently gets
 * little. The deadline counts from the start of the suspicion, so a confirmation can only bring it nearer.
 * Source: Dadgar, Phillips, Currey, "Lifeguard" (arXiv 1707.00788), LHA-Suspicion.
 */
import type { TransmitItem } from './transmit-heap.js'

export interface SuspicionBoundsOptions {
  /** α: how many periods, times log₁₀ n, at the least. */
  suspicionMultiplier: number
  /** β: the longest time is this many times the shortest; at least 1. */
  suspicionMaxMultiplier: number
  probeIntervalMs: number
}

/**
 * How long a suspicion lasts from its start.
 * @param confirmations accusers beside the first
 * @param expected how many of them bring it to the minimum; 0 or less: it is there at once
 */
export function suspicionTimeoutMs(confirmations: number, expected: number, minMs: number, maxMs: number): number {
  if (expected <= 0) return minMs
  const share = Math.log(confirmations + 1) / Math.log(expected + 1)
  return Math.max(minMs, Math.floor(maxMs - (maxMs - minMs) * share))
}

/** The shortest and the longest suspicion among `n` active members. */
export function suspicionBoundsMs(n: number, options: SuspicionBoundsOptions): { minMs: number; maxMs: number } {
  const { suspicionMultiplier, suspicionMaxMultiplier, probeIntervalMs } = options
  const minMs = Math.floor(suspicionMultiplier * Math.max(1, Math.log10(Math.max(1, n))) * probeIntervalMs)
  return { minMs, maxMs: suspicionMaxMultiplier * minMs }
}

/** An accusation that waits to be sent on. */
export interface Accusation {
  item: TransmitItem | undefined
}

export class Suspicion {
  readonly startedMs: number
  readonly minMs: number
  readonly maxMs: number
  /** K′: how many confirmations count. */
  readonly expected: number
  /** Who accused, the first of all first; never more than `expected` + 1. */
  readonly accusers: string[]
  readonly accusations: Accusation[] = []
  #timeoutAtMs: number
  #putOffUntilMs = -Infinity

  constructor(accuser: string, nowMs: number, expected: number, bounds: { minMs: number; maxMs: number }) {
    this.accusers = [accuser]
    this.startedMs = nowMs
    this.expected = Math.max(0, expected)
    this.minMs = bounds.minMs
    this.maxMs = bounds.maxMs
    this.#timeoutAtMs = nowMs + suspicionTimeoutMs(0, this.expected, this.minMs, this.maxMs)
  }

  /** When the member is dead unless it refutes. */
  get dueMs(): number {
    return Math.max(this.#timeoutAtMs, this.#putOffUntilMs)
  }

  get confirmations(): number {
    return this.accusers.length - 1
  }

  /**
   * Counts an accuser. False if it has accused before, or if no more count.
   * @param graceMs what an answer takes: a deadline that is past only by this word leaves the accused that long, but
   *   never longer than it had (docs/decisions/004).
   */
  confirm(accuser: string, nowMs: number, graceMs: number): boolean {
    if (this.confirmations >= this.expected || this.accusers.includes(accuser)) return false
    const beforeMs = this.dueMs
    this.accusers.push(accuser)
    const timeoutMs = suspicionTimeoutMs(this.confirmations, this.expected, this.minMs, this.maxMs)
    this.#timeoutAtMs = Math.min(this.#timeoutAtMs, this.startedMs + timeoutMs)
    if (this.dueMs < nowMs) this.putOff(Math.min(beforeMs, nowMs + graceMs))
    return true
  }

  /** Whatever is confirmed meanwhile, it does not end before. */
  putOff(untilMs: number): void {
    this.#putOffUntilMs = untilMs
  }
}
