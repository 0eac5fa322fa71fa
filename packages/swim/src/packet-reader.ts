/**
 * Reads packets in two passes: `open` checks every byte and changes nothing but the reader; what it found is then read
 * from its fields, and strings are built only for what is asked for. Whatever the bytes, nothing is thrown.
 */
import type { Meta } from './member.js'
import { NO_META, type Description } from './member-record.js'
import { ADJUSTMENT, ERROR, HEIGHT, SAMPLES, VECTOR } from './position.js'
import { ALIVE, type ToldRank } from './record.js'
import { isUtf8, readText } from './text.js'
import {
  ACK,
  CHECKSUM_AT,
  checksum,
  DIRECT,
  GOSSIP,
  LABEL_AT,
  MAX_DIMENSIONS,
  MAX_GENERATION,
  MAX_INCARNATION,
  MAX_KEY_BYTES,
  MAX_META_BYTES,
  MAX_NAME_BYTES,
  MAX_ROLE_BYTES,
  MAX_TOPIC_BYTES,
  MAX_VALUE_BYTES,
  MESSAGE,
  NACK,
  NAME_BYTE,
  NAME_START,
  nameBytes,
  PING,
  PING_REQ,
  RELAYED,
  RETRACTED,
  SENDER_AT,
  VERSION,
} from './wire.js'

/** What a record says that is news. */
export interface News {
  readonly rank: ToldRank
  readonly name: string
  readonly generation: number
  readonly incarnation: number
  /** Of an alive record. */
  readonly description: Description | undefined
  /** Of any other. */
  readonly accuser: string
}

/** What an entry says that is news; undefined was retracted. */
export interface EntryNews {
  readonly key: string
  readonly version: number
  readonly direct: boolean
  readonly value: Uint8Array | undefined
}

export type Opened = 'ok' | 'foreign' | 'malformed'

const MAX_ITEMS = 255
const NOTHING = new Uint8Array()
const single = new DataView(new ArrayBuffer(4))

export class PacketReader {
  bytes: Uint8Array = NOTHING
  kind = 0
  senderAt = 0
  senderLength = 0
  generation = 0
  incarnation = 0
  health = 0

  sequence = 0
  /** Of an ack: its sender does not hold the one it answers. */
  isUnknown = false
  targetAt = 0
  targetLength = 0
  nackAfterMs = 0
  /** The string of the body that is no name: an address or a topic. */
  textAt = 0
  textEnd = 0
  payloadAt = 0
  payloadEnd = 0

  recordCount = 0
  readonly recordAt = new Int32Array(MAX_ITEMS + 1)
  readonly recordRank = new Uint8Array(MAX_ITEMS)
  readonly recordGeneration = new Float64Array(MAX_ITEMS)
  readonly recordIncarnation = new Float64Array(MAX_ITEMS)
  entryCount = 0
  readonly entryAt = new Int32Array(MAX_ITEMS + 1)
  /** How many numbers the coordinate has: 0, or four and the vector. */
  coordinateCount = 0
  /** Height, adjustment, error, samples, vector. */
  readonly coordinate = new Float64Array(VECTOR + MAX_DIMENSIONS)

  #at = 0
  #end = 0
  #failed = false
  #lastLength = 0

  /** Checks a whole packet. */
  open(bytes: Uint8Array, label: number): Opened {
    this.#start(bytes, 0)
    if (bytes.length < SENDER_AT || bytes[0] !== VERSION) return 'malformed'
    this.#at = LABEL_AT
    if (this.#u32() !== label) return 'foreign'
    this.#at = CHECKSUM_AT
    if (this.#u32() !== checksum(bytes, bytes.length)) return 'malformed'
    this.kind = bytes[1] as number
    this.#sender()
    this.#body()
    this.#records()
    this.#entries()
    this.#coordinates()
    return this.#failed || this.#at !== this.#end ? 'malformed' : 'ok'
  }

  /** Checks one record from `at` on, as record 0. Where it ends; -1 if it is malformed. */
  openRecord(bytes: Uint8Array, at: number): number {
    this.#start(bytes, at)
    this.recordCount = 1
    this.#record(0)
    this.recordAt[1] = this.#at
    return this.#failed ? -1 : this.#at
  }

  /** Checks one entry from `at` on, as entry 0. Where it ends; -1 if it is malformed. */
  openEntry(bytes: Uint8Array, at: number): number {
    this.#start(bytes, at)
    this.entryCount = 1
    this.#entry(0)
    this.entryAt[1] = this.#at
    return this.#failed ? -1 : this.#at
  }

  /** Checks one varint from `at` on. Where it ends; -1 if it is malformed. Its value is `sequence`. */
  openNumber(bytes: Uint8Array, at: number): number {
    this.#start(bytes, at)
    this.sequence = this.#varint(MAX_GENERATION)
    return this.#failed ? -1 : this.#at
  }

  sender(): string {
    return readText(this.bytes, this.senderAt, this.senderAt + this.senderLength)
  }

  target(): string {
    return readText(this.bytes, this.targetAt, this.targetAt + this.targetLength)
  }

  text(): string {
    return readText(this.bytes, this.textAt, this.textEnd)
  }

  payload(): Uint8Array {
    return this.bytes.slice(this.payloadAt, this.payloadEnd)
  }

  /** Where the name of a record begins, after its length. */
  recordNameAt(i: number): number {
    return (this.recordAt[i] as number) + 2
  }

  recordNameLength(i: number): number {
    return this.bytes[(this.recordAt[i] as number) + 1] as number
  }

  /** A copy of the record's bytes, to pass on. */
  recordBytes(i: number): Uint8Array {
    return this.bytes.slice(this.recordAt[i], this.recordAt[i + 1])
  }

  /** Builds what a checked record says. */
  news(i: number): News {
    const nameAt = this.recordNameAt(i)
    const nameEnd = nameAt + this.recordNameLength(i)
    const rank = this.recordRank[i] as ToldRank
    this.#at = nameEnd
    this.#skipVarint()
    this.#skipVarint()
    return {
      rank,
      name: readText(this.bytes, nameAt, nameEnd),
      generation: this.recordGeneration[i] as number,
      incarnation: this.recordIncarnation[i] as number,
      description: rank === ALIVE ? this.#description() : undefined,
      accuser: rank === ALIVE ? '' : this.#readString(),
    }
  }

  entryOwnerAt(i: number): number {
    return (this.entryAt[i] as number) + 1
  }

  entryOwnerLength(i: number): number {
    return this.bytes[this.entryAt[i] as number] as number
  }

  entryBytes(i: number): Uint8Array {
    return this.bytes.slice(this.entryAt[i], this.entryAt[i + 1])
  }

  entryGeneration(i: number): number {
    this.#at = this.entryOwnerAt(i) + this.entryOwnerLength(i)
    return this.#varint(MAX_GENERATION)
  }

  /** Builds what a checked entry says. */
  entryNews(i: number): EntryNews {
    this.#at = this.entryOwnerAt(i) + this.entryOwnerLength(i)
    this.#skipVarint()
    const key = this.#readString()
    const version = this.#varint(MAX_GENERATION)
    const flags = this.#u8()
    const length = this.#varint(MAX_VALUE_BYTES)
    const value = (flags & RETRACTED) === 0 ? this.bytes.slice(this.#at, this.#at + length) : undefined
    return { key, version, direct: (flags & DIRECT) !== 0, value }
  }

  #start(bytes: Uint8Array, at: number): void {
    this.bytes = bytes
    this.#at = at
    this.#end = bytes.length
    this.#failed = false
    this.recordCount = 0
    this.entryCount = 0
    this.coordinateCount = 0
  }

  #sender(): void {
    this.senderLength = this.#name()
    this.senderAt = this.#at - this.senderLength
    this.generation = this.#varint(MAX_GENERATION)
    this.incarnation = this.#varint(MAX_INCARNATION)
    this.health = this.#u8()
  }

  #body(): void {
    switch (this.kind) {
      case PING:
      case RELAYED:
        this.sequence = this.#u32()
        return this.#target()
      case ACK: {
        this.sequence = this.#u32()
        const flag = this.#u8()
        this.isUnknown = flag === 1
        if (flag > 1) this.#failed = true
        return
      }
      case PING_REQ:
        this.sequence = this.#u32()
        this.#target()
        this.#text(1, 255)
        this.nackAfterMs = (this.#u8() << 8) | this.#u8()
        return
      case NACK:
        this.sequence = this.#u32()
        return
      case GOSSIP:
        return
      case MESSAGE:
        this.#text(1, MAX_TOPIC_BYTES)
        this.payloadAt = this.#skip(this.#varint(65_535))
        this.payloadEnd = this.#at
        return
      default:
        this.#failed = true
    }
  }

  #target(): void {
    this.targetLength = this.#name()
    this.targetAt = this.#at - this.targetLength
  }

  #text(min: number, max: number): void {
    this.textEnd = this.#string(min, max)
    this.textAt = this.textEnd - this.#lastLength
  }

  #records(): void {
    const count = this.#u8()
    for (let i = 0; i < count && !this.#failed; i++) this.#record(i)
    this.recordCount = count
    this.recordAt[count] = this.#at
  }

  #record(i: number): void {
    this.recordAt[i] = this.#at
    const rank = this.#u8()
    this.recordRank[i] = rank
    this.#name()
    this.recordGeneration[i] = this.#varint(MAX_GENERATION)
    this.recordIncarnation[i] = this.#varint(MAX_INCARNATION)
    if (rank > 3) this.#failed = true
    if (rank !== ALIVE) {
      this.#name()
      return
    }
    this.#string(1, 255)
    this.#string(0, 255)
    this.#string(0, MAX_ROLE_BYTES)
    this.#meta()
  }

  #meta(): void {
    const length = this.#varint(MAX_META_BYTES)
    const end = this.#at + length
    if (end > this.#end) this.#failed = true
    while (this.#at < end && !this.#failed) {
      this.#longString(end)
      this.#longString(end)
    }
    if (this.#at !== end) this.#failed = true
  }

  #longString(end: number): void {
    const length = this.#varint(MAX_META_BYTES)
    const start = this.#skip(length)
    if (this.#at > end || !isUtf8(this.bytes, start, this.#at)) this.#failed = true
  }

  #entries(): void {
    const count = this.#u8()
    for (let i = 0; i < count && !this.#failed; i++) this.#entry(i)
    this.entryCount = count
    this.entryAt[count] = this.#at
  }

  #entry(i: number): void {
    this.entryAt[i] = this.#at
    this.#name()
    this.#varint(MAX_GENERATION)
    this.#string(1, MAX_KEY_BYTES)
    this.#varint(MAX_GENERATION)
    const flags = this.#u8()
    if (flags > (RETRACTED | DIRECT)) this.#failed = true
    const length = this.#varint(MAX_VALUE_BYTES)
    if ((flags & RETRACTED) !== 0 && length > 0) this.#failed = true
    this.#skip(length)
  }

  #coordinates(): void {
    const dimensions = this.#u8()
    if (dimensions === 0) return
    if (dimensions > MAX_DIMENSIONS) {
      this.#failed = true
      return
    }
    const { coordinate } = this
    coordinate[HEIGHT] = this.#f32()
    coordinate[ADJUSTMENT] = this.#f32()
    coordinate[ERROR] = this.#f32()
    coordinate[SAMPLES] = this.#varint(MAX_GENERATION)
    for (let i = 0; i < dimensions; i++) coordinate[VECTOR + i] = this.#f32()
    if (coordinate[HEIGHT] < 0 || coordinate[ERROR] < 0) this.#failed = true
    this.coordinateCount = VECTOR + dimensions
  }

  /** Checks a name and returns its length. */
  #name(): number {
    const { bytes } = this
    const length = this.#u8()
    const start = this.#skip(length)
    if (length === 0 || length > MAX_NAME_BYTES || this.#failed) {
      this.#failed = true
      return 0
    }
    let flags = (nameBytes[bytes[start] as number] as number) & NAME_START ? NAME_BYTE : 0
    for (let i = start + 1; i < this.#at; i++) flags &= nameBytes[bytes[i] as number] as number
    if (flags === 0) this.#failed = true
    return length
  }

  /** Checks a string and returns where it ends. */
  #string(min: number, max: number): number {
    const length = this.#u8()
    this.#lastLength = length
    const start = this.#skip(length)
    if (length < min || length > max || this.#failed || !isUtf8(this.bytes, start, this.#at)) this.#failed = true
    return this.#at
  }

  #readString(): string {
    const length = this.#u8()
    const start = this.#skip(length)
    return readText(this.bytes, start, this.#at)
  }

  #description(): Description {
    const address = this.#readString()
    const rpcAddress = this.#readString()
    const role = this.#readString()
    return { address, rpcAddress: rpcAddress === '' ? address : rpcAddress, role, meta: this.#readMeta() }
  }

  #readMeta(): Readonly<Meta> {
    const length = this.#varint(MAX_META_BYTES)
    if (length === 0) return NO_META
    const end = this.#at + length
    const pairs: [string, string][] = []
    while (this.#at < end) pairs.push([this.#readLongString(), this.#readLongString()])
    // Not by assignment: a key may be `__proto__`.
    return Object.freeze(Object.fromEntries(pairs))
  }

  #readLongString(): string {
    const length = this.#varint(MAX_META_BYTES)
    const start = this.#skip(length)
    return readText(this.bytes, start, this.#at)
  }

  /** Moves on and returns where it was; stays if that is beyond the end. */
  #skip(length: number): number {
    const start = this.#at
    if (length > this.#end - start) this.#failed = true
    else this.#at = start + length
    return start
  }

  #skipVarint(): void {
    while (((this.bytes[this.#at++] as number) & 0x80) !== 0);
  }

  #u8(): number {
    if (this.#at < this.#end) return this.bytes[this.#at++] as number
    this.#failed = true
    return 0
  }

  #u32(): number {
    return ((this.#u8() << 24) | (this.#u8() << 16) | (this.#u8() << 8) | this.#u8()) >>> 0
  }

  #f32(): number {
    single.setUint32(0, this.#u32())
    const value = single.getFloat32(0)
    if (Number.isFinite(value)) return value
    this.#failed = true
    return 0
  }

  #varint(max: number): number {
    let byte = this.#u8()
    if (byte < 0x80) {
      if (byte > max) this.#failed = true
      return byte
    }
    let value = byte & 0x7f
    for (let scale = 0x80, count = 1; byte >= 0x80; scale *= 0x80, count++) {
      byte = this.#u8()
      value += (byte & 0x7f) * scale
      // Longer than it must be, or than any number allowed.
      if (byte === 0 || count > 7) {
        this.#failed = true
        return 0
      }
    }
    if (value > max) this.#failed = true
    return value
  }
}
