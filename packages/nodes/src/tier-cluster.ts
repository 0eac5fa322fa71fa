/**
 * The nodes of one tier among themselves: SWIM tells which gates there are, or which managers of a datacenter. How many
 * there are to be is configured, so that the dead do not make a quorum smaller.
 */
import { Cluster, presets, type Member, type RolePolicy } from '@hs/swim'
import type { NodeLife } from './node-life.js'

export interface TierClusterOptions {
  readonly life: NodeLife
  /** Which cluster of SWIM this is: packets of others are dropped. */
  readonly name: string
  readonly role: string
  readonly policy: RolePolicy
  /** Addresses of some of the others. */
  readonly peers: readonly string[]
}

/** What SWIM takes of the datagrams of a node. */
const SWIM_CHANNEL = 0
/** What the probes of gates take, to managers of other datacenters. */
export const PROBE_CHANNEL = 1
/** By which others know this life of a node, whatever SWIM calls it. */
const NODE_ID = 'node'

/** The members of a tier, at most: more would slow elections and claims down, and gain nothing. */
export const MAX_TIER = 64

export class TierCluster {
  readonly swim: Cluster

  constructor({ life, name, role, policy, peers }: TierClusterOptions) {
    const { runtime, timing, reporter, label } = life
    const { rpc } = life.endpoint
    this.swim = new Cluster({
      ...runtime,
      ...presets.local,
      // A fifth of a second where all is on one machine, two where it is not: the other times follow.
      probeIntervalMs: timing.probeIntervalMs,
      probeTimeoutMs: timing.probeIntervalMs / 2,
      name: life.id,
      role,
      roles: { [role]: policy },
      cluster: name,
      datagram: life.datagrams.channel(SWIM_CHANNEL),
      rpc,
      seeds: peers,
      meta: { [NODE_ID]: life.nodeId },
      reconnectIntervalMs: 10 * timing.probeIntervalMs,
      forgetDeadAfterMs: timing.forgetNodeMs,
    })
    this.swim.events.on('error', (error) => reporter.report(`${label}.membership`, error))
  }

  /** Members that are there, this one included. */
  get size(): number {
    return this.swim.size
  }

  /** The others that are there. */
  get others(): Member[] {
    const { name } = this.swim.local
    return this.swim.members().filter((member) => member.name !== name)
  }

  /** This life of a member, as it is called on the wire. */
  nodeIdOf({ meta, id }: Member): string {
    return meta[NODE_ID] ?? id
  }
}

/** More than half of those that are to be there. */
export function quorumOf(size: number): number {
  return Math.floor(size / 2) + 1
}
