/** What a `Cluster` tells: its events and its snapshot. */
import type { HsError, NodeId } from '@hs/core'
import type { Coordinate } from './coordinate.js'
import type { Member, MemberStatus } from './member.js'

/** How this node learnt of a death: it waited itself, it was told, or a later process of that name appeared. */
export type DeathCause = 'timeout' | 'gossip' | 'restarted'

export interface ClusterEvents {
  /** New, back from the dead, or the next process of a name. */
  memberJoined: [member: Member]
  /** Its metadata changed. */
  memberUpdated: [member: Member]
  /** Someone did not reach it; `by` is who. */
  memberSuspected: [member: Member, by: string]
  /** It refuted. */
  memberRecovered: [member: Member]
  /** Once for each death, whoever found it. */
  memberDead: [member: Member, cause: DeathCause]
  /** It said goodbye. */
  memberLeft: [member: Member]
  /** A member published a value, or retracted it: then `value` is undefined. */
  entryChanged: [change: { member: Member; key: string; value: Uint8Array | undefined }]
  /** This process hears or answers worse, or better: 0 is well. */
  localHealthChanged: [score: number]
  /** This process took a new generation, since its old one was known already. */
  renewed: [id: NodeId]
  /** Another process holds the name: this one has fallen silent. */
  superseded: [by: { id: NodeId; address: string }]
  /** A seed has not answered for a minute; said once until it answers. `sinceMs` is for how long, in milliseconds. */
  seedUnreachable: [seed: { address: string; sinceMs: number; attempts: number }]
  /** What failed in the background and may need attention, such as a name that is taken. */
  error: [error: HsError]
}

export interface ClusterCounters {
  packetsIn: number
  packetsOut: number
  /** Packets dropped because they are damaged or of another version. */
  malformed: number
  /** Packets dropped because they are another cluster's. */
  foreign: number
  /** Packets dropped unread because their source sent too many. */
  rateLimited: number
  probes: number
  probeFailures: number
  rpcProbes: number
  /** Suspicions begun, by whomever. */
  suspicions: number
  /** Accusations of this node that it refuted. */
  refutations: number
  /** Newcomers refused since `maxMembers` were known. */
  membersRefused: number
  /** Times at which this process noticed that it had not run. */
  stalls: number
  /** Answers that came after their probe had failed. */
  lateAcks: number
}

export type ClusterStatus = 'idle' | 'running' | 'leaving' | 'stopped' | 'superseded'

export interface ClusterSnapshot {
  readonly id: NodeId
  readonly name: string
  readonly status: ClusterStatus
  readonly incarnation: number
  readonly localHealth: number
  /** How many of each status, itself included. */
  readonly members: Readonly<Record<MemberStatus, number>>
  /** Items that wait to be gossiped. */
  readonly queued: number
  readonly seeds: readonly { readonly address: string; readonly confirmed: boolean; readonly attempts: number }[]
  readonly coordinate: Coordinate
  readonly counters: Readonly<ClusterCounters>
}
