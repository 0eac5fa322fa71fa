/** This node's view of the cluster as it goes to another, and another's as it is taken in. */
import type { ClusterState } from './cluster-state.js'
import { bucketOf, BUCKETS } from './digests.js'
import type { Entries } from './entries.js'
import type { MemberRecord } from './member-record.js'
import type { Membership, Origin } from './membership.js'
import { PacketReader, type News } from './packet-reader.js'
import { encodeAlive, encodeEntry, encodeVerdict } from './packet-writer.js'
import { ALIVE, DEAD, LEFT, SUSPECT, UNCONFIRMED } from './record.js'
import { MAX_VIEW_BYTES, readView, ViewBuilder, type ViewRecord } from './sync-messages.js'

export class Views {
  readonly #state: ClusterState
  readonly #entries: Entries
  readonly #membership: Membership
  readonly #reader = new PacketReader()

  constructor(state: ClusterState, entries: Entries, membership: Membership) {
    this.#state = state
    this.#entries = entries
    this.#membership = membership
  }

  /** This node's own record and entries. */
  self(): Uint8Array {
    const builder = new ViewBuilder()
    this.#add(builder, this.#state.self)
    return builder.toBytes()
  }

  /**
   * The records of some buckets, whole buckets only, as many as one frame holds; from a random one on, so that what
   * does not fit comes first another time.
   * @param skip records that the other side has already
   */
  ofBuckets(
    buckets: readonly number[],
    skip: (record: MemberRecord) => boolean,
  ): { buckets: number[]; records: Uint8Array } {
    if (buckets.length === 0) return nothing
    const wanted = new Array<ViewBuilder | undefined>(BUCKETS).fill(undefined)
    for (const bucket of buckets) wanted[bucket] = new ViewBuilder()
    for (const record of this.#state.table) {
      const builder = wanted[bucketOf(record.name)]
      // One bucket alone may be more than a frame: then its rest is for another time.
      if (builder === undefined || builder.length >= MAX_VIEW_BYTES / 2 || skip(record)) continue
      this.#add(builder, record)
    }
    const whole = new ViewBuilder()
    const taken: number[] = []
    const start = this.#state.random.int(buckets.length)
    for (let i = 0; i < buckets.length; i++) {
      const bucket = buckets[(start + i) % buckets.length] as number
      const builder = wanted[bucket]
      if (builder === undefined || whole.length + builder.length > MAX_VIEW_BYTES) continue
      whole.append(builder)
      taken.push(bucket)
    }
    return { buckets: taken, records: whole.toBytes() }
  }

  /**
   * Takes in what another says of others. Returns what it said, by name.
   * @throws DecodeError, and then nothing was taken
   */
  take(bytes: Uint8Array, origin: Origin): Map<string, News> {
    const reader = this.#reader
    const said = new Map<string, News>()
    for (const record of readView(reader, bytes)) {
      said.set(record.news.name, record.news)
      this.#takeOne(reader, bytes, record, origin)
    }
    return said
  }

  /** What another says of itself. @throws DecodeError */
  peek(bytes: Uint8Array): News | undefined {
    const [record, ...more] = readView(this.#reader, bytes)
    return record === undefined || more.length > 0 ? undefined : record.news
  }

  /** Takes in what another says of itself, which makes it known and heard. @throws DecodeError */
  takeSelf(bytes: Uint8Array): void {
    const reader = this.#reader
    const [record] = readView(reader, bytes)
    if (record === undefined) return
    this.#takeOne(reader, bytes, record, record.news.rank === ALIVE ? 'self' : 'gossip')
    const held = this.#state.table.get(record.news.name)
    if (held !== undefined && held.generation === record.news.generation) this.#membership.heardFrom(held, held.health)
  }

  #takeOne(reader: PacketReader, bytes: Uint8Array, { news, ageMs, entriesAt }: ViewRecord, origin: Origin): void {
    this.#membership.take(news, origin, undefined, ageMs)
    for (const at of entriesAt) {
      reader.openEntry(bytes, at)
      this.#entries.take(reader, 0, undefined, origin !== 'join')
    }
  }

  #add(builder: ViewBuilder, record: MemberRecord): void {
    const { name, generation, incarnation, status, passing } = record
    if (status === UNCONFIRMED) return
    if (status === DEAD || (status === LEFT && record !== this.#state.self)) {
      const ageMs = this.#state.clock.now() - (passing?.sinceMs ?? this.#state.clock.now())
      builder.add(encodeVerdict(status, name, generation, incarnation, this.#state.self.name), ageMs, [])
      return
    }
    if (status === LEFT) {
      builder.add(encodeVerdict(LEFT, name, generation, incarnation, name), 0, [])
      return
    }
    builder.add(encodeAlive(name, generation, incarnation, record), 0, this.#encodedEntries(record))
    if (status !== SUSPECT) return
    const accuser = passing?.suspicion?.accusers[0] ?? this.#state.self.name
    builder.add(encodeVerdict(SUSPECT, name, generation, incarnation, accuser), 0, [])
  }

  #encodedEntries(record: MemberRecord): Uint8Array[] {
    const encoded: Uint8Array[] = []
    for (const { key, value, version, direct } of record.entries ?? []) {
      if (direct) continue
      encoded.push(encodeEntry({ owner: record.name, generation: record.generation, key, version, direct, value }))
    }
    return encoded
  }
}

const nothing: { buckets: number[]; records: Uint8Array } = { buckets: [], records: new Uint8Array() }
