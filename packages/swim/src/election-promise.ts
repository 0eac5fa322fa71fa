/**
 * What a voter has promised: no vote for anybody while the leader it answered may hold its lease. Counted from receipt
 * and longer than the lease by the tolerance for clocks, so that it always outlasts what was promised.
 */

export class ElectionPromise {
  #untilMs = -Infinity
  #to = ''
  #term = 0
  /** For what was promised before this process began, and is forgotten. */
  #abstainUntilMs = -Infinity
  /** The newest term whose leader has resigned. */
  #releasedTerm = 0

  /** Until when it binds; in the past: it does not. */
  get untilMs(): number {
    return Math.max(this.#untilMs, this.#abstainUntilMs)
  }

  give(to: string, term: number, untilMs: number): void {
    this.#to = to
    this.#term = term
    this.#untilMs = untilMs
  }

  /** Whether the last promise was given to this leader. */
  isTo(name: string, term: number): boolean {
    return this.#to === name && this.#term === term
  }

  /** Nobody frees of this one: it is not known to whom it was given. */
  abstain(untilMs: number): void {
    this.#abstainUntilMs = untilMs
  }

  /** The leader of this term has ended its lease itself. */
  release(from: string, term: number): void {
    this.close(term)
    if (this.isTo(from, term)) this.#untilMs = -Infinity
  }

  /** Nothing is promised to the leader of this term any more. */
  close(term: number): void {
    this.#releasedTerm = Math.max(this.#releasedTerm, term)
  }

  /** Whether heartbeats of this term come too late: they were under way when their leader resigned. */
  isClosed(term: number): boolean {
    return term <= this.#releasedTerm
  }
}
