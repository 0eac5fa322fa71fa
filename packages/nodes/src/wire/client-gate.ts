/** What clients ask of gates. */
import { WorkflowSpecSchema } from '@hs/jobs'
import * as z from 'zod'
import { bodyCodec } from './codecs.js'
import { amount, bytes, jobIdField, jobStatus, natural, ownerField, text, workflowCounts } from './fields.js'
import { method } from './method.js'
import { part } from './parts.js'

const workflowStatus = () =>
  z.enum(['waiting', 'queued', 'running', 'completed', 'failed', 'timed-out', 'cancelled', 'skipped'])

/** A step as it travels: unknown fields are ignored, as everywhere on the wire. */
export const workflowField = () => z.object(WorkflowSpecSchema.shape)

const submissionShape = () =>
  z.object({
    name: text().exactOptional(),
    tenant: z.string().min(1).max(1_024).exactOptional(),
    workflows: z.array(workflowField()).min(1),
    /** How many datacenters, all of them, or which. */
    datacenters: z.union([z.int().min(1), z.literal('all'), z.array(text()).min(1)]),
    timeoutMs: z.number().positive(),
    stuckMs: z.number().positive().exactOptional(),
  })
export type Submission = z.output<ReturnType<typeof submissionShape>>

/** In one field, so that its bytes can be measured and fingerprinted as they are. */
export const submissionCodec = /* @__PURE__ */ (() => bodyCodec(submissionShape()))()

export const jobSubmit = /* @__PURE__ */ (() =>
  method(
    'job.submit',
    'high',
    { key: text(), submission: bytes(), /** Who will read the events. */ reader: text(), hops: natural() },
    { jobId: jobIdField(), owner: ownerField() },
  ))()

const progressField = () =>
  z.object({
    jobId: jobIdField(),
    status: jobStatus(),
    fraction: z.number().min(0).max(1),
    sequence: natural(),
    rate: amount(),
    workflows: workflowCounts(),
    datacenters: z.record(z.string(), z.object({ status: jobStatus(), fraction: z.number().min(0).max(1) })),
  })

const eventField = () =>
  z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('progress'), seq: natural(), progress: progressField() }),
    z.object({ kind: z.literal('window'), seq: natural(), /** See `windowCodec`. */ window: bytes() }),
    z.object({
      kind: z.literal('workflow'),
      seq: natural(),
      workflowId: text(),
      datacenter: text(),
      status: workflowStatus(),
    }),
    z.object({ kind: z.literal('result'), seq: natural(), part: part() }),
  ])
export type JobEvent = z.output<ReturnType<typeof eventField>>

export const windowCodec = /* @__PURE__ */ (() => bodyCodec(z.unknown()))()

export const jobWatch = /* @__PURE__ */ (() =>
  method(
    'job.watch',
    'normal',
    { jobId: jobIdField(), reader: text(), cursor: natural(), waitMs: amount() },
    { events: z.array(eventField()), cursor: natural(), owner: ownerField() },
    { held: true },
  ))()

/** From a client to the owner, and from the owner to the leader of each datacenter, then with the owner's fence. */
export const jobCancel = /* @__PURE__ */ (() =>
  method(
    'job.cancel',
    'critical',
    {
      jobId: jobIdField(),
      workflowId: text().exactOptional(),
      reason: text().exactOptional(),
      fence: natural().exactOptional(),
    },
    { status: z.enum(['cancelling', 'cancelled', 'already-finished']) },
  ))()

export const gateStatus = /* @__PURE__ */ (() =>
  method(
    'gate.status',
    'low',
    {},
    {
      datacenters: z.array(z.object({ name: text(), status: text(), freeCores: natural(), totalCores: natural() })),
    },
  ))()

const stepResult = () =>
  z.object({
    status: workflowStatus(),
    /** One a shard, each as `encodeValue` made it; null where a shard has none. */
    values: z.array(bytes().nullable()),
    executions: z.array(text()),
    error: z.object({ code: text(), message: z.string() }).nullable(),
    counters: z.record(z.string(), amount()),
  })

const resultShape = () =>
  z.object({
    jobId: jobIdField(),
    status: z.enum(['completed', 'partial', 'failed', 'timed-out', 'cancelled']),
    reason: z.string().nullable(),
    durationMs: amount(),
    accounting: z.object({
      workflows: natural(),
      completed: natural(),
      failed: natural(),
      timedOut: natural(),
      cancelled: natural(),
      skipped: natural(),
      missing: natural(),
      executions: natural(),
      requeued: natural(),
      duplicates: natural(),
      stale: natural(),
    }),
    workflows: z.record(z.string(), z.record(z.string(), stepResult())),
    stats: z.record(
      z.string(),
      z.object({
        count: natural(),
        min: amount(),
        max: amount(),
        mean: amount(),
        p50: amount(),
        p95: amount(),
        p99: amount(),
        p999: amount(),
      }),
    ),
    counters: z.record(z.string(), amount()),
  })
export type ResultWire = z.output<ReturnType<typeof resultShape>>
export const resultSchema = resultShape
