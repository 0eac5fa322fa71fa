/** Gates in simulation: they crash, stall and lose each other while clients submit to any of them. */

import { systemClock } from '@hs/core'
import { Client, defineWorkflow, Gate, Manager, Worker, type JobResult } from '@hs/nodes'
import { drawFaults, simulate, type Scenario } from '@hs/sim'
import { describe, expect, it } from 'vitest'
import { addresses, runtime, started } from './support/simulated-nodes.js'

/** `HS_SIM_SEEDS=1000` for a longer run. */
const SEEDS = Number(process.env['HS_SIM_SEEDS'] ?? 6)
const GATES = ['g1', 'g2', 'g3']
const CLIENTS = ['c1', 'c2']
const SHARDS = 3
const JOBS = 6
const JOB_EVERY_MS = 1_500
const LOAD_MS = 15_000
const FIRST_FAULT_MS = 3_000

const work = defineWorkflow({
  name: 'work',
  run: async (ctx) => {
    await ctx.clock.sleep(500, ctx.signal)
    ctx.stats.count('runs')
  },
})

/** What became of one key: each client submits it and waits. */
interface Attempt {
  readonly key: string
  readonly client: string
  jobId?: string
  result?: JobResult
  error?: string
}

const scenario: Scenario = {
  name: 'three gates, two clients',
  durationMs: LOAD_MS,
  settleMs: 60_000,
  nemesis: false,
  mustReach: ['a gate passed a job on', 'a gate had no quorum', 'a job was exact'],
  setup: (sim) => {
    sim.node('m1', (env) => started(new Manager({ ...runtime(env), id: 'm1', datacenter: 'eu' })))
    sim.node('w1', (env) =>
      started(
        new Worker({ ...runtime(env), id: 'w1', datacenter: 'eu', managers: ['m1:1'], workflows: [work], cores: 8 }),
      ),
    )
    /** Gates that accepted a job while they saw no majority. */
    const reckless: string[] = []
    const gates = GATES.map((id) =>
      sim.node(id, (env) => {
        const peers = addresses(GATES).filter((address) => address !== env.address)
        const gate = new Gate({ ...runtime(env), id, peers, datacenters: { eu: ['m1:1'] } })
        gate.events.on('jobAccepted', () => {
          if (!gate.snapshot().quorum) reckless.push(id)
        })
        return started(gate)
      }),
    )
    const clients = CLIENTS.map((id) =>
      sim.node(id, ({ clock, random, logger, rpc }) => {
        return new Client({ clock, random, logger, gates: addresses(GATES), transport: { rpc }, timing: 'local' })
      }),
    )

    const attempts: Attempt[] = []
    const submit = async (api: Client, attempt: Attempt) => {
      attempts.push(attempt)
      try {
        const workflows = Array.from({ length: SHARDS }, (_, i) => ({ workflow: work, id: `s${i}` }))
        const handle = await api.submit({ workflows }, { idempotencyKey: attempt.key, timeoutMs: 20_000 })
        attempt.jobId = handle.jobId
        attempt.result = await handle.result()
      } catch (error) {
        attempt.error = error instanceof Error && 'code' in error ? String(error.code) : String(error)
      }
    }
    for (let i = 0; i < JOBS; i++) {
      sim.at(2_500 + i * JOB_EVERY_MS, () => {
        // The same key by both clients at once, through whatever gate each of them likes.
        for (const client of clients) void client.call((api) => submit(api, { key: `job ${i}`, client: client.name }))
      })
    }
    const random = sim.random.fork('faults of gates')
    const kinds = ['crash', 'pause', 'partition', 'link'] as const
    const durationMs = LOAD_MS - FIRST_FAULT_MS
    const faults = drawFaults(random, { nodes: GATES, kinds, durationMs, maxForMs: 5_000, maxDown: 2 })
    sim.schedule(faults.map((fault) => ({ ...fault, atMs: fault.atMs + FIRST_FAULT_MS })))

    const crashed = new Set<string>()
    const lives = new Map<string, Gate>()
    sim.always('a gate without a quorum takes no new job', () => {
      for (const { name, app } of gates) {
        const before = lives.get(name)
        if (before !== app && before !== undefined) crashed.add(name)
        if (app === undefined) lives.delete(name)
        else lives.set(name, app)
        if (app === undefined) continue
        const { quorum, counters } = app.snapshot()
        if (!quorum && sim.now > FIRST_FAULT_MS) sim.sometimes('a gate had no quorum')
        if ((counters['forwarded'] ?? 0) > 0) sim.sometimes('a gate passed a job on')
      }
      return reckless.length === 0 || `${reckless.join(', ')} took a job without a quorum`
    })
    sim.eventually('all gates see each other again', () => {
      const seen = gates.map(({ app }) => app?.snapshot())
      return seen.every((snapshot) => snapshot?.gates === GATES.length && snapshot.quorum)
    })
    sim.eventually('every submission has an outcome, and one key means one job', () => {
      if (attempts.length !== JOBS * CLIENTS.length) return `${attempts.length} attempts were made`
      const jobs = new Map<string, string>()
      for (const { key, client, jobId, result, error } of attempts) {
        if (result === undefined && error === undefined) return `${key} of ${client} has no outcome`
        if (jobId === undefined) continue
        if ((jobs.get(key) ?? jobId) !== jobId) return `${key} is two jobs`
        jobs.set(key, jobId)
        if (result?.status !== 'completed') continue
        const { accounting, counters } = result
        if (accounting.completed !== SHARDS || counters['runs'] !== SHARDS)
          return `${key} of ${client} is completed with ${accounting.completed} steps and ${counters['runs']} runs`
        sim.sometimes('a job was exact')
      }
      return true
    })
    sim.eventually('no job is lost but those of a gate that crashed', () => {
      const lost = attempts.filter(({ result }) => result?.status !== 'completed')
      return lost.length === 0 || crashed.size > 0 || `${lost.map(({ key, error }) => `${key}: ${error}`).join(', ')}`
    })
  },
}

describe('gates in simulation', () => {
  it(
    'make one job of one key, whatever gate it comes to, and every completed job is exact',
    { timeout: 3_600_000 },
    async () => {
      const report = await simulate(scenario, { seeds: SEEDS })
      expect(report.failures).toEqual([])
    },
  )

  it('and so with other seeds every day', { timeout: 3_600_000 }, async () => {
    const { mustReach: _, ...withoutGoals } = scenario
    const firstSeed = 1_000 * Math.floor(systemClock.wallNow() / 86_400_000)
    const report = await simulate(withoutGoals, { seeds: 2, firstSeed })
    expect(report.failures).toEqual([])
  })
})
