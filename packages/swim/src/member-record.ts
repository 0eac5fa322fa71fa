/**
 * All that this node knows about one member. What most members of a large cluster never need is made on first use.
 */
import type { NodeId, WheelTimer } from '@hs/core'
import type { Contact } from './contact.js'
import type { EntrySet } from './entry-set.js'
import type { Member, Meta } from './member.js'
import { statusOf, UNCONFIRMED, type Rank } from './record.js'
import type { Suspicion } from './suspicion.js'
import { hashText, mixNumber, mixWord } from './text.js'
import type { ItemHolder, TransmitItem } from './transmit-heap.js'

const GENERATION_DIGITS = 11
export const NO_META: Readonly<Meta> = /* @__PURE__ */ Object.freeze({})

/** Where and what a process is: what an alive record says beyond its version. */
export interface Description {
  readonly address: string
  readonly rpcAddress: string
  readonly role: string
  readonly meta: Readonly<Meta>
}

/** What a status that lasts only for a time needs. */
export interface Passing {
  /** When it began. */
  sinceMs: number
  /** Ends it: a suspicion, the wait for a first word, the memory of the dead. */
  timer: WheelTimer | undefined
  suspicion: Suspicion | undefined
  /** How often an unconfirmed one has been probed. */
  attempts: number
}

export class MemberRecord implements ItemHolder, Description {
  readonly name: string
  generation: number
  incarnation: number
  status: Rank = UNCONFIRMED
  address: string
  rpcAddress: string
  role: string
  meta: Readonly<Meta>
  health = 0
  confirmed = false
  /** Its place in the probe ring; -1 while it is in none. */
  ringIndex = -1
  /** Its record in the gossip queue, while that waits. */
  item: TransmitItem | undefined = undefined
  contact: Contact | undefined = undefined
  entries: EntrySet | undefined = undefined
  passing: Passing | undefined = undefined
  #view: Member | undefined = undefined

  constructor(name: string, generation: number, incarnation: number, description: Description) {
    this.name = name
    this.generation = generation
    this.incarnation = incarnation
    this.address = description.address
    this.rpcAddress = description.rpcAddress
    this.role = description.role
    this.meta = description.meta
  }

  get id(): NodeId {
    return nodeIdOf(this.name, this.generation)
  }

  /** The same object until `changed` is called. */
  get view(): Member {
    return (this.#view ??= Object.freeze({
      id: this.id,
      name: this.name,
      generation: this.generation,
      incarnation: this.incarnation,
      address: this.address,
      rpcAddress: this.rpcAddress,
      role: this.role,
      meta: this.meta,
      status: statusOf(this.status),
      confirmed: this.confirmed,
      health: this.health,
    }))
  }

  changed(): void {
    this.#view = undefined
  }

  describe(description: Description): void {
    this.address = description.address
    this.rpcAddress = description.rpcAddress
    this.role = description.role
    this.meta = description.meta
  }

  /** 32 bits that differ where the record differs; a suspect counts as alive, and an unconfirmed one as nothing. */
  digest(): number {
    if (this.status === UNCONFIRMED) return 0
    const told = Math.max(0, this.status - 1)
    const version = mixNumber(mixNumber(mixWord(hashText(this.name), told), this.generation), this.incarnation)
    return mixWord(version, this.entries === undefined ? 0 : this.entries.digest)
  }
}

export function nodeIdOf(name: string, generation: number): NodeId {
  return `${name}@${generation.toString(36).padStart(GENERATION_DIGITS, '0')}` as NodeId
}
