/**
 * Datagrams between random peers, the cost of an event of the network: against a bare heap of closures, which only keeps
 * order, and against @sinonjs/fake-timers with as many timers and no network.
 */

import FakeTimers from '@sinonjs/fake-timers'
import { SeededRandom } from '@hs/core/testing'
import { Simulation } from '@hs/sim'
import type { Workload } from '../harness.js'

/** Messages on their way for each node. */
const IN_FLIGHT = 1
const WARM_UP_EVENTS = 200_000
const MESSAGE = Uint8Array.from({ length: 64 }, (_, i) => i)

/** Every node answers each message with one to a random peer: an event each. */
function pingPong(nodes: number): Simulation {
  const sim = new Simulation({ seed: 1, maxEvents: Number.MAX_SAFE_INTEGER })
  const addresses = Array.from({ length: nodes }, (_, i) => `n${i}:1`)
  for (let i = 0; i < nodes; i++) {
    sim.node(`n${i}`, ({ datagram, random }) => {
      const sendOn = () => datagram.send(random.pick(addresses), MESSAGE)
      datagram.onMessage(sendOn)
      return { sendOn }
    })
  }
  for (const node of sim.nodes.values()) for (let i = 0; i < IN_FLIGHT; i++) node.call((app) => (app as Peer).sendOn())
  return sim
}

interface Peer {
  sendOn(): void
}

/** So many events more of a simulation that goes on and on. */
async function runEvents(sim: Simulation, n: number): Promise<number> {
  const end = sim.events + n
  await sim.runUntil(() => sim.events >= end, { limitMs: 1e12 })
  return sim.events
}

function simulated(nodes: number, name: string, ours: boolean) {
  let sim: Simulation | undefined
  return {
    name,
    ours,
    // On a machine with other work the compiler takes its time: what is measured is the code that it made.
    async setup() {
      sim = pingPong(nodes)
      await runEvents(sim, WARM_UP_EVENTS)
    },
    run: (n: number) => (sim === undefined ? n : runEvents(sim, n)),
    teardown() {
      sim = undefined
    },
  }
}

interface Entry {
  readonly at: number
  readonly fn: () => void
}

/** The textbook's binary heap. */
class ClosureHeap {
  readonly #entries: Entry[] = []

  push(at: number, fn: () => void): void {
    const entries = this.#entries
    let hole = entries.length
    const entry = { at, fn }
    entries.push(entry)
    while (hole > 0) {
      const up = (hole - 1) >> 1
      const parent = entries[up] as Entry
      if (parent.at <= at) break
      entries[hole] = parent
      hole = up
    }
    entries[hole] = entry
  }

  pop(): Entry | undefined {
    const entries = this.#entries
    const first = entries[0]
    const last = entries.pop()
    if (first === undefined || last === undefined || entries.length === 0) return first
    let hole = 0
    for (;;) {
      let child = 2 * hole + 1
      if (child >= entries.length) break
      if (child + 1 < entries.length && (entries[child + 1] as Entry).at < (entries[child] as Entry).at) child++
      const least = entries[child] as Entry
      if (last.at <= least.at) break
      entries[hole] = least
      hole = child
    }
    entries[hole] = last
    return first
  }
}

function bareHeap(nodes: number) {
  return {
    name: 'a bare binary heap of closures',
    run(n: number) {
      const heap = new ClosureHeap()
      const random = new SeededRandom(1)
      let fired = 0
      let now = 0
      const fire = () => {
        fired++
        heap.push(now + random.next(), fire)
      }
      for (let i = 0; i < nodes * IN_FLIGHT; i++) heap.push(random.next(), fire)
      while (fired < n) {
        const next = heap.pop()
        if (next === undefined) break
        now = next.at
        next.fn()
      }
      return fired
    },
  }
}

function fakeTimers(nodes: number) {
  return {
    name: 'fake-timers tick, no network',
    run(n: number) {
      const clock = FakeTimers.createClock(0, Number.MAX_SAFE_INTEGER)
      const random = new SeededRandom(1)
      let fired = 0
      const fire = () => {
        fired++
        clock.setTimeout(fire, 1 + random.int(3))
      }
      for (let i = 0; i < nodes * IN_FLIGHT; i++) clock.setTimeout(fire, 1 + random.int(3))
      while (fired < n) clock.tick(1)
      return fired
    },
  }
}

const SMALLER = 'Simulation, 100 nodes'

export const workloads: Workload[] = [
  ...[10, 100].map((nodes) => ({
    name: `ping-pong: datagrams between ${nodes} nodes, trace on`,
    contenders: [simulated(nodes, 'Simulation', true), bareHeap(nodes), fakeTimers(nodes)],
    goals: [
      { peer: 'a bare binary heap of closures', ratio: 0.1 },
      { peer: 'fake-timers tick, no network', ratio: 2 },
    ],
  })),
  {
    name: 'ping-pong: datagrams between 1,000 nodes, trace on',
    contenders: [simulated(1_000, 'Simulation, 1,000 nodes', true), simulated(100, SMALLER, false)],
    goals: [{ peer: SMALLER, ratio: 0.6 }],
  },
]
