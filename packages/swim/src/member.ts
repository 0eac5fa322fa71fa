/** What a node knows about another, as it shows it to the application: a frozen value that is replaced, never changed. */
import type { NodeId } from '@hs/core'

/** In the order in which one may follow the other within a generation; `unconfirmed` comes before all. */
export const memberStatuses = ['unconfirmed', 'alive', 'suspect', 'dead', 'left'] as const
export type MemberStatus = (typeof memberStatuses)[number]

/** What a member says about itself and seldom changes: zone, version, ports. At most 512 bytes on the wire. */
export type Meta = Record<string, string>

/** Frozen; the same object until something about the member changes. */
export interface Member {
  /** `name@generation`: this process and no other. */
  readonly id: NodeId
  /** Unique in the cluster, the same after a restart. */
  readonly name: string
  /** Which process of this name; a later one has a higher number. */
  readonly generation: number
  /** SWIM's own number: raised by the member itself when it refutes or changes its metadata. */
  readonly incarnation: number
  /** Where its datagrams go. */
  readonly address: string
  readonly rpcAddress: string
  readonly role: string
  readonly meta: Readonly<Meta>
  readonly status: MemberStatus
  /** Whether this node itself has heard from it. */
  readonly confirmed: boolean
  /** Its own score of Lifeguard's local health as last told: 0 is well. */
  readonly health: number
}
