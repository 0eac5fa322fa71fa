/**
 * The term under which a manager leads. As long as there is one manager there is no election: whoever has followed an
 * earlier life of it says so, and it goes beyond that term, so that its fences are above all that came before.
 */
import type { LeaderRef } from './wire/fields.js'

export class LeaderTerm {
  readonly #id: string
  #term = 1

  /** @param id NodeId of this life. */
  constructor(id: string) {
    this.#id = id
  }

  get current(): number {
    return this.#term
  }

  /** Whether the term has risen. */
  heard(leader: LeaderRef | undefined): boolean {
    if (leader === undefined || leader.id === this.#id || leader.term < this.#term) return false
    this.#term = leader.term + 1
    return true
  }
}
