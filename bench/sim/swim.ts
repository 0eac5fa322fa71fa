/** A thousand members of SWIM under loss: how much faster than the wall clock the simulator plays them. */

import { Simulation } from '@hs/sim'
import { Cluster } from '@hs/swim'
import type { Workload } from '../harness.js'

/** At this size a smoke run would take half a minute for nothing. */
const MEMBERS = process.argv.includes('--smoke') ? 50 : 1_000
const SEEDS = ['n0:1', 'n1:1', 'n2:1']
/** Until everyone knows everyone. */
const JOINING_MS = 30_000

let sim: Simulation | undefined

async function startMembers(): Promise<Simulation> {
  const made = new Simulation({ seed: 1, link: { loss: 0.01 }, maxEvents: Number.MAX_SAFE_INTEGER })
  for (let i = 0; i < MEMBERS; i++) {
    made.node(`n${i}`, async ({ name, clock, random, logger, datagram, rpc }) => {
      const cluster = new Cluster({ name, clock, random, logger, datagram, rpc, seeds: SEEDS })
      await cluster.start()
      return cluster
    })
  }
  await made.runFor(JOINING_MS)
  const least = Math.min(...made.apps<Cluster>().map((cluster) => cluster.size))
  if (least < MEMBERS * 0.99) throw new Error(`after ${JOINING_MS} ms someone knows ${least} members only`)
  return made
}

export const workloads: Workload[] = [
  {
    name: 'swim: a millisecond of 1,000 members, 1 % loss',
    contenders: [
      {
        name: 'Simulation',
        ours: true,
        async setup() {
          sim = await startMembers()
        },
        async run(n) {
          await sim?.runFor(n)
          return sim?.events
        },
        teardown() {
          sim = undefined
        },
      },
      { name: 'real time', run: (n) => new Promise((resolve) => setTimeout(() => resolve(n), n)) },
    ],
    goals: [{ peer: 'real time', ratio: 20 }],
  },
]
