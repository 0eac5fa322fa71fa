/**
 * xoshiro128**: 128 bits of state, period 2^128 - 1, passes BigCrush. Not for secrets.
 * The stream of a seed never changes between releases: simulations replay by it.
 * Source: D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators" (2018); seeded by SplitMix64
 * (G. Steele, D. Lea, C. Flood, 2014); bounded integers by mask and rejection, so exactly uniform.
 */
import { HsError } from './errors.js'
import type { Random } from './random.js'

const TWO_26 = 2 ** 26
const TWO_32 = 2 ** 32
const TWO_MINUS_53 = 2 ** -53

export class Xoshiro128 implements Random {
  // Signed 32-bit integers: V8 keeps them in the object itself, so that a draw allocates nothing.
  #s0: number
  #s1: number
  #s2: number
  #s3: number

  /** @param seed taken modulo 2^64. */
  constructor(seed: bigint) {
    const [x, y] = splitMix64(seed)
    this.#s0 = Number(BigInt.asIntN(32, x))
    this.#s1 = Number(BigInt.asIntN(32, x >> 32n))
    this.#s2 = Number(BigInt.asIntN(32, y))
    this.#s3 = Number(BigInt.asIntN(32, y >> 32n))
  }

  next(): number {
    // Two steps of the engine written out, with the state in locals: half the loads and stores.
    let s0 = this.#s0
    let s1 = this.#s1
    let s2 = this.#s2
    let s3 = this.#s3
    let m = Math.imul(s1, 5)
    const a = Math.imul((m << 7) | (m >>> 25), 9)
    let t = s1 << 9
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= t
    s3 = (s3 << 11) | (s3 >>> 21)
    m = Math.imul(s1, 5)
    const b = Math.imul((m << 7) | (m >>> 25), 9)
    t = s1 << 9
    s2 ^= s0
    s3 ^= s1
    this.#s1 = s1 ^ s2
    this.#s0 = s0 ^ s3
    this.#s2 = s2 ^ t
    this.#s3 = (s3 << 11) | (s3 >>> 21)
    return ((a >>> 5) * TWO_26 + (b >>> 6)) * TWO_MINUS_53
  }

  int(maxExclusive: number): number {
    if (!(Number.isInteger(maxExclusive) && maxExclusive >= 1 && maxExclusive <= TWO_32)) {
      throw new HsError('INVALID_ARGUMENT', `int() takes an integer from 1 to 2^32, found ${String(maxExclusive)}`)
    }
    if (maxExclusive === 1) {
      this.#step()
      return 0
    }
    const mask = -1 >>> Math.clz32(maxExclusive - 1)
    for (;;) {
      const drawn = (this.#step() & mask) >>> 0
      if (drawn < maxExclusive) return drawn
    }
  }

  pick<T>(xs: readonly T[]): T {
    if (xs.length === 0) throw new HsError('INVALID_ARGUMENT', 'pick() takes at least one item, found an empty array')
    return xs[this.int(xs.length)] as T
  }

  shuffle<T>(xs: T[]): T[] {
    for (let i = xs.length - 1; i > 0; i--) {
      const j = this.int(i + 1)
      const moved = xs[i] as T
      xs[i] = xs[j] as T
      xs[j] = moved
    }
    return xs
  }

  /** One output of the engine, 32 bits, signed. */
  #step(): number {
    const s1 = this.#s1
    const m = Math.imul(s1, 5)
    const s2 = this.#s2 ^ this.#s0
    const s3 = this.#s3 ^ s1
    this.#s1 = s1 ^ s2
    this.#s0 ^= s3
    this.#s2 = s2 ^ (s1 << 9)
    this.#s3 = (s3 << 11) | (s3 >>> 21)
    return Math.imul((m << 7) | (m >>> 25), 9)
  }
}

/** The first two outputs of SplitMix64 from `seed`. */
function splitMix64(seed: bigint): [bigint, bigint] {
  const gamma = 0x9e3779b97f4a7c15n
  return [mix(seed + gamma), mix(seed + gamma + gamma)]
}

function mix(state: bigint): bigint {
  let z = BigInt.asUintN(64, state)
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n)
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn)
  return z ^ (z >> 31n)
}
