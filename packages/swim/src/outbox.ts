/**
 * Composes packets and sends them. Pings, ping-reqs, acks and gossip carry what waits in the gossip queue, as much as
 * fits; who is held suspect or dead is told so before all else, so that it can refute at once (Lifeguard's Buddy System).
 */
import type { ClusterState } from './cluster-state.js'
import type { Entries } from './entries.js'
import type { MemberRecord } from './member-record.js'
import { encodeAlive } from './packet-writer.js'
import { DEAD, SUSPECT } from './record.js'
import { ACK, GOSSIP, MESSAGE, NACK, PING, PING_REQ, RELAYED } from './wire.js'

const VERDICT_OVERHEAD = 20
const MAX_NACK_MS = 65_535

export class Outbox {
  readonly #state: ClusterState
  readonly #entries: Entries
  /** Whether who is accused is told so. */
  readonly #tellsAccused: boolean

  constructor(state: ClusterState, entries: Entries) {
    this.#state = state
    this.#entries = entries
    this.#tellsAccused = state.settings.buddy
  }

  ping(to: string, sequence: number, target: string, receiver: MemberRecord | undefined): void {
    const { writer } = this.#state
    writer.begin(PING)
    writer.u32(sequence)
    writer.string(target)
    this.#news(receiver, true, 0)
    this.#state.transmit(to, writer.finish())
  }

  /** @param successor a later process of the receiver's name, which it should know of */
  ack(
    to: string,
    sequence: number,
    isUnknown: boolean,
    receiver: MemberRecord | undefined,
    successor?: MemberRecord,
  ): void {
    const { writer, position } = this.#state
    writer.begin(ACK)
    writer.u32(sequence)
    writer.u8(isUnknown ? 1 : 0)
    this.#news(receiver, true, position.vec.length, successor)
    this.#state.transmit(to, writer.finishWithCoordinate(position))
  }

  pingRequest(proxy: MemberRecord, sequence: number, target: MemberRecord, nackAfterMs: number): void {
    const { writer } = this.#state
    writer.begin(PING_REQ)
    writer.u32(sequence)
    writer.string(target.name)
    writer.string(target.address)
    writer.u16(Math.min(MAX_NACK_MS, Math.round(nackAfterMs)))
    this.#news(proxy, false, 0)
    this.#state.transmit(proxy.address, writer.finish())
  }

  nack(to: string, sequence: number): void {
    const { writer } = this.#state
    writer.begin(NACK)
    writer.u32(sequence)
    this.#nothing(to)
  }

  relayed(to: string, sequence: number, target: string): void {
    const { writer } = this.#state
    writer.begin(RELAYED)
    writer.u32(sequence)
    writer.string(target)
    this.#nothing(to)
  }

  /** What waits, to one member. */
  gossip(receiver: MemberRecord): void {
    const { writer } = this.#state
    writer.begin(GOSSIP)
    this.#news(receiver, false, 0)
    this.#state.transmit(receiver.address, writer.finish())
  }

  /** This node's own record, to who does not hold it. */
  introduce(to: string): void {
    const { writer, self } = this.#state
    writer.begin(GOSSIP)
    writer.records()
    this.#alive(self, 0)
    writer.entries()
    this.#state.transmit(to, writer.finish())
  }

  message(to: string, topic: string, payload: Uint8Array): void {
    const { writer } = this.#state
    writer.begin(MESSAGE)
    writer.string(topic)
    writer.payload(payload)
    this.#nothing(to)
  }

  #nothing(to: string): void {
    const { writer } = this.#state
    writer.records()
    writer.entries()
    this.#state.transmit(to, writer.finish())
  }

  #news(receiver: MemberRecord | undefined, withDirect: boolean, dimensions: number, successor?: MemberRecord): void {
    const { writer, queue, table } = this.#state
    writer.records()
    if (successor !== undefined) this.#alive(successor, dimensions)
    if (receiver !== undefined) this.#buddy(receiver, dimensions)
    const waiting = withDirect ? this.#entries.directBytes : 0
    if (queue.size === 0 && waiting === 0) {
      writer.entries()
      return
    }
    const room = writer.room(dimensions)
    // A quarter of the room at the least, as for gossiped entries.
    const kept = Math.min(waiting, Math.ceil(room / 4))
    const left = queue.choose(room - kept, table.n) + kept
    writer.items(queue.records)
    writer.entries()
    if (waiting > 0) this.#entries.writeDirect(writer, left)
    writer.items(queue.entries)
    queue.settle()
  }

  #alive(record: MemberRecord, dimensions: number): void {
    const { writer } = this.#state
    const bytes = encodeAlive(record.name, record.generation, record.incarnation, record)
    if (bytes.length <= writer.room(dimensions)) writer.item(bytes)
  }

  #buddy(receiver: MemberRecord, dimensions: number): void {
    if (!this.#tellsAccused || (receiver.status !== SUSPECT && receiver.status !== DEAD)) return
    const { writer, self } = this.#state
    const { status, name, generation, incarnation, passing } = receiver
    const accuser = passing?.suspicion?.accusers[0] ?? self.name
    if (writer.room(dimensions) < VERDICT_OVERHEAD + name.length + accuser.length) return
    writer.verdict(status, name, generation, incarnation, accuser)
  }
}
