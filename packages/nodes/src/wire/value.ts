/**
 * Inputs and values of workflows: encoded once, by whoever made them, and opened only by whom they are for. They stand
 * in one field, so that none at all is a value too.
 */
import { msgpackCodec, type Codec } from '@hs/core'
import * as z from 'zod'
import { MAX_FRAME_BYTES } from './codecs.js'

const codec: Codec<{ v?: unknown }> = /* @__PURE__ */ msgpackCodec(z.object({ v: z.unknown().exactOptional() }), {
  maxBytes: MAX_FRAME_BYTES,
  maxItems: 1_000_000,
})

/** @throws LimitError above one frame, HsError `'ENCODE_FAILED'` for what is not plain data. */
export function encodeValue(value: unknown): Uint8Array {
  return codec.encode(value === undefined ? {} : { v: value })
}

/** @throws DecodeError */
export function decodeValue(bytes: Uint8Array): unknown {
  return codec.decode(bytes).v
}
