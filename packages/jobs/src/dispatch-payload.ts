/**
 * What a worker gets to run a shard: encoded once, at the first dispatch, and sent again byte for byte, so that every
 * attempt works on the same input.
 */
import { msgpackCodec } from '@hs/core'
import * as z from 'zod'

export interface DispatchPayload {
  /** The name under which workers registered the workflow. */
  readonly workflow: string
  readonly input: Uint8Array
  /** Virtual users of this shard. */
  readonly vus: number
  /** Index of this shard in `plan`. */
  readonly shard: number
  /** Virtual users of each shard of the workflow. */
  readonly plan: readonly number[]
  /** What the direct dependencies have published: `context[dependencyId][key]`. */
  readonly context: Record<string, Record<string, unknown>>
  /** Workflows of the job that had completed when this was encoded. */
  readonly contextVersion: number
  /** Of this attempt, in milliseconds. */
  readonly timeoutMs: number
}

const payloadSchema = /* @__PURE__ */ z.object({
  workflow: z.string().min(1),
  input: z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'expected bytes'),
  vus: z.int().min(1),
  shard: z.int().min(0),
  plan: z.array(z.int().min(1)).min(1),
  context: z.record(z.string(), z.record(z.string(), z.unknown())),
  contextVersion: z.int().min(0),
  timeoutMs: z.number().positive(),
})

/** The bounds of a job, not of a frame: what the network carries is the network's matter. */
const codec = /* @__PURE__ */ msgpackCodec(payloadSchema, { maxBytes: 64 * 1024 * 1024, maxItems: 1_000_000 })

/** @throws HsError `'ENCODE_FAILED'` for a published value that is not plain data. @throws LimitError */
export function encodePayload(payload: DispatchPayload): Uint8Array {
  return codec.encode(payload as z.output<typeof payloadSchema>)
}

/** @throws DecodeError */
export function decodePayload(bytes: Uint8Array): DispatchPayload {
  return codec.decode(bytes)
}
