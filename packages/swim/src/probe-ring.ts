/**
 * Whom to probe next: all active members in random order, each once a round, newcomers at a random place of the round
 * that is not yet reached. So without changes of membership any two probes of one member are less than 2n - 1 periods
 * apart. Every operation but the shuffle at the end of a round is O(1).
 * Source: Das, Gupta, Motivala, "SWIM" (DSN 2002), section 4.3.
 */
import type { Random } from '@hs/core'

/** Whatever stands in a ring knows its place. */
export interface RingMember {
  /** -1 while it is in none. */
  ringIndex: number
}

export class ProbeRing<T extends RingMember> {
  readonly #random: Random
  readonly #order: T[] = []
  /** Those before it were reached in this round. */
  #reached = 0

  constructor(random: Random) {
    this.#random = random
  }

  get size(): number {
    return this.#order.length
  }

  at(index: number): T | undefined {
    return this.#order[index]
  }

  add(member: T): void {
    const order = this.#order
    order.push(member)
    const place = this.#reached + this.#random.int(order.length - this.#reached)
    this.#put(order.length - 1, order[place])
    this.#put(place, member)
  }

  remove(member: T): void {
    let hole = member.ringIndex
    if (hole < 0) return
    if (hole < this.#reached) {
      this.#reached--
      this.#put(hole, this.#order[this.#reached])
      hole = this.#reached
    }
    const last = this.#order.pop()
    if (last !== undefined && hole < this.#order.length) this.#put(hole, last)
    member.ringIndex = -1
  }

  /** Makes it the next to be probed. */
  advance(member: T): void {
    const index = member.ringIndex
    if (index < 0) return
    if (index < this.#reached) this.#reached--
    this.#put(index, this.#order[this.#reached])
    this.#put(this.#reached, member)
  }

  next(): T | undefined {
    if (this.#reached >= this.#order.length) this.#shuffle()
    const member = this.#order[this.#reached]
    if (member !== undefined) this.#reached++
    return member
  }

  /** Any member, all equally likely. */
  pick(): T | undefined {
    return this.#order.length === 0 ? undefined : this.#order[this.#random.int(this.#order.length)]
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#order[Symbol.iterator]()
  }

  #shuffle(): void {
    this.#reached = 0
    this.#random.shuffle(this.#order)
    for (let i = 0; i < this.#order.length; i++) this.#put(i, this.#order[i])
  }

  #put(index: number, member: T | undefined): void {
    if (member === undefined) return
    this.#order[index] = member
    member.ringIndex = index
  }
}
