/**
 * A shard's result as it travels. Value, statistics and published values are bytes to everyone between the worker and
 * whoever they are for.
 */
import type { ShardResult } from '@hs/jobs'
import * as z from 'zod'
import { amount, bytes, natural, shardKeyField, text } from './fields.js'

export const shardStatus = () => z.enum(['completed', 'failed', 'timed-out', 'cancelled'])

export const shardResultField = () =>
  z.object({
    key: shardKeyField(),
    fence: natural(),
    attempt: z.int().min(1),
    status: shardStatus(),
    value: bytes().exactOptional(),
    error: z.object({ code: text(), message: z.string() }).exactOptional(),
    stats: bytes().exactOptional(),
    durationMs: amount(),
    context: z.record(z.string(), z.object({ value: bytes(), version: natural() })).exactOptional(),
  })
export type ShardResultWire = z.output<ReturnType<typeof shardResultField>>

/** As the scheduler and the shard table hold it: a result that this package made. */
export function asWire(result: ShardResult): ShardResultWire {
  return result as ShardResultWire
}

/** About what it takes on the wire. */
export function sizeOf({ key, value, error, stats, context }: ShardResultWire): number {
  let size = 128 + key.length + (value?.length ?? 0) + (stats?.length ?? 0) + (error?.message.length ?? 0) * 3
  for (const name in context) size += 32 + name.length * 3 + (context[name]?.value.length ?? 0)
  return size
}
