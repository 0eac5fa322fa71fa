/**
 * What members exchange to compare their views: digests first, then the records of the buckets that differ, in the
 * layout of packets. A view is a sequence of
 *
 *     varint age in seconds (of the dead and the left) · record · varint count · entries of that member
 *
 * where a suspect is two records, "alive" and "suspect".
 */
import { DecodeError, msgpackCodec } from '@hs/core'
import * as z from 'zod'
import { DIGEST_BYTES } from './digests.js'
import type { News, PacketReader } from './packet-reader.js'
import { writeVarint } from './packet-writer.js'

/** The frame limit of transports, less what stands around a view. */
export const MAX_VIEW_BYTES = 4 * 1_024 * 1_024 - 64 * 1_024
/** What one member can say of itself: its record and its entries. */
const MAX_FRAME_BYTES = 4 * 1_024 * 1_024

const view = () => z.custom<Uint8Array>((x) => x instanceof Uint8Array, 'expected bytes')

export const syncCodecs = () => (cachedCodecs ??= makeCodecs())
let cachedCodecs: ReturnType<typeof makeCodecs> | undefined
const makeCodecs = () => {
  const limits = { maxBytes: MAX_FRAME_BYTES }
  return {
    request: msgpackCodec(
      z.object({ self: view(), digests: view().refine((bytes) => bytes.length === DIGEST_BYTES) }),
      limits,
    ),
    /** `buckets` are those that differ and whose records are all here. */
    answer: msgpackCodec(z.object({ self: view(), buckets: z.array(z.int().min(0)), records: view() }), limits),
    push: msgpackCodec(z.object({ self: view(), records: view() }), limits),
    pushed: msgpackCodec(z.object({ self: view() }), limits),
  }
}

/** One record of a view, checked. */
export interface ViewRecord {
  readonly news: News
  readonly ageMs: number
  /** Where its entries begin in the bytes. */
  readonly entriesAt: readonly number[]
}

/**
 * Checks a whole view and builds what it says.
 * @throws DecodeError
 */
export function readView(reader: PacketReader, bytes: Uint8Array): ViewRecord[] {
  const records: ViewRecord[] = []
  let at = 0
  const step = (end: number) => {
    if (end < 0) throw new DecodeError('A view of the cluster is malformed', { reason: 'syntax' })
    at = end
  }
  while (at < bytes.length) {
    step(reader.openNumber(bytes, at))
    const ageMs = reader.sequence * 1_000
    step(reader.openRecord(bytes, at))
    const news = reader.news(0)
    step(reader.openNumber(bytes, at))
    const entriesAt: number[] = []
    for (let left = reader.sequence; left > 0; left--) {
      entriesAt.push(at)
      step(reader.openEntry(bytes, at))
    }
    records.push({ news, ageMs, entriesAt })
  }
  return records
}

/** Puts a view together. */
export class ViewBuilder {
  readonly #parts: Uint8Array[] = []
  #length = 0

  get length(): number {
    return this.#length
  }

  add(record: Uint8Array, ageMs: number, entries: readonly Uint8Array[]): void {
    this.#number(Math.max(0, Math.floor(ageMs / 1_000)))
    this.#append(record)
    this.#number(entries.length)
    for (const entry of entries) this.#append(entry)
  }

  append(other: ViewBuilder): void {
    for (const part of other.#parts) this.#append(part)
  }

  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.#length)
    let at = 0
    for (const part of this.#parts) {
      bytes.set(part, at)
      at += part.length
    }
    return bytes
  }

  #number(value: number): void {
    const bytes = new Uint8Array(8)
    this.#append(bytes.subarray(0, writeVarint(bytes, value, 0)))
  }

  #append(part: Uint8Array): void {
    this.#parts.push(part)
    this.#length += part.length
  }
}
