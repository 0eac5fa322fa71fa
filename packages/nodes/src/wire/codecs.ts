/** Bodies on the wire: core's codec, bounded by one frame of the transport. */
import { msgpackCodec, type Codec } from '@hs/core'
import type * as z from 'zod'

/** The transport's `maxFrameBytes`. */
export const MAX_FRAME_BYTES = 4_194_304
/** What a frame's own header takes of it, method name included. */
const FRAME_HEADER_BYTES = 512
const MAX_BODY_BYTES: number = MAX_FRAME_BYTES - FRAME_HEADER_BYTES
/** Enough for jobs of 10,000 workflows. */
const MAX_ITEMS = 1_000_000

export function bodyCodec<S extends z.ZodType>(schema: S): Codec<z.output<S>> {
  return msgpackCodec(schema, { maxBytes: MAX_BODY_BYTES, maxItems: MAX_ITEMS })
}

/** What travels in parts: as large as a process can hold at once with some ease. */
const MAX_WHOLE_BYTES = 536_870_912
const MAX_WHOLE_ITEMS = 50_000_000

export function wholeCodec<S extends z.ZodType>(schema: S): Codec<z.output<S>> {
  return msgpackCodec(schema, { maxBytes: MAX_WHOLE_BYTES, maxItems: MAX_WHOLE_ITEMS })
}
