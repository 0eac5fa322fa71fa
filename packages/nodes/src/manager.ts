/**
 * A manager leads its datacenter: it schedules jobs on workers, keeps every settled result until the gate that owns the
 * job has it, and only then lets the worker's copy go. All it holds can be learned again, from the gate above and the
 * workers below. In this version a datacenter has one manager, which is its leader.
 */
import { BoundedMap, deepFreeze, HsError, LimitError, parseOptions, TypedEmitter, type Timer } from '@hs/core'
import { JobScheduler, parseShardKey, type DcJobResult, type Dispatch, type JobSchedulerOptions } from '@hs/jobs'
import { exponentialSketch, sketchFromWire, WindowedStats, type QuantileSketch } from '@hs/windowed-stats'
import * as z from 'zod'
import { EarlyResults } from './early-results.js'
import { LeaderTerm } from './leader-term.js'
import { assignmentCodec, ManagerJob } from './manager-job.js'
import { NodeLife } from './node-life.js'
import { nodeShape, oneNetwork, retainOption, type NodeOptions, type RetainOptions } from './node-options.js'
import type { Node, ReadyOptions } from './node.js'
import type { RpcPeer } from './rpc-peer.js'
import { jobCancel } from './wire/client-gate.js'
import { refuse, type ExecutionRef, type LeaderRef, type Refusal } from './wire/fields.js'
import { jobAssign, jobForget, managerStatus, type Assignment } from './wire/gate-manager.js'
import { workerRegister, workerReport, type Admission, type StatsRecordWire } from './wire/manager-worker.js'
import type { RequestOf } from './wire/method.js'
import { PartCollector } from './wire/parts.js'
import type { ShardResultWire } from './wire/shard-result.js'
import { WorkerRecord } from './worker-record.js'

export interface ManagerLimits {
  /** @default 10_000 */
  maxJobs?: number
  /** @default 10_000 */
  maxWorkers?: number
}

export interface ManagerOptions extends NodeOptions {
  datacenter: string
  scheduler?: Partial<Pick<JobSchedulerOptions, 'maxAttempts' | 'backoff' | 'agingMs'>>
  limits?: ManagerLimits
  retain?: RetainOptions
}

export interface ManagerEvents {
  leaderChanged: [{ leaderId: string | null; term: number }]
  workerRegistered: [id: string]
  workerLost: [id: string, why: string]
  jobFinished: [DcJobResult]
}

export interface ManagerSnapshot {
  readonly id: string
  readonly address: string
  readonly http: string | null
  readonly datacenter: string
  readonly leaderId: string | null
  readonly isLeader: boolean
  readonly term: number
  readonly managers: number
  readonly workers: number
  readonly totalCores: number
  readonly freeCores: number
  readonly jobs: number
  readonly shards: number
  readonly overload: string
  readonly counters: Readonly<Record<string, number>>
}

/** Jobs whose assignment is coming in parts. */
const MAX_ASSEMBLING = 64
/** Jobs that were forgotten a while ago, whose late results nobody wants. */
const MAX_FORGOTTEN = 100_000

const schema = /* @__PURE__ */ (() =>
  z
    .strictObject({
      ...nodeShape(),
      datacenter: z.string().min(1).max(128),
      scheduler: z
        .strictObject({
          maxAttempts: z.int().min(1).optional(),
          backoff: z.strictObject({ baseMs: z.number().positive(), maxMs: z.number().positive() }).optional(),
          agingMs: z.number().positive().optional(),
        })
        .default({}),
      limits: z
        .strictObject({
          maxJobs: z.int().min(1).default(10_000),
          maxWorkers: z.int().min(1).default(10_000),
        })
        .prefault({}),
      retain: retainOption(),
    })
    .refine(oneNetwork.test, oneNetwork.params))()

export class Manager implements Node {
  readonly id: string
  readonly events: TypedEmitter<ManagerEvents>
  readonly #options: z.output<typeof schema>
  readonly #life: NodeLife
  readonly #jobs = new Map<string, ManagerJob>()
  readonly #workers = new Map<string, WorkerRecord>()
  readonly #assembling: BoundedMap<string, PartCollector>
  readonly #forgotten: BoundedMap<string, true>
  readonly #stats: WindowedStats
  readonly #counters = { accepted: 0, workersLost: 0, staleResults: 0 }
  readonly #early = new EarlyResults()
  #term: LeaderTerm | undefined
  #scheduler: JobScheduler | undefined
  #startedAt = 0
  #holding: Timer | undefined
  #resumed = false

  /** @throws ConfigError */
  constructor(options: ManagerOptions) {
    const parsed = parseOptions(schema, options, 'Manager')
    this.#options = parsed
    this.id = parsed.id
    this.#life = new NodeLife('Manager', parsed)
    const { runtime, timing } = this.#life
    this.events = new TypedEmitter(`Manager ${this.id}`, this.#life.reporter)
    this.#assembling = new BoundedMap({ ...runtime, maxEntries: MAX_ASSEMBLING, ttlMs: 10 * timing.rpcTimeoutMs })
    this.#forgotten = new BoundedMap({ ...runtime, maxEntries: MAX_FORGOTTEN, ttlMs: timing.forgetNodeMs })
    this.#stats = new WindowedStats({
      ...runtime,
      windowMs: timing.statsWindowMs,
      driftToleranceMs: 2 * timing.reportMs,
      maxJobs: parsed.limits.maxJobs,
      sketch: exponentialSketch(),
    })
  }

  get address(): string {
    return this.#life.address
  }

  get isLeader(): boolean {
    return this.#scheduler !== undefined && !this.#life.over
  }

  start(): Promise<void> {
    return this.#life.open((peer) => this.#begin(peer))
  }

  ready(options?: ReadyOptions): Promise<void> {
    return this.#life.ready(options, () => this.isLeader)
  }

  /** Steps down: nothing it dispatched is aborted, workers carry it to the next leader. */
  stop(): Promise<void> {
    return this.#life.close(async () => this.#halt())
  }

  kill(): Promise<void> {
    return this.#life.close(async () => this.#halt())
  }

  snapshot(): ManagerSnapshot {
    const scheduler = this.#scheduler?.snapshot()
    const term = this.#term?.current ?? 0
    return deepFreeze({
      id: this.id,
      address: this.address,
      http: null,
      datacenter: this.#options.datacenter,
      leaderId: this.isLeader ? this.id : null,
      isLeader: this.isLeader,
      term,
      managers: 1,
      workers: this.#workers.size,
      totalCores: scheduler?.totalCores ?? 0,
      freeCores: scheduler?.freeCores ?? 0,
      jobs: this.#jobs.size,
      shards: scheduler?.shards ?? 0,
      overload: 'healthy',
      counters: {
        ...scheduler?.counters,
        ...this.#counters,
        malformed: this.#life.started ? this.#life.peer.malformed : 0,
      },
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #begin(peer: RpcPeer): void {
    const { runtime, timing, scope, nodeId } = this.#life
    const { datacenter, limits, scheduler } = this.#options
    const term = new LeaderTerm(nodeId)
    this.#term = term
    this.#startedAt = runtime.clock.now()
    this.#scheduler = new JobScheduler({
      ...runtime,
      ...defined(scheduler),
      datacenter,
      term: () => term.current,
      recoveryMs: timing.recoveryMs,
      maxJobs: limits.maxJobs,
      port: {
        dispatch: (dispatch) => this.#dispatch(dispatch),
        abort: ({ key, fence, workerId, reason }) => this.#workers.get(workerId)?.abort(key, fence, reason),
        jobChanged: (snapshot) => this.#jobs.get(snapshot.jobId)?.progress(snapshot),
        jobFinished: (result) => this.#jobFinished(result),
      },
    })
    this.#serve(peer, this.#scheduler)
    scope.every('stats', timing.reportMs, () => this.#passStatsOn())
    scope.spawn('recovery', async (signal) => {
      await runtime.clock.sleep(timing.recoveryMs, signal)
      this.#early.close()
    })
    this.events.emit('leaderChanged', { leaderId: this.id, term: term.current })
    this.#life.changed.notify()
  }

  #serve(peer: RpcPeer, scheduler: JobScheduler): void {
    peer.serve(workerRegister, (request) => this.#register(scheduler, request))
    peer.serve(workerReport, (request) => this.#report(scheduler, request))
    peer.serve(jobAssign, (request) => this.#assign(scheduler, request))
    peer.serve(jobCancel, (request) => this.#cancel(scheduler, request))
    peer.serve(jobForget, ({ jobIds }) => {
      const known = jobIds.filter((jobId) => this.#jobs.has(jobId))
      for (const jobId of known) this.#forget(jobId)
      return { ok: true, known: known.length }
    })
    peer.serve(managerStatus, ({ leader }) => {
      this.#heard(leader)
      const { totalCores, freeCores } = scheduler.snapshot()
      return { ok: true, leader: this.#self(), managers: 1, workers: this.#workers.size, totalCores, freeCores }
    })
  }

  #self(): LeaderRef {
    return { id: this.#life.nodeId, address: this.address, term: this.#term?.current ?? 0 }
  }

  /** Somebody followed another life of this manager. */
  #heard(leader: LeaderRef | undefined): void {
    if (this.#term?.heard(leader) !== true) return
    this.events.emit('leaderChanged', { leaderId: this.id, term: this.#term.current })
  }

  // ---- workers

  #register(scheduler: JobScheduler, request: RequestOf<typeof workerRegister>) {
    const { workerId, incarnation, address, datacenter, cores, workflows, running, undelivered, leader } = request
    if (datacenter !== this.#options.datacenter)
      return refuse('UNAUTHORIZED', `${this.id} leads ${this.#options.datacenter}, not ${datacenter}`)
    const known = this.#workers.get(workerId)
    if (known === undefined && this.#workers.size >= this.#options.limits.maxWorkers)
      return refuse('OVERLOADED', `${this.id} has all the workers that it takes`, {
        retryAfterMs: this.#life.timing.heartbeatMs,
      })
    if (known !== undefined && incarnation < known.incarnation)
      return refuse('STALE_FENCE', `a later life of ${workerId} has registered`)
    this.#heard(leader)
    const isNew = known?.incarnation !== incarnation || known.address !== address
    if (isNew) {
      known?.close()
      // Before the scheduler hears of it: what it dispatches within this step is for this life.
      this.#workers.set(workerId, this.#workerRecord(workerId, incarnation, address))
    } else known.monitor.heard()
    const registration = { workerId, incarnation, address, cores, workflows }
    const { abort } = scheduler.register(registration, [...running, ...undelivered])
    if (isNew) this.events.emit('workerRegistered', workerId)
    return { ok: true as const, leader: this.#self(), abort: abort.map(({ key, fence }) => ({ key, fence })) }
  }

  #workerRecord(workerId: string, incarnation: number, address: string): WorkerRecord {
    const { peer, runtime, timing, reporter, label } = this.#life
    const record: WorkerRecord = new WorkerRecord({
      workerId,
      incarnation,
      address,
      peer,
      clock: runtime.clock,
      timing,
      leader: () => this.#self(),
      onLeader: (leader) => this.#heard(leader),
      onAdmission: (key, fence, admission) => this.#admission(key, fence, admission),
      onUnanswered: (key, fence, code) => this.#scheduler?.dispatchFailed(key, fence, { code }),
      onAbortState: (key, fence, state) => {
        if (state === 'unknown') this.#scheduler?.aborted(key, fence)
      },
      onSuspected: (suspected) => this.#scheduler?.pool.setHealth(workerId, suspected ? 'unhealthy' : 'healthy'),
      onLost: (why) => {
        this.#counters.workersLost++
        runtime.logger.warn('a worker is lost', { worker: workerId, why })
        this.#workerGone(record, why)
      },
      onError: (error) => reporter.report(`${label}.worker`, error, { worker: workerId }),
    })
    return record
  }

  #workerGone(record: WorkerRecord, why: string): void {
    const { workerId } = record
    if (this.#workers.get(workerId) !== record) return
    record.close()
    this.#workers.delete(workerId)
    this.#scheduler?.workerLost(workerId)
    this.events.emit('workerLost', workerId, why)
  }

  #dispatch(dispatch: Dispatch): void {
    const worker = this.#workers.get(dispatch.workerId)
    if (worker !== undefined) worker.dispatch(dispatch)
    else this.#scheduler?.dispatchFailed(dispatch.key, dispatch.fence, { code: 'WORKER_LOST' })
  }

  #admission(key: string, fence: number, admission: Admission): void {
    const scheduler = this.#scheduler
    switch (admission) {
      case 'run':
      case 'duplicate':
        scheduler?.dispatchAccepted(key, fence)
        return
      case 'busy':
      case 'superseded':
      case 'stopping':
        scheduler?.dispatchFailed(key, fence, { rejected: true, retryAfterMs: this.#life.timing.reportMs })
        return
      case 'stale':
        scheduler?.dispatchFailed(key, fence, { code: 'STALE_FENCE' })
        return
      case 'unknown-workflow':
        scheduler?.dispatchFailed(key, fence, { code: 'UNKNOWN_WORKFLOW' })
        return
      case 'malformed':
        scheduler?.dispatchFailed(key, fence, { code: 'DECODE_ERROR' })
    }
  }

  #report(scheduler: JobScheduler, request: RequestOf<typeof workerReport>) {
    const { workerId, incarnation, version, running, progress, results, stats, stopping } = request
    const worker = this.#workers.get(workerId)
    if (worker?.incarnation !== incarnation) return refuse('NOT_READY', `${workerId} is to register with ${this.id}`)
    worker.monitor.heard()
    // Before the results: what ends a job takes its windows along.
    for (const record of stats) this.#count(record, workerId, incarnation)
    for (const { key, fence, sequence, done, total } of progress)
      scheduler.progress(total === undefined ? { key, fence, sequence, done } : { key, fence, sequence, done, total })
    for (const result of results) this.#result(scheduler, worker, result)

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
    if (stopping && running?.length === 0 && results.length === 0) this.#workerGone(worker, 'stopped')
    return { ok: true as const, leader: this.#self(), acknowledged, abort, backpressure: 'none' as const }
  }

  #result(scheduler: JobScheduler, worker: WorkerRecord, result: ShardResultWire): void {
    const { key, fence } = result
    const job = this.#jobs.get(jobOf(key))
    switch (scheduler.result(result)) {
      case 'accepted':
        job?.settle(result, worker.workerId)
        return
      case 'duplicate':
        if (job?.hasDelivered({ key, fence }, worker.workerId) !== false) worker.acknowledge({ key, fence })
        return
      case 'stale':
        this.#counters.staleResults++
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

  #assign(scheduler: JobScheduler, request: RequestOf<typeof jobAssign>) {
    const { jobId, owner, recovered, leader, part } = request
    this.#heard(leader)
    const known = this.#jobs.get(jobId)
    if (known !== undefined) {
      if (owner.fence < known.owner.fence)
        return refuse('STALE_FENCE', `${jobId} is owned under fence ${known.owner.fence}`, { owner: known.owner })
      known.owner = owner
      return { ok: true as const, leader: this.#self(), known: true }
    }
    if (part === undefined) return { ok: true as const, leader: this.#self(), known: false }

    let collector = this.#assembling.get(jobId)
    if (collector === undefined) this.#assembling.set(jobId, (collector = new PartCollector()))
    const whole = collector.add(part)
    if (whole === null) return { ok: true as const, leader: this.#self(), known: false }
    this.#assembling.delete(jobId)
    const refusal = this.#accept(scheduler, assignmentCodec.decode(whole), owner, recovered)
    return refusal ?? { ok: true as const, leader: this.#self(), known: true }
  }

  #accept(
    scheduler: JobScheduler,
    { spec, settled, plans }: Assignment,
    owner: LeaderlessOwner,
    recovered: boolean,
  ): Refusal | null {
    const { jobId } = spec
    if (recovered) this.#holdForWorkers(scheduler)
    const retried = spec.workflows.filter(({ attempts = 1 }) => attempts > 1).map(({ id }) => id)
    const job = this.#managerJob(jobId, owner, new Set(retried))
    this.#jobs.set(jobId, job) // before it is submitted: the scheduler may have something to tell at once
    try {
      scheduler.submit(withoutUndefined(spec), { results: settled, plans })
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
      if (worker !== undefined) this.#result(scheduler, worker, result)
    }
    this.#counters.accepted++
    return null
  }

  #managerJob(jobId: string, owner: LeaderlessOwner, retried: ReadonlySet<string>): ManagerJob {
    const { peer, runtime, timing, scope, reporter, label } = this.#life
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
      signal: scope.signal,
      leader: () => this.#self(),
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
  #holdForWorkers(scheduler: JobScheduler): void {
    if (this.#resumed || this.#holding !== undefined) return
    const { runtime, timing } = this.#life
    const leftMs = this.#startedAt + timing.recoveryMs - runtime.clock.now()
    if (leftMs <= 0) return
    scheduler.hold()
    this.#holding = runtime.clock.setTimer(leftMs, () => {
      this.#resumed = true
      scheduler.resume()
    })
  }

  #cancel(scheduler: JobScheduler, { jobId, workflowId, reason, fence }: RequestOf<typeof jobCancel>) {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return refuse('JOB_NOT_FOUND', `${this.id} does not have ${jobId}`)
    if (fence !== undefined && fence < job.owner.fence)
      return refuse('STALE_FENCE', `${jobId} is owned under fence ${job.owner.fence}`, { owner: job.owner })
    const { status } = scheduler.cancel(jobId, {
      ...(workflowId !== undefined && { workflowId }),
      ...(reason !== undefined && { reason }),
    })
    switch (status) {
      case 'unknown-job':
        return refuse('JOB_NOT_FOUND', `${this.id} does not have ${jobId}`)
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
    this.events.emit('jobFinished', result)
    if (job?.forgetWhenOver === true) this.#forget(result.jobId)
  }

  /** The gate has everything: what is left serves only those who ask again. */
  #delivered(jobId: string): void {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return
    const { completedMs, failedMs } = this.#options.retain
    const status = this.#scheduler?.job(jobId)?.status
    const retainMs = status === 'completed' ? completedMs : failedMs
    job.retention = this.#life.runtime.clock.setTimer(retainMs, () => this.#forget(jobId))
  }

  #forget(jobId: string): void {
    const scheduler = this.#scheduler
    const job = this.#jobs.get(jobId)
    if (scheduler === undefined || job === undefined) return
    if (!job.over) {
      job.forgetWhenOver = true
      scheduler.cancel(jobId, { reason: 'its gate has given it up' })
      return
    }
    job.close()
    this.#jobs.delete(jobId)
    this.#forgotten.set(jobId, true)
    scheduler.forget(jobId)
  }

  #halt(): void {
    this.#holding?.cancel()
    this.#scheduler?.stop()
    for (const worker of this.#workers.values()) worker.close()
    for (const job of this.#jobs.values()) job.close()
    if (this.#scheduler !== undefined)
      this.events.emit('leaderChanged', { leaderId: null, term: this.#term?.current ?? 0 })
  }
}

type LeaderlessOwner = RequestOf<typeof jobAssign>['owner']

function jobOf(key: string): string {
  return parseShardKey(key).jobId
}

/** Absent where it is undefined, as exact optional types want it. */
function defined<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}

function withoutUndefined(spec: Assignment['spec']): Parameters<JobScheduler['submit']>[0] {
  return spec as Parameters<JobScheduler['submit']>[0]
}
