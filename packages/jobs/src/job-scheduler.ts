/**
 * The scheduler of one datacenter: takes jobs, gives their shards to workers, counts results, and says when a job is
 * over. A synchronous state machine: what happens comes in by method calls, what is to be done goes out through `port`.
 * Guarantee: of all executions of a shard exactly one result counts, and every workflow of a finished job has exactly
 * one outcome; cores are reserved in the step that chooses them.
 */
import {
  ClosedError,
  ErrorReporter,
  LimitError,
  parseOptions,
  runtimeShape,
  type Clock,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { Aborts } from './aborts.js'
import { Adoption, type ShardToAbort } from './adoption.js'
import { requireDuration, requireInteger } from './arguments.js'
import { Backlog } from './backlog.js'
import { backoffSchema } from './backoff.js'
import { Dispatcher } from './dispatcher.js'
import { DueQueue, type DueEntry } from './due-queue.js'
import { JobRecord, type ShardRecord, type Waiting, type WorkflowRecord } from './job-record.js'
import { jobResult, jobSnapshot, type DcJobSnapshot } from './job-report.js'
import { graphOf, parseJobSpec, type JobSpec } from './job-spec.js'
import { JobTimeout } from './job-timeout.js'
import { Outbox } from './outbox.js'
import { recover, type RecoveredJob } from './recovery.js'
import type { SchedulerCounters, SchedulerSettings, SchedulerState } from './scheduler-state.js'
import type { SchedulerPort } from './scheduler-port.js'
import { Settling } from './settling.js'
import { parseShardKey } from './shard-key.js'
import type { RunningShard, ShardResult } from './shard-result.js'
import { ShardWatch } from './shard-watch.js'
import { TenantShares } from './tenant-share.js'
import { explain, type WaitExplanation } from './wait-reason.js'
import { WorkerPool, recordsOf } from './worker-pool.js'
import type {
  HeartbeatOutcome,
  Lease,
  RegistrationOutcome,
  WorkerHeartbeat,
  WorkerRecords,
  WorkerRegistration,
} from './worker-records.js'

export interface JobSchedulerOptions extends RuntimeOptions {
  datacenter: string
  port: SchedulerPort
  /** The workers; the scheduler changes it, others read it. @default a new one */
  pool?: WorkerPool
  /** Of the leader that schedules, from 0 to 2^21 - 1. @default () => 0 */
  term?: () => number
  /** Dispatches of one shard. @default 5 */
  maxAttempts?: number
  /** Before a failed dispatch is repeated, with full jitter, in milliseconds. @default 250, doubling up to 10_000 */
  backoff?: { baseMs: number; maxMs: number }
  /** How long a worker may take to confirm an abort before it is told again, in milliseconds. @default 5_000 */
  cancelTimeoutMs?: number
  /** How often it is told. @default 3 */
  cancelAttempts?: number
  /** After this wait work goes before all that came later, in milliseconds. @default 30_000 */
  agingMs?: number
  /** Longest `hold()`, in milliseconds. @default 10_000 */
  recoveryMs?: number
  /** How long work waits for a worker that knows its name, in milliseconds. @default 5_000 */
  unknownWorkflowGraceMs?: number
  /** Silence after progress that makes a worker suspect for a job, in milliseconds. @default 60_000 */
  stalledMs?: number
  /** Jobs held, finished ones included; beyond: LimitError. @default 10_000 */
  maxJobs?: number
}

export interface ShardProgress {
  readonly key: string
  readonly fence: number
  /** Grows with every frame of an execution. */
  readonly sequence: number
  /** Of this shard so far. */
  readonly done?: number
  readonly total?: number
}

export interface DispatchFailure {
  readonly code?: string
  /** The worker refused it because it is busy: costs no attempt. @default false */
  readonly rejected?: boolean
  /** Not before this many milliseconds. */
  readonly retryAfterMs?: number
}

export interface CancelAnswer {
  readonly status: 'cancelling' | 'cancelled' | 'already-finished' | 'unknown-job' | 'unknown-workflow'
  /** Workflows that are cancelled. */
  readonly cancelled: number
  /** Workflows whose workers have not confirmed yet. */
  readonly pending: number
}

export interface JobSchedulerSnapshot {
  readonly jobs: number
  readonly shards: number
  readonly freeCores: number
  readonly totalCores: number
  readonly counters: Readonly<SchedulerCounters>
}

type ResultVerdict = 'accepted' | 'duplicate' | 'stale' | 'unknown'

/** Codes with which a worker hands work back that nobody cancelled: it did not decide anything. */
const HANDED_BACK: readonly (string | undefined)[] = ['ORPHANED', 'NODE_STOPPED']

const isPort = (value: unknown): value is SchedulerPort =>
  typeof (value as SchedulerPort | null | undefined)?.dispatch === 'function'

const optionsSchema = /* @__PURE__ */ z.strictObject({
  datacenter: z.string().min(1),
  port: z.custom<SchedulerPort>(isPort, 'expected an object with a method dispatch'),
  pool: z.custom<WorkerPool>((value) => value instanceof WorkerPool, 'expected a WorkerPool').optional(),
  term: z.custom<() => number>((value) => typeof value === 'function', 'expected a function').default(() => () => 0),
  maxAttempts: z.int().min(1).default(5),
  backoff: backoffSchema(250, 10_000),
  cancelTimeoutMs: z.number().positive().default(5_000),
  cancelAttempts: z.int().min(1).default(3),
  agingMs: z.number().positive().default(30_000),
  recoveryMs: z.number().positive().default(10_000),
  unknownWorkflowGraceMs: z.number().min(0).default(5_000),
  stalledMs: z.number().positive().default(60_000),
  maxJobs: z.int().min(1).default(10_000),
  ...runtimeShape,
})

export class JobScheduler {
  readonly pool: WorkerPool
  readonly #clock: Clock
  readonly #settings: SchedulerSettings
  readonly #records: WorkerRecords
  readonly #outbox: Outbox
  readonly #dues: DueQueue
  readonly #state: SchedulerState
  readonly #settling: Settling
  readonly #aborts: Aborts
  readonly #watch: ShardWatch
  readonly #dispatcher: Dispatcher
  readonly #adoption: Adoption
  /** Jobs that this step has changed, in order. */
  readonly #touched: (JobRecord | undefined)[] = []
  #touchedCount = 0
  #openJobs = 0
  #nextOrder = 0
  #isStopped = false
  /** When the hold ends by itself, or null. */
  #heldUntilMs: number | null = null
  #holdDue: DueEntry | null = null

  /** @throws ConfigError */
  constructor(options: JobSchedulerOptions) {
    const parsed = parseOptions(optionsSchema, options, 'JobScheduler')
    const { clock, random, logger } = parsed
    const reporter = new ErrorReporter({ clock, random, logger })
    this.#clock = clock
    this.#settings = parsed
    this.pool = parsed.pool ?? new WorkerPool({ clock, random, logger })
    this.#records = recordsOf(this.pool)
    this.#outbox = new Outbox(parsed.port, reporter)
    this.#dues = new DueQueue(clock, (due) => this.#runDue(due))
    const backlog = new Backlog(this.#records, this.#dues, parsed.unknownWorkflowGraceMs, (waiting) => {
      for (const one of waiting) this.#failUnknown(one)
    })
    this.#state = {
      clock,
      random,
      settings: parsed,
      counters: newCounters(),
      records: this.#records,
      outbox: this.#outbox,
      dues: this.#dues,
      backlog,
      shares: new TenantShares(),
      jobs: new Map(),
      shards: new Map(),
    }
    this.#settling = new Settling(this.#state)
    this.#aborts = new Aborts(this.#state, this.#settling)
    this.#watch = new ShardWatch(this.#state, (shard) => this.#replaceStuck(shard))
    this.#dispatcher = new Dispatcher(this.#state, this.#settling, this.#watch)
    this.#adoption = new Adoption(this.#state, this.#settling, this.#dispatcher, this.#aborts, this.#watch)
    this.#records.onUnplanned = () => this.#step(() => undefined)
  }

  /**
   * Takes a job. With `recovered`, what is known of it from an earlier leader counts: results, and the plans of what
   * was dispatched.
   * @throws ConfigError or JobError for a malformed job. @throws LimitError beyond `maxJobs`.
   * @throws ClosedError after `stop`.
   */
  submit(spec: JobSpec, recovered: RecoveredJob = {}): 'accepted' | 'duplicate' {
    const parsed = parseJobSpec(spec)
    if (this.#isStopped) throw new ClosedError('JobScheduler')
    const { jobs, shares, counters } = this.#state
    for (const { key, fence } of recovered.results ?? []) {
      parseShardKey(key)
      requireInteger('fence', fence)
    }
    if (jobs.has(parsed.jobId)) return 'duplicate'
    if (jobs.size >= this.#settings.maxJobs) throw new LimitError('jobs', this.#settings.maxJobs)
    this.#step(() => {
      const { timeoutMs, timeoutMode: mode, stuckMs } = parsed
      const stuck = stuckMs === undefined ? {} : { stuckMs }
      const job = new JobRecord({
        spec: parsed,
        graph: graphOf(parsed),
        timeout: new JobTimeout({ clock: this.#clock, timeoutMs, mode, ...stuck }),
        share: shares.open(parsed.tenant),
        firstOrder: this.#nextOrder,
        nowMs: this.#clock.now(),
        onTouch: (touched) => {
          this.#touched[this.#touchedCount++] = touched
        },
      })
      this.#nextOrder += parsed.workflows.length
      jobs.set(job.id, job)
      this.#openJobs++
      counters.submitted++
      job.touch()
      this.#armHold()
      this.#armTimeout(job)
      recover(job, recovered, this.#settling, this.#dispatcher)
      for (const workflow of job.workflows) {
        const isReady = workflow.status === 'waiting' && workflow.openDependencies === 0
        if (isReady) this.#settling.release(workflow)
      }
      this.#adoption.claim(job)
    })
    return 'accepted'
  }

  /** The worker has taken it. False: not the latest fence, or nothing that waits for an answer. */
  dispatchAccepted(key: string, fence: number): boolean {
    if (this.#isStopped) return false
    // Not `#step`: this and `result` are called for every shard, and a closure less is time saved.
    this.#records.beginStep()
    try {
      const shard = this.#current(key, fence)
      if (shard?.status !== 'dispatching' || shard.lease === null) return false
      this.#records.confirm(shard.lease)
      this.#settling.confirm(shard)
      return true
    } finally {
      this.#endStep()
    }
  }

  /** The dispatch did not lead to an execution, as far as is known. False: as for `dispatchAccepted`. */
  dispatchFailed(key: string, fence: number, why: DispatchFailure = {}): boolean {
    if (why.retryAfterMs !== undefined) requireDuration('retryAfterMs', why.retryAfterMs)
    return this.#step(() => {
      const shard = this.#current(key, fence)
      if (shard?.status !== 'dispatching') {
        this.#releaseUnconfirmed(key, fence)
        return false
      }
      this.#state.counters.dispatchFailures++
      this.#releaseLease(key, fence)
      this.#aborts.confirm(shard, fence)
      if (why.rejected === true) this.#rejected(shard, why)
      else this.#failed(shard, why)
      return true
    }, false)
  }

  /** The worker has ended the execution, or does not know it. False: nothing was under way under this fence. */
  aborted(key: string, fence: number): boolean {
    return this.#step(() => {
      const wasLeased = this.#releaseLease(key, fence)
      const shard = this.#state.shards.get(key)
      return (shard !== undefined && this.#executionEnded(shard, fence)) || wasLeased
    }, false)
  }

  /** A frame of progress; frames of an execution are ordered by `sequence`. @throws HsError `'INVALID_ARGUMENT'` */
  progress(progress: ShardProgress): 'accepted' | 'duplicate' | 'stale' | 'unknown' {
    const { key, fence, sequence, done } = progress
    requireInteger('sequence', sequence)
    return this.#step(() => {
      const shard = this.#state.shards.get(key)
      if (shard === undefined) return 'unknown'
      if (shard.isOver || shard.fence !== fence || fence === shard.countedFence) return 'stale'
      const { frames } = this.#watch.pulseOf(shard)
      const gapsBefore = frames.gaps
      const verdict = frames.admit(fence, sequence)
      this.#state.counters.progressGaps += frames.gaps - gapsBefore
      if (verdict !== 'new') return verdict
      this.#advanced(shard, done)
      return 'accepted'
    }, 'stale')
  }

  /**
   * How an execution ended. `'accepted'` is the one that counts; `'duplicate'` that one again; `'stale'` one under
   * another fence or of a shard that is decided; `'unknown'` one of a shard never heard of.
   */
  result(result: ShardResult): ResultVerdict {
    if (this.#isStopped) return 'stale'
    this.#records.beginStep()
    try {
      const verdict = this.#judge(result)
      this.#state.counters[verdict === 'duplicate' ? 'duplicates' : verdict]++
      return verdict
    } finally {
      this.#endStep()
    }
  }

  /** Ends a job, or one workflow of it. Asking again sends nothing and answers the same. */
  cancel(jobId: string, options: { workflowId?: string; reason?: string } = {}): CancelAnswer {
    const { workflowId, reason = null } = options
    const job = this.#state.jobs.get(jobId)
    if (job === undefined || this.#isStopped) return { status: 'unknown-job', cancelled: 0, pending: 0 }
    if (workflowId === undefined) return this.#cancelJob(job, reason)
    const workflow = job.workflow(workflowId)
    if (workflow === undefined) return { status: 'unknown-workflow', cancelled: 0, pending: 0 }
    return this.#cancelWorkflow(workflow)
  }

  /** Whoever coordinates has decided that the job is timed out. False: it is over, or the decision is an old one. */
  timeout(jobId: string, reason = 'deadline', fence?: number): boolean {
    if (fence !== undefined) requireInteger('fence', fence)
    return this.#step(() => {
      const job = this.#state.jobs.get(jobId)
      if (job === undefined || !job.timeout.declare(fence)) return false
      this.#aborts.timeOut(job, reason)
      return true
    }, false)
  }

  /** The job may take `ms` longer; counts as progress. @throws HsError `'INVALID_ARGUMENT'` */
  extend(jobId: string, ms: number): void {
    requireDuration('ms', ms)
    this.#step(() => {
      const job = this.#state.jobs.get(jobId)
      if (job === undefined || job.isOver) return
      job.timeout.extend(ms)
      job.extendedAtMs = this.#clock.now()
      if (job.status !== 'cancelling') this.#armTimeout(job)
    })
  }

  /**
   * A worker is there, for the first time, again, or after a restart. `running` is what it runs: `abort` lists what of
   * that nobody wants.
   * @throws HsError `'INVALID_ARGUMENT'`. @throws LimitError for more workers than the pool takes.
   */
  register(
    registration: WorkerRegistration,
    running: readonly RunningShard[] = [],
  ): { outcome: RegistrationOutcome; abort: ShardToAbort[] } {
    checkRunning(running)
    return this.#step<{ outcome: RegistrationOutcome; abort: ShardToAbort[] }>(
      () => {
        const { outcome, lost } = this.#records.register(registration)
        for (const lease of lost) this.#lost(lease)
        const worker = outcome === 'stale' ? undefined : this.#records.get(registration.workerId)
        return { outcome, abort: worker === undefined ? [] : this.#adoption.listed(worker, running) }
      },
      { outcome: 'stale', abort: [] },
    )
  }

  /**
   * What a worker runs now. What is listed was accepted; what is missing twice is lost; `abort` lists what nobody wants.
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  heartbeat(beat: WorkerHeartbeat): { outcome: HeartbeatOutcome; abort: ShardToAbort[] } {
    checkRunning(beat.running)
    return this.#step<{ outcome: HeartbeatOutcome; abort: ShardToAbort[] }>(
      () => {
        const { outcome, missing } = this.#records.heartbeat(beat)
        const worker = outcome === 'ok' ? this.#records.get(beat.workerId) : undefined
        if (worker === undefined) return { outcome, abort: [] }
        for (const lease of missing) this.#lost(lease)
        return { outcome, abort: this.#adoption.listed(worker, beat.running) }
      },
      { outcome: 'stale', abort: [] },
    )
  }

  /** The worker is gone, and what ran on it; returns how many shards that were. */
  workerLost(workerId: string): number {
    return this.#step(() => {
      if (this.#records.get(workerId) === undefined) return 0
      this.#state.counters.workersLost++
      const lost = this.#records.remove(workerId)
      for (const lease of lost) this.#lost(lease)
      return lost.length
    }, 0)
  }

  /** Starts nothing until `resume()`, or for `recoveryMs`: a new leader listens first. */
  hold(): void {
    this.#step(() => {
      this.#heldUntilMs = this.#clock.now() + this.#settings.recoveryMs
      this.#state.backlog.forgetNames()
      this.#armHold()
    })
  }

  resume(): void {
    this.#step(() => this.#endHold())
  }

  job(jobId: string): DcJobSnapshot | undefined {
    const job = this.#state.jobs.get(jobId)
    return job === undefined ? undefined : this.#snapshotOf(job)
  }

  /** Drops all that is known of a finished job. False: it is not finished, or unknown. */
  forget(jobId: string): boolean {
    const { jobs, shards } = this.#state
    const job = jobs.get(jobId)
    if (job === undefined || !job.isOver) return false
    jobs.delete(jobId)
    for (const workflow of job.workflows) for (const { key } of workflow.shards) shards.delete(key)
    return true
  }

  /** For each workflow that waits, or waits again in part: why. */
  explain(jobId: string): WaitExplanation[] {
    const job = this.#state.jobs.get(jobId)
    return job === undefined ? [] : explain(job, this.#records.fleet)
  }

  snapshot(): JobSchedulerSnapshot {
    const { totalCores, freeCores } = this.pool.snapshot()
    const { jobs, shards, counters } = this.#state
    return Object.freeze({
      jobs: jobs.size,
      shards: shards.size,
      freeCores,
      totalCores,
      counters: Object.freeze({ ...counters }),
    })
  }

  /** Cancels every timer; nothing is sent or changed any more, and what runs goes on running. */
  stop(): void {
    this.#isStopped = true
    this.#records.onUnplanned = null
    this.#dues.clear()
    this.#outbox.clear()
  }

  /**
   * One input: changes the state, plans, and then lets the effects out. Called from within a port method it does the
   * same, except that its effects wait for those that are being delivered.
   */
  #step<T>(change: () => T, whenStopped: T = undefined as T): T {
    if (this.#isStopped) return whenStopped
    this.#records.beginStep()
    try {
      return change()
    } finally {
      this.#endStep()
    }
  }

  #endStep(): void {
    this.#settle()
    this.#records.endStep()
    this.#outbox.flush()
  }

  #settle(): void {
    if (!this.#isHeld()) {
      this.#dispatcher.run()
      this.#state.backlog.checkNames()
    }
    // Telling changes nothing, so the list does not grow meanwhile.
    for (let index = 0; index < this.#touchedCount; index++) {
      const job = this.#touched[index]
      if (job !== undefined) this.#tell(job)
      this.#touched[index] = undefined
    }
    this.#touchedCount = 0
    if (this.#openJobs === 0) this.#dues.clear()
  }

  #tell(job: JobRecord): void {
    job.isTouched = false
    job.sequence++
    this.#outbox.jobChanged?.(this.#snapshotOf(job))
    if (!job.isOver || job.isReported) return
    job.isReported = true
    this.#openJobs--
    this.#outbox.jobFinished?.(jobResult(job, this.#settings.datacenter, this.#clock.now()))
  }

  #snapshotOf(job: JobRecord): DcJobSnapshot {
    return jobSnapshot(job, this.#settings.datacenter, this.#settings.term())
  }

  #runDue(due: readonly DueEntry[]): void {
    this.#step(() => {
      for (const { run } of due) run()
    })
  }

  #isHeld(): boolean {
    if (this.#heldUntilMs === null) return false
    if (this.#clock.now() < this.#heldUntilMs) return true
    this.#endHold()
    return false
  }

  /** The hold needs a timer only while something waits for its end. */
  #armHold(): void {
    this.#dues.cancel(this.#holdDue)
    this.#holdDue = null
    if (this.#heldUntilMs === null || this.#openJobs === 0) return
    this.#holdDue = this.#dues.schedule(this.#heldUntilMs - this.#clock.now(), () => this.#endHold())
  }

  #endHold(): void {
    this.#heldUntilMs = null
    this.#dues.cancel(this.#holdDue)
    this.#holdDue = null
  }

  #armTimeout(job: JobRecord): void {
    this.#dues.cancel(job.timeoutDue)
    job.timeoutDue = null
    const check = job.timeout.check()
    switch (check.kind) {
      case 'done':
        return
      case 'expire':
        this.#aborts.timeOut(job, check.reason)
        return
      case 'report':
        this.#outbox.timeoutReport({ jobId: job.id, reason: check.reason })
        this.#armTimeout(job)
        return
      case 'ok':
      case 'reported':
        job.timeoutDue = this.#dues.schedule(check.nextCheckMs, () => this.#armTimeout(job))
    }
  }

  /** The shard, if `fence` is that of its execution. */
  #current(key: string, fence: number): ShardRecord | undefined {
    const shard = this.#state.shards.get(key)
    return shard?.fence === fence ? shard : undefined
  }

  #releaseLease(key: string, fence: number): boolean {
    const lease = this.#records.find(key, fence)
    if (lease === null) return false
    this.#records.release(lease)
    this.#adoption.forget(lease)
    return true
  }

  /** A dispatch of work that has ended otherwise holds cores until somebody says what became of it. */
  #releaseUnconfirmed(key: string, fence: number): void {
    const shard = this.#state.shards.get(key)
    const lease = this.#records.find(key, fence)
    if (lease === null || lease.isConfirmed) return
    this.#records.release(lease)
    if (shard !== undefined) this.#aborts.confirm(shard, fence)
  }

  #rejected(shard: ShardRecord, { retryAfterMs }: DispatchFailure): void {
    shard.attempts--
    const setbacks = shard.setBack()
    setbacks.rejections++
    // The first refusal may be an accident of timing; a worker that keeps refusing is not asked in a circle.
    const pauseMs = setbacks.rejections === 1 ? 0 : this.#dispatcher.backoffMs(setbacks.rejections - 2)
    this.#dispatcher.requeue(shard, { delayMs: retryAfterMs ?? pauseMs })
  }

  #failed(shard: ShardRecord, { code = 'DISPATCH_FAILED', retryAfterMs = 0 }: DispatchFailure): void {
    const { workerId, workflow } = shard
    workflow.job.trouble(code, shard.key, workerId)
    const delayMs = Math.max(retryAfterMs, this.#dispatcher.backoffMs(shard.attempts - 1))
    this.#dispatcher.requeue(shard, { avoid: workerId, delayMs })
  }

  /** The cores of an execution are gone. */
  #lost(lease: Lease): void {
    this.#adoption.forget(lease)
    const shard = this.#state.shards.get(lease.key)
    if (shard === undefined) return
    if (shard.lease === lease && !shard.isEnding) {
      shard.workflow.job.trouble('WORKER_LOST', shard.key, lease.worker.slot.workerId)
    }
    this.#executionEnded(shard, lease.fence)
  }

  /** An execution is over without a result. True if that mattered. */
  #executionEnded(shard: ShardRecord, fence: number): boolean {
    const abort = this.#aborts.confirm(shard, fence)
    const wasCurrent = shard.isActive && shard.fence === fence
    if (!wasCurrent) return abort !== null
    if (abort?.isFinal === true) this.#settling.end(shard, 'cancelled', null)
    else this.#dispatcher.requeue(shard, { avoid: shard.workerId })
    return true
  }

  #replaceStuck(shard: ShardRecord): void {
    shard.workflow.job.trouble('STUCK', shard.key, shard.workerId)
    if (shard.isEnding) return
    this.#aborts.replace(shard, 'stuck')
    this.#dispatcher.requeue(shard, { avoid: shard.workerId })
  }

  #advanced(shard: ShardRecord, done: number | undefined): void {
    const { job } = shard.workflow
    if (shard.lease !== null) this.#records.confirm(shard.lease)
    this.#settling.confirm(shard)
    this.#settling.calm(shard)
    if (shard.isActive) this.#watch.frame(shard)
    // An execution that begins anew adds nothing until it is further than the one before.
    const pulse = this.#watch.pulseOf(shard)
    if (done !== undefined && done > pulse.done) {
      job.done += done - pulse.done
      pulse.done = done
    }
    job.timeout.progress()
    job.touch()
  }

  #judge(result: ShardResult): ResultVerdict {
    const { key, fence } = result
    // Whatever it is worth, the execution has ended.
    this.#releaseLease(key, fence)
    const shard = this.#state.shards.get(key)
    if (shard === undefined) return 'unknown'
    const { job } = shard.workflow
    this.#aborts.confirm(shard, fence)
    if (fence === shard.countedFence) {
      job.duplicates++
      return 'duplicate'
    }
    if (shard.isOver || !this.#mayCount(shard, result)) {
      job.stale++
      return 'stale'
    }
    this.#accept(shard, result)
    return 'accepted'
  }

  /** The latest fence counts; so does any, where this leader has neither started the shard nor seen it run. */
  #mayCount(shard: ShardRecord, result: ShardResult): boolean {
    const { fence, status } = result
    if (fence !== shard.fence && (shard.fence !== 0 || fence === 0)) return false
    if (status === 'completed' || shard.workflow.isEnding) return true
    // What was told to end, though nobody cancelled the work, has decided nothing.
    return fence !== shard.abandonedFence && (status !== 'cancelled' || shard.isActive || isHandedBack(result))
  }

  #accept(shard: ShardRecord, result: ShardResult): void {
    const { workflow } = shard
    const { job, spec } = workflow
    const { status, error, fence, attempt = 1 } = result
    if (shard.fence === 0) {
      shard.fence = fence
      shard.attempts = Math.max(shard.attempts, attempt)
    }
    this.#dispatcher.observeFence(fence)
    if (!workflow.isEnding && isHandedBack(result)) {
      shard.countedFence = fence
      job.trouble(error?.code ?? '', shard.key, shard.workerId)
      // An earlier leader may have started it, who knows where.
      this.#dispatcher.requeue(shard, shard.workerId === '' ? {} : { avoid: shard.workerId })
      return
    }
    if (status === 'failed') {
      job.trouble(error?.code ?? 'WORKFLOW_FAILED', shard.key, shard.workerId)
      const setbacks = shard.setBack()
      setbacks.runFailures++
      const mayRunAgain =
        !workflow.isEnding && setbacks.runFailures < spec.attempts && shard.attempts < this.#settings.maxAttempts
      if (mayRunAgain) {
        shard.countedFence = fence
        this.#dispatcher.requeue(shard)
        return
      }
    }
    if (status === 'timed-out') job.trouble(error?.code ?? 'TIMED_OUT', shard.key, shard.workerId)
    this.#settling.decide(shard, result)
  }

  #failUnknown(waiting: Waiting): void {
    const workflow = 'workflow' in waiting ? waiting.workflow : waiting
    if (workflow.isOver) return
    const name = workflow.spec.workflow
    if (workflow.plan === null) this.#settling.divide(workflow, [workflow.spec.vus])
    for (const shard of workflow.shards) {
      if (shard.status !== 'queued') continue
      workflow.job.trouble('UNKNOWN_WORKFLOW', shard.key, '')
      this.#settling.end(shard, 'failed', { code: 'UNKNOWN_WORKFLOW', message: `no worker runs ${name}` })
    }
  }

  #cancelJob(job: JobRecord, reason: string | null): CancelAnswer {
    if (!job.isOver && job.status !== 'cancelling') this.#step(() => this.#aborts.cancelJob(job, reason))
    const { status, counts, openWorkflows } = job
    if (status === 'cancelling') return { status, cancelled: counts.cancelled, pending: openWorkflows }
    if (status === 'cancelled') return { status, cancelled: counts.cancelled, pending: 0 }
    return { status: 'already-finished', cancelled: 0, pending: 0 }
  }

  #cancelWorkflow(workflow: WorkflowRecord): CancelAnswer {
    if (!workflow.isEnding) this.#step(() => this.#aborts.cancelWorkflow(workflow))
    if (workflow.status === 'cancelled') return { status: 'cancelled', cancelled: 1, pending: 0 }
    if (workflow.isOver) return { status: 'already-finished', cancelled: 0, pending: 0 }
    return { status: 'cancelling', cancelled: 0, pending: 1 }
  }
}

function newCounters(): SchedulerCounters {
  return {
    submitted: 0,
    finished: 0,
    dispatched: 0,
    dispatchFailures: 0,
    accepted: 0,
    duplicates: 0,
    stale: 0,
    unknown: 0,
    requeued: 0,
    adopted: 0,
    workersLost: 0,
    progressGaps: 0,
  }
}

function isHandedBack({ status, error }: ShardResult): boolean {
  return status === 'cancelled' && HANDED_BACK.includes(error?.code)
}

/** Before anything has changed. */
function checkRunning(running: readonly RunningShard[]): void {
  for (const { fence, cores, attempt = 1 } of running) {
    requireInteger('fence', fence, 1)
    requireInteger('cores', cores)
    requireInteger('attempt', attempt, 1)
  }
}
