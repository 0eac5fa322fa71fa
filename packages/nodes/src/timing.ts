/** Timing as one profile, after memberlist's Local, LAN and WAN: everything that a deployment's distances decide. */
import { ConfigError } from '@hs/core'
import * as z from 'zod'

/** All in milliseconds. */
export interface NodeTiming {
  /** SWIM inside a tier. */
  probeIntervalMs: number
  /** Plus up to 100 % jitter. */
  electionTimeoutMs: number
  /** Worker to leader, when there is nothing else to say. */
  heartbeatMs: number
  /** Worker to leader, leader to gate: how long news may wait. */
  reportMs: number
  /** Any request but a watch. */
  rpcTimeoutMs: number
  /** A worker that neither answers nor refuses for this long is lost. */
  workerSilenceMs: number
  /** Work without a leader for this long is aborted. */
  workerOrphanMs: number
  /** From the death of a gate to the adoption of its jobs. */
  adoptGraceMs: number
  /** The longest that a new leader waits for its workers. */
  recoveryMs: number
  /** A datacenter that was chosen and accepted nothing for this long is replaced. */
  assignTimeoutMs: number
  /** Repetition of an assignment that has no final result yet. */
  reassignMs: number
  /** No gate knows the owner of a job: the client says so. */
  clientOrphanMs: number
  /** The same: the client gives the job up. */
  jobLostMs: number
  /** An unseen manager or worker is not used. */
  staleNodeMs: number
  /** An unseen manager or worker is forgotten. */
  forgetNodeMs: number
  /** Width of the windows that clients see. */
  statsWindowMs: number
}

export type TimingProfile = 'local' | 'lan' | 'wan'

export const timingProfiles: Readonly<Record<TimingProfile, Readonly<NodeTiming>>> = Object.freeze({
  local: Object.freeze({
    probeIntervalMs: 200,
    electionTimeoutMs: 500,
    heartbeatMs: 250,
    reportMs: 100,
    rpcTimeoutMs: 1_000,
    workerSilenceMs: 5_000,
    workerOrphanMs: 10_000,
    adoptGraceMs: 500,
    recoveryMs: 1_500,
    assignTimeoutMs: 3_000,
    reassignMs: 2_000,
    clientOrphanMs: 5_000,
    jobLostMs: 30_000,
    staleNodeMs: 5_000,
    forgetNodeMs: 60_000,
    statsWindowMs: 1_000,
  }),
  lan: Object.freeze({
    probeIntervalMs: 1_000,
    electionTimeoutMs: 3_000,
    heartbeatMs: 1_000,
    reportMs: 250,
    rpcTimeoutMs: 5_000,
    workerSilenceMs: 30_000,
    workerOrphanMs: 30_000,
    adoptGraceMs: 5_000,
    recoveryMs: 5_000,
    assignTimeoutMs: 15_000,
    reassignMs: 10_000,
    clientOrphanMs: 15_000,
    jobLostMs: 60_000,
    staleNodeMs: 30_000,
    forgetNodeMs: 300_000,
    statsWindowMs: 1_000,
  }),
  wan: Object.freeze({
    probeIntervalMs: 2_000,
    electionTimeoutMs: 5_000,
    heartbeatMs: 2_000,
    reportMs: 500,
    rpcTimeoutMs: 10_000,
    workerSilenceMs: 60_000,
    workerOrphanMs: 60_000,
    adoptGraceMs: 10_000,
    recoveryMs: 10_000,
    assignTimeoutMs: 30_000,
    reassignMs: 15_000,
    clientOrphanMs: 30_000,
    jobLostMs: 120_000,
    staleNodeMs: 60_000,
    forgetNodeMs: 600_000,
    statsWindowMs: 1_000,
  }),
})

const names = Object.keys(timingProfiles.lan) as (keyof NodeTiming)[]
const duration = () => z.number().positive().max(2_147_483_647).optional()

const partialTiming = /* @__PURE__ */ (() =>
  z.strictObject(
    Object.fromEntries(names.map((name) => [name, duration()])) as Record<
      keyof NodeTiming,
      ReturnType<typeof duration>
    >,
  ))()

/** For options: a profile by name, or some of its fields, the rest as in `lan`. */
export const timingOption = /* @__PURE__ */ (() =>
  z.union([z.enum(['local', 'lan', 'wan']), partialTiming]).default('lan'))()

export function resolveTiming(option: z.output<typeof timingOption>): Readonly<NodeTiming> {
  if (typeof option === 'string') return timingProfiles[option]
  const timing = { ...timingProfiles.lan }
  for (const name of names) timing[name] = option[name] ?? timing[name]
  // A window narrower than what `WindowedStats` takes would fail only when the first job runs.
  if (!Number.isInteger(timing.statsWindowMs) || timing.statsWindowMs < 10)
    throw new ConfigError('NodeTiming', [
      { path: 'timing.statsWindowMs', message: 'expected an integer from 10', value: timing.statsWindowMs },
    ])
  return Object.freeze(timing)
}
