/** Elections of simulated clusters: what boots, what is watched, and what must hold at every instant. */
import { HsError } from '@hs/core'
import type { NodeEnv, Scenario, Simulation } from '@hs/sim'
import {
  Cluster,
  DiskElectionStore,
  LeaderElection,
  type ElectionCluster,
  type ElectionStore,
  type Electorate,
} from '@hs/swim'
import { decodeElectionMessage } from '../../packages/swim/src/election-message.js'

export const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g'] as const
export const FAULTS_MS = 60_000
const AGREED_MS = 5_000

export interface ElectionApp {
  readonly election: LeaderElection
  stop(): Promise<void>
}

/** A known defect, or the place of one in its twin that has none. */
export interface ElectionPlant {
  store?(env: NodeEnv): ElectionStore
  /** Takes the members that seem alive at its start for the electorate. */
  countsTheLiving?: boolean
  prepare?(sim: Simulation): void
}

/** What the whole run has seen; breaches are kept, for a throw in a listener is only reported. */
export class Observer {
  readonly #sim: Simulation
  readonly #votes = new Map<string, string>()
  #lastToken = 0
  #breach: string | undefined

  constructor(sim: Simulation) {
    this.#sim = sim
    sim.always('one vote a (name, term), and tokens that grow', () => this.#breach ?? true)
    sim.always('at most one leader', () => {
      const leaders = sim.apps<ElectionApp>().filter(({ election }) => election.isLeader)
      return leaders.length <= 1 || leaders.map(({ election }) => `${election.leader} in term ${election.term}`).join()
    })
  }

  /** Not asked of planted defects, which may end without a leader too. */
  expectLeader(): void {
    const sim = this.#sim
    const named = () => new Set(sim.apps<ElectionApp>().map(({ election }) => election.leader))
    let agreedMs = -Infinity
    sim.every(500, () => {
      const names = named()
      if (names.size === 1 && !names.has(undefined)) agreedMs = sim.now
    })
    // A heartbeat is lost now and then, and who misses one names nobody for a moment.
    sim.eventually('a leader that all name', () => {
      return sim.now - agreedMs < AGREED_MS || `named: ${[...named()].map(String).join()}`
    })
  }

  /** The cluster, as election sees it, with every vote that goes out counted. */
  watch(cluster: Cluster, { countsTheLiving }: ElectionPlant): ElectionCluster {
    return {
      get local() {
        return cluster.local
      },
      get localHealth() {
        return cluster.localHealth
      },
      members: (filter) => (countsTheLiving === true ? cluster.members() : cluster.members(filter)),
      onMessage: (topic, fn) => cluster.onMessage(topic, fn),
      send: (to, topic, payload) => {
        const message = decodeElectionMessage(payload)
        if (message?.k === 'vote') this.#vote(cluster.local.name, message.t, cluster.local.name)
        if (message?.k === 'vote-answer' && message.g) this.#vote(cluster.local.name, message.t, to)
        return cluster.send(to, topic, payload)
      },
    }
  }

  /** The store, with every vote counted that could not be saved. */
  watchStore(store: ElectionStore): ElectionStore {
    return {
      durable: store.durable,
      load: () => store.load(),
      save: async (state) => {
        try {
          await store.save(state)
        } catch (error) {
          this.#sim.sometimes('a vote that could not be saved', state.votedFor !== null)
          throw error
        }
      },
    }
  }

  listen(name: string, election: LeaderElection): void {
    election.events.on('leadershipAcquired', ({ term }) => {
      if (term <= this.#lastToken) this.#breach ??= `token ${term} of ${name} comes after ${this.#lastToken}`
      this.#sim.sometimes('a leader after another', this.#lastToken > 0)
      this.#lastToken = Math.max(this.#lastToken, term)
    })
    election.events.on('leadershipLost', ({ reason }) => this.#sim.sometimes(`leadership lost: ${reason}`))
    election.events.on('error', ({ code }) => this.#sim.sometimes(`error: ${code}`))
  }

  #vote(voter: string, term: number, candidate: string): void {
    const key = `${voter}/${term}`
    const before = this.#votes.get(key)
    if (before !== undefined && before !== candidate) {
      this.#breach ??= `${voter} voted for ${before} and ${candidate} in term ${term}`
    }
    this.#votes.set(key, candidate)
  }
}

export function bootElector(observer: Observer, electorate: Electorate, plant: ElectionPlant = {}) {
  return async (env: NodeEnv): Promise<ElectionApp> => {
    const { name, clock, random, logger } = env
    const cluster = new Cluster({
      ...{ name, clock, random, logger, datagram: env.datagram, rpc: env.rpc },
      seeds: NAMES.slice(0, 3).map((seed) => `${seed}:1`),
    })
    await cluster.start()
    // Whoever counts the living looks around first.
    if (plant.countsTheLiving === true) await clock.sleep(2_000)
    const election = new LeaderElection({
      ...{ clock, random, logger, group: 'campaign', cluster: observer.watch(cluster, plant) },
      electorate: plant.countsTheLiving === true ? { size: cluster.size } : electorate,
      store: observer.watchStore(plant.store?.(env) ?? new DiskElectionStore(env.disk)),
    })
    observer.listen(name, election)
    await startWhenDiskAllows(env, election)
    return {
      election,
      stop: async () => {
        await election.stop()
        await cluster.stop()
      },
    }
  }
}

/** A disk that cannot be read now may be read later; a damaged file would end the run. */
async function startWhenDiskAllows({ clock }: NodeEnv, election: LeaderElection): Promise<void> {
  for (;;) {
    try {
      return await election.start()
    } catch (error) {
      if (!HsError.is(error, 'DISK_IO')) throw error
      await clock.sleep(1_000)
    }
  }
}

/** 3 to 7 voters, whose leader resigns now and then. */
export function elections(name: string, plant?: ElectionPlant): Scenario {
  return {
    name,
    durationMs: FAULTS_MS,
    // Members that are thought dead are contacted every 30 s; a vote takes a few seconds more.
    settleMs: 90_000,
    nemesis: { meanGapMs: 3_000, maxForMs: 10_000 },
    options: { link: { loss: 0.01 } },
    setup: (sim) => {
      plant?.prepare?.(sim)
      const observer = new Observer(sim)
      if (plant === undefined) observer.expectLeader()
      const n = 3 + sim.random.fork('electorate').int(5)
      for (const name of NAMES.slice(0, n)) sim.node(name, bootElector(observer, { size: n }, plant))
      const dice = sim.random.fork('resignations')
      sim.every(10_000, () => {
        if (sim.now > FAULTS_MS) return
        const leader = [...sim.nodes.values()].find(
          (node) => node.state === 'up' && (node.app as ElectionApp)?.election.isLeader,
        )
        if (leader !== undefined && dice.int(3) === 0) leader.call((app) => (app as ElectionApp).election.resign())
      })
    },
  }
}
