import { describe, expect, it } from 'vitest'
import { defineWorkflow, type JobResult } from '../src/index.js'
import { FreezableRpc } from './freezable-transport.js'
import { DC, MemoryCluster } from './memory-cluster.js'

/** Counts in a result what one execution each would have counted. */
const work = defineWorkflow({
  name: 'work',
  run: async (ctx) => {
    for (let i = 1; i <= 20; i++) {
      await ctx.clock.sleep(100, ctx.signal)
      ctx.stats.count('steps')
      ctx.progress(i, 20)
    }
    return ctx.workerId
  },
})

const many = (count: number) => Array.from({ length: count }, (_, i) => ({ workflow: work, id: `s${i}` }))

function expectExact(result: JobResult, count: number): void {
  expect(result.status).toBe('completed')
  expect(result.accounting).toMatchObject({ workflows: count, completed: count, missing: 0, failed: 0 })
  expect(result.accounting.executions).toBe(count + result.accounting.requeued)
  const executions = Object.values(result.workflows).flatMap((datacenters) => datacenters[DC]?.executions ?? [])
  expect(executions).toHaveLength(count)
  expect(new Set(executions.map((id) => id.slice(0, id.indexOf('#')))).size).toBe(count)
  expect(result.counters['steps']).toBe(20 * count)
}

describe('the loss of a worker (NODES-30)', () => {
  it('runs its shards elsewhere, and counts each once', async () => {
    const cluster = await MemoryCluster.start({ workflows: [work], workers: 3, cores: 2 })
    const job = await cluster.run(cluster.client().submit({ workflows: many(12) }))
    await cluster.settle(1_000)
    const victim = cluster.workers.get('w2')
    expect(victim?.snapshot().running).toBe(2)
    await victim?.kill()
    const result = await cluster.result(job)
    expectExact(result, 12)
    expect(result.accounting).toMatchObject({ requeued: 2, executions: 14 })
    const ranOn = Object.values(result.workflows).map((datacenters) => datacenters[DC]?.values[0])
    expect(ranOn).not.toContain('w2')
    expect(await cluster.stop()).toBe(0)
  })

  it('notices a process that is gone by two refusals, a heartbeat apart, and no sooner', async () => {
    const cluster = await MemoryCluster.start({ workflows: [work] })
    const manager = cluster.managers[0]
    const lost: unknown[] = []
    manager?.events.on('workerLost', (id, why) => lost.push([id, why, cluster.clock.now()]))
    const killedAt = cluster.clock.now()
    await cluster.workers.get('w1')?.kill()
    await cluster.settle(249)
    expect(lost).toEqual([])
    await cluster.settle(800)
    expect(lost).toEqual([['w1', 'refused twice: CONNECT_FAILED', expect.any(Number)]])
    expect((lost[0] as [string, string, number])[2] - killedAt).toBeLessThanOrEqual(900)
    expect(manager?.snapshot()).toMatchObject({ workers: 0, totalCores: 0 })
    expect(await cluster.stop()).toBe(0)
  })

  it('keeps a worker that is silent for a while, gives it no new work, and counts what it ran once', async () => {
    const cluster = await MemoryCluster.start({ workflows: [work], workers: 0 })
    const { datagram, rpc } = cluster.transport('w1:1')
    const frozen = new FreezableRpc(rpc)
    const worker = await cluster.worker('w1', { transport: { datagram, rpc: frozen }, cores: 2 })
    await cluster.settle(100)
    const job = await cluster.run(cluster.client().submit({ workflows: many(3) }))
    await cluster.settle(500)
    expect(worker.snapshot().running).toBe(2)
    frozen.freeze()
    await cluster.settle(3_000) // longer than its shards run: cores are free, but nobody knows
    const other = await cluster.worker('w2', { cores: 1 })
    await cluster.settle(300)
    expect(other.snapshot().running).toBe(1) // what waited
    frozen.thaw()
    const result = await cluster.result(job)
    expectExact(result, 3)
    expect(result.accounting).toMatchObject({ executions: 3, requeued: 0 })
    expect(await cluster.stop()).toBe(0)
  })

  it('gives up a worker that neither answers nor refuses for workerSilenceMs, and shuts its late results out', async () => {
    const cluster = await MemoryCluster.start({ workflows: [work], workers: 0 })
    const { datagram, rpc } = cluster.transport('w1:1')
    const frozen = new FreezableRpc(rpc)
    const worker = await cluster.worker('w1', { transport: { datagram, rpc: frozen }, cores: 4 })
    await cluster.settle(100)
    const job = await cluster.run(cluster.client().submit({ workflows: many(2) }))
    await cluster.settle(500)
    frozen.freeze()
    const other = await cluster.worker('w2', { cores: 4 })
    await cluster.settle(4_000)
    expect(other.snapshot().running).toBe(0)
    await cluster.settle(2_000)
    expect(other.snapshot().running).toBe(2)
    frozen.thaw()
    const result = await cluster.result(job)
    expectExact(result, 2)
    // The frozen worker had finished in the meantime, under fences that count no more; or just in time, and counts.
    expect(result.accounting).toMatchObject({ executions: 4, requeued: 2 })
    await cluster.settle(5_000)
    expect(worker.snapshot()).toMatchObject({ running: 0, pendingResults: 0, registered: true })
    expect(await cluster.stop()).toBe(0)
  })

  it('takes a worker that restarts under its name for another life', async () => {
    const cluster = await MemoryCluster.start({ workflows: [work], workers: 1, cores: 2 })
    const job = await cluster.run(cluster.client().submit({ workflows: many(2) }))
    await cluster.settle(500)
    await cluster.workers.get('w1')?.kill()
    await cluster.worker('w1', { cores: 2 })
    const result = await cluster.result(job)
    expectExact(result, 2)
    expect(result.accounting).toMatchObject({ executions: 4, requeued: 2 })
    expect(await cluster.stop()).toBe(0)
  })

  it('lets a worker that stops finish what it runs, and gives it nothing more', async () => {
    const cluster = await MemoryCluster.start({ workflows: [work], workers: 1, cores: 2 })
    const job = await cluster.run(cluster.client().submit({ workflows: many(4) }))
    await cluster.settle(500)
    const stopped = cluster.workers.get('w1')?.stop()
    await cluster.worker('w2', { cores: 2 })
    await cluster.run(Promise.resolve(stopped))
    const result = await cluster.result(job)
    expectExact(result, 4)
    expect(result.accounting).toMatchObject({ executions: 4, requeued: 0 })
    expect(await cluster.stop()).toBe(0)
  })

  it('gets back what a worker that stops could not finish in time', async () => {
    const cluster = await MemoryCluster.start({ workflows: [work], workers: 0 })
    const worker = await cluster.worker('w1', { cores: 2, drainMs: 200 })
    await cluster.settle(100)
    const job = await cluster.run(cluster.client().submit({ workflows: many(2) }))
    await cluster.settle(500)
    const before = cluster.clock.now()
    await cluster.run(worker.stop())
    expect(cluster.clock.now() - before).toBeLessThan(1_000)
    await cluster.worker('w2', { cores: 2 })
    const result = await cluster.result(job)
    expectExact(result, 2)
    expect(result.accounting).toMatchObject({ executions: 4, requeued: 2 })
    expect(await cluster.stop()).toBe(0)
  })
})

describe('the restart of a manager (NODES-25, NODES-27)', () => {
  it('adopts what its workers still run: nothing runs twice', async () => {
    const cluster = await MemoryCluster.start({ workflows: [work], workers: 2, cores: 2 })
    const job = await cluster.run(cluster.client().submit({ workflows: many(8) }))
    await cluster.settle(2_500) // half of it is settled
    await cluster.managers[0]?.kill()
    await cluster.settle(700)
    const manager = await cluster.manager()
    const result = await cluster.result(job)
    expectExact(result, 8)
    expect(result.accounting).toMatchObject({ executions: 8, requeued: 0 })
    expect(manager.snapshot().term).toBe(2)
    expect(await cluster.stop()).toBe(0)
  })

  it('takes results of jobs that are not assigned to it yet: what is done is not done again', async () => {
    const quick = defineWorkflow({
      name: 'quick',
      run: async (ctx) => {
        await ctx.clock.sleep(400, ctx.signal)
        ctx.stats.count('steps', 20)
      },
    })
    const cluster = await MemoryCluster.start({ workflows: [quick], workers: 2, cores: 4 })
    const steps = Array.from({ length: 8 }, (_, i) => ({ workflow: quick, id: `s${i}` }))
    const job = await cluster.run(cluster.client().submit({ workflows: steps }))
    await cluster.settle(300)
    await cluster.managers[0]?.kill()
    await cluster.settle(1_000) // all has ended, and nobody knows
    for (const worker of cluster.workers.values())
      expect(worker.snapshot()).toMatchObject({ running: 0, pendingResults: 4 })
    await cluster.manager()
    const result = await cluster.result(job)
    expectExact(result, 8)
    expect(result.accounting).toMatchObject({ executions: 8, requeued: 0 })
    expect(await cluster.stop()).toBe(0)
  })

  it('issues fences above those of its earlier life', async () => {
    const cluster = await MemoryCluster.start({ workflows: [work], workers: 2, cores: 2 })
    const job = await cluster.run(cluster.client().submit({ workflows: many(4) }))
    await cluster.settle(500)
    await cluster.managers[0]?.kill()
    await cluster.workers.get('w2')?.kill()
    await cluster.settle(300)
    await cluster.manager()
    const result = await cluster.result(job)
    expectExact(result, 4)
    const terms = Object.values(result.workflows)
      .flatMap((datacenters) => datacenters[DC]?.executions ?? [])
      .map((id) => Math.floor(Number(id.slice(id.indexOf('#') + 1)) / 2 ** 32))
    expect(terms.sort()).toEqual([1, 1, 2, 2])
    expect(await cluster.stop()).toBe(0)
  })

  it('keeps the contexts that were published, and the cancellation', async () => {
    const first = defineWorkflow({ name: 'first', run: (ctx) => ctx.set('seen', 'yes') })
    const second = defineWorkflow({
      name: 'second',
      run: async (ctx) => {
        await ctx.clock.sleep(1_000, ctx.signal)
        return ctx.context
      },
    })
    const cluster = await MemoryCluster.start({ workflows: [first, second, work], workers: 1, cores: 1 })
    const client = cluster.client()
    const steps = [
      { workflow: first },
      { workflow: second, dependsOn: ['first'] },
      { workflow: second, id: 'third', dependsOn: ['first'] },
    ]
    const job = await cluster.run(client.submit({ workflows: steps }))
    await cluster.settle(300)
    await cluster.managers[0]?.kill()
    await cluster.manager()
    const result = await cluster.result(job)
    expect(result.workflows['third']?.[DC]?.values).toEqual([{ first: { seen: 'yes' } }])

    const long = await cluster.run(client.submit({ workflows: many(2) }))
    await cluster.settle(300)
    await cluster.managers[1]?.kill()
    await cluster.run(long.cancel('while nobody leads'))
    await cluster.manager()
    expect(await cluster.result(long)).toMatchObject({ status: 'cancelled', reason: 'while nobody leads' })
    expect(await cluster.stop()).toBe(0)
  })

  it('aborts work whose leader does not come back, and frees its cores (NODES-38)', async () => {
    const cluster = await MemoryCluster.start({ workflows: [work], workers: 0 })
    const worker = await cluster.worker('w1', {
      cores: 2,
      timing: { workerOrphanMs: 600, heartbeatMs: 250, reportMs: 100, rpcTimeoutMs: 1_000 },
    })
    const orphaned: string[] = []
    worker.events.on('orphaned', (key) => orphaned.push(key))
    await cluster.settle(100)
    const job = await cluster.run(cluster.client().submit({ workflows: many(1) }))
    await cluster.settle(300)
    await cluster.managers[0]?.kill()
    await cluster.settle(1_200)
    expect(orphaned).toEqual([`${job.jobId}/s0/0`])
    expect(worker.snapshot()).toMatchObject({ running: 0, freeCores: 2, registered: false })
    await cluster.manager()
    const result = await cluster.result(job)
    expectExact(result, 1)
    expect(result.accounting).toMatchObject({ executions: 2, requeued: 1 })
    expect(worker.snapshot().counters).toMatchObject({ started: 2, aborted: 1, completed: 1 })
    expect(await cluster.stop()).toBe(0)
  })
})

describe('custody of results', () => {
  it('keeps a result at the worker until the gate has it', async () => {
    const cluster = await MemoryCluster.start({ workflows: [work], workers: 0 })
    await cluster.gates[0]?.stop()
    const { datagram, rpc } = cluster.transport('g1:1')
    const gateRpc = new FreezableRpc(rpc)
    const gate = await cluster.gate({ transport: { datagram, rpc: gateRpc } })
    const worker = await cluster.worker('w1')
    await cluster.settle(500)
    const job = await cluster.run(cluster.client().submit({ workflows: many(2) }))
    await cluster.settle(1_000)
    gateRpc.freeze()
    await cluster.settle(5_000)
    expect(worker.snapshot()).toMatchObject({ running: 0, pendingResults: 2 })
    // Neither the manager's word nor its loss takes the result away.
    await cluster.managers[0]?.kill()
    await cluster.manager()
    gateRpc.thaw()
    const result = await cluster.result(job)
    expectExact(result, 2)
    expect(result.accounting).toMatchObject({ executions: 2, requeued: 0 })
    await cluster.settle(2_000)
    expect(worker.snapshot().pendingResults).toBe(0)
    expect(gate.snapshot().jobs).toMatchObject({ running: 0 })
    expect(await cluster.stop()).toBe(0)
  })
})

describe('memory', () => {
  it('holds nothing of jobs that were forgotten', async () => {
    const quick = defineWorkflow({
      name: 'quick',
      run: (ctx) => {
        ctx.stats.count('n')
        return 1
      },
    })
    const cluster = await MemoryCluster.start({
      workflows: [quick],
      workers: 2,
      retain: { completedMs: 0, failedMs: 0 },
    })
    const client = cluster.client()
    const bare = () => {
      const strip = ({ counters: _, ...rest }: { counters: unknown }) => rest
      return [...cluster.managers, ...cluster.gates, ...cluster.workers.values()].map((node) => strip(node.snapshot()))
    }
    const before = bare()
    await cluster.settle(2_000) // a manager is new for a while
    const timers = cluster.clock.pendingTimers
    for (let round = 0; round < 50; round++) {
      const jobs = await cluster.run(
        Promise.all(
          Array.from({ length: 10 }, () =>
            client.submit({ workflows: [{ workflow: quick }, { workflow: quick, id: 'b' }] }),
          ),
        ),
      )
      for (const job of jobs) expect((await cluster.result(job)).status).toBe('completed')
    }
    await cluster.settle(5_000)
    expect(bare()).toEqual(before)
    expect(cluster.gates[0]?.snapshot().counters).toMatchObject({ accepted: 500, forgotten: 500, watchers: 0 })
    expect(cluster.clock.pendingTimers).toBe(timers)
    expect(await cluster.stop()).toBe(0)
  })
})

describe('chaos', () => {
  it.each([1, 2, 3])('accounts exactly for 200 workflows while workers die and come back (seed %i)', async (seed) => {
    const cluster = await MemoryCluster.start({ workflows: [work], workers: 3, cores: 8, seed })
    const random = cluster.random.fork('chaos')
    const job = await cluster.run(cluster.client().submit({ workflows: many(200) }))
    let over = false
    const finished = job.result().then((result) => {
      over = true
      return result
    })
    for (let i = 0; i < 12 && !over; i++) {
      await cluster.settle(300 + random.int(1_500))
      const id = random.pick(['w1', 'w2', 'w3'])
      await cluster.workers.get(id)?.kill()
      await cluster.settle(random.int(1_500))
      await cluster.worker(id, { cores: 8 })
      if (i % 4 === 3) {
        await cluster.managers.at(-1)?.kill()
        await cluster.settle(random.int(500))
        await cluster.manager()
      }
    }
    const result = await cluster.run(finished)
    expectExact(result, 200)
    expect(result.accounting.requeued).toBeGreaterThan(10)
    expect(cluster.errors()).toEqual([])
    expect(await cluster.stop()).toBe(0)
  })

  it('is the same for the same seed', async () => {
    const history = async () => {
      const cluster = await MemoryCluster.start({ workflows: [work], workers: 3, cores: 2, seed: 9 })
      const job = await cluster.run(
        cluster.client({ id: 'c' }).submit({ workflows: many(10) }, { idempotencyKey: 'k' }),
      )
      await cluster.settle(1_300)
      await cluster.workers.get('w3')?.kill()
      const result = await cluster.result(job)
      await cluster.stop()
      return {
        result,
        now: cluster.clock.now(),
        log: cluster.logger.entries.map(({ level, message }) => [level, message]),
      }
    }
    expect(await history()).toEqual(await history())
  })
})
