/**
 * What arrives: a packet is admitted, checked as a whole, and handled to its end before the next. Nothing it holds can
 * make this throw.
 */
import type { ClusterState } from './cluster-state.js'
import { admit, newContact } from './contact.js'
import type { Entries } from './entries.js'
import type { Identity } from './identity.js'
import type { MemberRecord } from './member-record.js'
import type { Member } from './member.js'
import type { Membership } from './membership.js'
import type { Outbox } from './outbox.js'
import type { OutstandingPings } from './outstanding.js'
import { PacketReader } from './packet-reader.js'
import type { Proxy } from './proxy.js'
import { ALIVE, isActive } from './record.js'
import type { RoundTrips } from './rtt.js'
import { isAscii } from './text.js'
import { ACK, MESSAGE, NACK, PING, PING_REQ, RELAYED } from './wire.js'

export interface InboxParts {
  readonly state: ClusterState
  readonly membership: Membership
  readonly identity: Identity
  readonly entries: Entries
  readonly outbox: Outbox
  readonly pings: OutstandingPings
  readonly proxy: Proxy
  readonly roundTrips: RoundTrips
  /** A message of a member, for the application. */
  readonly onMessage: (topic: string, payload: Uint8Array, from: Member) => void
}

/**
 * Readers that read no packet now: one, unless a transport delivers within a send. All members of a process share them,
 * so that of a thousand each finds it in the cache.
 */
const idleReaders: PacketReader[] = []

export class Inbox {
  readonly #parts: InboxParts
  readonly #state: ClusterState
  readonly #intervalMs: number
  readonly #burst: number
  /** All unknown sources share one rate, so strangers can neither grow a table nor push a member out of one. */
  readonly #strangers = newContact()

  constructor(parts: InboxParts) {
    const { inboundPerSecond, inboundBurst } = parts.state.settings
    this.#parts = parts
    this.#state = parts.state
    this.#intervalMs = 1_000 / inboundPerSecond
    this.#burst = inboundBurst
  }

  receive(from: string, bytes: Uint8Array): void {
    const { isActive, counters, table, clock } = this.#state
    if (!isActive) return
    counters.packetsIn++
    const nowMs = clock.now()
    const source = table.byAddress(from)
    const contact = source === undefined ? this.#strangers : (source.contact ??= newContact())
    if (!admit(contact, nowMs, this.#intervalMs, this.#burst)) {
      counters.rateLimited++
      return
    }
    const reader = idleReaders.pop() ?? new PacketReader()
    try {
      this.#open(reader, from, bytes, source, nowMs)
    } catch (error) {
      this.#state.reporter.report('Cluster.receive', error, { from })
    } finally {
      idleReaders.push(reader)
    }
  }

  #open(reader: PacketReader, from: string, bytes: Uint8Array, source: MemberRecord | undefined, nowMs: number): void {
    const { counters, label, self } = this.#state
    const opened = reader.open(bytes, label)
    if (opened !== 'ok') counters[opened]++
    else if (isFrom(reader, self.name)) this.#handleNamesake(reader, from)
    else this.#handle(reader, from, source, nowMs)
  }

  #handle(reader: PacketReader, from: string, source: MemberRecord | undefined, nowMs: number): void {
    const { membership, entries } = this.#parts
    let sender = this.#senderOf(reader, source)
    if (sender !== undefined) membership.heardFrom(sender, reader.health)
    if (reader.recordCount > 0) {
      for (let i = 0; i < reader.recordCount; i++) membership.takeFromPacket(reader, i, originOf(reader, i))
      // It may have brought its own record.
      sender = this.#senderOf(reader, undefined)
      if (sender !== undefined) membership.heardFrom(sender, reader.health)
    }
    for (let i = 0; i < reader.entryCount; i++) entries.take(reader, i, sender, true)
    this.#dispatch(reader, from, sender, nowMs)
  }

  #dispatch(reader: PacketReader, from: string, sender: MemberRecord | undefined, nowMs: number): void {
    const { outbox, pings, proxy } = this.#parts
    switch (reader.kind) {
      case PING:
        if (!isFor(reader, this.#state.self.name)) return
        if (sender !== undefined) {
          const { self } = this.#state
          return outbox.ack(from, reader.sequence, false, sender, this.#hasRefuted(reader) ? self : undefined)
        }
        return outbox.ack(from, reader.sequence, true, undefined, this.#successorOf(reader))
      case ACK:
        return this.#acked(reader, from, sender, nowMs)
      case PING_REQ:
        return proxy.serve(from, reader)
      case NACK:
        if (sender !== undefined) pings.get(reader.sequence)?.nacked?.(sender)
        return
      case RELAYED: {
        const ping = pings.get(reader.sequence)
        if (ping !== undefined && isFor(reader, ping.target)) ping.relayed?.()
        return
      }
      case MESSAGE:
        if (sender !== undefined) this.#parts.onMessage(reader.text(), reader.payload(), sender.view)
    }
  }

  #acked(reader: PacketReader, from: string, sender: MemberRecord | undefined, nowMs: number): void {
    const { pings, roundTrips, outbox } = this.#parts
    const ping = pings.get(reader.sequence)
    if (ping === undefined || !isFrom(reader, ping.target)) return
    if (sender !== undefined) {
      const rttMs = nowMs - ping.sentMs
      roundTrips.sample(sender, nowMs, rttMs)
      if (reader.coordinateCount > 0) roundTrips.learn(sender, reader, nowMs, rttMs)
    }
    ping.answered(reader.generation)
    if (reader.isUnknown) outbox.introduce(from)
  }

  /** A packet of this very name: another process has it too, or had it. */
  #handleNamesake(reader: PacketReader, from: string): void {
    const { identity, outbox, pings } = this.#parts
    const { self } = this.#state
    if (reader.kind === PING && isFor(reader, self.name)) outbox.ack(from, reader.sequence, false, undefined)
    const ping = reader.kind === ACK ? pings.get(reader.sequence) : undefined
    if (reader.generation === self.generation) return this.#handleOwn(reader)
    if (ping !== undefined && ping.target === self.name) ping.answered(reader.generation)
    else identity.meetOther(reader.generation, from)
  }

  /** What this node sent to itself. */
  #handleOwn(reader: PacketReader): void {
    if (reader.kind === MESSAGE) this.#parts.onMessage(reader.text(), reader.payload(), this.#state.self.view)
  }

  /** The member that the header names, if it is held and in this generation. */
  #senderOf(reader: PacketReader, source: MemberRecord | undefined): MemberRecord | undefined {
    const sender =
      source !== undefined && isFrom(reader, source.name)
        ? source
        : this.#state.table.getBytes(reader.bytes, reader.senderAt, reader.senderLength)
    return sender?.generation === reader.generation ? sender : undefined
  }

  /**
   * Whether the sender accuses this node of what it has refuted, and gossip says so no more: all of it was lost on the
   * way there, so the answer has to say it.
   */
  #hasRefuted(reader: PacketReader): boolean {
    const { self } = this.#state
    if (self.item !== undefined) return false
    for (let i = 0; i < reader.recordCount; i++) {
      if (reader.recordRank[i] === ALIVE || reader.recordGeneration[i] !== self.generation) continue
      if ((reader.recordIncarnation[i] as number) >= self.incarnation) continue
      if (isAscii(reader.bytes, reader.recordNameAt(i), reader.recordNameLength(i), self.name)) return true
    }
    return false
  }

  /** An active process of the sender's name that is later than the sender: nobody else would tell it. */
  #successorOf(reader: PacketReader): MemberRecord | undefined {
    const held = this.#state.table.getBytes(reader.bytes, reader.senderAt, reader.senderLength)
    return held !== undefined && held.generation > reader.generation && isActive(held.status) ? held : undefined
  }
}

function isFrom(reader: PacketReader, name: string): boolean {
  return isAscii(reader.bytes, reader.senderAt, reader.senderLength, name)
}

function isFor(reader: PacketReader, name: string): boolean {
  return isAscii(reader.bytes, reader.targetAt, reader.targetLength, name)
}

/** Whether a record is the sender's own. */
function originOf(reader: PacketReader, i: number): 'self' | 'gossip' {
  const { bytes, senderAt, senderLength } = reader
  if (reader.recordRank[i] !== ALIVE || reader.recordNameLength(i) !== senderLength) return 'gossip'
  const nameAt = reader.recordNameAt(i)
  for (let k = 0; k < senderLength; k++) if (bytes[nameAt + k] !== bytes[senderAt + k]) return 'gossip'
  return 'self'
}
