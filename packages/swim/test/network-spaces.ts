/**
 * Networks that are known in full: the round trip between any two nodes, and what coordinates make of it.
 * The first five and the way they are run are those of Serf's `coordinate` package (`phantom.go`); the last is made
 * to look like the Internet's 1,740 hosts of the Vivaldi paper.
 */
import type { Random } from '@hs/core'
import { distanceMs, Vivaldi, type VivaldiOptions } from '@hs/swim'

export type RttMatrix = readonly (readonly number[])[]

function matrix(nodes: number, rtt: (i: number, j: number) => number): RttMatrix {
  const rows = Array.from({ length: nodes }, () => new Array<number>(nodes).fill(0))
  for (let i = 0; i < nodes; i++) {
    for (let j = i + 1; j < nodes; j++) rows[i]![j] = rows[j]![i] = rtt(i, j)
  }
  return rows
}

/** Serf's, in milliseconds. */
export const spaces = {
  line: () => matrix(10, (i, j) => (j - i) * 10),
  grid: () => matrix(25, (i, j) => 10 * Math.hypot((i % 5) - (j % 5), Math.floor(i / 5) - Math.floor(j / 5))),
  /** Two datacenters: 1 ms within, 10 ms more between. */
  split: () => matrix(25, (i, j) => (i <= 12 !== j <= 12 ? 11 : 1)),
  /** The first node is the hub, one radius of 100 ms away from all others, which go through it. */
  circle: () => matrix(25, (i, j) => (i === 0 ? 200 : chord(i, j, 25, 100))),
  random: (random: Random) => matrix(25, () => Math.max(0.1, 100 + 10 * gauss(random))),
} as const

function chord(i: number, j: number, nodes: number, radius: number): number {
  const angle = (k: number) => (2 * Math.PI * k) / nodes
  return Math.hypot(
    radius * (Math.cos(angle(i)) - Math.cos(angle(j))),
    radius * (Math.sin(angle(i)) - Math.sin(angle(j))),
  )
}

/** Box and Muller. */
export function gauss(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
}

/** Cities on a globe's scale, access links of unequal length, and paths that are no shortest ones. */
export function internet(hosts: number, random: Random): RttMatrix {
  const cities = Array.from({ length: 40 }, () => ({ x: random.next() * 180, y: random.next() * 80 }))
  const at = Array.from({ length: hosts }, () => random.pick(cities))
  const link = Array.from({ length: hosts }, () => 1 + 8 * random.next() ** 3)
  return matrix(hosts, (i, j) => {
    const a = at[i]!
    const b = at[j]!
    const direct = Math.hypot(a.x - b.x, a.y - b.y) + link[i]! + link[j]!
    return Math.max(0.2, direct * (1 + 0.08 * gauss(random)))
  })
}

export function clientsOf(nodes: number, options: VivaldiOptions & { random: Random }): Vivaldi[] {
  return Array.from({ length: nodes }, () => new Vivaldi(options))
}

export interface SimulateOptions {
  /** How many others each node measures, drawn once. @default all */
  readonly neighbours?: number
  /** What a measurement makes of the round trip. @default it is exact */
  readonly measured?: (rttMs: number) => number
}

/** Each cycle each node measures the way to one other, as Serf's simulation does. */
export function simulate(
  clients: readonly Vivaldi[],
  truth: RttMatrix,
  cycles: number,
  random: Random,
  { neighbours, measured = (rttMs) => rttMs }: SimulateOptions = {},
): void {
  const n = clients.length
  const known = clients.map(() => Array.from({ length: neighbours ?? 0 }, () => random.int(n)))
  for (let cycle = 0; cycle < cycles; cycle++) {
    for (let i = 0; i < n; i++) {
      const j = neighbours === undefined ? random.int(n) : random.pick(known[i]!)
      if (i !== j) clients[i]!.observe(`node-${j}`, clients[j]!.coordinate, measured(truth[i]![j]!))
    }
  }
}

export interface SpaceErrors {
  readonly mean: number
  readonly worst: number
  readonly median: number
}

/** Relative errors of the predicted round trips over all pairs. */
export function errorsOf(clients: readonly Vivaldi[], truth: RttMatrix): SpaceErrors {
  const errors: number[] = []
  for (let i = 0; i < clients.length; i++) {
    for (let j = i + 1; j < clients.length; j++) {
      const actual = truth[i]![j]!
      errors.push(Math.abs(distanceMs(clients[i]!.coordinate, clients[j]!.coordinate) - actual) / actual)
    }
  }
  errors.sort((a, b) => a - b)
  return {
    mean: errors.reduce((sum, x) => sum + x, 0) / errors.length,
    worst: errors.at(-1) ?? 0,
    median: medianOf(errors),
  }
}

export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
