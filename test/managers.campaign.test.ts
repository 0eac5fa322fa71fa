/** Managers, workers, a gate and a client in simulation: managers and workers crash, stall and lose each other. */

import { systemClock } from '@hs/core'
import { Client, defineWorkflow, Gate, Manager, Worker, type JobHandle, type JobResult } from '@hs/nodes'
import { drawFaults, simulate, type Scenario } from '@hs/sim'
import { describe, expect, it } from 'vitest'
import { addresses, runtime, started } from './support/simulated-nodes.js'

/** `HS_SIM_SEEDS=1000` for a longer run. */
const SEEDS = Number(process.env['HS_SIM_SEEDS'] ?? 8)
const MANAGERS = ['m1', 'm2', 'm3']
const WORKERS = ['w1', 'w2', 'w3']
const SHARDS = 36
const STEPS = 20
const LOAD_MS = 20_000

const work = defineWorkflow({
  name: 'work',
  run: async (ctx) => {
    for (let i = 1; i <= STEPS; i++) {
      await ctx.clock.sleep(100, ctx.signal)
      ctx.stats.count('steps')
      ctx.progress(i, STEPS)
    }
  },
})

const scenario: Scenario = {
  name: 'three managers, three workers',
  durationMs: LOAD_MS,
  settleMs: 60_000,
  nemesis: false,
  mustReach: ['another manager leads', 'a shard ran again', 'the job went on under another leader'],
  setup: (sim) => {
    const managers = MANAGERS.map((id) =>
      sim.node(id, (env) =>
        started(
          new Manager({
            ...runtime(env),
            id,
            datacenter: 'eu',
            peers: addresses(MANAGERS).filter((address) => address !== env.address),
            disk: env.disk,
          }),
        ),
      ),
    )
    for (const id of WORKERS)
      sim.node(id, (env) =>
        started(
          new Worker({
            ...runtime(env),
            id,
            datacenter: 'eu',
            managers: addresses(MANAGERS),
            workflows: [work],
            cores: 2,
          }),
        ),
      )
    sim.node('g1', (env) => started(new Gate({ ...runtime(env), id: 'g1', datacenters: { eu: addresses(MANAGERS) } })))
    const client = sim.node('c1', ({ clock, random, logger, rpc }) => {
      return new Client({ clock, random, logger, gates: ['g1:1'], transport: { rpc }, timing: 'local' })
    })

    let handle: JobHandle | undefined
    let result: JobResult | undefined
    sim.at(3_000, () =>
      client.call(async (api) => {
        const workflows = Array.from({ length: SHARDS }, (_, i) => ({ workflow: work, id: `s${i}` }))
        handle = await api.submit({ workflows })
        result = await handle.result()
      }),
    )
    sim.at(3_100, () => {
      const random = sim.random.fork('faults of managers and workers')
      const kinds = ['crash', 'pause', 'partition', 'link'] as const
      const nodes = [...MANAGERS, ...WORKERS]
      const faults = drawFaults(random, { nodes, kinds, durationMs: LOAD_MS - 3_100, maxForMs: 5_000, maxDown: 1 })
      sim.schedule(faults.map((fault) => ({ ...fault, atMs: fault.atMs + 3_100 })))
    })

    const leaders = () => managers.filter(({ app }) => app?.isLeader === true).map(({ name }) => name)
    let first: string | undefined
    sim.always('at most one manager leads', () => {
      const [one, ...others] = leaders()
      if (others.length > 0) return `${[one, ...others].join(' and ')} lead`
      first ??= handle === undefined ? undefined : one
      if (one === undefined || one === first) return true
      sim.sometimes('another manager leads')
      if (result === undefined) sim.sometimes('the job went on under another leader')
      return true
    })
    sim.eventually('one manager leads, and all know it', () => {
      const known = new Set(managers.map(({ app }) => app?.snapshot().leaderId))
      return leaders().length === 1 && known.size === 1
    })
    sim.eventually('the job is completed, and every step counted once', () => {
      if (result === undefined) return `it is ${handle?.status ?? 'not accepted'}`
      const { status, accounting, counters } = result
      if (accounting.requeued > 0) sim.sometimes('a shard ran again')
      if (status !== 'completed') return `it is ${status}`
      if (accounting.completed !== SHARDS) return `${accounting.completed} of ${SHARDS} are completed`
      return counters['steps'] === SHARDS * STEPS || `${counters['steps']} steps are counted`
    })
  },
}

describe('managers in simulation', () => {
  it('have one leader at most, and every job ends with exact counts', { timeout: 3_600_000 }, async () => {
    const report = await simulate(scenario, { seeds: SEEDS })
    expect(report.failures).toEqual([])
  })

  it('and so with other seeds every day', { timeout: 3_600_000 }, async () => {
    const { mustReach: _, ...withoutGoals } = scenario
    const firstSeed = 1_000 * Math.floor(systemClock.wallNow() / 86_400_000)
    const report = await simulate(withoutGoals, { seeds: 4, firstSeed })
    expect(report.failures).toEqual([])
  })
})
