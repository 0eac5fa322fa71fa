import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineWorkflow, type JobHandle, type JobStep } from '../src/index.js'
import { DC, MemoryCluster, type ClusterOptions } from './memory-cluster.js'

const square = defineWorkflow({ name: 'square', input: z.object({ n: z.number() }), run: (ctx) => ctx.input.n ** 2 })
const sleeper = defineWorkflow({
  name: 'sleeper',
  input: z.object({ ms: z.number() }),
  run: async (ctx) => {
    await ctx.clock.sleep(ctx.input.ms, ctx.signal)
    return 'slept'
  },
})

async function withJob(
  options: ClusterOptions,
  steps: readonly JobStep[],
  use: (job: JobHandle, cluster: MemoryCluster) => Promise<void>,
): Promise<void> {
  const cluster = await MemoryCluster.start(options)
  const client = cluster.client()
  await use(await cluster.run(client.submit({ workflows: steps })), cluster)
  expect(await cluster.stop()).toBe(0)
}

describe('a job', () => {
  it('runs a step and gives back its value (the first program)', async () => {
    await withJob({ workflows: [square] }, [{ workflow: square, input: { n: 7 } }], async (job, cluster) => {
      const result = await cluster.result(job)
      expect(result).toMatchObject({
        jobId: job.jobId,
        status: 'completed',
        reason: null,
        accounting: {
          workflows: 1,
          completed: 1,
          failed: 0,
          missing: 0,
          executions: 1,
          requeued: 0,
          duplicates: 0,
          stale: 0,
        },
      })
      const step = result.workflows['square']?.[DC]
      expect(step).toMatchObject({ status: 'completed', values: [49], error: null, counters: {} })
      expect(step?.executions).toEqual([expect.stringMatching(new RegExp(`^${job.jobId}/square/0#\\d+$`))])
      expect(job.status).toBe('completed')
      expect(cluster.errors()).toEqual([])
    })
  })

  it('hands `run` its place in the job', async () => {
    const seen: Record<string, unknown>[] = []
    const look = defineWorkflow({
      name: 'look',
      run: (ctx) => {
        const { jobId, workflowId, datacenter, workerId, shard, attempt, executionId, context } = ctx
        seen.push({ jobId, workflowId, datacenter, workerId, shard, attempt, executionId, context })
      },
    })
    const steps = [{ workflow: look, id: 'here', vus: 5 }]
    await withJob({ workflows: [look], workers: 2, cores: 1 }, steps, async (job, cluster) => {
      const result = await cluster.result(job)
      expect(seen).toHaveLength(2)
      expect(seen.map((s) => s['shard'])).toEqual(
        expect.arrayContaining([
          { index: 0, count: 2, vus: 3, cores: 1 },
          { index: 1, count: 2, vus: 2, cores: 1 },
        ]),
      )
      expect(new Set(seen.map((s) => s['workerId']))).toEqual(new Set(['w1', 'w2']))
      expect(seen[0]).toMatchObject({ jobId: job.jobId, workflowId: 'here', datacenter: DC, attempt: 1, context: {} })
      expect(new Set(seen.map((s) => s['executionId']))).toEqual(new Set(result.workflows['here']?.[DC]?.executions))
      expect(result.workflows['here']?.[DC]?.values).toEqual([undefined, undefined])
    })
  })

  it('passes what a step publishes to those that depend on it, and to no others', async () => {
    const login = defineWorkflow({
      name: 'login',
      run: (ctx) => {
        ctx.set('token', { secret: 42 })
        ctx.set('nothing', undefined)
      },
    })
    const read = defineWorkflow({ name: 'read', run: (ctx) => ctx.context })
    const steps = [
      { workflow: login },
      { workflow: read, id: 'child', dependsOn: ['login'] },
      { workflow: read, id: 'grandchild', dependsOn: ['child'] },
    ]
    await withJob({ workflows: [login, read] }, steps, async (job, cluster) => {
      const { workflows } = await cluster.result(job)
      expect(workflows['child']?.[DC]?.values).toEqual([{ login: { token: { secret: 42 } } }])
      expect(workflows['grandchild']?.[DC]?.values).toEqual([{}])
    })
  })

  it('shows its progress, ever further, until it ends', async () => {
    const steady = defineWorkflow({
      name: 'steady',
      run: async (ctx) => {
        for (let i = 1; i <= 30; i++) {
          await ctx.clock.sleep(100, ctx.signal)
          ctx.progress(i, 30)
        }
      },
    })
    const steps = [{ workflow: steady }, { workflow: steady, id: 'after', dependsOn: ['steady'] }]
    await withJob({ workflows: [steady] }, steps, async (job, cluster) => {
      const told: [string, number][] = []
      const outcomes: unknown[] = []
      job.events.on('workflow', (outcome) => outcomes.push(outcome))
      let peakRate = 0
      const reading = (async () => {
        for await (const { status, fraction, rate } of job.progress) {
          told.push([status, fraction])
          peakRate = Math.max(peakRate, rate)
        }
      })()
      await cluster.result(job)
      await cluster.run(reading)
      const fractions = told.map(([, fraction]) => fraction)
      expect(fractions).toEqual([...fractions].sort((a, b) => a - b))
      expect(told.at(-1)).toEqual(['completed', 1])
      expect(fractions).toContain(0.5)
      expect(peakRate).toBeGreaterThan(5)
      expect(peakRate).toBeLessThan(15)
      expect(outcomes).toEqual([
        { workflowId: 'steady', datacenter: DC, status: 'completed' },
        { workflowId: 'after', datacenter: DC, status: 'completed' },
      ])
      expect(job.snapshot()).toMatchObject({ fraction: 1, rate: 0, workflows: { total: 2, completed: 2, running: 0 } })
    })
  })

  it('counts exactly: the result, and the windows that were shown on the way', async () => {
    const load = defineWorkflow({
      name: 'load',
      run: async (ctx) => {
        for (let i = 0; i < 50; i++) {
          await ctx.clock.sleep(70, ctx.signal)
          ctx.stats.count('requests', ctx.shard.vus)
          ctx.stats.record('latency', i + 1)
        }
      },
    })
    const steps = [
      { workflow: load, vus: 8 },
      { workflow: load, id: 'other' },
    ]
    await withJob({ workflows: [load], workers: 2 }, steps, async (job, cluster) => {
      const windows: Record<string, number> = {}
      let samples = 0
      let count = 0
      const reading = (async () => {
        for await (const window of job.stats) {
          count++
          windows[window.workflowId] = (windows[window.workflowId] ?? 0) + (window.counts['requests'] ?? 0)
          samples += window.values['latency']?.count ?? 0
        }
      })()
      const result = await cluster.result(job)
      await cluster.run(reading)
      expect(windows).toEqual({ load: 400, other: 50 })
      expect(count).toBeGreaterThan(4) // a window a second, while it ran
      expect(result.workflows['load']?.[DC]?.counters).toEqual({ requests: 400 })
      expect(result.counters).toEqual({ requests: 450 })
      expect(result.stats['latency']).toMatchObject({ count: samples, min: 1, max: 50 })
    })
  })

  it('gives a job shorter than a window its window all the same', async () => {
    const quick = defineWorkflow({ name: 'quick', run: (ctx) => ctx.stats.count('done') })
    await withJob({ workflows: [quick] }, [{ workflow: quick }], async (job, cluster) => {
      await cluster.result(job)
      const windows = []
      for await (const window of job.stats) windows.push(window)
      expect(windows.map((w) => w.counts['done'])).toEqual([1])
    })
  })

  it('carries inputs and values of any plain shape, none at all included', async () => {
    const echo = defineWorkflow({ name: 'echo', run: (ctx) => ctx.input })
    const inputs = [undefined, null, 0, '', [1, [2]], { a: { b: new Uint8Array([1, 2]) } }]
    const steps = inputs.map((input, i) => ({ workflow: echo, id: `e${i}`, input }))
    await withJob({ workflows: [echo] }, steps, async (job, cluster) => {
      const { workflows } = await cluster.result(job)
      expect(inputs.map((_, i) => workflows[`e${i}`]?.[DC]?.values[0])).toEqual(inputs)
    })
  })

  it('takes values whose sum is larger than a frame, in parts', async () => {
    const big = defineWorkflow({ name: 'big', run: (ctx) => new Uint8Array(1_500_000).fill(ctx.shard.index + 1) })
    const steps = Array.from({ length: 6 }, (_, i) => ({ workflow: big, id: `b${i}` }))
    await withJob({ workflows: [big] }, steps, async (job, cluster) => {
      const { workflows } = await cluster.result(job)
      for (const { id } of steps) expect((workflows[id]?.[DC]?.values[0] as Uint8Array).length).toBe(1_500_000)
    })
  })
})

describe('work that goes wrong (NODES-34, NODES-36)', () => {
  const coded = (code: string) => Object.assign(new Error(`it is ${code}`), { code })
  const endless = 'x'.repeat(10_000)
  const cases = defineWorkflow({
    name: 'cases',
    output: z.object({ ok: z.boolean() }),
    input: z.object({ what: z.string() }),
    run: (ctx): never => {
      switch (ctx.input.what) {
        case 'throws':
          throw new Error('no luck')
        case 'throws a code':
          throw coded('CARD_DECLINED')
        case 'throws text':
          throw 'just text'
        case 'throws much':
          throw new Error(endless)
        case 'returns what output refuses':
          return { ok: 'perhaps' } as never
        case 'returns a function':
          return { ok: true, f: () => 1 } as never
        default:
          return { ok: true } as never
      }
    },
  })

  it.each<[string, string, unknown]>([
    ['throws', 'WORKFLOW_FAILED', 'no luck'],
    ['throws a code', 'CARD_DECLINED', 'it is CARD_DECLINED'],
    ['throws text', 'WORKFLOW_FAILED', 'just text'],
    ['throws much', 'WORKFLOW_FAILED', endless.slice(0, 4_096)],
    ['returns what output refuses', 'INVALID_OUTPUT', expect.stringMatching(/^value\.ok: /)],
  ])('a step that %s fails with %s', async (what, code, message) => {
    await withJob({ workflows: [cases] }, [{ workflow: cases, input: { what } }], async (job, cluster) => {
      const result = await cluster.result(job)
      expect(result).toMatchObject({ status: 'failed', accounting: { failed: 1, completed: 0, executions: 1 } })
      expect(result.workflows['cases']?.[DC]).toMatchObject({ status: 'failed', error: { code, message } })
      expect(cluster.errors()).toEqual([])
    })
  })

  it('skips what depends on a failed step, and runs the rest', async () => {
    const steps: JobStep[] = [
      { workflow: cases, id: 'bad', input: { what: 'throws' } },
      { workflow: cases, id: 'after', input: { what: '' }, dependsOn: ['bad'] },
      { workflow: cases, id: 'anyway', input: { what: '' }, dependsOn: ['bad'], onDependencyFailure: 'run' },
      { workflow: cases, id: 'beside', input: { what: '' } },
    ]
    await withJob({ workflows: [cases] }, steps, async (job, cluster) => {
      const { workflows, accounting } = await cluster.result(job)
      const statuses = Object.entries(workflows).map(([id, datacenters]) => [id, datacenters[DC]?.status])
      expect(Object.fromEntries(statuses)).toEqual({
        bad: 'failed',
        after: 'skipped',
        anyway: 'completed',
        beside: 'completed',
      })
      expect(accounting).toMatchObject({ workflows: 4, completed: 2, failed: 1, skipped: 1, executions: 3 })
    })
  })

  it('runs a failing step again while it has attempts, and counts the execution that ended it', async () => {
    const flaky = defineWorkflow({
      name: 'flaky',
      attempts: 3,
      run: (ctx) => {
        ctx.stats.count('tries')
        if (ctx.attempt < 3) throw new Error('not yet')
        return ctx.attempt
      },
    })
    await withJob({ workflows: [flaky] }, [{ workflow: flaky }], async (job, cluster) => {
      const result = await cluster.result(job)
      expect(result.workflows['flaky']?.[DC]).toMatchObject({
        status: 'completed',
        values: [3],
        counters: { tries: 1 },
      })
      expect(result.accounting).toMatchObject({ executions: 3, requeued: 2 })
    })
  })

  it('reports the last failure of a step that fails every time', async () => {
    const bad = defineWorkflow({
      name: 'bad',
      attempts: 2,
      run: (ctx): number => {
        ctx.stats.count('tries')
        throw new Error(`attempt ${ctx.attempt}`)
      },
    })
    await withJob({ workflows: [bad] }, [{ workflow: bad }], async (job, cluster) => {
      const result = await cluster.result(job)
      const step = result.workflows['bad']?.[DC]
      expect(step).toMatchObject({ status: 'failed', error: { message: 'attempt 2' }, counters: { tries: 1 } })
      expect(step?.executions).toHaveLength(1)
      expect(result.accounting).toMatchObject({ executions: 2, requeued: 1, duplicates: 0 })
    })
  })

  it('fails a result that is larger than a frame', async () => {
    const big = defineWorkflow({ name: 'big', run: () => new Uint8Array(4_300_000) })
    const nearly = defineWorkflow({ name: 'nearly', run: () => new Uint8Array(4_150_000) })
    await withJob({ workflows: [big, nearly] }, [{ workflow: big }, { workflow: nearly }], async (job, cluster) => {
      const { workflows } = await cluster.result(job)
      for (const id of ['big', 'nearly'])
        expect(workflows[id]?.[DC]).toMatchObject({ status: 'failed', error: { code: 'RESULT_TOO_LARGE' } })
    })
  })

  it('fails a step whose name no worker knows, after 5 s, and runs the others', async () => {
    const steps = [{ workflow: 'nobody' }, { workflow: square, input: { n: 2 } }]
    await withJob({ workflows: [square] }, steps, async (job, cluster) => {
      const startedAt = cluster.clock.now()
      const { workflows, status } = await cluster.result(job)
      expect(cluster.clock.now() - startedAt).toBeGreaterThanOrEqual(5_000)
      expect(cluster.clock.now() - startedAt).toBeLessThan(6_000)
      expect(status).toBe('failed')
      expect(workflows['nobody']?.[DC]).toMatchObject({ status: 'failed', error: { code: 'UNKNOWN_WORKFLOW' } })
      expect(workflows['square']?.[DC]).toMatchObject({ values: [4] })
    })
  })

  it('validates the input again where it runs, and gives `run` what the schema makes of it', async () => {
    const lenient = defineWorkflow({ name: 'strict', input: z.object({ n: z.unknown() }), run: () => 0 })
    const strict = defineWorkflow({
      name: 'strict',
      input: z.object({ n: z.number().default(5) }),
      run: (ctx) => ctx.input.n,
    })
    const cluster = await MemoryCluster.start({ workflows: [strict] })
    const client = cluster.client()
    const run = async (n: unknown) => {
      const job = await cluster.run(client.submit({ workflows: [{ workflow: lenient, input: { n } }] }))
      return (await cluster.result(job)).workflows['strict']?.[DC]
    }
    expect(await run('x')).toMatchObject({
      status: 'failed',
      error: { code: 'INVALID_JOB', message: expect.stringContaining('input.n') as string },
    })
    expect(await run(undefined)).toMatchObject({ values: [5] })
    expect(await cluster.stop()).toBe(0)
  })

  it('ends an execution that runs longer than it may', async () => {
    const steps = [{ workflow: sleeper, input: { ms: 60_000 }, timeoutMs: 700 }]
    await withJob({ workflows: [sleeper] }, steps, async (job, cluster) => {
      const result = await cluster.result(job)
      expect(result.status).toBe('timed-out')
      expect(result.workflows['sleeper']?.[DC]).toMatchObject({ status: 'timed-out', error: { code: 'TIMED_OUT' } })
      expect(cluster.clock.now()).toBeLessThan(2_000)
    })
  })

  it('ends a job whose time is over, with an account of what was done', async () => {
    const cluster = await MemoryCluster.start({ workflows: [sleeper] })
    const steps = [50, 60_000].map((ms) => ({ workflow: sleeper, id: `s${ms}`, input: { ms } }))
    const job = await cluster.run(cluster.client().submit({ workflows: steps }, { timeoutMs: 1_000 }))
    const result = await cluster.result(job)
    expect(result).toMatchObject({ status: 'timed-out', accounting: { completed: 1, timedOut: 1, missing: 0 } })
    expect(result.workflows['s50']?.[DC]).toMatchObject({ status: 'completed', values: ['slept'] })
    await cluster.settle(100)
    expect(cluster.workers.get('w1')?.snapshot()).toMatchObject({ running: 0, freeCores: 4 }) // its signal was heard
    expect(await cluster.stop()).toBe(0)
  })

  it('replaces an execution that makes no progress', async () => {
    const stuck = defineWorkflow({
      name: 'stuck',
      stuckMs: 500,
      run: async (ctx) => {
        if (ctx.attempt === 1) await ctx.clock.sleep(60_000, ctx.signal)
        return ctx.attempt
      },
    })
    await withJob({ workflows: [stuck], workers: 2 }, [{ workflow: stuck }], async (job, cluster) => {
      const result = await cluster.result(job)
      expect(result.workflows['stuck']?.[DC]).toMatchObject({ status: 'completed', values: [2] })
      expect(result.accounting).toMatchObject({ executions: 2, requeued: 1, stale: 1 })
      expect(cluster.clock.now()).toBeLessThan(3_000)
    })
  })

  it('counts what ran after a listener threw', async () => {
    await withJob({ workflows: [square] }, [{ workflow: square, input: { n: 3 } }], async (job, cluster) => {
      job.events.on('workflow', () => {
        throw new Error('a listener of mine')
      })
      cluster.workers.get('w1')?.events.on('shardStarted', () => {
        throw new Error('another one')
      })
      expect((await cluster.result(job)).status).toBe('completed')
      expect(cluster.errors().join()).toMatch(/a listener of mine/)
      expect(cluster.errors().join()).toMatch(/another one/)
    })
  })
})

describe('cancelling', () => {
  const steps = ['a', 'b'].map((id) => ({ workflow: sleeper, id, input: { ms: 30_000 } }))

  it('ends a job, what runs and what waits, and says why', async () => {
    await withJob({ workflows: [sleeper], cores: 1 }, steps, async (job, cluster) => {
      await cluster.settle(500)
      expect(await cluster.run(job.cancel('enough'))).toEqual({ status: 'cancelling' })
      const result = await cluster.result(job)
      expect(result).toMatchObject({
        status: 'cancelled',
        reason: 'enough',
        accounting: { cancelled: 2, missing: 0, executions: 1 },
      })
      expect(await cluster.run(job.cancel())).toEqual({ status: 'cancelled' })
      expect(cluster.workers.get('w1')?.snapshot()).toMatchObject({ running: 0, freeCores: 1 })
      expect(cluster.clock.now()).toBeLessThan(1_500)
    })
  })

  it('ends one step, and the job goes on', async () => {
    const both: JobStep[] = [...steps.slice(0, 1), { workflow: sleeper, id: 'short', input: { ms: 1_000 } }]
    await withJob({ workflows: [sleeper] }, both, async (job, cluster) => {
      await cluster.settle(100)
      expect(await cluster.run(job.cancel('one', { workflowId: 'a' }))).toEqual({ status: 'cancelling' })
      const result = await cluster.result(job)
      expect(result.status).toBe('partial')
      expect(result.workflows['a']?.[DC]?.status).toBe('cancelled')
      expect(result.workflows['short']?.[DC]?.status).toBe('completed')
    })
  })

  it('refuses a step that the job does not have, and a job that no gate has', async () => {
    await withJob({ workflows: [sleeper] }, steps, async (job, cluster) => {
      await expect(cluster.run(job.cancel('x', { workflowId: 'z' }))).rejects.toMatchObject({ code: 'INVALID_JOB' })
      const other = cluster.client().job('jnobody')
      await expect(cluster.run(other.cancel())).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' })
    })
  })

  it('answers that a finished job is finished', async () => {
    await withJob({ workflows: [square] }, [{ workflow: square, input: { n: 1 } }], async (job, cluster) => {
      await cluster.result(job)
      expect(await cluster.run(job.cancel())).toEqual({ status: 'already-finished' })
      expect((await cluster.result(job)).status).toBe('completed')
    })
  })

  it('does not wait for a run that ignores its signal, whose cores stay taken until it ends', async () => {
    const deaf = defineWorkflow({ name: 'deaf', run: (ctx) => ctx.clock.sleep(60_000) })
    await withJob({ workflows: [deaf], cores: 2 }, [{ workflow: deaf }], async (job, cluster) => {
      await cluster.settle(100)
      await cluster.run(job.cancel())
      const result = await cluster.result(job)
      expect(result.workflows['deaf']?.[DC]).toMatchObject({
        status: 'cancelled',
        error: { code: 'ABORT_UNCONFIRMED' },
      })
      expect(cluster.clock.now()).toBeLessThan(20_000)
      expect(cluster.workers.get('w1')?.snapshot()).toMatchObject({ running: 1, freeCores: 1 })
      await cluster.settle(61_000)
      expect(cluster.workers.get('w1')?.snapshot()).toMatchObject({ running: 0, freeCores: 2, pendingResults: 0 })
    })
  })
})
