import { describe, it } from 'vitest'
import {
  datagramConformance,
  diskConformance,
  rpcConformance,
  type ConformanceCase,
  type Fixture,
} from '@hs/core/testing'
import { Simulation, type NodeEnv, type SimulationOptions } from '../src/index.js'

function all(cases: readonly ConformanceCase[]): void {
  for (const { name, run } of cases) it(name, run)
}

/** A node for each instance: the suite runs its code as the workload, on what the nodes are given. */
async function fixture<T>(pick: (env: NodeEnv) => T, options?: SimulationOptions): Promise<Fixture<T>> {
  const sim = new Simulation({ seed: 'conformance', ...options })
  return {
    create: async (name) => {
      const { env } = sim.node(name, () => undefined)
      if (env === null) throw new Error('a node that has booted has an env')
      return pick(env)
    },
    settle: () => sim.runFor(50),
    close: async () => undefined,
  }
}

describe.each(['seeded', 'fifo'] as const)('a simulated node, ties %s, keeps the contracts of core', (tieBreak) => {
  describe('of datagrams (SIM-9, SIM-12)', () => {
    all(datagramConformance(() => fixture((env) => env.datagram, { tieBreak })))
  })

  describe('of RPC (SIM-13, SIM-14)', () => {
    all(rpcConformance(() => fixture((env) => env.rpc, { tieBreak })))
  })

  describe('of disks (SIM-17)', () => {
    all(diskConformance(() => fixture((env) => env.disk, { tieBreak })))
  })
})

describe('a simulated node keeps the contract of RPC on links that lose, repeat and corrupt (SIM-13)', () => {
  all(
    rpcConformance(() => fixture((env) => env.rpc, { link: { loss: 0.1, duplicate: 0.5, corrupt: 0.5 } })).filter(
      // Their deadlines are shorter than a retransmission.
      ({ name }) => !/DEADLINE_EXCEEDED|after the deadline/.test(name),
    ),
  )
})
