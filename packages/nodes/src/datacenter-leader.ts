/**
 * What the leader of a datacenter has, and nobody else there: the scheduler of its jobs, its workers, and the custody of
 * every settled result until the gate that owns the job has it; only then the worker's copy is let go. All of it can be
 * learned again, from the gates above and the workers below, so it ends with the leadership, in one step.
 */
import { BoundedMap, type TaskScope } from '@hs/core'
import type { DatacenterFacts } from '@hs/health'
import { JobScheduler, type DcJobResult, type JobSchedulerOptions } from '@hs/jobs'
import { BackpressureView } from '@hs/overload'
import { exponentialSketch, sketchFromWire, WindowedStats, type QuantileSketch } from '@hs/windowed-stats'
import type { DatacenterState } from './datacenter-state.js'
import { EarlyResults } from './early-results.js'
import { LeaderHealth, type ManagerAlert, type ManagerCount } from './leader-health.js'
import { jobOf, LeaderJobs } from './leader-jobs.js'
import { LeaderRecovery } from './leader-recovery.js'
import { LeaderTerm } from './leader-term.js'
import { LeaderWorkers } from './leader-workers.js'
import type { NodeLife } from './node-life.js'
import type { jobCancel } from './wire/client-gate.js'
import { MAX_TIER } from './tier-cluster.js'
import { refuse, type ExecutionRef, type LeaderRef } from './wire/fields.js'
import type { jobAssign, managerStatus } from './wire/gate-manager.js'
import type { StatsRecordWire, workerExtend, workerRegister, workerReport } from './wire/manager-worker.js'
import type { RequestOf } from './wire/method.js'
import { StateBroadcast, WHOLE_MS } from './state-broadcast.js'
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
  /** What peers know too; null where there are none. */
  readonly state: DatacenterState | null
  /** Addresses of the managers that are there now. */
  peers(): readonly string[]
  managers(): ManagerCount
  /** Whether it leads at this very moment, however late the news of the loss are. */
  leads(): boolean
  onTerm(term: number): void
  onWorkerRegistered(workerId: string): void
  onWorkerLost(workerId: string, why: string): void
  onJobFinished(result: DcJobResult): void
  onAlert(alert: ManagerAlert): void
}

export interface ManagerCounters {
  accepted: number
  workersLost: number
  staleResults: number
}

export class DatacenterLeader {
  readonly #options: DatacenterLeaderOptions
  readonly #life: NodeLife
  readonly #scope: TaskScope
  readonly #term: LeaderTerm
  readonly #scheduler: JobScheduler
  readonly #health: LeaderHealth
  readonly #workers: LeaderWorkers
  readonly #jobs: LeaderJobs
  readonly #broadcast: StateBroadcast | null
  readonly #recovery: LeaderRecovery
  readonly #stats: WindowedStats
  readonly #early = new EarlyResults()
  /** What the gates want less of; whoever reports to this leader is asked for the same. */
  readonly #asked: BackpressureView
  /** 0 to 1: how full the windows are, at the last look. */
  #fill = 0
  /** Addresses of gates that have asked lately. */
  readonly #gates: BoundedMap<string, true>

  constructor(options: DatacenterLeaderOptions) {
    const { life, limits, datacenter, state, peers } = options
    const { runtime, timing } = life
    this.#options = options
    this.#life = life
    this.#scope = life.scope.child(`leader of ${datacenter}`)
    this.#term = new LeaderTerm(life.nodeId, options.term)
    this.#asked = new BackpressureView(runtime)
    this.#gates = new BoundedMap({ ...runtime, maxEntries: MAX_TIER, ttlMs: timing.staleNodeMs })
    if (options.state?.leader != null) this.#term.heard(options.state.leader)
    this.#stats = new WindowedStats({
      ...runtime,
      windowMs: timing.statsWindowMs,
      driftToleranceMs: 2 * timing.reportMs,
      maxJobs: limits.maxJobs,
      sketch: exponentialSketch(),
    })
    this.#health = new LeaderHealth({
      life,
      maxWorkers: limits.maxWorkers,
      workers: () => this.#workers.values(),
      pool: () => this.#scheduler.pool.snapshot(),
      managers: () => options.managers(),
      peers,
      onAlert: (alert) => options.onAlert(alert),
    })
    this.#workers = new LeaderWorkers({
      life,
      datacenter,
      maxWorkers: limits.maxWorkers,
      scheduler: () => this.#scheduler,
      self: () => this.self(),
      onLeader: (leader) => this.#heard(leader),
      health: this.#health,
      minIncarnation: (workerId) => state?.workers.get(workerId)?.incarnation ?? 0,
      onRegistered: (workerId) => options.onWorkerRegistered(workerId),
      onLost: (workerId, why) => {
        state?.workerLost(workerId)
        options.onWorkerLost(workerId, why)
      },
    })
    this.#jobs = new LeaderJobs({
      life,
      datacenter,
      signal: this.#scope.signal,
      state,
      retain: options.retain,
      scheduler: () => this.#scheduler,
      self: () => this.self(),
      gates: () => Array.from(this.#gates, ([address]) => address),
      acknowledge: (workerId, ref) => this.#workers.get(workerId)?.acknowledge(ref),
      onBackpressure: (gate, signal) => this.#asked.receive(gate, signal),
      onRecovered: () => this.#recovery.recovered(),
      onAccepted: (jobId) => this.#accepted(jobId),
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
        jobChanged: (snapshot) => {
          this.#jobs.get(snapshot.jobId)?.progress(snapshot)
          state?.jobProgressed(snapshot)
        },
        jobFinished: (result) => this.#jobFinished(result),
      },
    })
    this.#scope.every('health', timing.heartbeatMs, () => this.#lookAtHealth())
    this.#scope.every('stats', timing.reportMs, () => this.#passStatsOn())
    this.#scope.spawn('recovery', async (signal) => {
      await runtime.clock.sleep(timing.recoveryMs, signal)
      this.#early.close()
    })
    this.#recovery = new LeaderRecovery({
      life,
      scope: this.#scope,
      datacenter,
      state,
      scheduler: this.#scheduler,
      self: () => this.self(),
      peers,
      isRegistered: (workerId) => this.#workers.get(workerId) !== undefined,
      hasJob: (jobId) => this.#jobs.get(jobId) !== undefined,
      submit: (job) => this.#jobs.submit(job),
      onOver: () => this.#tellPeers(),
    })
    this.#broadcast =
      state === null
        ? null
        : new StateBroadcast({
            life,
            state,
            signal: this.#scope.signal,
            self: () => this.self(),
            peers,
            onAnswer: (address, { manager, overload }) => this.#health.managers.heard(address, manager, overload),
          })
    state?.lead(
      this.self(),
      () => this.#broadcast?.wake(),
      () => this.facts(),
    )
    this.#recovery.begin()
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
    this.#options.state?.follow()
    this.#broadcast?.stop()
    this.#recovery.stop()
    this.#scheduler.stop()
    this.#workers.close()
    this.#jobs.close()
    void this.#scope.stop() // never rejects
  }

  register(request: RequestOf<typeof workerRegister>) {
    this.#heard(request.leader)
    const answer = this.#workers.register(request)
    if (answer.ok) {
      const { workerId, incarnation, address } = request
      this.#options.state?.workerRegistered({ workerId, incarnation, address })
      this.#recovery.registered(workerId)
    }
    return answer
  }

  /** By these gates judge the datacenter; while workers are still to come, by what the leader before knew of them. */
  facts(): DatacenterFacts {
    const facts = this.#health.facts()
    const before = this.#recovery.over ? null : this.#options.state?.factsBefore
    if (before == null) return facts
    const { workers, workersHealthy, workersOverloaded = 0, coresAvailable, coresTotal } = before
    return { ...facts, workers, workersHealthy, workersOverloaded, coresAvailable, coresTotal }
  }

  status({ leader, address }: RequestOf<typeof managerStatus>, managers: number) {
    this.#heard(leader)
    if (address !== undefined) this.#gates.set(address, true)
    const facts = this.facts()
    const { totalCores, freeCores } = this.#scheduler.pool.snapshot()
    const workers = this.#workers.size
    const slo = this.#health.latency.summary
    const status = { ok: true as const, leader: this.self(), managers, workers, totalCores, freeCores, facts }
    return slo === null ? status : { ...status, slo }
  }

  forget(jobIds: readonly string[]) {
    return { ok: true as const, known: this.#jobs.forget(jobIds) }
  }

  assign(request: RequestOf<typeof jobAssign>) {
    this.#heard(request.leader)
    return this.#jobs.assign(request)
  }

  cancel(request: RequestOf<typeof jobCancel>) {
    return this.#jobs.cancel(request)
  }

  /** What its workers have offered too early counts now. */
  #accepted(jobId: string): void {
    this.#recovery.assigned(jobId)
    for (const { result, workerId } of this.#early.take(jobId)) {
      const worker = this.#workers.get(workerId)
      if (worker !== undefined) this.#result(worker, result)
    }
    this.#options.counters.accepted++
  }

  #jobFinished(result: DcJobResult): void {
    this.#jobs.finished(result, this.#stats.finish(result.jobId))
    this.#options.onJobFinished(result)
  }

  #tellPeers(): void {
    const { state } = this.#options
    if (state === null) return
    this.#scope.every('state', WHOLE_MS, () => this.#broadcast?.whole(), { immediate: true })
  }

  /** Somebody followed an earlier leader whose term is not below this one. */
  #heard(leader: LeaderRef | undefined): void {
    if (!this.#options.leads() || !this.#term.heard(leader)) return
    this.#options.state?.rise(this.self())
    this.#options.onTerm(this.#term.current)
  }

  /** Work that a worker gets on with no more goes elsewhere; it is told so when it registers again. */
  #lookAtHealth(): void {
    for (const workerId of this.#health.look()) {
      const worker = this.#workers.get(workerId)
      if (worker === undefined) continue
      this.#life.runtime.logger.warn('a worker gets on with nothing', { worker: workerId })
      this.#workers.gone(worker, 'stuck')
    }
  }

  // ---- what workers tell

  report(request: RequestOf<typeof workerReport>) {
    const scheduler = this.#scheduler
    const { workerId, incarnation, version, running, progress, results, stats, health, stopping } = request
    const worker = this.#workers.get(workerId)
    if (worker?.incarnation !== incarnation)
      return refuse('NOT_READY', `${workerId} is to register with ${this.#life.id}`)
    worker.stopping = stopping
    this.#health.workers.report(workerId, incarnation, version, health)
    worker.monitor.heard()
    // Before the results: what ends a job takes its windows along.
    for (const record of stats) this.#count(record, workerId, incarnation)
    for (const { key, fence, sequence, done, total } of progress)
      scheduler.progress(total === undefined ? { key, fence, sequence, done } : { key, fence, sequence, done, total })
    for (const result of results) this.#result(worker, result)

    let abort: ExecutionRef[] = []
    if (running !== undefined) {
      worker.extensions.keep(running)
      const heard = scheduler.heartbeat({
        workerId,
        incarnation,
        version,
        running,
        bucket: this.#health.bucket(worker),
      })
      abort = heard.abort.map(({ key, fence }) => ({ key, fence }))
    } else scheduler.pool.setHealth(workerId, this.#health.bucket(worker))
    const acknowledged = worker.takeAcknowledged()
    if (stopping && running?.length === 0 && results.length === 0) this.#workers.gone(worker, 'stopped')
    const backpressure = this.#life.load.signal(this.#fill, this.#asked.level())
    return { ok: true as const, leader: this.self(), acknowledged, abort, backpressure }
  }

  /** A worker asks for more time for what it runs. */
  extend({ workerId, incarnation, key, fence, progress, reason }: RequestOf<typeof workerExtend>) {
    const worker = this.#workers.get(workerId)
    if (worker?.incarnation !== incarnation)
      return refuse('NOT_READY', `${workerId} is to register with ${this.#life.id}`)
    const suspect = worker.monitor.suspected
    worker.monitor.heard()
    const jobId = jobOf(key)
    const job = this.#jobs.get(jobId)
    const isKnown = job !== undefined && !job.over
    const { isOverloaded: overloaded } = this.#health.workers.standing(workerId)
    const extraMs = isKnown ? worker.extensions.request({ key, fence }, { progress, suspect, overloaded }) : 0
    this.#life.runtime.logger.debug('more time is asked for', { key, worker: workerId, reason, extraMs })
    if (extraMs > 0) {
      this.#scheduler.extend(jobId, extraMs)
      job?.extended(extraMs)
    }
    return { ok: true as const, granted: extraMs > 0, extraMs }
  }

  #result(worker: WorkerRecord, result: ShardResultWire): void {
    const { key, fence } = result
    worker.extensions.forget(result)
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
        if (job !== undefined || this.#jobs.hadOnce(jobOf(key))) worker.acknowledge({ key, fence })
        else this.#early.add(result, worker.workerId)
    }
  }

  // ---- statistics

  #count(
    { jobId, workflowId, seq, atMs, counts, values }: StatsRecordWire,
    workerId: string,
    incarnation: number,
  ): void {
    if (this.#jobs.get(jobId) === undefined) return
    const sketches: Record<string, QuantileSketch> = {}
    for (const [name, wire] of Object.entries(values)) sketches[name] = sketchFromWire(wire)
    const source = `${workerId}@${incarnation}`
    this.#stats.record({ jobId, workflowId, source, seq, atMs, counts, values: sketches })
  }

  #passStatsOn(): void {
    this.#fill = this.#stats.snapshot().fill
    for (const jobId of this.#stats.getJobsWithPendingStats()) {
      const windows = this.#stats.takeAggregatedStats(jobId)
      this.#jobs.get(jobId)?.windows(windows)
    }
  }
}
