/**
 * Gates that probe datacenters over a simulated wide area: what each gate sees, and what it would do about it. The
 * scenarios differ in what happens to the network and to the leaders.
 */
import { DatagramChannels } from '@hs/core'
import {
  CorrelationDetector,
  FederatedHealth,
  FederatedResponder,
  type DatacenterFacts,
  type Reachability,
} from '@hs/health'
import type { NodeEnv, Simulation, SimNode } from '@hs/sim'

/** As at every node: the channel of probes across datacenters. */
const CHANNEL = 1
export const REGIONS: Readonly<Record<string, string>> = {
  'eu-a': 'eu',
  'eu-b': 'eu',
  'us-a': 'us',
  'us-b': 'us',
  'ap-a': 'ap',
}
export const DATACENTERS = Object.keys(REGIONS)
export const GATES = ['gate-1', 'gate-2']

const facts: DatacenterFacts = {
  managers: 3,
  managersAlive: 3,
  workers: 20,
  workersHealthy: 20,
  coresAvailable: 40,
  coresTotal: 160,
}

/** Who leads each datacenter, and in which term: what an election would have settled among its managers. */
export class Leaders {
  readonly #leaders = new Map<string, { node: string; term: number }>()

  set(datacenter: string, node: string): void {
    this.#leaders.set(datacenter, { node, term: this.of(datacenter).term + 1 })
  }

  of(datacenter: string): { node: string; term: number } {
    return this.#leaders.get(datacenter) ?? { node: managerOf(datacenter, 1), term: 1 }
  }
}

export const managerOf = (datacenter: string, number: number) => `${datacenter}-m${number}`

/** One gate: probes, correlates, and evicts whom it may. */
export class GateApp {
  readonly health: FederatedHealth
  readonly detector: CorrelationDetector
  readonly changes: { dc: string; now: Reachability; atMs: number }[] = []
  readonly episodes: string[] = []
  readonly evicted: string[] = []
  /** How often the probes of a datacenter went to another leader. */
  moves = 0

  constructor(sim: Simulation, { name, clock, random, logger, datagram }: NodeEnv) {
    const runtime = { clock, random, logger }
    const transport = new DatagramChannels(datagram, runtime).channel(CHANNEL)
    this.health = new FederatedHealth({ ...runtime, transport, self: name })
    this.detector = new CorrelationDetector({ ...runtime, regions: REGIONS, flapCooldownMs: 60_000 })
    for (const dc of DATACENTERS) {
      this.health.add(dc, { address: `${managerOf(dc, 1)}:1`, term: 1 })
      this.detector.add(dc)
    }
    this.health.events.on('leader', () => {
      this.moves++
    })
    this.health.events.on('rtt', (dc, ms) => this.detector.recordLatency(dc, ms))
    this.health.events.on('reachability', (dc, now) => {
      this.changes.push({ dc, now, atMs: sim.now })
      this.detector.report(dc, now === 'reachable')
    })
    this.detector.events.on('partitionDetected', () => this.episodes.push('detected'))
    this.detector.events.on('partitionHealed', () => this.episodes.push('healed'))
    // Callbacks of users fail, too; it must be seen, and change nothing.
    this.detector.events.on('partitionDetected', () => {
      throw new Error('the listener of a user failed')
    })
  }

  /**
   * What an operator would have it do once a second. Not within an episode either: when a cut heals, the datacenters
   * answer one by one, and the last is the only one that seems dead.
   */
  evict(): void {
    if (this.detector.assess().holdEvictions || this.detector.partitioned) return
    for (const dc of DATACENTERS) {
      const isGone = this.everReached(dc) && this.health.status(dc)?.reachability === 'unreachable'
      if (isGone && !this.evicted.includes(dc)) this.evicted.push(dc)
    }
  }

  everReached(dc: string): boolean {
    return this.health.status(dc)?.facts !== null
  }

  unreachable(): string[] {
    return DATACENTERS.filter((dc) => this.health.status(dc)?.reachability === 'unreachable')
  }

  get suspects(): number {
    return this.changes.filter(({ now }) => now === 'suspected').length
  }

  async stop(): Promise<void> {
    this.detector.stop()
    await this.health.stop()
  }
}

export interface World {
  readonly leaders: Leaders
  readonly gates: readonly SimNode<GateApp>[]
  app(gate: number): GateApp
}

/** Boots the gates and `managers` managers in each datacenter. */
export function bootWorld(sim: Simulation, options: { managers?: number; skewMs?: () => number } = {}): World {
  const { managers = 1, skewMs = () => 0 } = options
  const leaders = new Leaders()
  for (const dc of DATACENTERS) {
    for (let i = 1; i <= managers; i++) {
      const boot = ({ name, clock, logger, random, datagram, incarnation }: NodeEnv) => {
        const runtime = { clock, logger, random }
        const transport = new DatagramChannels(datagram, runtime).channel(CHANNEL)
        const report = () => {
          const { node, term } = leaders.of(dc)
          return { incarnation, leader: node === name, term, leaderAddress: `${node}:1`, facts }
        }
        return new FederatedResponder({ ...runtime, transport, datacenter: dc, node: name, report })
      }
      sim.node(managerOf(dc, i), boot, { skewMs: skewMs() })
    }
  }
  const gates = GATES.map((name) =>
    sim.node(
      name,
      async (env: NodeEnv) => {
        const app = new GateApp(sim, env)
        await app.health.start()
        return app
      },
      { skewMs: skewMs() },
    ),
  )
  const app = (gate: number): GateApp => {
    const found = gates[gate]?.app
    if (found === undefined) throw new Error(`gate ${gate} is not up`)
    return found
  }
  sim.every(1_000, () => {
    for (const gate of gates) if (gate.state === 'up') gate.app?.evict()
  })
  expectPairs(sim, gates)
  return { leaders, gates, app }
}

/** Each callback once an episode: detections and healings take turns. */
function expectPairs(sim: Simulation, gates: readonly SimNode<GateApp>[]): void {
  sim.always('a detection, its healing, a detection', () => {
    for (const { app, name } of gates) {
      const odd = app?.episodes.find((kind, i) => kind !== (i % 2 === 0 ? 'detected' : 'healed'))
      if (odd !== undefined) return `${name}: ${app?.episodes.join(', ')}`
    }
    return true
  })
}

/** All is well again at every gate. */
export function expectRecovery(sim: Simulation, { gates }: World): void {
  sim.eventually('every gate reaches every datacenter, and no episode is open', () => {
    for (const { app, name } of gates) {
      if (app === undefined) return `${name} is down`
      const routable = app.health.routable()
      if (routable.length !== DATACENTERS.length) return `${name} routes to ${routable.join(', ')}`
      if (app.detector.partitioned || app.episodes.length % 2 === 1) return `${name}: ${app.episodes.join(', ')}`
    }
    return true
  })
}
