/**
 * The managers of one datacenter among themselves: SWIM tells who is there, an election who leads. One of them leads at
 * a time, for as long as a quorum of the configured number has answered it.
 */
import type { Disk } from '@hs/core'
import { DiskElectionStore, LeaderElection, type ElectionCluster, type Leadership } from '@hs/swim'
import type { NodeLife } from './node-life.js'
import { TierCluster } from './tier-cluster.js'
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

/** A manager that is only heard of is asked so often, and believed in for so long (AD-35). */
const HEARSAY = Object.freeze({ unconfirmedTimeoutMs: 90_000, confirmationAttempts: 3 })
/** So many heartbeats make a lease, which is the election timeout. */
const MISSED_HEARTBEATS = 3

export class ManagerCluster {
  readonly #tier: TierCluster
  readonly #election: LeaderElection
  #isSilent = false

  constructor(options: ManagerClusterOptions) {
    const { life, cluster, datacenter, peers, size, disk } = options
    const { runtime, timing, reporter, label } = life
    this.#tier = new TierCluster({
      life,
      name: `${cluster}/${datacenter}/managers`,
      role: 'manager',
      policy: HEARSAY,
      peers,
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
  }

  /** Managers that are there, this one included. */
  get size(): number {
    return this.#tier.size
  }

  /** Addresses of the others that are there. */
  get peers(): string[] {
    return this.#tier.others.map(({ rpcAddress }) => rpcAddress)
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
    const member = name === undefined ? undefined : this.#tier.swim.member(name)
    if (member === undefined) return null
    const { rpcAddress: address } = member
    return { name: member.name, ref: { id: this.#tier.nodeIdOf(member), address, term: this.#election.term } }
  }

  /** @throws (as a rejection) HsError `'ELECTION_STATE_CORRUPT'`, and what the disk throws */
  async start(): Promise<void> {
    await this.#tier.swim.start()
    await this.#election.start()
  }

  /** Steps down if it leads, and tells the others that it goes. */
  async leave(): Promise<void> {
    await this.#election.stop()
    await this.#tier.swim.leave()
  }

  /** As a crash looks to the others. */
  async crash(): Promise<void> {
    this.#isSilent = true
    await this.#election.stop()
    await this.#tier.swim.stop()
  }

  /** The cluster as the election has it: a crash resigns from nothing. */
  #voice(): ElectionCluster {
    const cluster = this.#tier.swim
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
