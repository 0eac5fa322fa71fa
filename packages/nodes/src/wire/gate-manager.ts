/** What gates and the leaders of datacenters say to each other. */
import { JobSpecSchema } from '@hs/jobs'
import * as z from 'zod'
import { workflowField } from './client-gate.js'
import { factsField, sloField } from './datacenter-facts.js'
import {
  amount,
  backpressureField,
  bytes,
  executionRef,
  jobIdField,
  jobStatus,
  leaderField,
  natural,
  ownerField,
  text,
  workflowCounts,
} from './fields.js'
import { method } from './method.js'
import { part } from './parts.js'
import { shardResultField, shardStatus } from './shard-result.js'

/** What a job is to a datacenter; travels in parts. Durations are what is left of them. */
export const assignmentSchema = () =>
  z.object({
    spec: z.object({ ...JobSpecSchema.shape, workflows: z.array(workflowField()).min(1) }),
    /** Without values and statistics: a leader needs neither. */
    settled: z.array(shardResultField()),
    plans: z.record(z.string(), z.array(natural()).readonly()),
  })
export type Assignment = z.output<ReturnType<typeof assignmentSchema>>

/** Without a part it only asks whether the leader has the job, under this owner. */
export const jobAssign = /* @__PURE__ */ (() =>
  method(
    'job.assign',
    'high',
    {
      jobId: jobIdField(),
      owner: ownerField(),
      /** Another leader accepted it before: its workers may still run it. */
      recovered: z.boolean(),
      /** The leader of the highest term that the gate has heard of. */
      leader: leaderField().exactOptional(),
      part: part().exactOptional(),
    },
    { leader: leaderField(), known: z.boolean() },
  ))()

const snapshotField = () =>
  z.object({
    jobId: jobIdField(),
    datacenter: text(),
    // Together the logical time of what is reported, `fenceToken`; the first term is 1.
    epoch: z
      .int()
      .min(1)
      .max(2 ** 21 - 1),
    sequence: z
      .int()
      .min(0)
      .max(2 ** 32 - 1),
    status: jobStatus(),
    done: amount(),
    contextVersion: natural(),
    workflows: workflowCounts(),
    plans: z.record(z.string(), z.array(natural()).readonly()),
  })

/**
 * All the time that the datacenter has granted beyond that of the job, under one leadership, which the term numbers. A
 * total, so that a report that comes twice counts once.
 */
const grantedField = () => z.object({ term: natural(), totalMs: amount() })
export type GrantedTime = z.output<ReturnType<typeof grantedField>>

/** A window of the leader, numbered within its workflow. */
const windowField = () => z.object({ seq: natural(), window: bytes() })

export const jobReport = /* @__PURE__ */ (() =>
  method(
    'job.report',
    'critical',
    {
      jobId: jobIdField(),
      datacenter: text(),
      leader: leaderField(),
      progress: snapshotField().exactOptional(),
      settled: z.array(shardResultField()),
      windows: z.array(windowField()),
      granted: grantedField().exactOptional(),
      final: part().exactOptional(),
    },
    {
      acknowledged: z.array(executionRef()),
      /** The job is not the sender's any more. */
      abandon: z.boolean(),
      backpressure: backpressureField(),
    },
  ))()

/** A datacenter's result as its final report carries it: values and statistics were settled before. Travels in parts. */
export const finalSchema = () =>
  z.object({
    status: z.enum(['completed', 'partial', 'failed', 'timed-out', 'cancelled']),
    reason: z.string().nullable(),
    durationMs: amount(),
    contextVersion: natural(),
    errors: z.array(z.object({ code: text(), key: text(), workerId: text() })),
    workflows: z.array(
      z.object({
        workflowId: text(),
        status: z.enum(['completed', 'failed', 'timed-out', 'cancelled', 'skipped']),
        shards: z.array(
          z.object({
            shard: natural(),
            status: shardStatus(),
            attempts: natural(),
            fence: natural(),
            vus: natural(),
            error: z.object({ code: text(), message: z.string() }).exactOptional(),
          }),
        ),
      }),
    ),
    accounting: z.object({
      workflows: natural(),
      completed: natural(),
      failed: natural(),
      timedOut: natural(),
      cancelled: natural(),
      skipped: natural(),
      executions: natural(),
      requeued: natural(),
      duplicates: natural(),
      stale: natural(),
    }),
  })

export const managerStatus = /* @__PURE__ */ (() =>
  method(
    'manager.status',
    'high',
    { gateId: text(), /** Of the gate. */ address: text().exactOptional(), leader: leaderField().exactOptional() },
    {
      leader: leaderField(),
      managers: natural(),
      workers: natural(),
      totalCores: natural(),
      freeCores: natural(),
      facts: factsField(),
      /** Absent where nothing was dispatched lately. */
      slo: sloField().exactOptional(),
    },
  ))()

/** Also from a leader to its workers. */
export const jobForget = /* @__PURE__ */ (() =>
  method('job.forget', 'low', { jobIds: z.array(jobIdField()) }, { known: natural() }))()
