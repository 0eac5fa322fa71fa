import { describe, expect, it } from 'vitest'
import type { DatagramTransport } from '@hs/core'
import { MemoryDisk } from '@hs/core/testing'
import {
  defineWorkflow,
  Manager,
  type GateOptions,
  type JobResult,
  type ManagerOptions,
  type NodeError,
} from '../src/index.js'
import { FreezableRpc } from './freezable-transport.js'
import { managerStatus } from '../src/wire/gate-manager.js'
import { DC, MemoryCluster } from './memory-cluster.js'

const NAMES = ['m1', 'm2', 'm3'] as const
const ADDRESSES = NAMES.map((name) => `${name}:1`)

const work = defineWorkflow({
  name: 'work',
  run: async (ctx) => {
    for (let i = 1; i <= 40; i++) {
      await ctx.clock.sleep(100, ctx.signal)
      ctx.stats.count('steps')
      ctx.progress(i, 40)
    }
    return ctx.workerId
  },
})

const many = (count: number) => Array.from({ length: count }, (_, i) => ({ workflow: work, id: `s${i}` }))

class Trio {
  readonly cluster: MemoryCluster
  readonly managers = new Map<string, Manager>()

  constructor(seed = 1) {
    this.cluster = new MemoryCluster({ workflows: [work], cores: 2, seed })
  }

  async manager(id: string, options: Partial<ManagerOptions> = {}): Promise<Manager> {
    const manager = await this.cluster.manager({
      id,
      peers: ADDRESSES.filter((address) => address !== `${id}:1`),
      ...options,
      transport: options.transport ?? this.cluster.transport(`${id}:1`),
    })
    this.managers.set(id, manager)
    return manager
  }

  async start(workers = 2, gate: Partial<GateOptions> = {}): Promise<this> {
    for (const name of NAMES) await this.manager(name)
    for (let i = 1; i <= workers; i++) await this.cluster.worker(`w${i}`, { managers: ADDRESSES })
    await this.cluster.gate({ datacenters: { [DC]: ADDRESSES }, ...gate })
    await this.leader()
    return this
  }

  get leaders(): Manager[] {
    return [...this.managers.values()].filter((manager) => manager.isLeader)
  }

  /** Waits until there is one. */
  async leader(): Promise<Manager> {
    await this.cluster.clock.runUntil(() => this.leaders.length > 0, { limitMs: 10_000 })
    const [leader] = this.leaders
    if (leader === undefined) throw new Error('nobody leads')
    return leader
  }

  async submit(count: number) {
    return this.cluster.run(this.cluster.client().submit({ workflows: many(count) }))
  }
}

function expectExact(result: JobResult, count: number): void {
  expect(result.status).toBe('completed')
  expect(result.accounting).toMatchObject({ workflows: count, completed: count, missing: 0 })
  expect(result.counters['steps']).toBe(40 * count)
  const executions = Object.values(result.workflows).flatMap((datacenters) => datacenters[DC]?.executions ?? [])
  expect(new Set(executions.map((id) => id.slice(0, id.indexOf('#')))).size).toBe(count)
}

describe('managers of one datacenter (NODES-24)', () => {
  it('elect one of them, whom all know, and only that one schedules', async () => {
    const trio = await new Trio().start()
    const leader = await trio.leader()
    await trio.cluster.settle(2_000)
    expect(trio.leaders).toEqual([leader])
    for (const manager of trio.managers.values())
      expect(manager.snapshot()).toMatchObject({ leaderId: leader.id, term: leader.snapshot().term, managers: 3 })
    const job = await trio.submit(6)
    expectExact(await trio.cluster.result(job), 6)
    for (const manager of trio.managers.values())
      expect(manager.snapshot().counters['accepted']).toBe(manager === leader ? 1 : 0)
    expect(trio.cluster.errors()).toEqual([])
    expect(await trio.cluster.stop()).toBe(0)
  })

  it('lead from the start where there is only one', async () => {
    const cluster = await MemoryCluster.start({ workflows: [work] })
    expect(cluster.managers[0]?.snapshot()).toMatchObject({ isLeader: true, term: 1, managers: 1 })
    expect(await cluster.stop()).toBe(0)
  })

  it('have no leader without a quorum of the configured number, and say so', async () => {
    const trio = new Trio()
    const alone = await trio.manager('m1')
    await trio.cluster.settle(10_000)
    expect(alone.snapshot()).toMatchObject({ isLeader: false, leaderId: null, managers: 1 })
    const ready = alone.ready({ timeoutMs: 100 }).catch((error: unknown) => error)
    expect(await trio.cluster.run(ready)).toMatchObject({ code: 'NOT_READY' } satisfies Partial<NodeError>)
    expect(await trio.cluster.stop()).toBe(0)
  })

  it.each([
    [{ peers: ['has space:1 '] }, /peers/],
    [{ clusterSize: 0 }, /clusterSize/],
    [{ disk: {} }, /disk: expected a Disk/],
  ])('refuses %j', (options, message) => {
    expect(() => new Manager({ id: 'm', datacenter: 'd', ...(options as object) })).toThrow(message)
  })
})

describe('the loss of the leading manager (NODES-25, NODES-26)', () => {
  it.each(['kill', 'stop'] as const)(
    'by %s: another one takes over, running shards go on, none runs twice',
    async (how) => {
      const trio = await new Trio().start()
      const first = await trio.leader()
      const job = await trio.submit(8)
      await trio.cluster.settle(1_500)
      const told: unknown[] = []
      first.events.on('leaderChanged', (change) => told.push(change))
      await trio.cluster.run(first[how]())
      expect(told).toContainEqual({ leaderId: null, term: expect.any(Number) as number })
      const second = await trio.leader()
      expect(second).not.toBe(first)
      expect(second.snapshot().term).toBeGreaterThan(first.snapshot().term)
      const result = await trio.cluster.result(job)
      expectExact(result, 8)
      expect(result.accounting).toMatchObject({ executions: 8, requeued: 0 })
      expect(await trio.cluster.stop()).toBe(0)
    },
  )

  it('together with a worker: its shards run again, and each counts once', async () => {
    const trio = await new Trio().start(3)
    const first = await trio.leader()
    const job = await trio.submit(8)
    await trio.cluster.settle(1_500)
    await trio.cluster.run(Promise.all([first.kill(), trio.cluster.workers.get('w2')?.kill()]))
    expectExact(await trio.cluster.result(job), 8)
    expect(await trio.cluster.stop()).toBe(0)
  })

  it('and its return as a follower', async () => {
    const trio = await new Trio().start()
    const first = await trio.leader()
    await trio.cluster.run(first.kill())
    const second = await trio.leader()
    const again = await trio.manager(first.id)
    await trio.cluster.settle(5_000)
    expect(trio.leaders).toEqual([second])
    expect(again.snapshot()).toMatchObject({ isLeader: false, leaderId: second.id, managers: 3 })
    expect(await trio.cluster.stop()).toBe(0)
  })

  it('twice in a row, with every job of both times exact', async () => {
    const trio = await new Trio(7).start()
    const jobs = [await trio.submit(6)]
    for (let round = 0; round < 2; round++) {
      await trio.cluster.settle(700)
      const leader = await trio.leader()
      await trio.cluster.run(leader.kill())
      await trio.leader()
      await trio.manager(leader.id)
      jobs.push(await trio.submit(3))
    }
    for (const [i, job] of jobs.entries()) expectExact(await trio.cluster.result(job), i === 0 ? 6 : 3)
    expect(await trio.cluster.stop()).toBe(0)
  })
})

describe('a restart of all managers', () => {
  it('begins above every term that workers have followed, with disks and without', async () => {
    for (const disks of [true, false]) {
      const trio = new Trio()
      const disk = new Map(NAMES.map((name) => [name, new MemoryDisk()]))
      const options = (name: (typeof NAMES)[number]) => {
        const own = disk.get(name)
        return disks && own !== undefined ? { disk: own } : {}
      }
      for (const name of NAMES) await trio.manager(name, options(name))
      await trio.cluster.worker('w1', { managers: ADDRESSES })
      await trio.cluster.gate({ datacenters: { [DC]: ADDRESSES } })
      const before = (await trio.leader()).snapshot().term
      const job = await trio.submit(4)
      await trio.cluster.settle(1_000)
      await trio.cluster.run(Promise.all([...trio.managers.values()].map((manager) => manager.kill())))
      for (const name of NAMES) await trio.manager(name, options(name))
      const result = await trio.cluster.result(job)
      expectExact(result, 4)
      expect(result.accounting).toMatchObject({ executions: 4, requeued: 0 })
      expect((await trio.leader()).snapshot().term).toBeGreaterThan(before)
      expect(await trio.cluster.stop()).toBe(0)
    }
  })
})

describe('a manager that loses the leadership and has it again', () => {
  it('leads under a term above that of its earlier leadership, so that workers and gates follow it', async () => {
    let regained = 0
    for (let seed = 1; seed <= 8; seed++) {
      const trio = new Trio(seed)
      let isCut = false
      for (const name of NAMES) {
        const { datagram, rpc } = trio.cluster.transport(`${name}:1`)
        const cut: DatagramTransport = {
          address: datagram.address,
          maxMessageBytes: datagram.maxMessageBytes,
          send: (to, bytes) => isCut || datagram.send(to, bytes),
          onMessage: (fn) => datagram.onMessage(fn),
          close: () => datagram.close(),
        }
        await trio.manager(name, { transport: { datagram: cut, rpc } })
      }
      await trio.cluster.worker('w1', { managers: ADDRESSES })
      await trio.cluster.gate({ datacenters: { [DC]: ADDRESSES } })
      const first = await trio.leader()
      await trio.cluster.settle(1_000)
      // Somebody has followed a leader of long ago: this one rises above it, far above what its election counts.
      const ofLongAgo = { id: 'm9@1', address: 'm9:1', term: 50 }
      const request = { gateId: 'g9', leader: ofLongAgo, cluster: 'default' }
      const { rpc } = trio.cluster.transport('g9:1')
      await trio.cluster.run(rpc.request(first.address, managerStatus.name, managerStatus.request.encode(request)))
      await trio.cluster.settle(1_000)
      expect(first.snapshot().term).toBe(51)

      isCut = true
      await trio.cluster.clock.runUntil(() => trio.leaders.length === 0, { limitMs: 60_000 })
      isCut = false
      const next = await trio.leader()
      if (next === first) regained++
      const job = await trio.submit(2)
      expectExact(await trio.cluster.result(job), 2)
      expect(next.snapshot().term).toBeGreaterThan(51)
      expect(await trio.cluster.stop()).toBe(0)
    }
    expect(regained).toBeGreaterThan(0)
  })
})

describe('what managers tell each other (NODES-29)', () => {
  it('lets every manager see every worker, and one that is back catches up', async () => {
    const trio = await new Trio().start(2)
    const leader = await trio.leader()
    const seen = () => [...trio.managers.values()].map((manager) => manager.snapshot().workers)
    await trio.cluster.settle(2_500)
    expect(seen()).toEqual([2, 2, 2])
    const [other] = [...trio.managers.values()].filter((manager) => manager !== leader)
    await trio.cluster.run(other?.kill() ?? Promise.resolve())
    await trio.cluster.worker('w3', { managers: ADDRESSES })
    await trio.manager(other?.id ?? '')
    await trio.cluster.settle(8_000)
    expect(seen()).toEqual([3, 3, 3])
    await trio.cluster.run(trio.cluster.workers.get('w1')?.stop() ?? Promise.resolve())
    await trio.cluster.settle(2_000)
    expect(seen()).toEqual([2, 2, 2])
    expect(trio.cluster.errors()).toEqual([])
    expect(await trio.cluster.stop()).toBe(0)
  })
})

describe('a new leader (NODES-25)', () => {
  it('goes on as soon as all workers that were known have registered', async () => {
    const trio = await new Trio().start()
    const first = await trio.leader()
    const job = await trio.submit(12) // on four cores: eight wait
    await trio.cluster.settle(3_000)
    await trio.cluster.run(first.kill())
    await trio.leader()
    const { clock } = trio.cluster
    const ledAt = clock.now()
    const started: number[] = []
    for (const worker of trio.cluster.workers.values())
      worker.events.on('shardStarted', () => started.push(clock.now()))
    // A worker's cores are free before `recoveryMs`, 1,500, has passed.
    await clock.runUntil(() => started.length > 0, { limitMs: 10_000 })
    expect((started[0] ?? Infinity) - ledAt).toBeLessThan(1_200)
    const result = await trio.cluster.result(job)
    expectExact(result, 12)
    expect(result.accounting).toMatchObject({ executions: 12, requeued: 0 })
    expect(await trio.cluster.stop()).toBe(0)
  })

  it('does not wait long for a worker that went with the one before', async () => {
    const trio = await new Trio().start(3)
    const first = await trio.leader()
    const job = await trio.submit(4)
    await trio.cluster.settle(1_500)
    const { clock, workers } = trio.cluster
    const busy = [...workers.values()].find((worker) => worker.snapshot().running > 0)
    await trio.cluster.run(Promise.all([first.kill(), busy?.kill()]))
    await trio.leader()
    const ledAt = clock.now()
    const started: number[] = []
    for (const worker of workers.values()) worker.events.on('shardStarted', () => started.push(clock.now()))
    await clock.runUntil(() => started.length > 0, { limitMs: 10_000 })
    expect((started[0] ?? Infinity) - ledAt).toBeLessThan(1_400)
    expectExact(await trio.cluster.result(job), 4)
    expect(await trio.cluster.stop()).toBe(0)
  })

  it('goes on with what its peers know while no gate answers', async () => {
    const trio = new Trio()
    const { datagram, rpc } = trio.cluster.transport('g1:1')
    const gate = new FreezableRpc(rpc)
    await trio.start(2, { transport: { datagram, rpc: gate } })
    const first = await trio.leader()
    const job = await trio.submit(12)
    await trio.cluster.settle(3_000)
    gate.freeze()
    await trio.cluster.run(first.kill())
    const second = await trio.leader()
    await trio.cluster.settle(3_000)
    expect(second.snapshot()).toMatchObject({ jobs: 1, workers: 2 })
    await trio.cluster.settle(7_000)
    gate.thaw()
    const result = await trio.cluster.result(job)
    expectExact(result, 12)
    expect(result.accounting).toMatchObject({ executions: 12 })
    expect(await trio.cluster.stop()).toBe(0)
  })

  it('does not run again what its gate has done with', async () => {
    const trio = await new Trio().start()
    const job = await trio.submit(4)
    expectExact(await trio.cluster.result(job), 4)
    const started: string[] = []
    for (const worker of trio.cluster.workers.values()) worker.events.on('shardStarted', (key) => started.push(key))
    const first = await trio.leader()
    await trio.cluster.run(first.kill())
    await trio.cluster.settle(5_000)
    expect(started).toEqual([])
    expect((await trio.leader()).snapshot()).toMatchObject({ jobs: 0, workers: 2 })
    expect(await trio.cluster.stop()).toBe(0)
  })
})
