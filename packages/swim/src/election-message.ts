/**
 * What electors say to each other, one datagram a message, on topic `election/<group>` of the cluster: MessagePack
 * with one letter a field. Whatever the bytes, decoding gives a message or `undefined`.
 */
import { DecodeError, msgpackCodec, type Codec } from '@hs/core'
import * as z from 'zod'
import { memberName, MAX_VOTERS, type VoterList } from './election-voters.js'

/** Beyond it no term is believed, so that nobody can use the numbers up. */
export const MAX_TERM = 2 ** 48

const MAX_MESSAGE_BYTES = 1_200

const term = () => z.int().min(0).max(MAX_TERM)
const name = () => z.string().regex(memberName)

const listShape = () => ({
  /** The sender's list of voters, where there is one: names, the term of who issued it, its version. */
  v: z.array(name()).min(1).max(MAX_VOTERS).optional(),
  y: term().optional(),
  x: z.int().min(0).optional(),
})

const makeSchema = () =>
  z.discriminatedUnion('k', [
    /** Would you vote for me in term t + 1? */
    z.object({ k: z.literal('pre'), t: term(), ...listShape() }),
    /** g: yes, in term f. */
    z.object({ k: z.literal('pre-answer'), t: term(), f: term(), g: z.boolean(), ...listShape() }),
    /** Vote for me in term t. */
    z.object({ k: z.literal('vote'), t: term(), ...listShape() }),
    /** g: you have my vote in term t. */
    z.object({ k: z.literal('vote-answer'), t: term(), g: z.boolean(), ...listShape() }),
    /** I lead in term t; s: the heartbeat's number; r: what is left of my lease in ms, 0 while I have none yet. */
    z.object({
      k: z.literal('beat'),
      t: term().min(1),
      s: z.int().min(1),
      r: z.number().min(0).max(1e10),
      ...listShape(),
    }),
    /** Heartbeat s received, and the promise given, under my list (y, x). */
    z.object({
      k: z.literal('ack'),
      t: term(),
      s: z.int().min(1),
      y: term().optional(),
      x: z.int().min(0).optional(),
    }),
    /** Your term is over; mine is t. */
    z.object({ k: z.literal('refuse'), t: term(), ...listShape() }),
    /** I lead in term t no more: your promises are void. n: stand now. */
    z.object({ k: z.literal('resign'), t: term(), n: name().nullable() }),
    /** I know of no leader, and perhaps of an old list: who leads, who votes? */
    z.object({ k: z.literal('query'), t: term(), ...listShape() }),
  ])

export type ElectionMessage = z.output<ReturnType<typeof makeSchema>>

let cachedCodec: Codec<ElectionMessage> | undefined
const codec = (): Codec<ElectionMessage> =>
  (cachedCodec ??= msgpackCodec(makeSchema(), { maxBytes: MAX_MESSAGE_BYTES, maxDepth: 3, maxItems: 64 }))

export function encodeElectionMessage(message: ElectionMessage): Uint8Array {
  return codec().encode(message)
}

/** Undefined for whatever is no message. */
export function decodeElectionMessage(bytes: Uint8Array): ElectionMessage | undefined {
  try {
    return codec().decode(bytes)
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

/** The fields of a message that carry a list. */
export function listFields(list: VoterList | undefined): { v?: string[]; y?: number; x?: number } {
  return list === undefined ? {} : { v: [...list.voters], y: list.term, x: list.version }
}

/** The list that a message carries, if it does and it can be one. */
export function listOf(message: {
  v?: string[] | undefined
  y?: number | undefined
  x?: number | undefined
}): VoterList | undefined {
  const { v, y, x } = message
  if (v === undefined || y === undefined || x === undefined || new Set(v).size !== v.length) return undefined
  return { voters: v, term: y, version: x }
}
