/**
 * Small values that members publish about themselves: to everyone by gossip, or with their own pings and acks only.
 * Each is versioned by its owner alone.
 */
import { HsError, LimitError } from '@hs/core'
import type { ClusterState } from './cluster-state.js'
import { EntrySet, MAX_KEYS, type Entry } from './entry-set.js'
import type { MemberRecord } from './member-record.js'
import type { EntryNews, PacketReader } from './packet-reader.js'
import { encodeEntry, type PacketWriter } from './packet-writer.js'
import { isActive } from './record.js'
import { byteLength } from './text.js'
import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from './wire.js'

/** How many direct entries one packet carries at the most. */
const MAX_DIRECT = 50

export interface PublishOptions {
  /** `gossip`: to everyone; `direct`: with this node's own pings and acks only, the newest value each time. @default 'gossip' */
  spread?: 'gossip' | 'direct'
}

export class Entries {
  readonly #state: ClusterState
  /** Own direct entries as they go into packets. */
  readonly #direct = new Map<string, Uint8Array>()
  #directBytes = 0
  #version = 0

  constructor(state: ClusterState) {
    this.#state = state
  }

  /** How much room the own direct entries would take. */
  get directBytes(): number {
    return this.#directBytes
  }

  /** @throws LimitError, HsError `'INVALID_ARGUMENT'` */
  publish(key: string, value: Uint8Array, { spread = 'gossip' }: PublishOptions = {}): void {
    checkKey(key)
    if (!(value instanceof Uint8Array)) throw new HsError('INVALID_ARGUMENT', 'The value of an entry is a Uint8Array')
    if (spread !== 'gossip' && spread !== 'direct')
      throw new HsError('INVALID_ARGUMENT', `An entry is spread by 'gossip' or 'direct', found ${String(spread)}`)
    if (value.length > MAX_VALUE_BYTES) throw new LimitError('Bytes of an entry', MAX_VALUE_BYTES, value.length)
    const set = (this.#state.self.entries ??= new EntrySet())
    if (set.get(key)?.value === undefined && set.live >= MAX_KEYS)
      throw new LimitError('Entries of a member', MAX_KEYS, set.live + 1)
    this.#set({ key, value: value.slice(), direct: spread === 'direct', version: this.#version + 1 })
  }

  retract(key: string): void {
    checkKey(key)
    const held = this.#state.self.entries?.get(key)
    if (held?.value === undefined) return
    this.#set({ key, value: undefined, direct: held.direct, version: this.#version + 1 })
  }

  /** This process goes by another generation: all its entries are to be said again. */
  renew(): void {
    for (const entry of this.#state.self.entries ?? []) this.#spread(entry)
  }

  /** Takes over entry `i` of a packet or sync if it is news; `sender` is who the packet is from. */
  take(reader: PacketReader, i: number, sender: MemberRecord | undefined, mayPassOn: boolean): void {
    const { table, events, queue } = this.#state
    const owner = table.getBytes(reader.bytes, reader.entryOwnerAt(i), reader.entryOwnerLength(i))
    if (owner === undefined || !isActive(owner.status) || owner.generation !== reader.entryGeneration(i)) return
    const news = reader.entryNews(i)
    if (news.direct && owner !== sender) return
    const held = owner.entries?.get(news.key)
    if (held !== undefined && held.version >= news.version) return
    if (held !== undefined) queue.dropEntry(held)
    let entry: Entry | undefined
    table.change(owner, () => {
      owner.entries ??= new EntrySet()
      entry = owner.entries.take(news)
    })
    if (entry === undefined) return
    if (!news.direct && mayPassOn) queue.addEntry(reader.entryBytes(i), entry)
    const { key, value } = news
    events.emit('entryChanged', { member: owner.view, key, value })
  }

  /** What is held of a member goes with it. */
  drop(owner: MemberRecord): void {
    for (const entry of owner.entries ?? []) this.#state.queue.dropEntry(entry)
    owner.entries = undefined
  }

  /** Writes own direct entries into a packet, as many as fit; those that did not come first next time. */
  writeDirect(writer: PacketWriter, room: number): void {
    let left = room
    let count = 0
    for (const [, bytes] of this.#direct) {
      if (bytes.length > left || count === MAX_DIRECT) break
      writer.item(bytes)
      left -= bytes.length
      count++
    }
    if (count < this.#direct.size) this.#rotate(count)
  }

  #rotate(count: number): void {
    for (const [key, bytes] of [...this.#direct].slice(0, count)) {
      this.#direct.delete(key)
      this.#direct.set(key, bytes)
    }
  }

  #set(news: EntryNews): void {
    const { self, table, queue } = this.#state
    const bytes = this.#encode(news)
    if (bytes.length > this.#state.maxItemBytes)
      throw new LimitError('Bytes of an entry in one packet', this.#state.maxItemBytes, bytes.length)
    const held = self.entries?.get(news.key)
    if (held !== undefined) queue.dropEntry(held)
    this.#version = news.version
    let entry: Entry | undefined
    table.change(self, () => {
      entry = self.entries?.take(news)
    })
    if (entry !== undefined) this.#spread(entry)
  }

  #encode({ key, value, direct, version }: EntryNews): Uint8Array {
    const { name, generation } = this.#state.self
    return encodeEntry({ owner: name, generation, key, version, direct, value })
  }

  #spread(entry: Entry): void {
    const bytes = this.#encode(entry)
    const before = this.#direct.get(entry.key)
    if (before !== undefined) this.#forgetDirect(entry.key, before)
    if (!entry.direct) {
      if (this.#state.isActive) this.#state.queue.addEntry(bytes, entry)
      return
    }
    this.#direct.set(entry.key, bytes)
    this.#directBytes += bytes.length
    this.#trim()
  }

  /** What was retracted longest ago is told no more once there is too much of it. */
  #trim(): void {
    if (this.#direct.size <= 2 * MAX_KEYS) return
    for (const [key, bytes] of this.#direct) {
      if (this.#state.self.entries?.get(key)?.value !== undefined) continue
      this.#forgetDirect(key, bytes)
      return
    }
  }

  #forgetDirect(key: string, bytes: Uint8Array): void {
    this.#direct.delete(key)
    this.#directBytes -= bytes.length
  }
}

function checkKey(key: string): void {
  if (typeof key !== 'string' || key === '')
    throw new HsError('INVALID_ARGUMENT', 'The key of an entry is a text that is not empty')
  const length = byteLength(key)
  if (length > MAX_KEY_BYTES) throw new LimitError('Bytes of the key of an entry', MAX_KEY_BYTES, length)
}
