import { describe, expect, it } from 'vitest'
import { msgpackCodec } from '@hs/core'
import type { Client } from '../src/index.js'
import { defineWorkflow, Gate, type GateOptions, type JobHandle, type JobResult, type NodeError } from '../src/index.js'
import { gateOrder } from '../src/gate-order.js'
import { jobIdOf } from '../src/job-id.js'
import { FreezableRpc } from './freezable-transport.js'
import { DC, MemoryCluster } from './memory-cluster.js'
import * as z from 'zod'

const NAMES = ['g1', 'g2', 'g3'] as const
const ADDRESSES = NAMES.map((name) => `${name}:1`)

const work = defineWorkflow({
  name: 'work',
  run: async (ctx) => {
    await ctx.clock.sleep(2_000, ctx.signal)
    ctx.stats.count('runs')
    return ctx.workerId
  },
})
const steps = (count: number) => Array.from({ length: count }, (_, i) => ({ workflow: work, id: `s${i}` }))

/** A key whose job `owner` should have. */
function keyFor(owner: string, names: readonly string[] = NAMES): string {
  for (let i = 0; ; i++) if (gateOrder(jobIdOf('default', `key ${i}`), names)[0] === owner) return `key ${i}`
}

class Gates {
  readonly cluster: MemoryCluster
  readonly gates = new Map<string, Gate>()
  readonly rpc = new Map<string, FreezableRpc>()

  constructor(seed = 1) {
    this.cluster = new MemoryCluster({ workflows: [work], seed })
  }

  async start(): Promise<this> {
    await this.cluster.manager()
    await this.cluster.worker('w1')
    for (const name of NAMES) await this.gate(name)
    await this.cluster.run(Promise.all([...this.gates.values()].map((gate) => gate.ready())))
    return this
  }

  async gate(id: string, options: Partial<GateOptions> = {}): Promise<Gate> {
    const { datagram, rpc } = this.cluster.transport(`${id}:1`)
    const freezable = new FreezableRpc(rpc)
    this.rpc.set(id, freezable)
    const peers = ADDRESSES.filter((address) => address !== `${id}:1`)
    const gate = await this.cluster.gate({ id, peers, transport: { datagram, rpc: freezable }, ...options })
    this.gates.set(id, gate)
    return gate
  }

  at(id: string): Gate {
    const gate = this.gates.get(id)
    if (gate === undefined) throw new Error(`there is no gate ${id}`)
    return gate
  }

  client(...gates: string[]): Client {
    return this.cluster.client({ gates: gates.map((id) => `${id}:1`) })
  }

  submit(client: Client, key: string, count = 2): Promise<JobHandle> {
    return this.cluster.run(client.submit({ workflows: steps(count) }, { idempotencyKey: key }))
  }

  get owned(): Record<string, number> {
    return Object.fromEntries(Array.from(this.gates, ([id, gate]) => [id, gate.snapshot().jobs.owned]))
  }
}

function expectExact({ status, accounting, counters }: JobResult, count: number): void {
  expect(status).toBe('completed')
  expect(accounting).toMatchObject({
    workflows: count,
    completed: count,
    executions: count,
    requeued: 0,
    duplicates: 0,
  })
  expect(counters).toEqual({ runs: count })
}

/** A submission that was passed on this often already, as another node sends it. */
async function passedOn(cluster: MemoryCluster, to: string, hops: number): Promise<unknown> {
  const codec = msgpackCodec(z.any())
  const body = { cluster: 'default', key: 'k', submission: new Uint8Array([128]), reader: 'r', hops }
  return codec.decode(
    await cluster.run(cluster.network.rpc(`raw${hops}:1`).request(to, 'job.submit', codec.encode(body))),
  )
}

describe('gates of one cluster (NODES-8, NODES-9)', () => {
  it('find each other, and are ready when they see a majority', async () => {
    const gates = await new Gates().start()
    for (const gate of gates.gates.values()) expect(gate.snapshot()).toMatchObject({ gates: 3, quorum: true })
    expect(gates.cluster.errors()).toEqual([])
    expect(await gates.cluster.stop()).toBe(0)
  })

  it('take a submission at any gate, and give it to the one that should own it', async () => {
    const gates = await new Gates().start()
    const job = await gates.submit(gates.client('g1'), keyFor('g3'))
    expect(gates.owned).toEqual({ g1: 0, g2: 0, g3: 1 })
    expect(gates.at('g1').snapshot().counters).toMatchObject({ forwarded: 1, accepted: 0 })
    expectExact(await gates.cluster.result(job), 2)
    expect(await gates.cluster.stop()).toBe(0)
  })

  it('make one job of one key at three gates at once', async () => {
    const gates = await new Gates().start()
    const submissions = NAMES.map((id) => gates.client(id).submit({ workflows: steps(3) }, { idempotencyKey: 'same' }))
    const jobs = await gates.cluster.run(Promise.all(submissions))
    expect(new Set(jobs.map(({ jobId }) => jobId)).size).toBe(1)
    for (const job of jobs) expectExact(await gates.cluster.result(job), 3)
    expect(Object.values(gates.owned).sort()).toEqual([0, 0, 1])
    const conflict = gates.client('g1').submit({ workflows: steps(4) }, { idempotencyKey: 'same' })
    await expect(gates.cluster.run(conflict)).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' })
    expect(await gates.cluster.stop()).toBe(0)
  })

  it('tell whoever asks any of them about a job where it is', async () => {
    const gates = await new Gates().start()
    const { jobId } = await gates.submit(gates.client('g3'), keyFor('g3'), 40)
    await gates.cluster.settle(500)
    const attached = gates.client('g1').job(jobId)
    const leaders: string[] = []
    attached.events.on('leader', ({ gateId }) => leaders.push(gateId))
    expect(await gates.cluster.run(gates.client('g2').job(jobId).cancel('enough'))).toEqual({ status: 'cancelling' })
    expect(await gates.cluster.result(attached)).toMatchObject({ status: 'cancelled', reason: 'enough' })
    expect(leaders).toEqual(['g3'])
    expect(await gates.cluster.stop()).toBe(0)
  })

  it('tell a gate that joins late where jobs are', async () => {
    const gates = new Gates()
    await gates.cluster.manager()
    await gates.cluster.worker('w1')
    for (const id of ['g1', 'g2']) await gates.gate(id)
    await gates.cluster.run(gates.at('g1').ready())
    const job = await gates.submit(gates.client('g1'), keyFor('g1', ['g1', 'g2']), 8)
    await gates.gate('g3')
    await gates.cluster.run(gates.at('g3').ready())
    expectExact(await gates.cluster.result(gates.client('g3').job(job.jobId)), 8)
    expect(await gates.cluster.stop()).toBe(0)
  })

  it('refuse a job that was passed on too often', async () => {
    const gates = await new Gates().start()
    const id = jobIdOf('default', 'k')
    const notOwner = gateOrder(id, NAMES)[1] ?? ''
    expect(await passedOn(gates.cluster, `${notOwner}:1`, 2)).toMatchObject({ ok: false, code: 'FORWARD_LOOP' })
    expect(await passedOn(gates.cluster, `${notOwner}:1`, 3)).toMatchObject({ ok: false, code: 'FORWARD_LOOP' })
    expect(await gates.cluster.stop()).toBe(0)
  })

  it('take new jobs without one that is gone: the next in order owns them', async () => {
    const gates = await new Gates().start()
    await gates.cluster.run(gates.at('g3').kill())
    const job = await gates.submit(gates.client('g1', 'g2'), keyFor('g3'))
    expectExact(await gates.cluster.result(job), 2)
    expect(await gates.cluster.stop()).toBe(0)
  })

  it('take new jobs without one that is silent, once they suspect it', async () => {
    const gates = await new Gates().start()
    const key = keyFor('g3')
    const next = gateOrder(jobIdOf('default', key), NAMES)[1] ?? ''
    gates.rpc.get('g3')?.freeze()
    await gates.cluster.settle(10)
    // It answers SWIM's datagrams, so it is not suspected: its place is not taken.
    const refused = gates.cluster.client({ gates: [`${next}:1`], submitTimeoutMs: 5_000 })
    const attempt = gates.cluster.run(refused.submit({ workflows: steps(1) }, { idempotencyKey: key }))
    await expect(attempt).rejects.toMatchObject({ code: 'NO_GATE' })
    expect(gates.owned).toEqual({ g1: 0, g2: 0, g3: 0 })
    gates.rpc.get('g3')?.thaw()
    await gates.cluster.run(gates.at('g3').kill())
    expectExact(await gates.cluster.result(await gates.submit(gates.client(next), key, 1)), 1)
    expect(gates.owned[next]).toBe(1)
    expect(await gates.cluster.stop()).toBe(0)
  })

  it('refuse new jobs without a majority, and go on with what they own', async () => {
    const gates = await new Gates().start()
    const key = keyFor('g1')
    const job = await gates.submit(gates.client('g1'), key, 6)
    await gates.cluster.run(Promise.all([gates.at('g2').kill(), gates.at('g3').kill()]))
    await gates.cluster.settle(10_000)
    expect(gates.at('g1').snapshot()).toMatchObject({ gates: 1, quorum: false })
    const client = gates.cluster.client({ submitTimeoutMs: 2_000 })
    const refused = gates.cluster.run(client.submit({ workflows: steps(1) }))
    await expect(refused).rejects.toMatchObject({ code: 'NO_QUORUM' } satisfies Partial<NodeError>)
    expect((await gates.submit(gates.client('g1'), key, 6)).jobId).toBe(job.jobId)
    expectExact(await gates.cluster.result(job), 6)
    await gates.gate('g2')
    await gates.cluster.settle(5_000)
    expectExact(await gates.cluster.result(await gates.submit(gates.client('g1', 'g2'), 'later')), 2)
    expect(await gates.cluster.stop()).toBe(0)
  })

  it('say that a job is lost when the only one that had it is', async () => {
    const gates = await new Gates().start()
    const job = await gates.submit(gates.client(...NAMES), keyFor('g3'), 40)
    const said: string[] = []
    job.events.on('orphaned', () => said.push('orphaned'))
    await gates.cluster.run(gates.at('g3').kill())
    const outcome = gates.cluster.run(job.result().catch((error: unknown) => error))
    expect(await outcome).toMatchObject({ code: 'JOB_LOST' })
    expect(said).toEqual(['orphaned'])
    expect(await gates.cluster.stop()).toBe(0)
  })

  it('are a quorum of one where there is one', async () => {
    const cluster = await MemoryCluster.start({ workflows: [work] })
    expect(cluster.gates[0]?.snapshot()).toMatchObject({ gates: 1, quorum: true })
    expect(await cluster.stop()).toBe(0)
  })

  it.each([
    [{ peers: ['has space:1 '] }, /peers/],
    [{ clusterSize: 0 }, /clusterSize/],
  ])('refuse %j', (options, message) => {
    expect(() => new Gate({ id: 'g', datacenters: { [DC]: ['m1:1'] }, ...(options as object) })).toThrow(message)
  })
})

describe('gateOrder (NODES-9)', () => {
  it('names all gates, moves no job between those that stay, and shares jobs out evenly', () => {
    const counts: Record<string, number> = {}
    for (let i = 0; i < 3_000; i++) {
      const all = gateOrder(`job ${i}`, ['a', 'b', 'c', 'd'])
      expect([...all].sort()).toEqual(['a', 'b', 'c', 'd'])
      expect(gateOrder(`job ${i}`, ['d', 'a', 'c'])).toEqual(all.filter((name) => name !== 'b'))
      counts[all[0] ?? ''] = (counts[all[0] ?? ''] ?? 0) + 1
    }
    for (const count of Object.values(counts)) expect(Math.abs(count - 750)).toBeLessThan(120)
  })
})

describe('a gate that learns of a better claim to its job', () => {
  it('lets the job go, says who has it, and hands over what it has taken from workers', async () => {
    const gates = await new Gates().start()
    const job = await gates.submit(gates.client(...NAMES), keyFor('g3'), 6)
    await gates.cluster.settle(3_000) // four of six are done
    const codec = msgpackCodec(z.any())
    const other = gates.cluster.network.rpc('gx:1')
    const taken = new Set<string>()
    other.handle('job.report', (body) => {
      const { settled } = codec.decode(body) as { settled: { key: string; fence: number }[] }
      for (const { key } of settled) taken.add(key)
      const acknowledged = settled.map(({ key, fence }) => ({ key, fence }))
      const backpressure = { level: 'none', delayMs: 0, epoch: 1, seq: taken.size }
      return codec.encode({ ok: true, acknowledged, abandon: false, backpressure })
    })
    const owner = { gateId: 'gx', address: 'gx:1', fence: 2 }
    const claim = codec.encode({ cluster: 'default', claims: [{ jobId: job.jobId, owner }], released: [] })
    await gates.cluster.run(other.request('g3:1', 'job.leader', claim))
    expect(gates.at('g3').snapshot().jobs.owned).toBe(0)
    await gates.cluster.settle(3_000)
    // Four by the gate, the others by the leader of the datacenter, which was told who owns the job.
    expect(taken.size).toBe(6)
    expect(
      await gates.cluster.run(gates.cluster.network.rpc('raw:2').request('g3:1', 'job.cancel', cancelOf(job.jobId))),
    ).toEqual(codec.encode({ ok: false, code: 'JOB_NOT_FOUND', message: 'gx owns ' + job.jobId, owner }))
    expect(await gates.cluster.stop()).toBe(0)
  })
})

function cancelOf(jobId: string): Uint8Array {
  return msgpackCodec(z.any()).encode({ cluster: 'default', jobId })
}
