/**
 * How long a leader may act: from the sending time of the newest heartbeat that a quorum has acknowledged. Sending,
 * not acknowledging: who acknowledges promises from receipt, which is later, so every promise outlasts the lease.
 * Source: Ongaro, "Consensus: Bridging Theory and Practice" (2014), §6.4.
 */
import { quorumOf } from './election-voters.js'

export class ElectionLease {
  readonly #leaseMs: number
  readonly #maxUnanswered: number
  /** Sending times of the last heartbeats by number; what is older than a lease can extend nothing. */
  readonly #sentAtMs = new Map<number, number>()
  readonly #acked = new Map<string, number>()
  #seq = 0
  #untilMs = -Infinity

  constructor(leaseMs: number, maxUnanswered: number) {
    this.#leaseMs = leaseMs
    this.#maxUnanswered = maxUnanswered
  }

  /** When it ends; -Infinity before the first quorum. */
  get untilMs(): number {
    return this.#untilMs
  }

  /** The number of the newest heartbeat. */
  get seq(): number {
    return this.#seq
  }

  /** The newest heartbeat of a voter that it has acknowledged, 0: none. */
  ackedBy(name: string): number {
    return this.#acked.get(name) ?? 0
  }

  /** A heartbeat goes out now; its number. */
  send(nowMs: number): number {
    this.#seq++
    this.#sentAtMs.set(this.#seq, nowMs)
    if (this.#sentAtMs.size > this.#maxUnanswered) this.#sentAtMs.delete(this.#seq - this.#maxUnanswered)
    return this.#seq
  }

  /** False for a heartbeat that was never sent, and for news older than what is known. */
  ack(name: string, seq: number): boolean {
    if (seq > this.#seq || seq <= this.ackedBy(name)) return false
    this.#acked.set(name, seq)
    return true
  }

  /** After acknowledgements: the lease under a quorum of any `size` names that acknowledged. */
  extendBySize(size: number): void {
    this.#extendTo(nthLargest([...this.#acked.values()], quorumOf(size)))
  }

  /** After acknowledgements: the lease under a quorum of each of these lists. */
  extendByLists(lists: readonly (readonly string[])[]): void {
    const newest = lists.map((voters) =>
      nthLargest(
        voters.map((name) => this.ackedBy(name)),
        quorumOf(voters.length),
      ),
    )
    this.#extendTo(Math.min(...newest))
  }

  #extendTo(seq: number): void {
    const sentAtMs = this.#sentAtMs.get(seq)
    if (sentAtMs !== undefined) this.#untilMs = Math.max(this.#untilMs, sentAtMs + this.#leaseMs)
  }
}

/** 0 if there are fewer. */
function nthLargest(values: number[], n: number): number {
  values.sort((a, b) => b - a)
  return values[n - 1] ?? 0
}
