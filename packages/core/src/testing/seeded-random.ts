/**
 * Dice that fall the same way for the same seed, today and in every later release: xoshiro128** (see xoshiro.ts).
 * `fork` gives a part of the program dice of its own, which depend on nothing that others have drawn.
 */

import { ConfigError } from '../errors.js'
import type { Random } from '../random.js'
import { Xoshiro128 } from '../xoshiro.js'

/** Dice that fall the same way for the same seed. */
export class SeededRandom implements Random {
  /** The seed as 64 bits, in 16 hex digits. As a string it is a seed too, but another one: strings are hashed. */
  readonly seed: string
  readonly #engine: Xoshiro128

  /**
   * @param seed an integer or bigint (taken modulo 2⁶⁴), or a string (hashed by 64-bit FNV-1a of its UTF-8).
   * @throws ConfigError for any other seed
   */
  constructor(seed: number | bigint | string) {
    const bits = seedBits(seed)
    this.seed = bits.toString(16).padStart(16, '0')
    this.#engine = new Xoshiro128(bits)
  }

  next(): number {
    return this.#engine.next()
  }

  int(maxExclusive: number): number {
    return this.#engine.int(maxExclusive)
  }

  pick<T>(xs: readonly T[]): T {
    return this.#engine.pick(xs)
  }

  shuffle<T>(xs: T[]): T[] {
    return this.#engine.shuffle(xs)
  }

  /** `new SeededRandom(`${seed}/${label}`)`: the same however much was drawn here, so one more draw disturbs no other. */
  fork(label: string): SeededRandom {
    return new SeededRandom(`${this.seed}/${label}`)
  }
}

function seedBits(seed: unknown): bigint {
  if (typeof seed === 'string') return fnv1a64(seed)
  if (typeof seed === 'bigint') return BigInt.asUintN(64, seed)
  if (typeof seed === 'number' && Number.isInteger(seed)) return BigInt.asUintN(64, BigInt(seed))
  throw new ConfigError('SeededRandom', [
    { path: 'seed', message: 'expected an integer, a bigint or a string', value: seed },
  ])
}

/** G. Fowler, L. C. Noll, K.-P. Vo: FNV-1a, 64 bits. */
function fnv1a64(text: string): bigint {
  let hash = 0xcbf29ce484222325n
  for (const byte of new TextEncoder().encode(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return hash
}
