/**
 * The wire format, version 1: `u32 length | u8 type | u8 flags | u32 id | payload`, integers big-endian, `length`
 * counting all after itself. Numbers only; what the payloads mean stands in `payloads.ts`.
 */

export const FRAME_TYPES = {
  hello: 1,
  request: 2,
  response: 3,
  error: 4,
  notify: 5,
  cancel: 6,
  ping: 7,
  pong: 8,
  goaway: 9,
} as const

/** A frame's length word, which does not count itself. */
export const LENGTH_BYTES = 4
/** The length word, type, flags and id. */
export const HEADER_BYTES = 10
/** Type, flags and id: the least that a length can say. */
export const MIN_LENGTH = 6
/** The largest length before HELLO was read, and that of HELLO itself. */
export const MAX_HELLO_LENGTH = 8_192
/** Flag bit 0: the body is raw deflate. All other bits must be 0. */
export const FLAG_DEFLATED = 1
/** PING and PONG carry this many opaque bytes. */
export const PING_BYTES = 8
/** A request's timeout and the length of its method name. */
export const REQUEST_PREFIX_BYTES = 5
export const MAX_METHOD_BYTES = 255
export const MAX_ID = 0xffff_ffff

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) * 0x100_0000 +
      (((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number))) >>>
    0
  )
}

/** Returns where the next byte goes; so do the others. */
export function writeU32(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
  return at + 4
}

/** @param payloadBytes what follows the header. */
export function writeHeader(
  bytes: Uint8Array,
  at: number,
  payloadBytes: number,
  type: number,
  flags: number,
  id: number,
): number {
  writeU32(bytes, at, MIN_LENGTH + payloadBytes)
  bytes[at + 4] = type
  bytes[at + 5] = flags
  return writeU32(bytes, at + 6, id)
}

/** One whole frame on its own, for the few that do not go through the queue. */
export function encodeFrame(type: number, id: number, payload: Uint8Array, flags = 0): Uint8Array {
  const frame = new Uint8Array(HEADER_BYTES + payload.length)
  frame.set(payload, writeHeader(frame, 0, payload.length, type, flags, id))
  return frame
}
