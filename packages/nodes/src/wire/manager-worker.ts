/** What workers and the leader of their datacenter say to each other. */
import { overloadStates } from '@hs/core'
import * as z from 'zod'
import {
  amount,
  backpressureField,
  bytes,
  executionRef,
  jobIdField,
  leaderField,
  natural,
  shardKeyField,
  text,
} from './fields.js'
import { method } from './method.js'
import { shardResultField } from './shard-result.js'

export const MAX_DISPATCHES = 64

const runningShard = () =>
  z.object({
    key: shardKeyField(),
    fence: natural(),
    cores: z.int().min(1),
    attempt: z.int().min(1).exactOptional(),
    plan: z.array(natural()).readonly().exactOptional(),
  })

export const workerRegister = /* @__PURE__ */ (() =>
  method(
    'worker.register',
    'critical',
    {
      workerId: text(),
      incarnation: natural(),
      address: text(),
      datacenter: text(),
      cores: z.int().min(1),
      workflows: z.array(text()),
      running: z.array(runningShard()),
      /** What has ended and was not taken over: as good as running, for its results are on their way. */
      undelivered: z.array(runningShard()),
      /** Whom it followed before. */
      leader: leaderField().exactOptional(),
    },
    { leader: leaderField(), abort: z.array(executionRef()) },
  ))()

const statsRecord = () =>
  z.object({
    jobId: jobIdField(),
    workflowId: text(),
    seq: natural(),
    atMs: z.number(),
    counts: z.record(z.string(), amount()),
    /** Sketches in their wire form. */
    values: z.record(z.string(), z.unknown()),
  })
export type StatsRecordWire = z.output<ReturnType<typeof statsRecord>>

/** What the worker says of itself; with the report's incarnation and version a `HealthReport`. */
const healthField = () =>
  z.object({
    ready: z.boolean(),
    /** Free cores. */
    capacity: natural(),
    overload: z.enum(overloadStates),
    /** Shards that run. */
    assigned: natural(),
    /** What was done since it started, in units of progress; only grows. */
    done: amount(),
  })
export type WorkerHealth = z.output<ReturnType<typeof healthField>>

const estimate = () => z.object({ value: amount(), uncertainty: amount() })

/** Of the worker's process, as fractions of its limits, with one sigma each. */
const resourcesField = () =>
  z.object({
    cpu: estimate(),
    memory: estimate(),
    cpuLimit: amount(),
    memoryLimitBytes: amount(),
    eventLoopDelayMs: amount().exactOptional(),
  })
export type WorkerResources = z.output<ReturnType<typeof resourcesField>>

export const workerReport = /* @__PURE__ */ (() =>
  method(
    'worker.report',
    'critical',
    {
      workerId: text(),
      incarnation: natural(),
      version: natural(),
      /** With every heartbeat: all that runs. */
      running: z.array(runningShard()).exactOptional(),
      progress: z.array(
        z.object({
          key: shardKeyField(),
          fence: natural(),
          sequence: natural(),
          done: amount(),
          total: amount().exactOptional(),
        }),
      ),
      results: z.array(shardResultField()),
      stats: z.array(statsRecord()),
      health: healthField(),
      /** Absent where it does not measure itself. */
      resources: resourcesField().exactOptional(),
      /** It takes no more work; once it lists nothing and has no results, it goes. */
      stopping: z.boolean(),
    },
    {
      leader: leaderField(),
      acknowledged: z.array(executionRef()),
      abort: z.array(executionRef()),
      backpressure: backpressureField(),
    },
  ))()

/** More time for an execution that gets on (AD-26). */
export const workerExtend = /* @__PURE__ */ (() =>
  method(
    'worker.extend',
    'high',
    {
      workerId: text(),
      incarnation: natural(),
      key: shardKeyField(),
      fence: natural(),
      /** Done so far, in the execution's own units. */
      progress: amount(),
      /** For people. */
      reason: text(),
    },
    { granted: z.boolean(), extraMs: amount() },
  ))()

export const workerPing = /* @__PURE__ */ (() =>
  method(
    'worker.ping',
    'critical',
    { /** By a new leader, with whom the worker is to register. */ leader: leaderField().exactOptional() },
    { workerId: text(), incarnation: natural() },
  ))()

const admission = () =>
  z.enum(['run', 'duplicate', 'stale', 'superseded', 'busy', 'unknown-workflow', 'malformed', 'stopping'])
/** What a worker makes of a dispatch; after `'run'` and `'duplicate'` it has it. */
export type Admission = z.output<ReturnType<typeof admission>>

export const shardRun = /* @__PURE__ */ (() =>
  method(
    'shard.run',
    'high',
    {
      leader: leaderField(),
      dispatches: z
        .array(
          z.object({
            jobId: jobIdField(),
            workflowId: text(),
            shard: natural(),
            key: shardKeyField(),
            attempt: z.int().min(1),
            fence: natural(),
            cores: z.int().min(1),
            payload: bytes(),
          }),
        )
        .max(MAX_DISPATCHES),
    },
    {
      /** In the order of the dispatches. */
      admissions: z.array(admission()),
    },
  ))()

export const shardAbort = /* @__PURE__ */ (() =>
  method(
    'shard.abort',
    'critical',
    {
      leader: leaderField(),
      aborts: z.array(
        z.object({ key: shardKeyField(), fence: natural(), reason: z.enum(['cancel', 'timeout', 'stuck']) }),
      ),
    },
    /** In the order of the aborts. */
    { states: z.array(z.enum(['aborting', 'finished', 'unknown'])) },
  ))()
