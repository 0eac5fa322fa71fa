import { describe, expect, it } from 'vitest'
import { TransportError } from '@hs/core'
import { VirtualClock, MemoryLogger, SeededRandom } from '@hs/core/testing'
import { defineWorkflow, type WorkflowContext } from '../src/index.js'
import { JobTarget } from '../src/job-target.js'
import { ShardExtensions } from '../src/shard-extensions.js'
import type { TargetAssignment } from '../src/target-assignment.js'
import { timingProfiles } from '../src/timing.js'
import { WorkerMonitor } from '../src/worker-monitor.js'
import { FreezableRpc } from './freezable-transport.js'
import { DC, MemoryCluster } from './memory-cluster.js'

type Answer = Awaited<ReturnType<WorkflowContext<unknown>['extend']>>

const runtime = () => ({ clock: new VirtualClock(), random: new SeededRandom(1), logger: new MemoryLogger() })

/** Runs one step that asks as `run` says, for at most `timeoutMs`. */
async function running(run: (ctx: WorkflowContext<unknown>, answers: Answer[]) => Promise<unknown>, timeoutMs = 1_000) {
  const answers: Answer[] = []
  const step = defineWorkflow({ name: 'step', timeoutMs, run: (ctx) => run(ctx, answers) })
  const cluster = await MemoryCluster.start({ workflows: [step], cores: 2 })
  const submit = (jobMs?: number) =>
    cluster.run(
      cluster.client().submit({ workflows: [{ workflow: step }] }, jobMs === undefined ? {} : { timeoutMs: jobMs }),
    )
  return { answers, cluster, submit }
}

describe('ctx.extend (NODES-30, AD-26)', () => {
  it('gives a shard that gets on more time than it has, by its own timer too', async () => {
    const { answers, cluster, submit } = await running(async (ctx, told) => {
      ctx.progress(1)
      told.push(await ctx.extend('half of the rows are read'))
      await ctx.clock.sleep(5_000, ctx.signal)
      return 'done'
    })
    const result = await cluster.result(await submit())
    expect(answers).toEqual([{ granted: true, extraMs: 30_000 }])
    expect(result).toMatchObject({ status: 'completed', accounting: { executions: 1, requeued: 0 } })
    expect(result.workflows['step']?.[DC]?.values).toEqual(['done'])
    expect(cluster.errors()).toEqual([])
    expect(await cluster.stop()).toBe(0)
  })

  it('ends a shard that has used up what it was granted', async () => {
    const { cluster, submit } = await running(async (ctx) => {
      await ctx.extend('once')
      await ctx.clock.sleep(60_000, ctx.signal)
    })
    const result = await cluster.result(await submit())
    expect(result.workflows['step']?.[DC]?.status).toBe('timed-out')
    expect(result.durationMs).toBeGreaterThanOrEqual(31_000)
    expect(result.durationMs).toBeLessThan(33_000)
    expect(await cluster.stop()).toBe(0)
  })

  it('denies who has made no progress since the last grant, and its time ends as if it had not asked', async () => {
    const { answers, cluster, submit } = await running(async (ctx, told) => {
      ctx.progress(1)
      told.push(await ctx.extend('first'))
      told.push(await ctx.extend('nothing has moved'))
      ctx.progress(2)
      told.push(await ctx.extend('moved again'))
      await ctx.clock.sleep(80_000, ctx.signal)
    })
    const result = await cluster.result(await submit())
    expect(answers).toEqual([
      { granted: true, extraMs: 30_000 },
      { granted: false, extraMs: 0 },
      { granted: true, extraMs: 15_000 },
    ])
    expect(result.workflows['step']?.[DC]?.status).toBe('timed-out')
    expect(await cluster.stop()).toBe(0)
  })

  it('grants five times, each half of the one before', async () => {
    const { answers, cluster, submit } = await running(async (ctx, told) => {
      for (let i = 1; i <= 6; i++) {
        ctx.progress(i)
        told.push(await ctx.extend(`for the ${i}th time`))
      }
    })
    expect((await cluster.result(await submit())).status).toBe('completed')
    expect(answers.map(({ extraMs }) => extraMs)).toEqual([30_000, 15_000, 7_500, 3_750, 1_875, 0])
    expect(await cluster.stop()).toBe(0)
  })

  it('counts at the gate: a job whose own time would be over goes on', async () => {
    const { cluster, submit } = await running(async (ctx) => {
      ctx.progress(1)
      await ctx.extend('more than the job has')
      await ctx.clock.sleep(12_000, ctx.signal)
    }, 60_000)
    const job = await submit(2_000)
    await cluster.settle(8_000) // beyond the job's time and what the gate gives the datacenter to say so
    expect(job.status).toBe('running')
    expect((await cluster.result(job)).status).toBe('completed')
    expect(await cluster.stop()).toBe(0)
  })

  it('goes along when another manager takes the lead: the rest of the time is what was granted', async () => {
    const { cluster, submit } = await running(async (ctx) => {
      ctx.progress(1)
      await ctx.extend('more than the job has')
      await ctx.clock.sleep(12_000, ctx.signal)
    }, 60_000)
    const job = await submit(2_000)
    await cluster.settle(1_000)
    await cluster.managers[0]?.kill()
    await cluster.settle(500)
    await cluster.manager()
    const result = await cluster.result(job)
    expect(result).toMatchObject({ status: 'completed', accounting: { executions: 1, requeued: 0 } })
    expect(await cluster.stop()).toBe(0)
  })

  it('is denied where no leader answers, and never rejects', async () => {
    const { answers, cluster, submit } = await running(async (ctx, told) => {
      await ctx.clock.sleep(1_000, ctx.signal)
      ctx.progress(1)
      told.push(await ctx.extend('nobody is there'))
      await ctx.clock.sleep(2_000, ctx.signal)
      ctx.progress(2)
      told.push(await ctx.extend('still nobody'))
      return 1
    }, 60_000)
    const job = await submit()
    await cluster.settle(500)
    await cluster.managers[0]?.kill()
    await cluster.settle(4_000)
    expect(answers).toEqual([
      { granted: false, extraMs: 0 },
      { granted: false, extraMs: 0 },
    ])
    await cluster.manager()
    expect((await cluster.result(job)).status).toBe('completed')
    expect(cluster.errors()).toEqual([])
    expect(await cluster.stop()).toBe(0)
  })

  it('is denied to what was told to end', async () => {
    const { answers, cluster, submit } = await running(async (ctx, told) => {
      await ctx.clock.sleep(60_000, ctx.signal).catch(() => undefined)
      ctx.progress(1)
      told.push(await ctx.extend('too late'))
    }, 60_000)
    const job = await submit()
    await cluster.settle(500)
    await cluster.run(job.cancel('enough'))
    expect((await cluster.result(job)).status).toBe('cancelled')
    await cluster.settle(500)
    expect(answers).toEqual([{ granted: false, extraMs: 0 }])
    expect(await cluster.stop()).toBe(0)
  })

  it('lets a worker be silent for longer before it is given up', async () => {
    const step = defineWorkflow({
      name: 'step',
      run: async (ctx) => {
        ctx.progress(1)
        await ctx.extend('a long computation')
        await ctx.clock.sleep(12_000, ctx.signal)
      },
    })
    const cluster = await MemoryCluster.start({ workflows: [step], workers: 0 })
    const { datagram, rpc } = cluster.transport('w1:1')
    const frozen = new FreezableRpc(rpc)
    await cluster.worker('w1', { transport: { datagram, rpc: frozen }, cores: 1 })
    await cluster.settle(100)
    const job = await cluster.run(cluster.client().submit({ workflows: [{ workflow: step }] }))
    await cluster.settle(500)
    const lost: string[] = []
    cluster.managers[0]?.events.on('workerLost', (id) => lost.push(id))
    frozen.freeze()
    await cluster.settle(3 * timingProfiles.local.workerSilenceMs - 3_000)
    expect(lost).toEqual([])
    frozen.thaw()
    const result = await cluster.result(job)
    expect(result).toMatchObject({ status: 'completed', accounting: { executions: 1, requeued: 0 } })
    expect(await cluster.stop()).toBe(0)
  })
})

describe('ShardExtensions (Settled 30)', () => {
  it('keeps an account for each shard, until that shard has ended or is not listed any more', () => {
    const extensions = new ShardExtensions(runtime())
    const first = { key: 'j/a/0', fence: 1 }
    const second = { key: 'j/a/1', fence: 2 }
    expect(extensions.request(first, { progress: 1 })).toBe(30_000)
    expect(extensions.request(second, { progress: 1 })).toBe(30_000)
    expect(extensions.request(first, { progress: 2 })).toBe(15_000)
    expect(extensions.longestMs).toBe(45_000)
    extensions.forget({ ...first, fence: 7 })
    expect(extensions.size).toBe(2)
    extensions.forget(first)
    expect(extensions.longestMs).toBe(30_000)
    extensions.keep([first])
    expect(extensions.size).toBe(0)
    expect(extensions.longestMs).toBe(0)
  })

  it('begins anew with another execution, and gives an earlier one nothing', () => {
    const extensions = new ShardExtensions(runtime())
    expect(extensions.request({ key: 'j/a/0', fence: 1 }, { progress: 9 })).toBe(30_000)
    expect(extensions.request({ key: 'j/a/0', fence: 2 }, { progress: 1 })).toBe(30_000)
    expect(extensions.request({ key: 'j/a/0', fence: 1 }, { progress: 99 })).toBe(0)
    expect(extensions.size).toBe(1)
  })

  it('gives a worker that is suspected or overloaded nothing', () => {
    const extensions = new ShardExtensions(runtime())
    expect(extensions.request({ key: 'j/a/0', fence: 1 }, { progress: 1, suspect: true })).toBe(0)
    expect(extensions.request({ key: 'j/a/0', fence: 1 }, { progress: 1, overloaded: true })).toBe(0)
    expect(extensions.request({ key: 'j/a/0', fence: 1 }, { progress: 1 })).toBe(30_000)
  })
})

describe('time that was granted, at the gate (NODES-30)', () => {
  const target = () => new JobTarget(DC, {} as TargetAssignment)

  it('counts once, however often it is reported, and in whatever order', () => {
    const job = target()
    expect(job.extended({ term: 1, totalMs: 30_000 })).toBe(30_000)
    expect(job.extended({ term: 1, totalMs: 45_000 })).toBe(15_000)
    expect(job.extended({ term: 1, totalMs: 30_000 })).toBe(0)
    expect(job.extended({ term: 1, totalMs: 45_000 })).toBe(0)
    expect(job.extendedMs).toBe(45_000)
  })

  it('adds what a later leadership grants, and nothing of an earlier one', () => {
    const job = target()
    job.extended({ term: 2, totalMs: 30_000 })
    expect(job.extended({ term: 5, totalMs: 15_000 })).toBe(15_000)
    expect(job.extended({ term: 2, totalMs: 90_000 })).toBe(0)
    expect(job.extendedMs).toBe(45_000)
  })
})

describe('WorkerMonitor (NODES-30)', () => {
  it('gives a worker up later by what it was granted, and by no more', async () => {
    const clock = new VirtualClock()
    const lost: number[] = []
    let extraMs = 0
    const monitor = new WorkerMonitor({
      clock,
      timing: timingProfiles.local,
      extraSilenceMs: () => extraMs,
      ping: () => Promise.reject(new TransportError('DEADLINE_EXCEEDED', 'silent')),
      onSuspected: () => undefined,
      onLost: () => lost.push(clock.now()),
    })
    extraMs = 3_000
    await clock.advanceAsync(7_900)
    expect([monitor.suspected, lost]).toEqual([true, []])
    await clock.advanceAsync(400)
    expect(lost).toHaveLength(1)
    expect(clock.pendingTimers).toBe(0)
  })
})
