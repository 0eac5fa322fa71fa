/**
 * All members that are known, each one record. By name, by address, in the probe ring, among the tombstones, in the
 * digests: all of it changes in `add`, `change` and `remove` alone, so nothing of a member is left when it is forgotten.
 */
import type { Random } from '@hs/core'
import { Digests } from './digests.js'
import { HashIndex } from './hash-index.js'
import type { MemberRecord } from './member-record.js'
import type { MemberStatus } from './member.js'
import { ProbeRing } from './probe-ring.js'
import { DEAD, isActive, LEFT, statusOf, UNCONFIRMED, type Rank } from './record.js'

export class MemberTable {
  /** This node itself: in the digests, and nowhere else here. */
  readonly self: MemberRecord
  readonly ring: ProbeRing<MemberRecord>
  readonly digests = new Digests()
  readonly #maxMembers: number
  readonly #byName = new HashIndex<MemberRecord>((record) => record.name)
  readonly #byAddress = new HashIndex<MemberRecord>((record) => record.address)
  /** The dead and the left, oldest first. */
  readonly #tombstones = new Set<MemberRecord>()
  /** How many of each rank, beginning with that of the unconfirmed. */
  readonly #counts = [0, 0, 0, 0, 0]

  constructor(self: MemberRecord, random: Random, maxMembers: number) {
    this.self = self
    this.ring = new ProbeRing(random)
    this.#maxMembers = maxMembers
    this.digests.toggle(self)
  }

  /** Alive and suspect, this node included. */
  get n(): number {
    return this.ring.size + 1
  }

  /** All that are known, this node included. */
  get size(): number {
    return this.#byName.size + 1
  }

  get isFull(): boolean {
    return this.size >= this.#maxMembers
  }

  get(name: string): MemberRecord | undefined {
    return this.#byName.get(name)
  }

  getBytes(bytes: Uint8Array, start: number, length: number): MemberRecord | undefined {
    return this.#byName.getBytes(bytes, start, length)
  }

  /** Whoever spoke for this address last. */
  byAddress(address: string): MemberRecord | undefined {
    return this.#byAddress.get(address)
  }

  /** The one that has been dead or gone the longest. */
  get oldestTombstone(): MemberRecord | undefined {
    const [oldest] = this.#tombstones
    return oldest
  }

  get tombstones(): ReadonlySet<MemberRecord> {
    return this.#tombstones
  }

  /** How many have a status, this node included. */
  count(status: MemberStatus): number {
    const others = this.#counts[rankIndex(rankNamed(status))] as number
    return statusOf(this.self.status) === status ? others + 1 : others
  }

  add(record: MemberRecord): void {
    this.#byName.add(record)
    this.#index(record)
    this.digests.toggle(record)
    this.#enter(record)
  }

  /** Changes a record through `mutate`, and everything here that depends on it. */
  change(record: MemberRecord, mutate: () => void): void {
    const { status, address } = record
    const indexed = record !== this.self && this.#byAddress.get(address) === record
    this.digests.toggle(record)
    // The index finds a record by the address that it has.
    if (indexed) this.#byAddress.delete(record)
    mutate()
    record.changed()
    this.digests.toggle(record)
    if (record === this.self) return
    if (indexed || address !== record.address) this.#index(record)
    if (status === record.status) return
    this.#leave(record, status)
    if (!isActive(record.status)) this.ring.remove(record)
    this.#enter(record)
  }

  remove(record: MemberRecord): void {
    this.#byName.delete(record)
    if (this.#byAddress.get(record.address) === record) this.#byAddress.delete(record)
    this.digests.toggle(record)
    this.#leave(record, record.status)
    this.ring.remove(record)
  }

  *[Symbol.iterator](): Iterator<MemberRecord> {
    yield* this.#byName
  }

  #index(record: MemberRecord): void {
    // Of the dead that were never met no address is known.
    if (record.address === '') return
    const before = this.#byAddress.get(record.address)
    if (before !== undefined) this.#byAddress.delete(before)
    this.#byAddress.add(record)
  }

  #enter(record: MemberRecord): void {
    this.#move(record.status, 1)
    if (isActive(record.status)) {
      if (record.ringIndex < 0) this.ring.add(record)
    } else if (record.status === DEAD || record.status === LEFT) this.#tombstones.add(record)
  }

  /** It had this status. Who stays active keeps its place in the ring. */
  #leave(record: MemberRecord, status: Rank): void {
    this.#move(status, -1)
    this.#tombstones.delete(record)
  }

  #move(status: Rank, change: 1 | -1): void {
    const i = rankIndex(status)
    this.#counts[i] = (this.#counts[i] as number) + change
  }
}

function rankIndex(rank: Rank): number {
  return rank - UNCONFIRMED
}

function rankNamed(status: MemberStatus): Rank {
  for (let rank = UNCONFIRMED; rank <= LEFT; rank++) if (statusOf(rank as Rank) === status) return rank as Rank
  return UNCONFIRMED
}
