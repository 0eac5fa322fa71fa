/**
 * Writes packets into one buffer, behind a header that is put together seldom; and records and entries by themselves, to
 * be queued. The view that `finish` returns is valid until the next packet begins, whoever's: transports copy.
 */
import type { Description } from './member-record.js'
import type { Meta } from './member.js'
import { ALIVE, type ToldRank } from './record.js'
import { byteLength, writeText } from './text.js'
import type { TransmitItem } from './transmit-heap.js'
import type { Coordinate } from './coordinate.js'
import {
  CHECKSUM_AT,
  checksum,
  DIRECT,
  LABEL_AT,
  MAX_NAME_BYTES,
  RETRACTED,
  SENDER_AT,
  VERSION,
  type Kind,
} from './wire.js'

/** A coordinate, or the position that it is of. */
type SentCoordinate = Omit<Coordinate, 'vec'> & { readonly vec: ArrayLike<number> }

const MAX_SENDER_BYTES = 1 + MAX_NAME_BYTES + 8 + 7 + 1
/** Views of the buffer that are kept, by length. */
const VIEWS = 256

/**
 * Where packets are composed. All writers of a process share it, for a packet is composed and sent in one step: so of a
 * thousand clusters in one process each finds it in the cache.
 */
let buffer = /* @__PURE__ */ new Uint8Array(2_048)
let data = /* @__PURE__ */ new DataView(buffer.buffer)
let views: (Uint8Array | undefined)[] = []

export class PacketWriter {
  readonly #maxBytes: number
  /** What all packets begin with. */
  #header = new Uint8Array(SENDER_AT)
  #at = SENDER_AT
  #recordsAt = 0

  constructor(maxPacketBytes: number, label: number) {
    this.#maxBytes = maxPacketBytes
    this.#header[0] = VERSION
    new DataView(this.#header.buffer).setUint32(LABEL_AT, label)
    reserve(maxPacketBytes)
  }

  /** Writes the header that all packets begin with from now on. */
  identify(name: string, generation: number, incarnation: number, health: number): void {
    const header = new Uint8Array(SENDER_AT + MAX_SENDER_BYTES)
    header.set(this.#header.subarray(0, SENDER_AT))
    let at = writeString(header, name, SENDER_AT)
    at = writeVarint(header, generation, at)
    at = writeVarint(header, incarnation, at)
    header[at++] = health
    this.#header = header.slice(0, at)
  }

  begin(kind: Kind): void {
    const header = this.#header
    for (let i = 0; i < header.length; i++) buffer[i] = header[i] as number
    buffer[1] = kind
    this.#at = header.length
  }

  u8(value: number): void {
    buffer[this.#at++] = value
  }

  u16(value: number): void {
    data.setUint16(this.#at, value)
    this.#at += 2
  }

  u32(value: number): void {
    data.setUint32(this.#at, value)
    this.#at += 4
  }

  string(text: string): void {
    this.#at = writeString(buffer, text, this.#at)
  }

  payload(bytes: Uint8Array): void {
    this.#at = writeVarint(buffer, bytes.length, this.#at)
    buffer.set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** The body is written; records follow, then `entries`, then `finish`. */
  records(): void {
    this.#recordsAt = this.#at
    this.u8(0)
  }

  entries(): void {
    this.#recordsAt = this.#at
    this.u8(0)
  }

  /** A record or an entry, whichever is being written. */
  item(bytes: Uint8Array): void {
    buffer.set(bytes, this.#at)
    this.#at += bytes.length
    this.#counted()
  }

  items(items: readonly TransmitItem[]): void {
    for (const { bytes } of items) this.item(bytes)
  }

  /** A record that is not queued. */
  verdict(rank: ToldRank, name: string, generation: number, incarnation: number, accuser: string): void {
    this.#at = writeVerdict(buffer, this.#at, rank, name, generation, incarnation, accuser)
    this.#counted()
  }

  /** Bytes left for records and entries, when a coordinate of `dimensions` follows. */
  room(dimensions: number): number {
    const tail = dimensions === 0 ? 2 : 2 + coordinateBytes(dimensions)
    return this.#maxBytes - this.#at - tail
  }

  finish(): Uint8Array {
    this.u8(0)
    return this.#seal()
  }

  finishWithCoordinate(coordinate: SentCoordinate): Uint8Array {
    const { vec, heightMs, adjustmentMs, error, samples = 0 } = coordinate
    this.u8(vec.length)
    this.#f32(heightMs)
    this.#f32(adjustmentMs)
    this.#f32(error)
    this.#at = writeVarint(buffer, samples, this.#at)
    for (let i = 0; i < vec.length; i++) this.#f32(vec[i] as number)
    return this.#seal()
  }

  #seal(): Uint8Array {
    const length = this.#at
    data.setUint32(CHECKSUM_AT, checksum(buffer, length))
    const slot = length % VIEWS
    const kept = views[slot]
    if (kept !== undefined && kept.length === length) return kept
    const view = buffer.subarray(0, length)
    views[slot] = view
    return view
  }

  #counted(): void {
    buffer[this.#recordsAt] = (buffer[this.#recordsAt] as number) + 1
  }

  #f32(value: number): void {
    data.setFloat32(this.#at, value)
    this.#at += 4
  }
}

/** A record "alive", to be queued or put into a sync. */
export function encodeAlive(name: string, generation: number, incarnation: number, d: Description): Uint8Array {
  const metaBytes = encodedMetaBytes(d.meta)
  const bytes = new Uint8Array(
    64 + name.length + 3 * (d.address.length + d.rpcAddress.length + d.role.length) + metaBytes,
  )
  let at = 0
  bytes[at++] = ALIVE
  at = writeString(bytes, name, at)
  at = writeVarint(bytes, generation, at)
  at = writeVarint(bytes, incarnation, at)
  at = writeString(bytes, d.address, at)
  at = writeString(bytes, d.rpcAddress === d.address ? '' : d.rpcAddress, at)
  at = writeString(bytes, d.role, at)
  at = writeVarint(bytes, metaBytes, at)
  for (const key of Object.keys(d.meta)) {
    at = writeLongString(bytes, key, at)
    at = writeLongString(bytes, d.meta[key] as string, at)
  }
  return bytes.slice(0, at)
}

/** A record "suspect", "dead" or "left". */
export function encodeVerdict(
  rank: ToldRank,
  name: string,
  generation: number,
  incarnation: number,
  accuser: string,
): Uint8Array {
  const bytes = new Uint8Array(20 + name.length + accuser.length)
  return bytes.slice(0, writeVerdict(bytes, 0, rank, name, generation, incarnation, accuser))
}

export interface WireEntry {
  readonly owner: string
  readonly generation: number
  readonly key: string
  readonly version: number
  readonly direct: boolean
  /** Undefined: retracted. */
  readonly value: Uint8Array | undefined
}

export function encodeEntry({ owner, generation, key, version, direct, value }: WireEntry): Uint8Array {
  const length = value?.length ?? 0
  const bytes = new Uint8Array(24 + owner.length + 3 * key.length + length)
  let at = writeString(bytes, owner, 0)
  at = writeVarint(bytes, generation, at)
  at = writeString(bytes, key, at)
  at = writeVarint(bytes, version, at)
  bytes[at++] = (value === undefined ? RETRACTED : 0) | (direct ? DIRECT : 0)
  at = writeVarint(bytes, length, at)
  if (value !== undefined) bytes.set(value, at)
  return bytes.slice(0, at + length)
}

/** Makes room for packets of this length. */
function reserve(length: number): void {
  if (length <= buffer.length) return
  buffer = new Uint8Array(length)
  data = new DataView(buffer.buffer)
  views = []
}

/** How many bytes metadata takes on the wire, without its length. */
export function encodedMetaBytes(meta: Readonly<Meta>): number {
  let total = 0
  for (const key of Object.keys(meta)) {
    total += longStringBytes(key) + longStringBytes(meta[key] as string)
  }
  return total
}

export function writeVarint(bytes: Uint8Array, value: number, at: number): number {
  let rest = value
  let pos = at
  while (rest >= 0x80) {
    bytes[pos++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  bytes[pos++] = rest
  return pos
}

/** Bytes of a coordinate behind its count of dimensions, at the most. */
function coordinateBytes(dimensions: number): number {
  return 4 * (3 + dimensions) + 8
}

function writeVerdict(
  bytes: Uint8Array,
  start: number,
  rank: ToldRank,
  name: string,
  generation: number,
  incarnation: number,
  accuser: string,
): number {
  bytes[start] = rank
  let at = writeString(bytes, name, start + 1)
  at = writeVarint(bytes, generation, at)
  at = writeVarint(bytes, incarnation, at)
  return writeString(bytes, accuser, at)
}

function writeString(bytes: Uint8Array, text: string, at: number): number {
  const end = writeText(bytes, text, at + 1)
  bytes[at] = end - at - 1
  return end
}

function writeLongString(bytes: Uint8Array, text: string, at: number): number {
  return writeText(bytes, text, writeVarint(bytes, byteLength(text), at))
}

function longStringBytes(text: string): number {
  const length = byteLength(text)
  return length + (length < 0x80 ? 1 : 2)
}
