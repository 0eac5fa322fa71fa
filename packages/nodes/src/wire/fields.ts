/** Fields that many messages share, and the one form of a refusal. */
import { backpressureLevels } from '@hs/core'
import * as z from 'zod'

export const bytes = () => z.custom<Uint8Array>((x) => x instanceof Uint8Array, 'expected bytes')
export const text = () => z.string().max(1_024)
export const jobIdField = () => z.string().regex(/^[A-Za-z0-9._:-]{1,128}$/)
export const shardKeyField = () => z.string().max(512)
export const natural = () => z.int().min(0)
export const amount = () => z.number().min(0)

export const jobStatus = () =>
  z.enum(['pending', 'running', 'cancelling', 'completed', 'partial', 'failed', 'timed-out', 'cancelled'])

/** Workflows of a job by what has become of them. */
export const workflowCounts = () =>
  z.object({
    total: natural(),
    waiting: natural(),
    queued: natural(),
    running: natural(),
    completed: natural(),
    failed: natural(),
    timedOut: natural(),
    cancelled: natural(),
    skipped: natural(),
  })

/** An execution of a shard. */
export const executionRef = () => z.object({ key: shardKeyField(), fence: natural() })
export type ExecutionRef = z.output<ReturnType<typeof executionRef>>

/** Who owns a job, among the gates. */
export const ownerField = () => z.object({ gateId: text(), address: text(), fence: natural() })
export type JobOwner = z.output<ReturnType<typeof ownerField>>

/** Who leads a datacenter. `id` is a NodeId, so that two lives of one manager differ. */
export const leaderField = () => z.object({ id: text(), address: text(), term: natural() })
export type LeaderRef = z.output<ReturnType<typeof leaderField>>

/** What a receiver of data asks of its sender. */
export const backpressureField = () =>
  z.object({ level: z.enum(backpressureLevels), delayMs: amount(), epoch: natural(), seq: natural() })

/** A refusal is an answer, for details of thrown errors do not cross the wire. */
export const refusal = () =>
  z.object({
    ok: z.literal(false),
    code: text(),
    message: text(),
    retryAfterMs: amount().exactOptional(),
    leader: leaderField().exactOptional(),
    owner: ownerField().exactOptional(),
  })
export type Refusal = z.output<ReturnType<typeof refusal>>

const MAX_MESSAGE = 1_024

export function refuse(code: string, message: string, hints: Omit<Refusal, 'ok' | 'code' | 'message'> = {}): Refusal {
  return { ok: false, code, message: message.slice(0, MAX_MESSAGE), ...hints }
}
