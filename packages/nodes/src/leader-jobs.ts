/**
 * The jobs of a datacenter as its leader has them: assigned by the gates that own them, reported to these until they
 * have everything, and then forgotten.
 */
import { BoundedMap, HsError, LimitError } from '@hs/core'
import { parseShardKey, type DcJobResult, type JobScheduler } from '@hs/jobs'
import type { BackpressureSignal } from '@hs/overload'
import type { WindowResult } from '@hs/windowed-stats'
import type { DatacenterState } from './datacenter-state.js'
import type { KnownJob } from './known-job.js'
import { assignmentCodec, ManagerJob } from './manager-job.js'
import type { NodeLife } from './node-life.js'
import type { jobCancel } from './wire/client-gate.js'
import { refuse, type ExecutionRef, type JobOwner, type LeaderRef, type Refusal } from './wire/fields.js'
import type { Assignment, jobAssign } from './wire/gate-manager.js'
import type { RequestOf } from './wire/method.js'
import { PartCollector } from './wire/parts.js'

export interface LeaderJobsOptions {
  readonly life: NodeLife
  readonly datacenter: string
  /** Of the leadership. */
  readonly signal: AbortSignal
  /** What peers are told; null where there are none. */
  readonly state: DatacenterState | null
  readonly retain: { readonly completedMs: number; readonly failedMs: number }
  readonly scheduler: () => JobScheduler
  self(): LeaderRef
  /** Addresses of the gates that are there. */
  gates(): readonly string[]
  /** What a gate wants less of, if anything. */
  onBackpressure(gate: string, signal: BackpressureSignal): void
  /** The gate has this result. */
  acknowledge(workerId: string, ref: ExecutionRef): void
  /** Another leader had accepted it before: called in front of its submission. */
  onRecovered(): void
  /** The scheduler has it now. */
  onAccepted(jobId: string): void
}

/** Jobs whose assignment is coming in parts. */
const MAX_ASSEMBLING = 64
/** Jobs that were forgotten a while ago, whose late results nobody wants. */
const MAX_FORGOTTEN = 100_000

export class LeaderJobs {
  readonly #options: LeaderJobsOptions
  readonly #jobs = new Map<string, ManagerJob>()
  readonly #assembling: BoundedMap<string, PartCollector>
  readonly #forgotten: BoundedMap<string, true>

  constructor(options: LeaderJobsOptions) {
    const { runtime, timing } = options.life
    this.#options = options
    this.#assembling = new BoundedMap({ ...runtime, maxEntries: MAX_ASSEMBLING, ttlMs: 10 * timing.rpcTimeoutMs })
    this.#forgotten = new BoundedMap({ ...runtime, maxEntries: MAX_FORGOTTEN, ttlMs: timing.forgetNodeMs })
  }

  get size(): number {
    return this.#jobs.size
  }

  get(jobId: string): ManagerJob | undefined {
    return this.#jobs.get(jobId)
  }

  /** Whether it was here a while ago. */
  hadOnce(jobId: string): boolean {
    return this.#forgotten.has(jobId)
  }

  assign({ jobId, owner, recovered, part }: RequestOf<typeof jobAssign>) {
    const { self, state } = this.#options
    const known = this.#jobs.get(jobId)
    if (known !== undefined && owner.fence < known.owner.fence)
      return refuse('STALE_FENCE', `${jobId} is owned under fence ${known.owner.fence}`, { owner: known.owner })
    if (known?.confirmed === true) {
      known.owner = owner
      state?.jobOwned(jobId, owner)
      return { ok: true as const, leader: self(), known: true }
    }
    if (part === undefined) return { ok: true as const, leader: self(), known: false }

    const collector = this.#assembling.get(jobId) ?? new PartCollector()
    this.#assembling.set(jobId, collector) // its time begins anew with every part
    const whole = collector.add(part)
    if (whole === null) return { ok: true as const, leader: self(), known: false }
    this.#assembling.delete(jobId)
    const assignment = assignmentCodec.decode(whole)
    if (known !== undefined) this.#confirm(known, assignment, owner)
    else {
      if (recovered) this.#options.onRecovered()
      const refusal = this.#accept(assignment, owner, true)
      if (refusal !== null) return refusal
    }
    return { ok: true as const, leader: self(), known: true }
  }

  /** A job that peers know, and that its owner has not assigned to this leader. */
  submit(known: KnownJob): void {
    const refusal = this.#accept(known.assignment(this.#options.life.runtime.clock.now()), known.owner, false)
    if (refusal === null) return
    this.#options.life.runtime.logger.error('a job that peers know is refused', { jobId: known.jobId, ...refusal })
    this.#options.state?.jobForgotten(known.jobId)
  }

  cancel({ jobId, workflowId, reason, fence }: RequestOf<typeof jobCancel>) {
    const { life, scheduler } = this.#options
    const job = this.#jobs.get(jobId)
    if (job === undefined) return refuse('JOB_NOT_FOUND', `${life.id} does not have ${jobId}`)
    if (fence !== undefined && fence < job.owner.fence)
      return refuse('STALE_FENCE', `${jobId} is owned under fence ${job.owner.fence}`, { owner: job.owner })
    const { status } = scheduler().cancel(jobId, {
      ...(workflowId !== undefined && { workflowId }),
      ...(reason !== undefined && { reason }),
    })
    switch (status) {
      case 'unknown-job':
        return refuse('JOB_NOT_FOUND', `${life.id} does not have ${jobId}`)
      case 'unknown-workflow':
        return refuse('INVALID_JOB', `${jobId} has no step ${workflowId ?? ''}`)
      default:
        return { ok: true as const, status }
    }
  }

  finished(result: DcJobResult, windows: readonly WindowResult[]): void {
    const job = this.#jobs.get(result.jobId)
    job?.finish(result, windows)
    if (job?.forgetWhenOver === true) this.#forget(result.jobId)
  }

  /** How many of them were known. */
  forget(jobIds: readonly string[]): number {
    const known = jobIds.filter((jobId) => this.#jobs.has(jobId))
    for (const jobId of known) this.#forget(jobId)
    return known.length
  }

  close(): void {
    for (const job of this.#jobs.values()) job.close()
  }

  #accept(assignment: Assignment, owner: JobOwner, confirmed: boolean): Refusal | null {
    const { state, life, scheduler, onAccepted } = this.#options
    const { jobId, workflows } = assignment.spec
    state?.jobAssigned(assignment, owner, life.runtime.clock.now())
    // What peers know of it besides, they have of an earlier leader.
    const { spec, settled, plans } = state?.jobs.get(jobId)?.assignment(life.runtime.clock.now()) ?? assignment
    const retried = workflows.filter(({ attempts = 1 }) => attempts > 1).map(({ id }) => id)
    const job = this.#managerJob(jobId, owner, new Set(retried))
    job.confirmed = confirmed
    this.#jobs.set(jobId, job) // before it is submitted: the scheduler may have something to tell at once
    try {
      scheduler().submit(withoutUndefined(spec), { results: settled, plans })
    } catch (error) {
      this.#jobs.delete(jobId)
      job.close()
      state?.jobForgotten(jobId)
      if (error instanceof LimitError)
        return refuse('OVERLOADED', error.message, { retryAfterMs: life.timing.heartbeatMs })
      if (HsError.is(error)) return refuse('INVALID_JOB', error.message)
      throw error
    }
    this.#forgotten.delete(jobId)
    onAccepted(jobId)
    return null
  }

  /** Its owner assigns what goes on already by what peers knew: what it has settled meanwhile need not run. */
  #confirm(job: ManagerJob, assignment: Assignment, owner: JobOwner): void {
    job.confirmed = true
    job.owner = owner
    for (const result of assignment.settled) this.#options.scheduler().result(result)
    this.#options.state?.jobAssigned(assignment, owner, this.#options.life.runtime.clock.now())
  }

  #managerJob(jobId: string, owner: JobOwner, retried: ReadonlySet<string>): ManagerJob {
    const { datacenter, signal, self, gates, acknowledge, onBackpressure, state, life } = this.#options
    const { peer, runtime, timing, reporter, label } = life
    const { clock, random } = runtime
    return new ManagerJob({
      jobId,
      owner,
      retried,
      datacenter,
      peer,
      clock,
      random,
      timing,
      signal,
      leader: self,
      gates,
      onAcknowledged: acknowledge,
      onBackpressure,
      onTaken: (result) => state?.jobSettled(jobId, result),
      onRefused: (refusal) => this.#refused(jobId, refusal),
      onDelivered: () => this.#delivered(jobId),
      onAbandoned: () => this.#forget(jobId),
      onError: (error) => reporter.report(`${label}.report`, error, { jobId }),
    })
  }

  #refused(jobId: string, { code, owner }: Refusal): void {
    const { state, life } = this.#options
    const job = this.#jobs.get(jobId)
    if (job !== undefined && owner !== undefined && isBetter(owner, job.owner)) {
      job.owner = owner
      state?.jobOwned(jobId, owner)
    }
    life.runtime.logger.debug('a report was refused', { jobId, code })
  }

  /** The gate has everything: what is left serves only those who ask again. */
  #delivered(jobId: string): void {
    const { state, retain, scheduler, life } = this.#options
    state?.jobForgotten(jobId)
    const job = this.#jobs.get(jobId)
    if (job === undefined) return
    const { completedMs, failedMs } = retain
    const retainMs = scheduler().job(jobId)?.status === 'completed' ? completedMs : failedMs
    job.retention = life.runtime.clock.setTimer(retainMs, () => this.#forget(jobId))
  }

  #forget(jobId: string): void {
    const { scheduler, state } = this.#options
    const job = this.#jobs.get(jobId)
    if (job === undefined) return
    state?.jobForgotten(jobId)
    if (!job.over) {
      job.forgetWhenOver = true
      scheduler().cancel(jobId, { reason: 'its gate has given it up' })
      return
    }
    job.close()
    this.#jobs.delete(jobId)
    this.#forgotten.set(jobId, true)
    scheduler().forget(jobId)
  }
}

/** Of two that claim a job: see `LeadershipTable`. */
function isBetter(owner: JobOwner, than: JobOwner): boolean {
  return owner.fence === than.fence ? owner.gateId < than.gateId : owner.fence > than.fence
}

export function jobOf(key: string): string {
  return parseShardKey(key).jobId
}

function withoutUndefined(spec: Assignment['spec']): Parameters<JobScheduler['submit']>[0] {
  return spec as Parameters<JobScheduler['submit']>[0]
}
