import { describe, expect, it } from 'vitest'
import { FederatedHealth, type DatacenterStatus } from '@hs/health'
import { defineWorkflow, type Gate, type GateOptions } from '../src/index.js'
import { timingProfiles } from '../src/timing.js'
import { MemoryCluster } from './memory-cluster.js'
import { SeverableTransport } from './severable-transport.js'

const { staleNodeMs } = timingProfiles.local

const nap = defineWorkflow({ name: 'nap', run: (ctx) => ctx.clock.sleep(1_000, ctx.signal) })
const naps = (count: number) => Array.from({ length: count }, (_, i) => ({ workflow: nap, id: `s${i}` }))

/** A manager and a worker in each, behind cables that can be cut, and a gate that tells what it sees. */
async function datacenters(...names: string[]) {
  const cluster = new MemoryCluster({ workflows: [nap], cores: 2 })
  const cables = new Map<string, SeverableTransport>()
  const start = async (name: string) => {
    const cable = new SeverableTransport(cluster.transport(`m-${name}:1`))
    cables.set(name, cable)
    return cluster.manager({ id: `m-${name}`, datacenter: name, transport: cable })
  }
  for (const name of names) {
    await start(name)
    await cluster.worker(`w-${name}`, { datacenter: name, managers: [`m-${name}:1`] })
  }
  const gate = await cluster.gate(placesOf(names))
  const events = eventsOf(gate)
  await cluster.settle(1_000)
  return { cluster, gate, events, start, cable: (name: string) => cables.get(name) }
}

const placesOf = (names: readonly string[]): Partial<GateOptions> => ({
  datacenters: Object.fromEntries(names.map((name) => [name, [`m-${name}:1`]])),
})

function eventsOf(gate: Gate) {
  const events: [string, string][] = []
  gate.events.on('datacenter', (...told) => events.push(told))
  return events
}

const statuses = (gate: Gate) =>
  Object.fromEntries(Object.entries(gate.snapshot().datacenters).map(([name, { status }]) => [name, status]))

describe('a datacenter that is cut off (NODES-13, NODES-32)', () => {
  it('is told to be unreachable, and work goes on in the other one', async () => {
    const { cluster, gate, events, cable } = await datacenters('eu', 'us')
    expect(statuses(gate)).toEqual({ eu: 'healthy', us: 'healthy' })
    events.length = 0
    cable('eu')?.cut()
    await cluster.settle(staleNodeMs + 1_500)
    expect(statuses(gate)).toEqual({ eu: 'unreachable', us: 'healthy' })
    expect(events).toEqual([['eu', 'unreachable']])

    const client = cluster.client()
    for (let i = 0; i < 3; i++) {
      const result = await cluster.result(await cluster.run(client.submit({ workflows: naps(1) })))
      expect(Object.keys(result.workflows['s0'] ?? {})).toEqual(['us'])
      expect(result.status).toBe('completed')
    }
    cable('eu')?.mend()
    await cluster.settle(3_000)
    expect(statuses(gate)).toEqual({ eu: 'healthy', us: 'healthy' })
    expect(events.filter(([name]) => name === 'us')).toEqual([])
    const named = await cluster.run(client.submit({ workflows: naps(1) }, { datacenters: ['eu'] }))
    expect((await cluster.result(named)).status).toBe('completed')
    expect(await cluster.stop()).toBe(0)
  })

  it('together with most others is one partition, which heals once (C3)', async () => {
    const { cluster, gate, cable } = await datacenters('a', 'b', 'c')
    for (const name of ['a', 'b']) cable(name)?.cut()
    await cluster.settle(staleNodeMs + 5_000)
    expect(gate.snapshot().counters).toMatchObject({ partitions: 1, partitionsHealed: 0 })
    expect(statuses(gate)).toEqual({ a: 'unreachable', b: 'unreachable', c: 'healthy' })
    for (const name of ['a', 'b']) cable(name)?.mend()
    await cluster.settle(2 * staleNodeMs + 3_000)
    expect(gate.snapshot().counters).toMatchObject({ partitions: 1, partitionsHealed: 1 })
    const told = cluster.logger.entries.map(({ message }) => message).filter((message) => message.includes('partition'))
    expect(told).toEqual(['partition detected', 'partition healed'])
    expect(await cluster.stop()).toBe(0)
  })

  it('alone is no partition', async () => {
    const { cluster, gate, cable } = await datacenters('a', 'b', 'c')
    cable('a')?.cut()
    await cluster.settle(staleNodeMs + 5_000)
    expect(gate.snapshot().counters).toMatchObject({ partitions: 0 })
    expect(await cluster.stop()).toBe(0)
  })
})

describe('a manager that is killed and restarted (C1, C2)', () => {
  it('gets traffic again, with the same answers counted that count of any other', async () => {
    const { cluster, gate, events, start } = await datacenters('eu')
    const job = await cluster.run(cluster.client().submit({ workflows: naps(6) }))
    await cluster.settle(500)
    await cluster.managers[0]?.kill()
    await cluster.settle(staleNodeMs + 2_000)
    expect(statuses(gate)).toEqual({ eu: 'unreachable' })
    const answered = gate.snapshot().counters['probeAnswers'] ?? 0
    await start('eu')
    await cluster.settle(8_000) // the worker looks for it every five seconds at the latest
    expect(statuses(gate)).toEqual({ eu: 'healthy' })
    expect(events.map(([, status]) => status).filter((status) => status === 'unreachable')).toHaveLength(1)
    expect(gate.snapshot().counters['probeAnswers']).toBeGreaterThan(answered)
    expect(await cluster.result(job)).toMatchObject({ status: 'completed', accounting: { completed: 6 } })
    const next = await cluster.run(cluster.client().submit({ workflows: naps(2) }))
    expect((await cluster.result(next)).status).toBe('completed')
    expect(await cluster.stop()).toBe(0)
  })
})

describe('a datacenter that is full (AD-16)', () => {
  it('is busy and never worse, and takes work all the same', async () => {
    const { cluster, gate, events } = await datacenters('eu')
    events.length = 0
    const client = cluster.client()
    const job = await cluster.run(client.submit({ workflows: naps(12) }))
    await cluster.settle(1_500)
    expect(statuses(gate)).toEqual({ eu: 'busy' })
    const more = await cluster.run(client.submit({ workflows: naps(2) }))
    for (const handle of [job, more]) expect((await cluster.result(handle)).status).toBe('completed')
    await cluster.settle(1_000)
    expect(statuses(gate)).toEqual({ eu: 'healthy' })
    expect(new Set(events.map(([, status]) => status))).toEqual(new Set(['busy', 'healthy']))
    expect(await cluster.stop()).toBe(0)
  })

  it('comes after one that has room', async () => {
    const { cluster } = await datacenters('eu', 'us')
    const client = cluster.client()
    const full = await cluster.run(client.submit({ workflows: naps(8) }, { datacenters: ['eu'] }))
    await cluster.settle(1_000)
    const next = await cluster.result(await cluster.run(client.submit({ workflows: naps(1) })))
    expect(Object.keys(next.workflows['s0'] ?? {})).toEqual(['us'])
    expect((await cluster.result(full)).status).toBe('completed')
    expect(await cluster.stop()).toBe(0)
  })

  it('without a worker is unhealthy, and what is sent there waits for one', async () => {
    const cluster = await MemoryCluster.start({ workflows: [nap], workers: 0 })
    await cluster.settle(1_000)
    expect(cluster.gates.map(statuses)).toEqual([{ eu: 'unhealthy' }])
    const job = await cluster.run(cluster.client().submit({ workflows: naps(1) }))
    await cluster.settle(1_000)
    await cluster.worker('w1')
    expect((await cluster.result(job)).status).toBe('completed')
    expect(await cluster.stop()).toBe(0)
  })
})

describe('probes across datacenters (NODES-2, NODES-32)', () => {
  const ADDRESSES = ['m1:1', 'm2:1', 'm3:1']

  async function trio() {
    const cluster = new MemoryCluster({ workflows: [nap], cores: 2 })
    for (const id of ['m1', 'm2', 'm3'])
      await cluster.manager({
        id,
        peers: ADDRESSES.filter((address) => address !== `${id}:1`),
        transport: cluster.transport(`${id}:1`),
      })
    await cluster.worker('w1', { managers: ADDRESSES })
    await cluster.clock.runUntil(() => cluster.managers.some(({ isLeader }) => isLeader), { limitMs: 10_000 })
    await cluster.settle(6_000) // the followers have heard of all
    return cluster
  }

  /** What somebody sees of the datacenter who begins with this manager. */
  async function seenFrom(cluster: MemoryCluster, address: string): Promise<DatacenterStatus | undefined> {
    const datagram = cluster.network.datagram(`asker-of-${address}`)
    const channel: typeof datagram = {
      address: datagram.address,
      maxMessageBytes: datagram.maxMessageBytes - 1,
      send: (to, bytes) => datagram.send(to, Uint8Array.of(1, ...bytes)),
      onMessage: (fn) => datagram.onMessage((from, bytes) => fn(from, bytes.subarray(1))),
      close: () => datagram.close(),
    }
    const health = new FederatedHealth({ ...cluster.runtime, transport: channel, self: 'asker', probeIntervalMs: 100 })
    health.add('eu', { address })
    await health.start()
    await cluster.settle(1_000)
    const status = health.status('eu')
    await health.stop()
    await datagram.close()
    return status
  }

  it('are answered by every manager with the same facts, and lead to the one that leads', async () => {
    const cluster = await trio()
    const leader = cluster.managers.find(({ isLeader }) => isLeader)
    for (const address of ADDRESSES) {
      const seen = await seenFrom(cluster, address)
      expect(seen).toMatchObject({ reachability: 'reachable', health: 'healthy' })
      expect(seen?.leader.address).toBe(leader?.address)
      expect(seen?.facts).toMatchObject({ managers: 3, managersAlive: 3, workers: 1, workersHealthy: 1, coresTotal: 2 })
    }
    expect(await cluster.stop()).toBe(0)
  })

  it('name the next leader to a gate that knew one manager only', async () => {
    const cluster = await trio()
    const first = cluster.managers.find(({ isLeader }) => isLeader)
    const known = cluster.managers.find(({ isLeader }) => !isLeader)
    const gate = await cluster.gate({ datacenters: { eu: [known?.address ?? ''] } })
    await cluster.settle(1_000)
    expect(gate.snapshot().datacenters['eu']).toMatchObject({ leader: first?.address, status: 'healthy' })
    const events = eventsOf(gate)
    await cluster.run(first?.kill() ?? Promise.resolve())
    await cluster.clock.runUntil(() => cluster.managers.some(({ isLeader }) => isLeader), { limitMs: 10_000 })
    await cluster.settle(3_000)
    const next = cluster.managers.find(({ isLeader }) => isLeader)
    expect(next).not.toBe(first)
    expect(gate.snapshot().datacenters['eu']).toMatchObject({ leader: next?.address, status: 'healthy' })
    expect(events).toEqual([]) // a new leader is no bad news
    const job = await cluster.run(cluster.client().submit({ workflows: naps(1) }))
    expect((await cluster.result(job)).status).toBe('completed')
    expect(await cluster.stop()).toBe(0)
  })
})
