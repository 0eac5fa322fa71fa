import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Client, defineWorkflow, Gate, Manager, Worker, type JobStep, type SubmitOptions } from '../src/index.js'
import { DC, MemoryCluster } from './memory-cluster.js'

const square = defineWorkflow({ name: 'square', input: z.object({ n: z.number() }), run: (ctx) => ctx.input.n ** 2 })
const sleeper = defineWorkflow({ name: 'sleeper', run: (ctx) => ctx.clock.sleep(2_000, ctx.signal) })
const workflows = [square, sleeper]
const one: JobStep[] = [{ workflow: square, input: { n: 2 } }]

describe('what is checked before anything is sent (INVALID_JOB)', () => {
  it.each<[string, JobStep[], RegExp]>([
    ['an input that the schema refuses', [{ workflow: square, input: { n: 'two' } }], /workflows\.0\.input\.n/],
    ['a step that is not there', [{ workflow: square, input: { n: 1 }, dependsOn: ['login'] }], /login/],
    [
      'a cycle',
      [
        { workflow: sleeper, id: 'a', dependsOn: ['b'] },
        { workflow: sleeper, id: 'b', dependsOn: ['a'] },
      ],
      /depend on one another/,
    ],
    ['two steps of one id', [{ workflow: sleeper }, { workflow: sleeper }], /sleeper/],
    ['no steps', [], /workflows/],
    ['a misspelt field', [{ workflow: sleeper, vuss: 3 } as JobStep], /workflows\.0\.vuss/],
    ['virtual users below one', [{ workflow: sleeper, vus: 0 }], /workflows\.0\.vus/],
    ['an id with a space', [{ workflow: sleeper, id: 'a b' }], /workflows\.0\.id/],
    ['an input that is no plain data', [{ workflow: 'any', input: { f: () => 1 } }], /workflows\.0\.input/],
  ])('refuses %s', async (_, steps, message) => {
    const cluster = new MemoryCluster({ workflows })
    const client = cluster.client() // no gate is there: nothing is sent
    const error: unknown = await cluster.run(client.submit({ workflows: steps }).catch((e: unknown) => e))
    expect(error).toMatchObject({ code: 'INVALID_JOB', message: expect.stringMatching(message) as string })
    expect(await cluster.stop()).toBe(0)
  })

  it('refuses a job that is larger than a gate takes', async () => {
    const cluster = new MemoryCluster({ workflows })
    const submit = cluster.client().submit({ workflows: [{ workflow: 'any', input: new Uint8Array(4_000_000) }] })
    await expect(cluster.run(submit)).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    expect(await cluster.stop()).toBe(0)
  })

  it('refuses options that it does not know', async () => {
    const cluster = new MemoryCluster({ workflows })
    const submit = cluster.client().submit({ workflows: one }, { timeout: 5 } as SubmitOptions)
    await expect(submit).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    expect(await cluster.stop()).toBe(0)
  })
})

describe('submission (NODES-9, NODES-10)', () => {
  it('makes the id of a job from cluster and key', async () => {
    const cluster = await MemoryCluster.start({ workflows })
    const job = await cluster.run(cluster.client().submit({ workflows: one }, { idempotencyKey: 'order-1' }))
    // 'j' and 26 characters of base32 of SHA-256 of "default\0order-1"
    expect(job.jobId).toBe('jfiwr2yvfihfcs7lmghkz7eyi4d')
    expect(await cluster.stop()).toBe(0)
  })

  it('means the same job by the same key, and runs it once', async () => {
    const cluster = await MemoryCluster.start({ workflows })
    const submit = () => cluster.client().submit({ workflows: one }, { idempotencyKey: 'k' })
    const jobs = await cluster.run(Promise.all([submit(), submit(), submit()]))
    expect(new Set(jobs.map((job) => job.jobId)).size).toBe(1)
    for (const job of jobs) expect((await cluster.result(job)).accounting.executions).toBe(1)
    const again = await cluster.run(submit())
    expect((await cluster.result(again)).workflows['square']?.[DC]?.values).toEqual([4])
    expect(cluster.workers.get('w1')?.snapshot().counters.started).toBe(1)
    expect(cluster.gates[0]?.snapshot().counters).toMatchObject({ accepted: 1, repeated: 3 })
    expect(await cluster.stop()).toBe(0)
  })

  it.each<[string, JobStep[], SubmitOptions]>([
    ['another input', [{ workflow: square, input: { n: 3 } }], {}],
    ['another time limit', one, { timeoutMs: 5_000 }],
  ])('refuses %s under a key that is taken', async (_, steps, options) => {
    const cluster = await MemoryCluster.start({ workflows })
    await cluster.run(cluster.client().submit({ workflows: one }, { idempotencyKey: 'k' }))
    const submit = cluster.client().submit({ workflows: steps }, { ...options, idempotencyKey: 'k' })
    await expect(cluster.run(submit)).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' })
    expect(cluster.gates[0]?.snapshot().counters).toMatchObject({ conflicts: 1 })
    expect(await cluster.stop()).toBe(0)
  })

  it('takes two calls without a key for two jobs', async () => {
    const cluster = await MemoryCluster.start({ workflows })
    const client = cluster.client()
    const [a, b] = await cluster.run(
      Promise.all([client.submit({ workflows: one }), client.submit({ workflows: one })]),
    )
    expect(a.jobId).not.toBe(b.jobId)
    expect(await cluster.stop()).toBe(0)
  })

  it('gets the same job when the answer was lost', async () => {
    const cluster = await MemoryCluster.start({ workflows })
    const rpc = cluster.network.rpc('lossy:1')
    let lose = 1
    const request: typeof rpc.request = async (...args) => {
      const answer = await rpc.request(...args)
      if (args[1] === 'job.submit' && lose-- > 0)
        return rpc.request('nobody:1', ...(args.slice(1) as [string, Uint8Array]))
      return answer
    }
    const transport = {
      rpc: {
        address: rpc.address,
        request,
        notify: rpc.notify.bind(rpc),
        handle: rpc.handle.bind(rpc),
        close: () => rpc.close(),
      },
    }
    const job = await cluster.run(cluster.client({ transport }).submit({ workflows: one }))
    expect((await cluster.result(job)).status).toBe('completed')
    expect(cluster.gates[0]?.snapshot().counters).toMatchObject({ accepted: 1, repeated: 1 })
    expect(await cluster.stop()).toBe(0)
  })

  it('waits for a gate that comes later, and says NO_GATE when none comes', async () => {
    const cluster = new MemoryCluster({ workflows })
    await cluster.manager()
    await cluster.worker('w1')
    const job = cluster.client().submit({ workflows: one })
    await cluster.settle(3_000)
    await cluster.gate()
    expect((await cluster.result(await cluster.run(job))).status).toBe('completed')

    const lonely = cluster.client({ gates: ['nowhere:1', 'nobody:1'], submitTimeoutMs: 2_000 })
    await expect(cluster.run(lonely.submit({ workflows: one }))).rejects.toMatchObject({ code: 'NO_GATE' })
    await expect(cluster.run(lonely.datacenters())).rejects.toMatchObject({ code: 'NO_GATE' })
    expect(await cluster.stop()).toBe(0)
  })

  it('goes to the gate that answers', async () => {
    const cluster = await MemoryCluster.start({ workflows })
    const client = cluster.client({ gates: ['nowhere:1', 'g1:1', 'nobody:1'] })
    for (let i = 0; i < 5; i++) {
      const job = await cluster.run(client.submit({ workflows: one }))
      expect((await cluster.result(job)).status).toBe('completed')
    }
    expect(await cluster.stop()).toBe(0)
  })

  it('says NO_DATACENTER when none is there, and for one that nobody knows', async () => {
    const cluster = new MemoryCluster({ workflows })
    await cluster.gate()
    await cluster.settle(6_000)
    const client = cluster.client({ submitTimeoutMs: 1_000 })
    await expect(cluster.run(client.submit({ workflows: one }))).rejects.toMatchObject({ code: 'NO_DATACENTER' })
    await cluster.manager()
    await cluster.worker('w1')
    await cluster.settle(500)
    const named = (datacenters: SubmitOptions['datacenters']) =>
      client.submit({ workflows: one }, { ...(datacenters && { datacenters }) })
    await expect(cluster.run(named(['mars']))).rejects.toMatchObject({ code: 'NO_DATACENTER' })
    await expect(cluster.run(named(2))).rejects.toMatchObject({ code: 'NO_DATACENTER' })
    for (const wanted of [[DC], 'all', 1] as const)
      expect((await cluster.result(await cluster.run(named(wanted)))).status).toBe('completed')
    expect(await cluster.stop()).toBe(0)
  })

  it('runs a job in several datacenters, with one outcome in each', async () => {
    const cluster = new MemoryCluster({ workflows })
    for (const [id, datacenter] of [
      ['m1', 'eu'],
      ['m2', 'us'],
    ] as const) {
      await cluster.manager({ id, datacenter, transport: cluster.transport(`${id}:1`) })
      await cluster.worker(`w${id}`, { datacenter, managers: [`${id}:1`] })
    }
    await cluster.gate({ datacenters: { eu: ['m1:1'], us: ['m2:1'] } })
    await cluster.settle(300)
    const client = cluster.client()
    expect(await cluster.run(client.datacenters())).toEqual([
      { name: 'eu', status: 'healthy', freeCores: 4, totalCores: 4 },
      { name: 'us', status: 'healthy', freeCores: 4, totalCores: 4 },
    ])
    const result = await cluster.result(await cluster.run(client.submit({ workflows: one }, { datacenters: 'all' })))
    expect(result.workflows['square']).toMatchObject({ eu: { values: [4] }, us: { values: [4] } })
    expect(result.accounting).toMatchObject({ workflows: 2, completed: 2, executions: 2 })
    expect(await cluster.stop()).toBe(0)
  })

  it('refuses jobs beyond maxJobs while they run, and forgets finished ones to make room', async () => {
    const cluster = new MemoryCluster({ workflows })
    await cluster.manager()
    await cluster.worker('w1')
    await cluster.gate({ limits: { maxJobs: 2 } })
    await cluster.settle(300)
    const client = cluster.client({ submitTimeoutMs: 1_000 })
    const long = [{ workflow: sleeper }]
    const first = await cluster.run(client.submit({ workflows: long }))
    await cluster.run(client.submit({ workflows: long }))
    await expect(cluster.run(client.submit({ workflows: one }))).rejects.toMatchObject({
      code: 'OVERLOADED',
      details: { retryAfterMs: 250 },
    })
    await cluster.result(first)
    const third = await cluster.run(client.submit({ workflows: one }))
    expect((await cluster.result(third)).status).toBe('completed')
    expect(await cluster.stop()).toBe(0)
  })

  it('gives a submission up when its signal says so, and leaves the job alone', async () => {
    const cluster = new MemoryCluster({ workflows })
    const controller = new AbortController()
    const submit = cluster.client().submit({ workflows: one }, { signal: controller.signal })
    await cluster.settle(500)
    controller.abort(new Error('changed my mind'))
    await expect(cluster.run(submit)).rejects.toThrow('changed my mind')
    expect(await cluster.stop()).toBe(0)
  })
})

describe('a handle (NODES-40)', () => {
  it('attaches again to a job that runs, and to one that is over', async () => {
    const cluster = await MemoryCluster.start({ workflows })
    const { jobId } = await cluster.run(cluster.client().submit({ workflows: [{ workflow: sleeper }] }))
    await cluster.settle(300)
    const during = cluster.client().job(jobId)
    await cluster.settle(100)
    expect(during.snapshot()).toMatchObject({ jobId, status: 'running', workflows: { running: 1 } })
    expect((await cluster.result(during)).status).toBe('completed')
    const after = cluster.client().job(jobId)
    const owners: unknown[] = []
    after.events.on('leader', (owner) => owners.push(owner))
    expect(await cluster.result(after)).toEqual(await cluster.result(during))
    expect(owners).toEqual([{ gateId: 'g1', address: 'g1:1', fence: 1 }])
    expect(await cluster.stop()).toBe(0)
  })

  it('says that it is orphaned, then that the job is lost, when no gate knows it', async () => {
    const cluster = await MemoryCluster.start({ workflows })
    const job = await cluster.run(cluster.client().submit({ workflows: [{ workflow: sleeper }] }))
    const orphanedAt: number[] = []
    job.events.on('orphaned', () => orphanedAt.push(cluster.clock.now()))
    const before = cluster.clock.now()
    await cluster.gates[0]?.kill()
    await cluster.gate()
    await expect(cluster.result(job)).rejects.toMatchObject({ code: 'JOB_LOST' })
    expect(cluster.clock.now() - before).toBeGreaterThanOrEqual(30_000)
    expect(orphanedAt).toHaveLength(1)
    expect((orphanedAt[0] ?? 0) - before).toBeGreaterThanOrEqual(5_000)
    for await (const _ of job.progress) continue // it has ended
    expect(await cluster.stop()).toBe(0)
  })

  it('gives up waiting for a result after the time it was given, or by a signal; the job goes on', async () => {
    const cluster = await MemoryCluster.start({ workflows })
    const job = await cluster.run(cluster.client().submit({ workflows: [{ workflow: sleeper }] }))
    await expect(cluster.run(job.result({ timeoutMs: 100 }))).rejects.toMatchObject({ code: 'TIMEOUT' })
    const reason = new Error('tired')
    await expect(cluster.run(job.result({ signal: AbortSignal.abort(reason) }))).rejects.toBe(reason)
    expect((await cluster.result(job)).status).toBe('completed')
    expect(await cluster.stop()).toBe(0)
  })

  it('ends with its client: NODE_STOPPED', async () => {
    const cluster = await MemoryCluster.start({ workflows })
    const client = cluster.client()
    const job = await cluster.run(client.submit({ workflows: [{ workflow: sleeper }] }))
    const result = job.result()
    const [outcome] = await cluster.run(Promise.all([result.catch((e: unknown) => e), client.stop()]))
    expect(outcome).toMatchObject({ code: 'NODE_STOPPED' })
    expect(() => client.job(job.jobId)).toThrow(expect.objectContaining({ code: 'NODE_STOPPED' }))
    await expect(client.submit({ workflows: one })).rejects.toMatchObject({ code: 'NODE_STOPPED' })
    expect(await cluster.stop()).toBe(0)
  })

  it('gives a slow reader of windows fewer of them, and every count', async () => {
    const load = defineWorkflow({
      name: 'load',
      run: async (ctx) => {
        for (let i = 0; i < 700; i++) {
          await ctx.clock.sleep(500, ctx.signal)
          ctx.stats.count('n')
        }
      },
    })
    const cluster = await MemoryCluster.start({ workflows: [load] })
    const steps = [{ workflow: load, timeoutMs: 600_000 }]
    const job = await cluster.run(cluster.client().submit({ workflows: steps }, { timeoutMs: 600_000 }))
    await cluster.result(job) // 350 windows wait
    let count = 0
    let windows = 0
    for await (const window of job.stats) {
      windows++
      count += window.counts['n'] ?? 0
    }
    expect(count).toBe(700)
    expect(windows).toBeLessThanOrEqual(257)
    expect(windows).toBeGreaterThan(200)

    // The gate kept as few for those who come later.
    const late = cluster.client().job(job.jobId)
    await cluster.result(late)
    let again = 0
    for await (const window of late.stats) again += window.counts['n'] ?? 0
    expect(again).toBe(700)
    expect(await cluster.stop()).toBe(0)
  })

  it('forgets a finished job after its time', async () => {
    const cluster = await MemoryCluster.start({ workflows, retain: { completedMs: 1_000 } })
    const job = await cluster.run(cluster.client().submit({ workflows: one }))
    await cluster.result(job)
    expect(cluster.gates[0]?.snapshot().jobs.owned).toBe(1)
    await cluster.settle(1_500)
    expect(cluster.gates[0]?.snapshot().jobs).toEqual({ owned: 0, copies: 0, running: 0 })
    expect(cluster.managers[0]?.snapshot()).toMatchObject({ jobs: 0, shards: 0 })
    await expect(cluster.run(cluster.client().job(job.jobId).cancel())).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' })
    expect(await cluster.stop()).toBe(0)
  })
})

describe('options', () => {
  it.each<[string, () => unknown, RegExp]>([
    ['a client without gates', () => new Client({ gates: [] }), /gates/],
    ['a gate without datacenters', () => new Gate({ id: 'g', datacenters: {} }), /datacenters/],
    ['a datacenter without managers', () => new Gate({ id: 'g', datacenters: { eu: [] } }), /datacenters\.eu/],
    [
      'a worker without managers',
      () => new Worker({ id: 'w', datacenter: 'eu', managers: [], workflows: [] }),
      /managers/,
    ],
    ['an id with a space', () => new Manager({ id: 'm 1', datacenter: 'eu' }), /id/],
    ['an address that is none', () => new Manager({ id: 'm', datacenter: 'eu', listen: 'nowhere' }), /listen/],
    ['a profile that is none', () => new Manager({ id: 'm', datacenter: 'eu', timing: 'lunar' as 'lan' }), /timing/],
    ['a time below zero', () => new Manager({ id: 'm', datacenter: 'eu', timing: { reportMs: -1 } }), /timing/],
    [
      'an option that is not there yet',
      () => new Gate({ id: 'g', datacenters: { eu: ['m:1'] }, copies: 1 } as never),
      /copies/,
    ],
    [
      'two workflows of one name',
      () => new Worker({ id: 'w', datacenter: 'eu', managers: ['m:1'], workflows: [square, square] }),
      /workflows/,
    ],
    ['a workflow without a name', () => defineWorkflow({ name: '', run: () => 1 }), /name/],
    ['a workflow without run', () => defineWorkflow({ name: 'x' } as never), /run/],
  ])('refuses %s', (_, make, message) => {
    expect(make).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) as string }),
    )
  })
})

describe('the life of a node', () => {
  it('says NOT_READY when what it needs does not come', async () => {
    const cluster = new MemoryCluster({ workflows })
    const worker = await cluster.worker('w1')
    await expect(cluster.run(worker.ready({ timeoutMs: 1_000 }))).rejects.toMatchObject({ code: 'NOT_READY' })
    await cluster.manager()
    await cluster.run(worker.ready())
    const gate = await cluster.gate()
    await cluster.run(gate.ready())
    expect(gate.snapshot().datacenters[DC]).toMatchObject({ status: 'healthy', leader: 'm1:1', totalCores: 4 })
    expect(await cluster.stop()).toBe(0)
  })

  it('stops twice as well as once, and does not start again', async () => {
    const cluster = await MemoryCluster.start({ workflows })
    const worker = cluster.workers.get('w1')
    await cluster.run(Promise.all([worker?.stop(), worker?.stop()]))
    await expect(worker?.ready()).rejects.toMatchObject({ code: 'NODE_STOPPED' })
    const fresh = new Manager({ id: 'm9', datacenter: DC })
    await fresh.stop()
    await expect(fresh.start()).rejects.toMatchObject({ code: 'NODE_STOPPED' })
    expect(await cluster.stop()).toBe(0)
  })

  it('refuses messages of another cluster', async () => {
    const cluster = await MemoryCluster.start({ workflows })
    const stranger = cluster.client({ cluster: 'other', submitTimeoutMs: 500 })
    await expect(cluster.run(stranger.submit({ workflows: one }))).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
    expect(await cluster.stop()).toBe(0)
  })

  it('answers malformed bodies with a DecodeError, counts them and changes nothing', async () => {
    const cluster = await MemoryCluster.start({ workflows })
    const rpc = cluster.network.rpc('x:1')
    for (const to of ['g1:1', 'm1:1', 'w1:1']) {
      const method = { 'g1:1': 'job.submit', 'm1:1': 'worker.report', 'w1:1': 'shard.run' }[to] ?? ''
      for (const body of [new Uint8Array(), new Uint8Array([0xc1]), new Uint8Array([0x80])])
        await expect(cluster.run(rpc.request(to, method, body))).rejects.toMatchObject({ remoteCode: 'DECODE_ERROR' })
    }
    const nodes = [cluster.gates[0], cluster.managers[0], cluster.workers.get('w1')]
    expect(nodes.map((node) => node?.snapshot().counters['malformed'])).toEqual([3, 3, 3])
    const job = await cluster.run(cluster.client().submit({ workflows: one }))
    expect((await cluster.result(job)).status).toBe('completed')
    await rpc.close()
    expect(await cluster.stop()).toBe(0)
  })
})
