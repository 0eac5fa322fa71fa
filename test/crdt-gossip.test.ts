/**
 * Four gates gossip the stats of a job, deltas often and full states rarely, over a network that loses, repeats and
 * parts, while gates crash and come back empty: one round of full states after all is healed, all of them are equal,
 * and no total ever counts a report twice. `HS_SIM_SEEDS=1000` for a longer run.
 */
import { msgpackCodec } from '@hs/core'
import { JobStats } from '@hs/crdt'
import { simulate, type NodeEnv, type Scenario, type Simulation } from '@hs/sim'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'

const SEEDS = Number(process.env['HS_SIM_SEEDS'] ?? 10)
const GATES = ['gate-a', 'gate-b', 'gate-c', 'gate-d']
const DATACENTERS = ['east', 'west', 'north']
const DELTA_MS = 250
const FULL_STATE_MS = 5_000
const ENDS_MS = 30_000
const codec = msgpackCodec(z.unknown())

interface Gate {
  readonly stats: JobStats
}

/** What the datacenters have really done. */
interface Truth {
  readonly completed: Map<string, number>
  time: number
}

function gate({ name, clock, datagram, logger }: NodeEnv): Gate {
  const stats = new JobStats('job')
  datagram.onMessage((_, bytes) => {
    if (stats.merge(JobStats.fromWire(codec.decode(bytes)))) logger.debug('news')
  })
  const tell = (wire: unknown) => {
    const bytes = codec.encode(wire)
    for (const peer of GATES) if (peer !== name) datagram.send(`${peer}:1`, bytes)
  }
  const every = (ms: number, work: () => void) => {
    const again = () => {
      work()
      clock.setTimer(ms, again)
    }
    clock.setTimer(ms, again)
  }
  every(DELTA_MS, () => {
    const delta = stats.takeDelta()
    if (delta !== null) tell(delta.toWire())
  })
  every(FULL_STATE_MS, () => tell(stats.toWire()))
  return { stats }
}

/** Each datacenter reports its totals to two gates; a gate that is down hears nothing. */
function report(sim: Simulation, truth: Truth): void {
  const random = sim.random.fork('reports')
  const datacenter = random.pick(DATACENTERS)
  const completed = (truth.completed.get(datacenter) ?? 0) + random.int(100)
  truth.completed.set(datacenter, completed)
  truth.time++
  const totals = {
    completed,
    failed: Math.floor(completed / 50),
    rate: random.int(100),
    status: 'running',
    time: truth.time,
  }
  for (const name of random.shuffle([...GATES]).slice(0, 2)) {
    const node = sim.nodes.get(name)
    const app = node?.app as Gate | undefined
    if (node?.state === 'up' && app !== undefined) app.stats.observe(datacenter, totals)
  }
}

/** Decommissioned by two gates at once, as each of them takes itself for the one in charge. */
function retire(sim: Simulation, truth: Truth): void {
  truth.time++
  for (const [index, { stats }] of sim.apps<Gate>().slice(0, 2).entries()) {
    // A gate's id is never used again, so that nobody else ever writes its record.
    if (stats.retire('north', truth.time, `gate-${index}-of-${truth.time}`)) sim.sometimes('a datacenter was retired')
  }
}

const scenario: Scenario = {
  name: 'four gates',
  durationMs: ENDS_MS,
  settleMs: FULL_STATE_MS + 2_000,
  options: { link: { loss: 0.2, duplicate: 0.1, latency: { kind: 'exponential', minMs: 1, meanMs: 20 } } },
  nemesis: { kinds: ['crash', 'partition', 'link', 'pause', 'clock'] },
  mustReach: ['a gate came back', 'views differed', 'a datacenter was retired'],
  setup: (sim) => {
    const truth: Truth = { completed: new Map(), time: 0 }
    for (const name of GATES) sim.node(name, gate)
    sim.every(100, () => {
      if (sim.now < ENDS_MS) report(sim, truth)
      if ([...sim.nodes.values()].some(({ incarnation }) => incarnation > 1)) sim.sometimes('a gate came back')
      if (new Set(sim.apps<Gate>().map(({ stats }) => stats.totalCompleted)).size > 1) sim.sometimes('views differed')
    })
    sim.at(ENDS_MS / 2, () => retire(sim, truth))
    sim.at(ENDS_MS, () => {
      for (const from of GATES) for (const to of GATES) if (from !== to) sim.network.link(from, to, { loss: 0 })
    })
    sim.always('nobody counts what was not done', () => {
      const done = [...truth.completed.values()].reduce((sum, n) => sum + n, 0)
      const wrong = sim.apps<Gate>().find(({ stats }) => stats.totalCompleted > done)
      return wrong === undefined || `${wrong.stats.totalCompleted} of ${done}`
    })
    sim.eventually('all gates are equal within one round of full states', () => {
      const [first, ...others] = sim.apps<Gate>()
      if (first === undefined || others.length !== GATES.length - 1) return 'not all are up'
      const other = others.find(({ stats }) => !stats.equals(first.stats))
      return other === undefined || `${JSON.stringify(other.stats)} is not ${JSON.stringify(first.stats)}`
    })
  },
}

describe('gossip of JobStats among four gates (CRDT-4, 22)', () => {
  it('ends equal one full-state round after healing', { timeout: 600_000 }, async () => {
    const result = await simulate(scenario, { seeds: SEEDS })
    expect(result.runs).toBe(SEEDS)
  })
})
