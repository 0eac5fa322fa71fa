/**
 * Small dice for the many streams of chance that a simulation has, one for each pair of nodes: eight bytes of state
 * where `SeededRandom` has an object of its own, and as good as free to make.
 * Source: D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators" (2018): xoroshiro64**.
 */

import type { Random } from '@hs/core'

const TWO_26 = 2 ** 26
const TWO_MINUS_53 = 2 ** -53

export class Dice implements Pick<Random, 'next'> {
  #s0: number
  #s1: number

  /** The words must be well mixed: similar ones would give similar streams. */
  constructor(low: number, high: number) {
    this.#s0 = low | 0
    // All zero is the one state that the generator never leaves.
    this.#s1 = low === 0 && high === 0 ? 1 : high | 0
  }

  /** As of `Random`: 53 bits in [0, 1). */
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
}
