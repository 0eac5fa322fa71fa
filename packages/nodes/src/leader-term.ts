/**
 * The term under which a manager leads: that of its election, if there was one. An election that remembers nothing may
 * count from the beginning again, and a single manager holds none: so whoever has followed an earlier leader says so,
 * and this one goes beyond that term, so that its fences are above all that came before.
 */
import type { LeaderRef } from './wire/fields.js'

export class LeaderTerm {
  readonly #id: string
  #term: number

  /** @param id NodeId of this life. */
  constructor(id: string, term: number) {
    this.#id = id
    this.#term = term
  }

  get current(): number {
    return this.#term
  }

  /** Whether the term has risen. An earlier leadership of this very process is one to go beyond, too. */
  heard(leader: LeaderRef | undefined): boolean {
    if (leader === undefined || leader.term < this.#term) return false
    if (leader.term === this.#term && leader.id === this.#id) return false
    this.#term = leader.term + 1
    return true
  }
}
