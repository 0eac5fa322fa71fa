/**
 * The dice of the links: for each pair of nodes a stream of its own, that of `link/a>b`, without anything to keep for
 * it, for a thousand nodes have a million links. What a message draws depends on the seed, on sender, receiver and time,
 * and on which message of that instant it is: so no other message disturbs it, not even an earlier one on its link.
 *
 * Source of the generator: D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators" (2018):
 * xoroshiro64**, seeded anew for each message by mixing.
 */

import type { Random } from '@hs/core'
import { blend, scramble } from './hash.js'
import type { LinkEnd } from './link-end.js'
import type { World } from './world.js'

const TWO_26 = 2 ** 26
const TWO_MINUS_53 = 2 ** -53

/** What is drawn for; each has draws of its own. */
export const linkUses = { datagram: 1, release: 2, stream: 3 } as const

export class LinkDice implements Pick<Random, 'next'> {
  readonly #world: World
  #s0 = 1
  #s1 = 1

  constructor(world: World) {
    this.#world = world
  }

  /** What follows is drawn for the `index`-th of this use and link at this instant. */
  begin(from: LinkEnd, to: LinkEnd, use: number, index: number): void {
    const { timeLow, timeHigh } = this.#world
    const which = Math.imul(index, 4) + use
    this.#s0 = scramble(blend(blend(blend(from.linkLow, to.linkLow), timeLow), timeHigh ^ which))
    // All zero is the one state that the generator never leaves.
    this.#s1 = scramble(blend(blend(blend(from.linkHigh, to.linkHigh), timeHigh), timeLow + which)) || 1
  }

  /** 53 bits in [0, 1), as of any `Random`. */
  next(): number {
    let s0 = this.#s0
    let s1 = this.#s1
    let m = Math.imul(s0, 0x9e3779bb)
    const a = Math.imul((m << 5) | (m >>> 27), 5)
    s1 ^= s0
    s0 = ((s0 << 26) | (s0 >>> 6)) ^ s1 ^ (s1 << 9)
    s1 = (s1 << 13) | (s1 >>> 19)
    m = Math.imul(s0, 0x9e3779bb)
    const b = Math.imul((m << 5) | (m >>> 27), 5)
    s1 ^= s0
    this.#s0 = ((s0 << 26) | (s0 >>> 6)) ^ s1 ^ (s1 << 9)
    this.#s1 = (s1 << 13) | (s1 >>> 19)
    return ((a >>> 5) * TWO_26 + (b >>> 6)) * TWO_MINUS_53
  }

  /** Draws only where there is something to decide. */
  happens(probability: number): boolean {
    return probability > 0 && this.next() < probability
  }
}
