/**
 * The managers of one datacenter among themselves: SWIM tells who is there, an election who leads. One of them leads at
 * a time, for as long as a quorum of the configured number has answered it.
 */
import { DatagramChannels, type Disk } from '@hs/core'
import { Cluster, DiskElectionStore, LeaderElection, presets, type ElectionCluster, type Leadership } from '@hs/swim'
import type { NodeLife } from './node-life.js'
import type { LeaderRef } from './wire/fields.js'

export interface ManagerClusterOptions {
  readonly life: NodeLife
  readonly cluster: string
  readonly datacenter: string
  readonly peers: readonly string[]
  /** How many managers there are to be; a quorum is more than half of them. */
  readonly size: number
  /** Keeps votes over restarts. */
  readonly disk: Disk | undefined
  onAcquired(leadership: Leadership): void
  onLost(): void
  /** Another one leads, under this term. */
  onElected(name: string, term: number): void
}

/** What SWIM takes of the datagrams of a node. */
const SWIM_CHANNEL = 0
/** By which others know this life of a manager, whatever SWIM calls it. */
const NODE_ID = 'node'
/** So many heartbeats make a lease, which is the election timeout. */
const MISSED_HEARTBEATS = 3

export class ManagerCluster {
  readonly #cluster: Cluster
  readonly #election: LeaderElection
  #isSilent = false

  constructor(options: ManagerClusterOptions) {
    const { life, cluster, datacenter, peers, size, disk } = options
    const { runtime, timing, reporter, label } = life
    const { datagram, rpc } = life.endpoint
    this.#cluster = new Cluster({
      ...runtime,
      ...presets.local,
      // A fifth of a second where all is on one machine, two where it is not: the other times follow.
      probeIntervalMs: timing.probeIntervalMs,
      probeTimeoutMs: timing.probeIntervalMs / 2,
      name: life.id,
      role: 'manager',
      cluster: `${cluster}/${datacenter}/managers`,
      datagram: new DatagramChannels(datagram, runtime).channel(SWIM_CHANNEL),
      rpc,
      seeds: peers,
      meta: { [NODE_ID]: life.nodeId },
      reconnectIntervalMs: 10 * timing.probeIntervalMs,
      forgetDeadAfterMs: timing.forgetNodeMs,
    })
    this.#election = new LeaderElection({
      ...runtime,
      cluster: this.#voice(),
      group: 'managers',
      role: 'manager',
      electorate: { size },
      heartbeatMs: timing.electionTimeoutMs / MISSED_HEARTBEATS,
      missedHeartbeats: MISSED_HEARTBEATS,
      ...(disk === undefined ? {} : { store: new DiskElectionStore(disk) }),
    })
    const { events } = this.#election
    events.on('leadershipAcquired', (leadership) => options.onAcquired(leadership))
    events.on('leadershipLost', () => options.onLost())
    events.on('leaderElected', ({ name, term }) => {
      if (name !== life.id) options.onElected(name, term)
    })
    events.on('error', (error) => reporter.report(`${label}.election`, error))
    this.#cluster.events.on('error', (error) => reporter.report(`${label}.membership`, error))
  }

  /** Managers that are there, this one included. */
  get size(): number {
    return this.#cluster.size
  }

  /** Addresses of the others that are there. */
  get peers(): string[] {
    return this.#cluster
      .members()
      .flatMap(({ name, rpcAddress }) => (name === this.#cluster.local.name ? [] : rpcAddress))
  }

  /** Whether this one leads at this very moment. */
  get leads(): boolean {
    return this.#election.isLeader
  }

  get term(): number {
    return this.#election.term
  }

  /** Who leads, as far as this manager knows. */
  get leader(): { readonly name: string; readonly ref: LeaderRef } | null {
    const name = this.#election.leader
    const member = name === undefined ? undefined : this.#cluster.member(name)
    if (member === undefined) return null
    const { meta, id, rpcAddress } = member
    return { name: member.name, ref: { id: meta[NODE_ID] ?? id, address: rpcAddress, term: this.#election.term } }
  }

  /** @throws (as a rejection) HsError `'ELECTION_STATE_CORRUPT'`, and what the disk throws */
  async start(): Promise<void> {
    await this.#cluster.start()
    await this.#election.start()
  }

  /** Steps down if it leads, and tells the others that it goes. */
  async leave(): Promise<void> {
    await this.#election.stop()
    await this.#cluster.leave()
  }

  /** As a crash looks to the others. */
  async crash(): Promise<void> {
    this.#isSilent = true
    await this.#election.stop()
    await this.#cluster.stop()
  }

  /** The cluster as the election has it: a crash resigns from nothing. */
  #voice(): ElectionCluster {
    const cluster = this.#cluster
    return {
      get local() {
        return cluster.local
      },
      get localHealth() {
        return cluster.localHealth
      },
      members: (filter) => cluster.members(filter),
      onMessage: (topic, fn) => cluster.onMessage(topic, fn),
      send: (member, topic, payload) => !this.#isSilent && cluster.send(member, topic, payload),
    }
  }
}
