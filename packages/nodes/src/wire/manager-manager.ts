/** What the managers of a datacenter tell each other: all that another one needs to lead in this one's place. */
import { overloadStates } from '@hs/core'
import { JobSpecSchema } from '@hs/jobs'
import * as z from 'zod'
import { workflowField } from './client-gate.js'
import { wholeCodec } from './codecs.js'
import { factsField } from './datacenter-facts.js'
import { jobIdField, leaderField, natural, ownerField, text } from './fields.js'
import { method } from './method.js'
import { part } from './parts.js'
import { shardResultField } from './shard-result.js'

const workerEntry = () => z.object({ workerId: text(), incarnation: natural(), address: text() })
export type WorkerEntry = z.output<ReturnType<typeof workerEntry>>

const jobEntry = () =>
  z.object({
    jobId: jobIdField(),
    owner: ownerField(),
    /** What follows are the changes after this version, up to the next. */
    since: natural(),
    version: natural(),
    /** With it the entry is whole. Its timeout is what is left of it. */
    spec: z.object({ ...JobSpecSchema.shape, workflows: z.array(workflowField()).min(1) }).exactOptional(),
    /** What the gate has taken over, without values and statistics. */
    settled: z.array(shardResultField()),
    plans: z.record(z.string(), z.array(natural()).readonly()),
  })
export type JobEntry = z.output<ReturnType<typeof jobEntry>>

const stateShape = () =>
  z.object({
    /** The last leader that this was heard of, or itself; null when none was. */
    leader: leaderField().nullable(),
    /** What is not listed is gone. Else these are changes. */
    whole: z.boolean(),
    /** Of its leader. */
    facts: factsField().exactOptional(),
    workers: z.array(workerEntry()),
    lost: z.array(text()),
    jobs: z.array(jobEntry()),
    forgotten: z.array(jobIdField()),
  })
export type StateMessage = z.output<ReturnType<typeof stateShape>>
export const stateCodec = /* @__PURE__ */ (() => wholeCodec(stateShape()))()

export const managerState = /* @__PURE__ */ (() =>
  method(
    'manager.state',
    'high',
    { leader: leaderField(), part: part() },
    {
      /** Jobs of which the receiver has missed something: to be sent whole. */
      missing: z.array(jobIdField()),
      /** The receiver, by name. */
      manager: text(),
      overload: z.enum(overloadStates),
    },
  ))()

/** By a new leader: everything, from the part at `cursor` on. */
export const managerSync = /* @__PURE__ */ (() =>
  method('manager.sync', 'high', { leader: leaderField(), cursor: natural() }, { part: part() }))()
