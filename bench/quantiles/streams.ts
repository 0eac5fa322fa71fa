/** Streams of samples of known shape, the same for the same seed on every machine. */
import { SeededRandom } from '@hs/core/testing'
import type { Random } from '@hs/core'

/** Draws one sample, from 0. */
type Draw = (random: Random) => number

const draws = {
  /** 0 to 1,000. */
  uniform: (random) => 1_000 * random.next(),
  /** Mean 1,000, deviation 100; never below 0 at these lengths, and clamped for the type's sake. */
  normal: (random) => Math.max(0, 1_000 + 100 * standardNormal(random)),
  /** Median 1, sigma 1: latencies of a service. */
  'log-normal': (random) => Math.exp(standardNormal(random)),
  /** Least 1, index 1.5: a variance that does not exist. */
  Pareto: (random) => (1 - random.next()) ** (-1 / 1.5),
  /** Four in five around 10, the fifth around 500: a cache and what is behind it. */
  bimodal: (random) =>
    random.next() < 0.8 ? Math.max(0, 10 + standardNormal(random)) : Math.max(0, 500 + 50 * standardNormal(random)),
} as const satisfies Record<string, Draw>

export type StreamName = keyof typeof draws

export const streamNames = Object.keys(draws) as readonly StreamName[]

export function stream(name: StreamName, length: number, seed = 1): Float64Array {
  const random = new SeededRandom(seed).fork(name)
  const draw: Draw = draws[name]
  return Float64Array.from({ length }, () => draw(random))
}

/** Box and Muller. */
function standardNormal(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.next()))
  return radius * Math.cos(2 * Math.PI * random.next())
}
