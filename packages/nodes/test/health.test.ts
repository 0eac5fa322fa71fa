import { overloadStates } from '@hs/core'
import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import { describe, expect, it } from 'vitest'
import { defineWorkflow, type Manager, type ManagerEvents } from '../src/index.js'
import { DispatchLatency } from '../src/dispatch-latency.js'
import { ManagersHealth } from '../src/managers-health.js'
import { managerStatus } from '../src/wire/gate-manager.js'
import { bucketOf } from '../src/workers-health.js'
import { FakeWorker } from './fake-worker.js'
import { DC, MemoryCluster } from './memory-cluster.js'

const nap = defineWorkflow({ name: 'nap', run: (ctx) => ctx.clock.sleep(2_000, ctx.signal) })
const naps = (count: number) => Array.from({ length: count }, (_, i) => ({ workflow: nap, id: `s${i}` }))

function alertsOf(manager: Manager | undefined) {
  const alerts: ManagerEvents['alert'][0][] = []
  manager?.events.on('alert', (alert) => alerts.push(alert))
  return alerts
}

async function statusOf(cluster: MemoryCluster) {
  const rpc = cluster.network.rpc('asker:1')
  const request = managerStatus.request.encode({ cluster: 'default', gateId: 'g9' })
  const answer = managerStatus.answer.decode(await cluster.run(rpc.request('m1:1', managerStatus.name, request)))
  await rpc.close()
  if (!answer.ok) throw new Error(answer.code)
  return answer
}

describe('the bucket of a worker (NODES-32)', () => {
  const statuses = ['healthy', 'busy', 'slow', 'degraded', 'stuck', 'suspect'] as const
  const table = {
    healthy: ['healthy', 'busy', 'degraded', 'degraded', 'unhealthy', 'unhealthy'],
    busy: ['busy', 'busy', 'degraded', 'degraded', 'unhealthy', 'unhealthy'],
    stressed: ['degraded', 'degraded', 'degraded', 'degraded', 'unhealthy', 'unhealthy'],
    overloaded: ['unhealthy', 'unhealthy', 'unhealthy', 'unhealthy', 'unhealthy', 'unhealthy'],
  }

  it.each(overloadStates)('is the worse of what its overload (%s) and its status come to', (overload) => {
    expect(statuses.map((status) => bucketOf(overload, status))).toEqual(table[overload])
  })

  it('gives one that is overloaded nothing, and one that is stressed only what has no other place', async () => {
    const cluster = await MemoryCluster.start({ workflows: [nap], workers: 0 })
    const fake = new FakeWorker(cluster, 'f1')
    await fake.register(['nap'])
    await fake.report({ overload: 'overloaded' })
    const client = cluster.client()
    const first = await cluster.run(client.submit({ workflows: naps(1) }))
    await cluster.settle(1_000)
    expect(fake.given).toEqual([])
    await cluster.worker('w1', { cores: 2 })
    expect((await cluster.result(first)).status).toBe('completed')

    await fake.report({ overload: 'stressed' })
    const second = await cluster.run(client.submit({ workflows: naps(3) }))
    await cluster.settle(300)
    expect(cluster.workers.get('w1')?.snapshot().running).toBe(2)
    expect(fake.given).toEqual([`${second.jobId}/s2/0`])
    expect(await cluster.stop()).toBe(0)
  })

  it('gives one work again that is well again', async () => {
    const cluster = await MemoryCluster.start({ workflows: [nap], workers: 0 })
    const fake = new FakeWorker(cluster, 'f1')
    await fake.register(['nap'])
    await fake.report({ overload: 'overloaded' })
    const job = await cluster.run(cluster.client().submit({ workflows: naps(1) }))
    await cluster.settle(500)
    expect(fake.given).toEqual([])
    await fake.report({ overload: 'healthy' })
    await cluster.settle(100)
    expect(fake.given).toEqual([`${job.jobId}/s0/0`])
    expect(await cluster.stop()).toBe(0)
  })
})

describe('a worker that gets on with nothing (NODES-32, AD-19)', () => {
  /** Reports progress, and then none for ever; the next execution gets through. */
  function stalling() {
    const runs: string[] = []
    const step = defineWorkflow({
      name: 'step',
      run: async (ctx) => {
        runs.push(ctx.workerId)
        ctx.progress(1)
        await ctx.clock.sleep(runs.length === 1 ? 600_000 : 1_000, ctx.signal)
      },
    })
    return { runs, step }
  }

  it('is drained after a minute, and evicted after another: its work goes elsewhere and counts once', async () => {
    const { runs, step } = stalling()
    const cluster = await MemoryCluster.start({ workflows: [step, nap], workers: 2, cores: 4 })
    const lost: unknown[] = []
    cluster.managers[0]?.events.on('workerLost', (...told) => lost.push(told))
    const job = await cluster.run(cluster.client().submit({ workflows: [{ workflow: step }] }))
    await cluster.settle(62_000)
    const [stuck = ''] = runs
    const other = stuck === 'w1' ? 'w2' : 'w1'
    const more = await cluster.run(cluster.client().submit({ workflows: naps(3) }))
    await cluster.settle(500)
    expect(cluster.workers.get(stuck)?.snapshot().running).toBe(1)
    expect(cluster.workers.get(other)?.snapshot().running).toBe(3)
    expect((await cluster.result(more)).status).toBe('completed')
    expect(lost).toEqual([])

    await cluster.settle(60_000)
    expect(lost).toEqual([[stuck, 'stuck']])
    const result = await cluster.result(job)
    expect(runs).toEqual([stuck, other])
    expect(result).toMatchObject({ status: 'completed', accounting: { completed: 1, executions: 2, requeued: 1 } })
    await cluster.settle(2_000)
    expect(cluster.workers.get(stuck)?.snapshot()).toMatchObject({ registered: true, running: 0, freeCores: 4 })
    expect(await cluster.stop()).toBe(0)
  })

  it('keeps its work while nobody else could take it', async () => {
    const { runs, step } = stalling()
    const cluster = await MemoryCluster.start({ workflows: [step], workers: 1 })
    const lost: unknown[] = []
    cluster.managers[0]?.events.on('workerLost', (...told) => lost.push(told))
    const job = await cluster.run(cluster.client().submit({ workflows: [{ workflow: step }] }))
    await cluster.settle(200_000)
    expect(lost).toEqual([])
    expect(runs).toEqual(['w1'])
    await cluster.run(job.cancel())
    expect(await cluster.stop()).toBe(0)
  })

  it('is not one whose work never said how far it is', async () => {
    const silent = defineWorkflow({ name: 'silent', run: (ctx) => ctx.clock.sleep(200_000, ctx.signal) })
    const cluster = await MemoryCluster.start({ workflows: [silent, nap], workers: 2 })
    const lost: unknown[] = []
    cluster.managers[0]?.events.on('workerLost', (...told) => lost.push(told))
    const job = await cluster.run(cluster.client().submit({ workflows: [{ workflow: silent }] }))
    const result = await cluster.result(job)
    expect(result).toMatchObject({ status: 'completed', accounting: { executions: 1, requeued: 0 } })
    expect(lost).toEqual([])
    expect(await cluster.stop()).toBe(0)
  })
})

describe('alerts of a manager (NODES-32, AD-50)', () => {
  it('tells each once a transition, and that it is over', async () => {
    const cluster = await MemoryCluster.start({ workflows: [nap], workers: 1 })
    const alerts = alertsOf(cluster.managers[0])
    const fake = new FakeWorker(cluster, 'f1')
    await fake.register(['nap'])
    await fake.report({})
    expect(alerts).toEqual([])
    for (let i = 0; i < 3; i++) await fake.report({ overload: 'overloaded' })
    await cluster.settle(2_000)
    expect(alerts).toEqual([
      { code: 'peer-overloaded', severity: 'warning', peer: 'f1' },
      { code: 'majority-overloaded', severity: 'alert' },
    ])
    alerts.length = 0
    for (let i = 0; i < 3; i++) await fake.report({ overload: 'healthy' })
    expect(alerts).toEqual([
      { code: 'peer-recovered', severity: 'info', peer: 'f1' },
      { code: 'majority-overloaded', severity: 'cleared' },
    ])
    expect(await cluster.stop()).toBe(0)
  })

  it('takes a worker that is gone for no recovery', async () => {
    const cluster = await MemoryCluster.start({ workflows: [nap], workers: 0 })
    const fake = new FakeWorker(cluster, 'f1')
    await fake.register(['nap'])
    await fake.report({ overload: 'overloaded' })
    const alerts = alertsOf(cluster.managers[0])
    await fake.close()
    await cluster.settle(3_000)
    expect(cluster.managers[0]?.snapshot().workers).toBe(0)
    expect(alerts).toEqual([])
    expect(await cluster.stop()).toBe(0)
  })

  it('tells nothing while all is well, however full it is', async () => {
    const cluster = await MemoryCluster.start({ workflows: [nap], workers: 2, cores: 2 })
    const alerts = alertsOf(cluster.managers[0])
    const job = await cluster.run(cluster.client().submit({ workflows: naps(20) }))
    expect((await cluster.result(job)).status).toBe('completed')
    expect(alerts).toEqual([])
    expect(await cluster.stop()).toBe(0)
  })
})

describe('ManagersHealth (NODES-32, AD-50)', () => {
  function managers() {
    const clock = new VirtualClock()
    const health = new ManagersHealth({ clock, random: new SeededRandom(1), logger: new MemoryLogger() }, 'm1')
    const codes: string[] = []
    health.alerts.events.on('alert', ({ code, peer }) => codes.push(peer === undefined ? code : `${code} ${peer}`))
    health.alerts.events.on('clear', ({ code }) => codes.push(`no ${code}`))
    return { health, codes }
  }

  it('warns of the leader itself', () => {
    const { health, codes } = managers()
    for (const state of ['healthy', 'overloaded', 'overloaded', 'busy'] as const) health.leads(state)
    expect(codes).toEqual(['peer-overloaded m1', 'leader-overloaded', 'peer-recovered m1', 'no leader-overloaded'])
  })

  it('counts others by their last word, as long as they are there', () => {
    const { health, codes } = managers()
    health.leads('healthy')
    health.heard('m2:1', 'm2', 'healthy')
    health.heard('m3:1', 'm3', 'overloaded')
    health.heard('m3:1', 'm3', 'overloaded')
    expect(health.overloaded).toBe(1)
    expect(codes).toEqual(['peer-overloaded m3'])
    health.keep(['m2:1'])
    expect(health.overloaded).toBe(0)
    expect(codes).toEqual(['peer-overloaded m3'])
  })

  it('forgets who was at an address that another one has now', () => {
    const { health } = managers()
    health.heard('m3:1', 'm3', 'overloaded')
    health.heard('m3:1', 'm4', 'healthy')
    expect(health.alerts.counts()).toEqual({ healthy: 1, busy: 0, stressed: 0, overloaded: 0 })
  })
})

describe('DispatchLatency (NODES-32, AD-42)', () => {
  it('is degraded once workers have been slow to take work for half a minute, and well again the same way', async () => {
    const clock = new VirtualClock()
    const latency = new DispatchLatency({ clock, random: new SeededRandom(1), logger: new MemoryLogger() })
    const during = async (ms: number, sample: number) => {
      for (let t = 0; t < ms; t += 1_000) {
        for (let i = 0; i < 20; i++) latency.record(sample)
        latency.judge()
        await clock.advanceAsync(1_000)
      }
    }
    expect([latency.health, latency.summary]).toEqual(['healthy', null])
    await during(10_000, 500)
    expect(latency.health).toBe('healthy')
    await during(30_000, 500)
    expect(latency.health).toBe('degraded')
    expect(latency.summary?.p95Ms).toBeCloseTo(500, -1)
    await during(100_000, 2)
    expect(latency.health).toBe('healthy')
    await clock.advanceAsync(120_000)
    latency.judge()
    expect(latency.summary).toBeNull()
  })
})

describe('what a leader says of its datacenter (NODES-32, AD-16, AD-42)', () => {
  it('counts managers, workers and cores, and how fast workers take what is sent to them', async () => {
    const cluster = await MemoryCluster.start({ workflows: [nap], workers: 2, cores: 4, latencyMs: 5 })
    const idle = await statusOf(cluster)
    expect(idle.slo).toBeUndefined()
    const job = await cluster.run(cluster.client().submit({ workflows: naps(3) }))
    await cluster.settle(500)
    const { facts, slo, totalCores, freeCores } = await statusOf(cluster)
    expect(facts).toEqual({
      managers: 1,
      managersAlive: 1,
      managersOverloaded: 0,
      workers: 2,
      workersHealthy: 2,
      workersOverloaded: 0,
      coresTotal: 8,
      coresAvailable: 5,
      leaderOverload: 'healthy',
      slo: 'healthy',
    })
    expect({ totalCores, freeCores }).toEqual({ totalCores: 8, freeCores: 5 })
    expect(slo?.samples).toBeGreaterThan(0)
    for (const ms of [slo?.p50Ms, slo?.p95Ms, slo?.p99Ms]) expect(ms).toBeCloseTo(10, 0)
    await cluster.result(job)
    expect(await cluster.stop()).toBe(0)
  })

  it('counts a worker that does not answer as none that is healthy, and an overloaded one as overloaded', async () => {
    const cluster = await MemoryCluster.start({ workflows: [nap], workers: 1 })
    const fake = new FakeWorker(cluster, 'f1')
    await fake.register(['nap'])
    await fake.report({ overload: 'overloaded' })
    expect((await statusOf(cluster)).facts).toMatchObject({ workers: 2, workersHealthy: 2, workersOverloaded: 1 })
    fake.hang()
    await cluster.settle(2_500)
    expect((await statusOf(cluster)).facts).toMatchObject({ workers: 2, workersHealthy: 1, workersOverloaded: 0 })
    expect(cluster.gates[0]?.snapshot().datacenters[DC]?.status).toBe('degraded')
    expect(await cluster.stop()).toBe(0)
  })
})
