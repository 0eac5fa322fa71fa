/**
 * The layout of packets, version 1. All integers are big-endian; a string is a u8 length and UTF-8; a varint has seven
 * bits a byte, the low ones first, no longer than it must be.
 *
 *     u8 version · u8 kind · u32 label · u32 checksum of what follows
 *     sender: name · varint generation · varint incarnation · u8 health
 *     body by kind
 *     u8 count · records    status, name, generation, incarnation, then
 *                           alive: address, rpcAddress (empty: the same), role, varint length of metadata and its pairs
 *                           others: name of the accuser
 *     u8 count · entries    owner, generation, key, varint version, u8 flags, varint length of the value and its bytes
 *     u8 dimensions · coordinate (nothing for 0): height, adjustment, error, varint samples, vector; f32 each
 *
 *     1 ping       u32 sequence · target
 *     2 ack        u32 sequence · u8 1 if the sender of the ping is not known
 *     3 ping-req   u32 sequence · target · address · u16 nackAfterMs
 *     4 nack       u32 sequence
 *     5 relayed    u32 sequence · target
 *     6 gossip
 *     7 message    topic · varint length · bytes
 */
import { encodeText, hashBytes, mixWord } from './text.js'

export const VERSION = 1

export const PING = 1
export const ACK = 2
export const PING_REQ = 3
export const NACK = 4
export const RELAYED = 5
export const GOSSIP = 6
export const MESSAGE = 7
export type Kind =
  typeof PING | typeof ACK | typeof PING_REQ | typeof NACK | typeof RELAYED | typeof GOSSIP | typeof MESSAGE

export const LABEL_AT = 2
export const CHECKSUM_AT = 6
export const SENDER_AT = 10

export const MAX_NAME_BYTES = 100
export const MAX_ROLE_BYTES = 32
export const MAX_META_BYTES = 512
export const MAX_KEY_BYTES = 64
export const MAX_VALUE_BYTES = 1_024
export const MAX_TOPIC_BYTES = 100
export const MAX_DIMENSIONS = 32
export const MAX_GENERATION = Number.MAX_SAFE_INTEGER
export const MAX_INCARNATION = 2 ** 48

/** Flags of an entry. */
export const RETRACTED = 1
export const DIRECT = 2

/** Which bytes a name may have, and which it may begin with. */
export const NAME_BYTE = 1
export const NAME_START = 2
export const nameBytes: Uint8Array = /* @__PURE__ */ tableOfNameBytes()

/** The label of a cluster: FNV-1a of its name. */
export function labelOf(cluster: string): number {
  const bytes = encodeText(cluster)
  return hashBytes(bytes, 0, bytes.length) >>> 0
}

/** Of all that follows it: four bytes at a step, each step a bijection. */
export function checksum(bytes: Uint8Array, end: number): number {
  let hash = end | 0
  let i = SENDER_AT
  for (; i + 4 <= end; i += 4) {
    const word =
      ((bytes[i] as number) << 24) |
      ((bytes[i + 1] as number) << 16) |
      ((bytes[i + 2] as number) << 8) |
      (bytes[i + 3] as number)
    const mixed = Math.imul(hash ^ word, 0x85ebca6b)
    hash = mixed ^ (mixed >>> 15)
  }
  for (; i < end; i++) hash = mixWord(hash, bytes[i] as number)
  // The kind stands before the checksum, yet a changed one must not pass.
  return mixWord(hash, bytes[1] as number) >>> 0
}

function tableOfNameBytes(): Uint8Array {
  const table = new Uint8Array(256)
  const allow = (text: string, flags: number) => {
    for (let i = 0; i < text.length; i++) table[text.charCodeAt(i)] = flags
  }
  allow('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', NAME_BYTE | NAME_START)
  allow('._-', NAME_BYTE)
  return table
}
