/**
 * Dice as a parameter: `systemRandom` outside, a `SeededRandom` (`@hs/core/testing`) where a run must be repeatable.
 * None of it is for secrets.
 */
import { Xoshiro128 } from './xoshiro.js'

export interface Random {
  /** Uniform in [0, 1), with 53 bits. */
  next(): number
  /**
   * Uniform integer in [0, maxExclusive).
   * @throws HsError `'INVALID_ARGUMENT'` unless `maxExclusive` is an integer from 1 to 2^32.
   */
  int(maxExclusive: number): number
  /** One of `xs`. @throws HsError `'INVALID_ARGUMENT'` if there is none. */
  pick<T>(xs: readonly T[]): T
  /** Shuffles in place (Fisher-Yates) and returns the same array. */
  shuffle<T>(xs: T[]): T[]
}

/** Seeds itself at the first draw: some edge runtimes give no entropy while a module loads. */
class SystemRandom implements Random {
  #seeded: Xoshiro128 | undefined

  next(): number {
    return (this.#seeded ?? this.#seed()).next()
  }

  int(maxExclusive: number): number {
    return (this.#seeded ?? this.#seed()).int(maxExclusive)
  }

  pick<T>(xs: readonly T[]): T {
    return (this.#seeded ?? this.#seed()).pick(xs)
  }

  shuffle<T>(xs: T[]): T[] {
    return (this.#seeded ?? this.#seed()).shuffle(xs)
  }

  #seed(): Xoshiro128 {
    const [seed = 0n] = crypto.getRandomValues(new BigUint64Array(1))
    this.#seeded = new Xoshiro128(seed)
    return this.#seeded
  }
}

/** xoshiro128** seeded from `crypto`. */
export const systemRandom: Random = /* @__PURE__ */ new SystemRandom()
