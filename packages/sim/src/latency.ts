/** How long something takes: a number of milliseconds or a distribution to draw from. */

import * as z from 'zod'
import { assertNever, type Random } from '@hs/core'

export type Latency =
  | number
  | { readonly kind: 'uniform'; readonly minMs: number; readonly maxMs: number }
  | { readonly kind: 'exponential'; readonly minMs: number; readonly meanMs: number }
  | { readonly kind: 'lognormal'; readonly medianMs: number; readonly p99Ms: number }

const ms = () => z.number().min(0)

export const latencySchema = () =>
  z.union([
    ms(),
    z
      .discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('uniform'), minMs: ms(), maxMs: ms() }),
        z.strictObject({ kind: z.literal('exponential'), minMs: ms(), meanMs: ms() }),
        z.strictObject({ kind: z.literal('lognormal'), medianMs: z.number().gt(0), p99Ms: z.number().gt(0) }),
      ])
      .refine((latency) => isAscending(latency), 'expected minMs <= maxMs, minMs <= meanMs, medianMs <= p99Ms'),
  ])

function isAscending(latency: Exclude<Latency, number>): boolean {
  if (latency.kind === 'uniform') return latency.minMs <= latency.maxMs
  if (latency.kind === 'exponential') return latency.minMs <= latency.meanMs
  return latency.medianMs <= latency.p99Ms
}

/** The 99th percentile of the standard normal distribution. */
const Z99 = 2.3263

/** One draw, in milliseconds. A number draws nothing. */
export function drawLatency(latency: Latency, random: Pick<Random, 'next'>): number {
  if (typeof latency === 'number') return latency
  switch (latency.kind) {
    case 'uniform':
      return latency.minMs + random.next() * (latency.maxMs - latency.minMs)
    case 'exponential':
      return latency.minMs - Math.log(1 - random.next()) * (latency.meanMs - latency.minMs)
    case 'lognormal':
      return latency.medianMs * Math.exp((Math.log(latency.p99Ms / latency.medianMs) / Z99) * drawNormal(random))
    default:
      return assertNever(latency)
  }
}

/** Box and Muller, 1958. */
function drawNormal(random: Pick<Random, 'next'>): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
}
