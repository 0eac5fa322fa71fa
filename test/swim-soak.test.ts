/**
 * What grows if anything does: members that come and go by the thousand, and a cluster that runs for a day under faults.
 * Both end as they began. `HS_SOAK=1` for the whole of it: 100,000 members, and 24 hours; both in virtual time.
 */
import { queryObjects, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { MemoryLogger, MemoryNetwork, SeededRandom, VirtualClock } from '@hs/core/testing'
import { drawFaults, Simulation, type NodeEnv } from '@hs/sim'
import { Cluster, type ClusterSnapshot } from '@hs/swim'
import { describe, expect, it } from 'vitest'
import { MemberRecord } from '../packages/swim/src/member-record.js'
import { Probe } from '../packages/swim/src/probe.js'
import { Suspicion } from '../packages/swim/src/suspicion.js'

const isWhole = process.env['HS_SOAK'] === '1'
const GUESTS = isWhole ? 100_000 : 400
const HOURS = isWhole ? 24 : 0.25
const HOUR_MS = 3_600_000
const MAX_GROWTH_BYTES = 2_000_000

const HOSTS = ['h0', 'h1', 'h2']
const FATES = ['crash', 'restart', 'leave', 'leave', 'leave', 'leave', 'leave', 'leave'] as const
const FORGET_MS = 10_000
/** Verdicts take their time and are remembered, and hearsay is believed in for up to 270 s by who trusts itself least. */
const DRAIN_MS = 400_000

async function heapBytes(): Promise<number> {
  await new Promise((resolve) => setImmediate(resolve))
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  return process.memoryUsage().heapUsed
}

/** What is left in memory of clusters and of what they know. */
function counts() {
  const [clusters, records, suspicions, probes] = [Cluster, MemberRecord, Suspicion, Probe].map((kind) =>
    Number(queryObjects(kind, { format: 'count' })),
  ) as [number, number, number, number]
  return { clusters, records, suspicions, probes }
}

/** Whatever does not only count up. */
function stateOf({ members, queued, localHealth, status, seeds }: ClusterSnapshot) {
  return { members, queued, localHealth, status, seeds: seeds.length }
}

const whole = (n: number) => ({
  members: { alive: n, suspect: 0, dead: 0, left: 0, unconfirmed: 0 },
  ...{ queued: 0, localHealth: 0, status: 'running' },
})

class Inn {
  readonly clock = new VirtualClock()
  readonly #net = new MemoryNetwork({ clock: this.clock, latencyMs: 1, logger: new MemoryLogger() })
  readonly #dice = new SeededRandom('inn')
  readonly hosts: Cluster[] = []
  readonly told = { joined: 0, dead: 0, left: 0, restarted: 0 }
  #came = 0

  async open(): Promise<void> {
    for (const name of HOSTS) {
      const { cluster } = await this.#start(name, `${name}:1`)
      this.hosts.push(cluster)
    }
    const [first] = this.hosts
    first?.events.on('memberJoined', () => this.told.joined++)
    first?.events.on('memberLeft', () => this.told.left++)
    first?.events.on('memberDead', (_, cause) => this.told[cause === 'restarted' ? 'restarted' : 'dead']++)
    await this.clock.runUntil(() => this.hosts.every(({ size }) => size === HOSTS.length))
  }

  /** Ten guests a second, each for a few seconds. */
  async receive(guests: number): Promise<void> {
    for (let i = 0; i < guests; i++) {
      void this.#visit(`g${this.#came++}`)
      await this.clock.advanceAsync(100)
    }
  }

  async close(): Promise<void> {
    for (const host of this.hosts) await host.stop()
  }

  /** Joins, says something, and crashes, leaves, or comes back under the same name and then leaves. */
  async #visit(name: string): Promise<void> {
    const fate = this.#dice.pick(FATES)
    // Few addresses, used again and again, as with containers.
    const address = `guest${this.#came % 500}:1`
    let life = await this.#start(name, address)
    await this.clock.sleep(500 + this.#dice.int(1_000))
    if (fate === 'restart') {
      await life.end()
      life = await this.#start(name, address)
      await this.clock.sleep(500 + this.#dice.int(1_000))
    }
    life.cluster.publish('load', new Uint8Array(32))
    if (fate !== 'crash') await life.cluster.leave()
    await life.end()
  }

  async #start(name: string, address: string) {
    const datagram = this.#net.datagram(address)
    const rpc = this.#net.rpc(address)
    const random = this.#dice.fork(`${name}/${this.clock.now()}`)
    const cluster = new Cluster({
      ...{ name, clock: this.clock, random, logger: new MemoryLogger(), datagram, rpc, seeds: ['h0:1', 'h1:1'] },
      ...{ gossipIntervalMs: 300, forgetDeadAfterMs: FORGET_MS, gossipToDeadMs: 5_000, historySize: 100 },
    })
    await cluster.start()
    const end = async () => {
      await cluster.stop()
      await datagram.close()
      await rpc.close()
    }
    return { cluster, end }
  }
}

describe('Soak (SWIM-2, SWIM-35)', { timeout: 7_200_000 }, () => {
  it(`${GUESTS} members come and go, and nothing of them is left`, async () => {
    const inn = new Inn()
    const before = counts()
    await inn.open()
    await inn.clock.advanceAsync(DRAIN_MS)
    const timers = inn.clock.pendingTimers
    await inn.receive(GUESTS / 10)
    await inn.clock.advanceAsync(DRAIN_MS)
    const early = await heapBytes()
    await inn.receive((GUESTS * 9) / 10)
    await inn.clock.advanceAsync(DRAIN_MS)
    const late = await heapBytes()

    for (const host of inn.hosts) {
      expect(stateOf(host.snapshot())).toMatchObject(whole(HOSTS.length))
      expect(host.history().length).toBe(100)
    }
    const { told } = inn
    expect([told.joined > GUESTS, told.dead > GUESTS / 10, told.left > GUESTS / 2, told.restarted > 0]).not.toContain(
      false,
    )
    expect(inn.clock.pendingTimers).toBeLessThanOrEqual(timers + HOSTS.length)
    const after = counts()
    expect(after.clusters).toBe(before.clusters + HOSTS.length)
    expect(after.records).toBe(before.records + HOSTS.length ** 2)
    expect(after.suspicions).toBe(before.suspicions)
    expect(after.probes).toBeLessThanOrEqual(before.probes + 2 * HOSTS.length)
    expect(late - early).toBeLessThan(MAX_GROWTH_BYTES)
    await inn.close()
  })

  it(`${HOURS} hours of faults, and a cluster that ends as it began`, async () => {
    const sim = new Simulation({ seed: 'soak', link: { loss: 0.01 }, maxEvents: 1e9 })
    const names = ['a', 'b', 'c', 'd', 'e']
    for (const name of names) {
      sim.node(name, async ({ clock, random, logger, datagram, rpc }: NodeEnv) => {
        const cluster = new Cluster({ name, clock, random, logger, datagram, rpc, seeds: ['a:1', 'b:1'] })
        await cluster.start()
        return cluster
      })
    }
    const views = () => sim.apps<Cluster>().map((app) => stateOf(app.snapshot()))
    await sim.runFor(60_000)
    const before = views()
    const bytes = await heapBytes()
    const faults = drawFaults(sim.random.fork('faults'), {
      nodes: names,
      durationMs: HOURS * HOUR_MS,
      ...{ meanGapMs: 30_000, maxForMs: 120_000, maxDown: 3, swarm: false },
      kinds: ['crash', 'pause', 'partition', 'clog', 'link', 'clock'],
    })
    sim.schedule(faults.map((fault) => ({ ...fault, atMs: fault.atMs + 60_000 })))
    await sim.runFor(HOURS * HOUR_MS)
    await sim.finish({ settleMs: 120_000 })

    expect(faults.length).toBeGreaterThan(10)
    // A packet in a hundred is lost: somebody may just be a little unsure of itself.
    const calm = (state: ReturnType<typeof stateOf>) => ({ ...state, localHealth: 0, queued: 0 })
    expect(views().map(calm)).toEqual(before.map(calm))
    expect(views().map(({ members }) => members.alive)).toEqual(names.map(() => names.length))
    expect((await heapBytes()) - bytes).toBeLessThan(4 * MAX_GROWTH_BYTES)
    await sim.stop()
  })
})
