/**
 * Requests and answers with asynchronous handlers: every event uses promises, so each costs a turn of the event loop.
 * The limit is what bare turns cost.
 */

import { Simulation } from '@hs/sim'
import type { Workload } from '../harness.js'

const NODES = 50
const WARM_UP_EVENTS = 50_000
const BODY = new Uint8Array(64)

/** Every node asks a random peer, again and again. */
function requests(): Simulation {
  const sim = new Simulation({ seed: 1, maxEvents: Number.MAX_SAFE_INTEGER })
  const addresses = Array.from({ length: NODES }, (_, i) => `n${i}:1`)
  for (let i = 0; i < NODES; i++) {
    sim.node(`n${i}`, ({ clock, rpc, random, signal }) => {
      rpc.handle('echo', async (body) => {
        await Promise.resolve()
        return body
      })
      const ask = async () => {
        while (!signal.aborted) await rpc.request(random.pick(addresses), 'echo', BODY)
      }
      clock.setTimer(1, () => void ask())
    })
  }
  return sim
}

async function runEvents(sim: Simulation, n: number): Promise<number> {
  const end = sim.events + n
  await sim.runUntil(() => sim.events >= end, { limitMs: 1e12 })
  return sim.events
}

function bareTurns(n: number): Promise<number> {
  return new Promise((resolve) => {
    let left = n
    const turn = () => {
      if (--left > 0) setImmediate(turn)
      else resolve(n)
    }
    setImmediate(turn)
  })
}

let sim: Simulation | undefined

export const workloads: Workload[] = [
  {
    name: 'request-answer: 50 nodes, asynchronous handlers',
    contenders: [
      {
        name: 'Simulation, events',
        ours: true,
        async setup() {
          sim = requests()
          await runEvents(sim, WARM_UP_EVENTS)
        },
        run: (n) => (sim === undefined ? n : runEvents(sim, n)),
        teardown() {
          sim = undefined
        },
      },
      { name: 'bare setImmediate turns', run: bareTurns },
    ],
    goals: [{ peer: 'bare setImmediate turns', ratio: 0.3 }],
  },
]
