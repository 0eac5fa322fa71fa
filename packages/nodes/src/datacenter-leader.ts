/**
 * What the leader of a datacenter has, and nobody else there: the scheduler of its jobs, its workers, and the custody of
 * every settled result until the gate that owns the job has it; only then the worker's copy is let go. All of it can be
 * learned again, from the gates above and the workers below, so it ends with the leadership, in one step.
 */
import { BoundedMap, HsError, LimitError, type TaskScope, type Timer } from '@hs/core'
import { JobScheduler, parseShardKey, type DcJobResult, type JobSchedulerOptions } from '@hs/jobs'
import { exponentialSketch, sketchFromWire, WindowedStats, type QuantileSketch } from '@hs/windowed-stats'
import { EarlyResults } from './early-results.js'
import { LeaderTerm } from './leader-term.js'
import { LeaderWorkers } from './leader-workers.js'
import { assignmentCodec, ManagerJob } from './manager-job.js'
import type { NodeLife } from './node-life.js'
import type { jobCancel } from './wire/client-gate.js'
import { refuse, type ExecutionRef, type LeaderRef, type Refusal } from './wire/fields.js'
import type { Assignment, jobAssign } from './wire/gate-manager.js'
import type { StatsRecordWire, workerRegister, workerReport } from './wire/manager-worker.js'
import type { RequestOf } from './wire/method.js'
import { PartCollector } from './wire/parts.js'
import type { ShardResultWire } from './wire/shard-result.js'
import type { WorkerRecord } from './worker-record.js'

export interface DatacenterLeaderOptions {
  readonly life: NodeLife
  readonly datacenter: string
  /** The first term to lead under. */
  readonly term: number
  readonly scheduler: Partial<Pick<JobSchedulerOptions, 'maxAttempts' | 'backoff' | 'agingMs'>>
  readonly limits: { readonly maxJobs: number; readonly maxWorkers: number }
  readonly retain: { readonly completedMs: number; readonly failedMs: number }
  /** Outlive one leadership. */
  readonly counters: ManagerCounters
  /** Whether it leads at this very moment, however late the news of the loss are. */
  leads(): boolean
  onTerm(term: number): void
  onWorkerRegistered(workerId: string): void
  onWorkerLost(workerId: string, why: string): void
  onJobFinished(result: DcJobResult): void
}

export interface ManagerCounters {
  accepted: number
  workersLost: number
  staleResults: number
}

/** Jobs whose assignment is coming in parts. */
const MAX_ASSEMBLING = 64
/** Jobs that were forgotten a while ago, whose late results nobody wants. */
const MAX_FORGOTTEN = 100_000

export class DatacenterLeader {
  readonly #options: DatacenterLeaderOptions
  readonly #life: NodeLife
  readonly #scope: TaskScope
  readonly #term: LeaderTerm
  readonly #scheduler: JobScheduler
  readonly #workers: LeaderWorkers
  readonly #jobs = new Map<string, ManagerJob>()
  readonly #assembling: BoundedMap<string, PartCollector>
  readonly #forgotten: BoundedMap<string, true>
  readonly #stats: WindowedStats
  readonly #early = new EarlyResults()
  readonly #startedAt: number
  #holding: Timer | undefined
  #resumed = false

  constructor(options: DatacenterLeaderOptions) {
    const { life, limits, datacenter } = options
    const { runtime, timing } = life
    this.#options = options
    this.#life = life
    this.#scope = life.scope.child(`leader of ${datacenter}`)
    this.#term = new LeaderTerm(life.nodeId, options.term)
    this.#startedAt = runtime.clock.now()
    this.#assembling = new BoundedMap({ ...runtime, maxEntries: MAX_ASSEMBLING, ttlMs: 10 * timing.rpcTimeoutMs })
    this.#forgotten = new BoundedMap({ ...runtime, maxEntries: MAX_FORGOTTEN, ttlMs: timing.forgetNodeMs })
    this.#stats = new WindowedStats({
      ...runtime,
      windowMs: timing.statsWindowMs,
      driftToleranceMs: 2 * timing.reportMs,
      maxJobs: limits.maxJobs,
      sketch: exponentialSketch(),
    })
    this.#workers = new LeaderWorkers({
      life,
      datacenter,
      maxWorkers: limits.maxWorkers,
      scheduler: () => this.#scheduler,
      self: () => this.self(),
      onLeader: (leader) => this.#heard(leader),
      onRegistered: (workerId) => options.onWorkerRegistered(workerId),
      onLost: (workerId, why) => options.onWorkerLost(workerId, why),
    })
    this.#scheduler = new JobScheduler({
      ...runtime,
      ...options.scheduler,
      datacenter,
      term: () => this.#term.current,
      recoveryMs: timing.recoveryMs,
      maxJobs: limits.maxJobs,
      port: {
        // Who leads no more starts nothing; what it reserved ends with it.
        dispatch: (dispatch) => {
          if (options.leads()) this.#workers.dispatch(dispatch)
        },
        abort: ({ key, fence, workerId, reason }) => this.#workers.get(workerId)?.abort(key, fence, reason),
        jobChanged: (snapshot) => this.#jobs.get(snapshot.jobId)?.progress(snapshot),
        jobFinished: (result) => this.#jobFinished(result),
      },
    })
    this.#scope.every('stats', timing.reportMs, () => this.#passStatsOn())
    this.#scope.spawn('recovery', async (signal) => {
      await runtime.clock.sleep(timing.recoveryMs, signal)
      this.#early.close()
    })
  }

  get term(): number {
    return this.#term.current
  }

  get scheduler(): JobScheduler {
    return this.#scheduler
  }

  get workers(): number {
    return this.#workers.size
  }

  get jobs(): number {
    return this.#jobs.size
  }

  self(): LeaderRef {
    return { id: this.#life.nodeId, address: this.#life.address, term: this.#term.current }
  }

  /** Nothing it dispatched is aborted: workers carry it to the next leader. */
  close(): void {
    this.#holding?.cancel()
    this.#scheduler.stop()
    this.#workers.close()
    for (const job of this.#jobs.values()) job.close()
    void this.#scope.stop() // never rejects
  }

  register(request: RequestOf<typeof workerRegister>) {
    this.#heard(request.leader)
    return this.#workers.register(request)
  }

  status(leader: LeaderRef | undefined, managers: number) {
    this.#heard(leader)
    const { totalCores, freeCores } = this.#scheduler.snapshot()
    return { ok: true as const, leader: this.self(), managers, workers: this.#workers.size, totalCores, freeCores }
  }

  forget(jobIds: readonly string[]) {
    const known = jobIds.filter((jobId) => this.#jobs.has(jobId))
    for (const jobId of known) this.#forget(jobId)
    return { ok: true as const, known: known.length }
  }

  /** Somebody followed an earlier leader whose term is not below this one. */
  #heard(leader: LeaderRef | undefined): void {
    if (!this.#options.leads() || !this.#term.heard(leader)) return
    this.#options.onTerm(this.#term.current)
  }

  // ---- what workers tell

  report(request: RequestOf<typeof workerReport>) {
    const scheduler = this.#scheduler
    const { workerId, incarnation, version, running, progress, results, stats, stopping } = request
    const worker = this.#workers.get(workerId)
    if (worker?.incarnation !== incarnation)
      return refuse('NOT_READY', `${workerId} is to register with ${this.#life.id}`)
    worker.monitor.heard()
    // Before the results: what ends a job takes its windows along.
    for (const record of stats) this.#count(record, workerId, incarnation)
    for (const { key, fence, sequence, done, total } of progress)
      scheduler.progress(total === undefined ? { key, fence, sequence, done } : { key, fence, sequence, done, total })
    for (const result of results) this.#result(worker, result)

    let abort: ExecutionRef[] = []
    if (running !== undefined) {
      const heard = scheduler.heartbeat({
        workerId,
        incarnation,
        version,
        running,
        bucket: stopping ? 'unhealthy' : 'healthy',
      })
      abort = heard.abort.map(({ key, fence }) => ({ key, fence }))
    }
    const acknowledged = worker.takeAcknowledged()
    if (stopping && running?.length === 0 && results.length === 0) this.#workers.gone(worker, 'stopped')
    return { ok: true as const, leader: this.self(), acknowledged, abort, backpressure: 'none' as const }
  }

  #result(worker: WorkerRecord, result: ShardResultWire): void {
    const { key, fence } = result
    const job = this.#jobs.get(jobOf(key))
    switch (this.#scheduler.result(result)) {
      case 'accepted':
        job?.settle(result, worker.workerId)
        return
      case 'duplicate':
        if (job?.hasDelivered({ key, fence }, worker.workerId) !== false) worker.acknowledge({ key, fence })
        return
      case 'stale':
        this.#options.counters.staleResults++
        worker.acknowledge({ key, fence })
        return
      case 'unknown':
        // A job that is still to be assigned will want it; of one that was forgotten nobody does.
        if (job !== undefined || this.#forgotten.has(jobOf(key))) worker.acknowledge({ key, fence })
        else this.#early.add(result, worker.workerId)
    }
  }

  // ---- statistics

  #count(
    { jobId, workflowId, seq, atMs, counts, values }: StatsRecordWire,
    workerId: string,
    incarnation: number,
  ): void {
    if (!this.#jobs.has(jobId)) return
    const sketches: Record<string, QuantileSketch> = {}
    for (const [name, wire] of Object.entries(values)) sketches[name] = sketchFromWire(wire)
    const source = `${workerId}@${incarnation}`
    this.#stats.record({ jobId, workflowId, source, seq, atMs, counts, values: sketches })
  }

  #passStatsOn(): void {
    for (const jobId of this.#stats.getJobsWithPendingStats()) {
      const windows = this.#stats.takeAggregatedStats(jobId)
      this.#jobs.get(jobId)?.windows(windows)
    }
  }

  // ---- jobs

  assign(request: RequestOf<typeof jobAssign>) {
    const { jobId, owner, recovered, leader, part } = request
    this.#heard(leader)
    const known = this.#jobs.get(jobId)
    if (known !== undefined) {
      if (owner.fence < known.owner.fence)
        return refuse('STALE_FENCE', `${jobId} is owned under fence ${known.owner.fence}`, { owner: known.owner })
      known.owner = owner
      return { ok: true as const, leader: this.self(), known: true }
    }
    if (part === undefined) return { ok: true as const, leader: this.self(), known: false }

    let collector = this.#assembling.get(jobId)
    if (collector === undefined) this.#assembling.set(jobId, (collector = new PartCollector()))
    const whole = collector.add(part)
    if (whole === null) return { ok: true as const, leader: this.self(), known: false }
    this.#assembling.delete(jobId)
    const refusal = this.#accept(assignmentCodec.decode(whole), owner, recovered)
    return refusal ?? { ok: true as const, leader: this.self(), known: true }
  }

  #accept({ spec, settled, plans }: Assignment, owner: LeaderlessOwner, recovered: boolean): Refusal | null {
    const { jobId } = spec
    if (recovered) this.#holdForWorkers()
    const retried = spec.workflows.filter(({ attempts = 1 }) => attempts > 1).map(({ id }) => id)
    const job = this.#managerJob(jobId, owner, new Set(retried))
    this.#jobs.set(jobId, job) // before it is submitted: the scheduler may have something to tell at once
    try {
      this.#scheduler.submit(withoutUndefined(spec), { results: settled, plans })
    } catch (error) {
      this.#jobs.delete(jobId)
      job.close()
      if (error instanceof LimitError)
        return refuse('OVERLOADED', error.message, { retryAfterMs: this.#life.timing.heartbeatMs })
      if (HsError.is(error)) return refuse('INVALID_JOB', error.message)
      throw error
    }
    this.#forgotten.delete(jobId)
    for (const { result, workerId } of this.#early.take(jobId)) {
      const worker = this.#workers.get(workerId)
      if (worker !== undefined) this.#result(worker, result)
    }
    this.#options.counters.accepted++
    return null
  }

  #managerJob(jobId: string, owner: LeaderlessOwner, retried: ReadonlySet<string>): ManagerJob {
    const { peer, runtime, timing, reporter, label } = this.#life
    const { clock, random } = runtime
    return new ManagerJob({
      jobId,
      owner,
      retried,
      datacenter: this.#options.datacenter,
      peer,
      clock,
      random,
      timing,
      signal: this.#scope.signal,
      leader: () => this.self(),
      onAcknowledged: (workerId, ref) => this.#workers.get(workerId)?.acknowledge(ref),
      onRefused: (refusal) => this.#reportRefused(jobId, refusal),
      onDelivered: () => this.#delivered(jobId),
      onAbandoned: () => this.#forget(jobId),
      onError: (error) => reporter.report(`${label}.report`, error, { jobId }),
    })
  }

  #reportRefused(jobId: string, { code, owner }: Refusal): void {
    const job = this.#jobs.get(jobId)
    if (job !== undefined && owner !== undefined && owner.fence > job.owner.fence) job.owner = owner
    this.#life.runtime.logger.debug('a report was refused', { jobId, code })
  }

  /**
   * A job that was assigned to an earlier leader: workers that still run it must have had the time to say so, or its
   * shards would run twice.
   */
  #holdForWorkers(): void {
    if (this.#resumed || this.#holding !== undefined) return
    const { runtime, timing } = this.#life
    const leftMs = this.#startedAt + timing.recoveryMs - runtime.clock.now()
    if (leftMs <= 0) return
    this.#scheduler.hold()
    this.#holding = runtime.clock.setTimer(leftMs, () => {
      this.#resumed = true
      this.#scheduler.resume()
    })
  }

  cancel({ jobId, workflowId, reason, fence }: RequestOf<typeof jobCancel>) {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return refuse('JOB_NOT_FOUND', `${this.#life.id} does not have ${jobId}`)
    if (fence !== undefined && fence < job.owner.fence)
      return refuse('STALE_FENCE', `${jobId} is owned under fence ${job.owner.fence}`, { owner: job.owner })
    const { status } = this.#scheduler.cancel(jobId, {
      ...(workflowId !== undefined && { workflowId }),
      ...(reason !== undefined && { reason }),
    })
    switch (status) {
      case 'unknown-job':
        return refuse('JOB_NOT_FOUND', `${this.#life.id} does not have ${jobId}`)
      case 'unknown-workflow':
        return refuse('INVALID_JOB', `${jobId} has no step ${workflowId ?? ''}`)
      default:
        return { ok: true as const, status }
    }
  }

  #jobFinished(result: DcJobResult): void {
    const windows = this.#stats.finish(result.jobId)
    const job = this.#jobs.get(result.jobId)
    job?.finish(result, windows)
    this.#options.onJobFinished(result)
    if (job?.forgetWhenOver === true) this.#forget(result.jobId)
  }

  /** The gate has everything: what is left serves only those who ask again. */
  #delivered(jobId: string): void {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return
    const { completedMs, failedMs } = this.#options.retain
    const status = this.#scheduler.job(jobId)?.status
    const retainMs = status === 'completed' ? completedMs : failedMs
    job.retention = this.#life.runtime.clock.setTimer(retainMs, () => this.#forget(jobId))
  }

  #forget(jobId: string): void {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return
    if (!job.over) {
      job.forgetWhenOver = true
      this.#scheduler.cancel(jobId, { reason: 'its gate has given it up' })
      return
    }
    job.close()
    this.#jobs.delete(jobId)
    this.#forgotten.set(jobId, true)
    this.#scheduler.forget(jobId)
  }
}

type LeaderlessOwner = RequestOf<typeof jobAssign>['owner']

function jobOf(key: string): string {
  return parseShardKey(key).jobId
}

function withoutUndefined(spec: Assignment['spec']): Parameters<JobScheduler['submit']>[0] {
  return spec as Parameters<JobScheduler['submit']>[0]
}
