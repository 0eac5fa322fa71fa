/**
 * A gate is where clients submit jobs and watch them. It owns the record of each job: it assigns it to datacenters
 * until they have accepted, takes settled results over from them, and ends it with exactly one outcome for every
 * workflow. In this version there is one gate, and what it knows lives in its memory.
 */
import {
  deepFreeze,
  HsError,
  parseOptions,
  TypedEmitter,
  type DatacenterHealth,
  type RpcCall,
  type Timer,
} from '@hs/core'
import { GlobalJob, parseJobSpec } from '@hs/jobs'
import { exponentialSketch, windowFromWire, WindowedStats, type WindowResult } from '@hs/windowed-stats'
import * as z from 'zod'
import { DatacenterLink, type DatacenterFacts } from './datacenter-link.js'
import { GateJob } from './gate-job.js'
import { fingerprintOf, jobIdOf } from './job-id.js'
import { buildResult, resultCodec, resultFromWire } from './job-result.js'
import { JobTarget } from './job-target.js'
import type { JobResult } from './job-types.js'
import { assignmentCodec } from './manager-job.js'
import { NodeLife } from './node-life.js'
import {
  nodeShape,
  oneNetwork,
  peerAddress,
  retainOption,
  type NodeOptions,
  type RetainOptions,
} from './node-options.js'
import type { Node, ReadyOptions } from './node.js'
import type { RpcPeer } from './rpc-peer.js'
import { TargetAssignment } from './target-assignment.js'
import { Watchers } from './watchers.js'
import {
  gateStatus,
  jobCancel,
  jobSubmit,
  jobWatch,
  submissionCodec,
  windowCodec,
  type ResultWire,
  type Submission,
} from './wire/client-gate.js'
import { refuse, type JobOwner, type Refusal } from './wire/fields.js'
import { jobForget, jobReport } from './wire/gate-manager.js'
import type { RequestOf } from './wire/method.js'
import { cut } from './wire/parts.js'

export interface GateLimits {
  /** Jobs remembered, those that are over included. @default 10_000 */
  maxJobs?: number
  /** Of one submission, below one frame of the transport. @default 4_000_000 */
  maxJobBytes?: number
  /** Held `job.watch` requests. @default 10_000 */
  maxWatchers?: number
}

export interface GateOptions extends NodeOptions {
  /** By name, the addresses of some of its managers. */
  datacenters: Readonly<Record<string, readonly string[]>>
  limits?: GateLimits
  retain?: RetainOptions
}

export interface GateEvents {
  jobAccepted: [jobId: string]
  jobFinished: [JobResult]
  datacenter: [name: string, status: string]
}

export interface GateSnapshot {
  readonly id: string
  readonly address: string
  readonly http: string | null
  readonly gates: number
  readonly quorum: boolean
  readonly datacenters: Readonly<Record<string, DatacenterFacts>>
  readonly jobs: { readonly owned: number; readonly copies: number; readonly running: number }
  readonly overload: string
  readonly counters: Readonly<Record<string, number>>
}

const MAX_WAIT_MS = 10_000
/** News gathers for this long before watchers are woken, unless it is the end. */
const GATHER_MS = 25
/** How long a finished job is kept beyond its time for a reader that is still reading. */
const READER_STEP_MS = 100

const schema = /* @__PURE__ */ (() =>
  z
    .strictObject({
      ...nodeShape(),
      datacenters: z
        .record(z.string().min(1).max(128), z.array(peerAddress()).min(1))
        .refine((o) => Object.keys(o).length > 0, 'expected at least one datacenter'),
      limits: z
        .strictObject({
          maxJobs: z.int().min(1).default(10_000),
          maxJobBytes: z.int().min(1).max(4_000_000).default(4_000_000),
          maxWatchers: z.int().min(1).default(10_000),
        })
        .prefault({}),
      retain: retainOption(),
    })
    .refine(oneNetwork.test, oneNetwork.params))()

export class Gate implements Node {
  readonly id: string
  readonly events: TypedEmitter<GateEvents>
  readonly #options: z.output<typeof schema>
  readonly #life: NodeLife
  readonly #jobs = new Map<string, GateJob>()
  readonly #links = new Map<string, DatacenterLink>()
  readonly #watchers: Watchers
  readonly #stats: WindowedStats
  readonly #counters = { accepted: 0, repeated: 0, conflicts: 0, duplicates: 0, forgotten: 0 }
  /** Jobs whose watchers are to be woken soon. */
  readonly #news = new Map<string, Timer>()
  #startedAt = 0

  /** @throws ConfigError */
  constructor(options: GateOptions) {
    const parsed = parseOptions(schema, options, 'Gate')
    this.#options = parsed
    this.id = parsed.id
    this.#life = new NodeLife('Gate', parsed)
    const { runtime, timing } = this.#life
    this.events = new TypedEmitter(`Gate ${this.id}`, this.#life.reporter)
    this.#watchers = new Watchers(runtime.clock, parsed.limits.maxWatchers)
    this.#stats = new WindowedStats({
      ...runtime,
      windowMs: timing.statsWindowMs,
      driftToleranceMs: 4 * timing.reportMs,
      maxJobs: parsed.limits.maxJobs,
      sketch: exponentialSketch(),
    })
  }

  get address(): string {
    return this.#life.address
  }

  start(): Promise<void> {
    return this.#life.open((peer) => this.#begin(peer))
  }

  /** The leader of every datacenter has answered; after `staleNodeMs` that of one is enough. */
  ready(options?: ReadyOptions): Promise<void> {
    return this.#life.ready(options, () => {
      const links = [...this.#links.values()]
      if (links.length === 0) return false
      if (links.every((link) => link.answered)) return true
      const { runtime, timing } = this.#life
      return runtime.clock.now() - this.#startedAt >= timing.staleNodeMs && links.some((link) => link.answered)
    })
  }

  stop(): Promise<void> {
    return this.#life.close(async () => this.#halt())
  }

  kill(): Promise<void> {
    return this.#life.close(async () => this.#halt())
  }

  snapshot(): GateSnapshot {
    let running = 0
    for (const job of this.#jobs.values()) if (!job.over) running++
    return deepFreeze({
      id: this.id,
      address: this.address,
      http: null,
      gates: 1,
      quorum: !this.#life.over,
      datacenters: Object.fromEntries(Array.from(this.#links, ([name, link]) => [name, link.facts()])),
      jobs: { owned: this.#jobs.size, copies: 0, running },
      overload: 'healthy',
      counters: {
        ...this.#counters,
        watchers: this.#watchers.count,
        malformed: this.#life.started ? this.#life.peer.malformed : 0,
      },
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #begin(peer: RpcPeer): void {
    const { runtime, timing, scope } = this.#life
    this.#startedAt = runtime.clock.now()
    for (const [name, managers] of Object.entries(this.#options.datacenters)) {
      const link = this.#link(name, managers, peer)
      this.#links.set(name, link)
      scope.every(`datacenter ${name}`, timing.heartbeatMs, () => this.#poll(link), { immediate: true })
    }
    scope.every('stats', timing.reportMs, () => this.#passWindowsOn())
    peer.serve(jobSubmit, (request) => this.#submit(request))
    peer.serve(jobWatch, (request, call) => this.#watch(request, call))
    peer.serve(jobCancel, (request) => this.#cancel(request))
    peer.serve(jobReport, (request) => this.#report(request))
    peer.serve(gateStatus, () => ({
      ok: true,
      datacenters: Array.from(this.#links.values(), (link) => {
        const { status, freeCores, totalCores } = link.facts()
        return { name: link.name, status, freeCores, totalCores }
      }),
    }))
  }

  // ---- datacenters

  #link(name: string, managers: readonly string[], peer: RpcPeer): DatacenterLink {
    const { runtime, timing, scope, reporter, label } = this.#life
    return new DatacenterLink({
      name,
      managers,
      peer,
      clock: runtime.clock,
      timing,
      signal: scope.signal,
      gateId: this.id,
      onLeader: () => this.#reconsider(name),
      onStatus: (status) => this.events.emit('datacenter', name, status),
      onError: (error) => reporter.report(`${label}.datacenter`, error, { datacenter: name }),
    })
  }

  async #poll(link: DatacenterLink): Promise<void> {
    await link.poll()
    this.#life.changed.notify()
  }

  #reconsider(datacenter: string): void {
    for (const job of this.#jobs.values()) job.targets.get(datacenter)?.assignment.reconsider()
  }

  /** Those to send a job to, or why there are none. */
  #choose(wanted: Submission['datacenters']): readonly string[] | Refusal {
    if (Array.isArray(wanted)) {
      const unknown = wanted.find((name) => !this.#links.has(name))
      if (unknown !== undefined) return refuse('NO_DATACENTER', `${this.id} knows no datacenter ${unknown}`)
      const names = [...new Set(wanted)]
      if (names.some((name) => this.#usable(name))) return names
      return refuse('NO_DATACENTER', `none of ${names.join(', ')} answers`)
    }
    const rank: Record<DatacenterHealth, number> = { healthy: 0, busy: 1, degraded: 2, unhealthy: 3 }
    const candidates = [...this.#links.values()]
      .filter((link) => this.#usable(link.name))
      .map((link) => ({ name: link.name, ...link.facts() }))
      .sort((a, b) => rank[a.status] - rank[b.status] || b.freeCores - a.freeCores)
      .map(({ name }) => name)
    const count = wanted === 'all' ? candidates.length : wanted
    if (count === 0 || candidates.length < count)
      return refuse('NO_DATACENTER', `${candidates.length} datacenters answer, ${String(wanted)} were asked for`)
    return candidates.slice(0, count)
  }

  #usable(name: string): boolean {
    return this.#links.get(name)?.status !== 'unhealthy'
  }

  // ---- submission

  #submit({ key, submission: bytes, reader }: RequestOf<typeof jobSubmit>) {
    const { maxJobBytes } = this.#options.limits
    if (bytes.length > maxJobBytes)
      return refuse('MESSAGE_TOO_LARGE', `a job may take ${maxJobBytes} bytes, this one takes ${bytes.length}`)
    const submission = submissionCodec.decode(bytes)
    const jobId = jobIdOf(this.#options.cluster, key)
    const fingerprint = fingerprintOf(bytes)
    const known = this.#jobs.get(jobId)
    if (known !== undefined) return this.#repeated(known, fingerprint, reader)

    const invalid = invalidity(jobId, submission)
    if (invalid !== null) return refuse('INVALID_JOB', invalid)
    if (!this.#hasRoom())
      return refuse('OVERLOADED', `${this.id} has all the jobs that it takes`, {
        retryAfterMs: this.#life.timing.heartbeatMs,
      })
    const chosen = this.#choose(submission.datacenters)
    if ('ok' in chosen) return chosen

    const job = this.#create(jobId, fingerprint, submission, chosen)
    job.ring.seen(reader, 0, job.createdAtMs)
    this.#counters.accepted++
    this.events.emit('jobAccepted', jobId)
    return { ok: true as const, jobId, owner: job.owner }
  }

  /** The same job again, or another one under its key. */
  #repeated(job: GateJob, fingerprint: string, reader: string) {
    if (job.fingerprint !== fingerprint) {
      this.#counters.conflicts++
      return refuse('IDEMPOTENCY_CONFLICT', `${job.jobId} was submitted under this key with other content`)
    }
    this.#counters.repeated++
    job.ring.seen(reader, 0, this.#life.runtime.clock.now())
    return { ok: true as const, jobId: job.jobId, owner: job.owner }
  }

  /** Makes room by forgetting what is over, oldest first. */
  #hasRoom(): boolean {
    if (this.#jobs.size < this.#options.limits.maxJobs) return true
    for (const job of this.#jobs.values()) {
      if (!job.over) continue
      this.#forget(job)
      return true
    }
    return false
  }

  #create(jobId: string, fingerprint: string, submission: Submission, datacenters: readonly string[]): GateJob {
    const { runtime, timing, scope, peer, address, reporter, label } = this.#life
    const { clock, random } = runtime
    const owner: JobOwner = { gateId: this.id, address, fence: 1 }
    const job = new GateJob({
      jobId,
      fingerprint,
      submission,
      owner,
      createdAtMs: clock.now(),
      rateWindowMs: timing.statsWindowMs,
      global: new GlobalJob({
        ...runtime,
        jobId,
        targets: datacenters,
        workflows: submission.workflows.map(({ id }) => id),
        // Behind the datacenter's own, so that it decides and says what was done.
        timeoutMs: submission.timeoutMs + 2 * timing.rpcTimeoutMs,
      }),
    })
    this.#jobs.set(jobId, job)
    for (const datacenter of datacenters) {
      const link = this.#links.get(datacenter)
      if (link === undefined) continue
      const assignment = new TargetAssignment({
        jobId,
        link,
        peer,
        clock,
        random,
        timing,
        owner: () => owner,
        encode: () => assignmentCodec.encode(job.assignment(datacenter, clock.now())),
        onError: (error) => reporter.report(`${label}.assign`, error, { jobId, datacenter }),
        onRejected: (code, message) => this.#rejected(job, datacenter, code, message),
      })
      job.targets.set(datacenter, new JobTarget(datacenter, assignment))
      scope.spawn(`assign ${jobId} to ${datacenter}`, (signal) => assignment.run(signal))
    }
    job.ring.setProgress(job.progress(clock.now()))
    this.#check(job)
    return job
  }

  /** What this gate has checked another node finds invalid: they are of different versions. */
  #rejected(job: GateJob, datacenter: string, code: string, message: string): void {
    this.#life.runtime.logger.error('a datacenter refuses a job', { jobId: job.jobId, datacenter, code, message })
    job.global.cancel(`${datacenter} refuses the job: ${message}`)
    job.targets.get(datacenter)?.assignment.end()
    job.global.cancelAcked(datacenter)
    this.#check(job)
  }

  // ---- reports

  #report({ jobId, datacenter, leader, progress, settled, windows, final }: RequestOf<typeof jobReport>) {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return refuse('JOB_NOT_FOUND', `${this.id} does not know ${jobId}`)
    const target = job.targets.get(datacenter)
    const link = this.#links.get(datacenter)
    if (target === undefined || link === undefined) return { ok: true as const, acknowledged: [], abandon: true }
    if (!link.heard(leader)) return refuse('NOT_LEADER', `${datacenter} is led under a higher term`)
    const acknowledged = settled.map(({ key, fence }) => ({ key, fence }))
    // A new leader that has nothing to tell asks whether the job is wanted.
    const isQuestion = settled.length === 0 && windows.length === 0 && progress === undefined && final === undefined
    if (job.over) return { ok: true as const, acknowledged, abandon: isQuestion }

    const before = target.duplicates
    for (const [workflowId, status] of target.settle(settled)) job.ring.addOutcome(workflowId, datacenter, status)
    this.#counters.duplicates += target.duplicates - before
    for (const { seq, window } of windows) this.#absorb(windowFromWire(windowCodec.decode(window)), datacenter, seq)
    if (progress !== undefined) {
      for (const [workflowId, status] of target.progress(progress)) job.ring.addOutcome(workflowId, datacenter, status)
      job.global.progress(progress)
      job.rate.record(datacenter, progress.done, this.#life.runtime.clock.now())
    }
    const result = final === undefined ? null : target.collect(jobId, final)
    if (result !== null) {
      for (const [workflowId, status] of target.restOfFinal()) job.ring.addOutcome(workflowId, datacenter, status)
      target.assignment.end()
      job.global.dcResult(result)
    }
    this.#check(job)
    return { ok: true as const, acknowledged, abandon: false }
  }

  #absorb(window: WindowResult, datacenter: string, seq: number): void {
    this.#stats.absorb(window, datacenter, seq)
  }

  #passWindowsOn(): void {
    for (const jobId of this.#stats.getJobsWithPendingStats()) {
      const windows = this.#stats.takeAggregatedStats(jobId)
      const job = this.#jobs.get(jobId)
      if (job === undefined || windows.length === 0) continue
      job.ring.addWindows(windows)
      this.#tell(job)
    }
  }

  /** After anything that may have ended the job, and when its time may be over. */
  #check(job: GateJob): void {
    if (job.over) return
    const { clock } = this.#life.runtime
    const verdict = job.global.check()
    if (verdict.kind === 'expiring' || verdict.kind === 'timed-out' || verdict.kind === 'finished') {
      for (const datacenter of verdict.notify)
        job.targets.get(datacenter)?.assignment.cancel({ reason: verdict.reason })
    }
    if (job.global.result !== null) {
      this.#finish(job)
      return
    }
    job.timer?.cancel()
    const nextMs = verdict.kind === 'ok' ? verdict.nextCheckMs : this.#life.timing.reportMs
    job.timer = clock.setTimer(Math.max(1, Math.min(nextMs, MAX_TIMER_MS)), () => this.#check(job))
    job.ring.setProgress(job.progress(clock.now()))
    this.#tell(job)
  }

  #finish(job: GateJob): void {
    const { runtime } = this.#life
    const { result } = job.global
    if (result === null) return
    job.timer?.cancel()
    job.ring.addWindows(this.#stats.finish(job.jobId))
    const steps = job.submission.workflows.map(({ id }) => id)
    const wire = buildResult(result, steps, job.targets.values())
    job.ring.setProgress({ ...job.progress(runtime.clock.now()), rate: 0 })
    job.ring.finish(cut(resultCodec.encode(wire)))
    for (const target of job.targets.values()) {
      target.assignment.end()
      target.release()
    }
    this.#wakeNow(job.jobId)
    this.#tellFinished(wire)
    const { completedMs, failedMs } = this.#options.retain
    const retainMs = result.status === 'completed' ? completedMs : failedMs
    job.timer = runtime.clock.setTimer(retainMs, () => this.#expire(job))
  }

  #tellFinished(wire: ResultWire): void {
    if (this.events.listenerCount('jobFinished') > 0) this.events.emit('jobFinished', resultFromWire(wire))
  }

  /** Its time is over; who is in the middle of reading it may finish. */
  #expire(job: GateJob): void {
    const { clock } = this.#life.runtime
    if (job.ring.hasReaderBehind(clock.now() - this.#life.timing.rpcTimeoutMs))
      job.timer = clock.setTimer(READER_STEP_MS, () => this.#expire(job))
    else this.#forget(job)
  }

  #forget(job: GateJob): void {
    const { jobId } = job
    job.timer?.cancel()
    this.#jobs.delete(jobId)
    this.#counters.forgotten++
    this.#wakeNow(jobId)
    const { peer, scope, runtime } = this.#life
    for (const datacenter of job.targets.keys()) {
      const leader = this.#links.get(datacenter)?.leader
      if (leader == null) continue
      // Once: a leader that does not hear it forgets the job by its own retention.
      peer.ask(leader.address, jobForget, { jobIds: [jobId] }, { signal: scope.signal }).catch((error: unknown) => {
        runtime.logger.debug('a datacenter was not told to forget a job', { jobId, datacenter, err: error })
      })
    }
  }

  // ---- watching

  async #watch({ jobId, reader, cursor, waitMs }: RequestOf<typeof jobWatch>, call: RpcCall) {
    const { clock } = this.#life.runtime
    const job = this.#jobs.get(jobId)
    if (job === undefined) return refuse('JOB_NOT_FOUND', `${this.id} does not know ${jobId}`)
    job.ring.seen(reader, cursor, clock.now())
    if (!job.ring.hasAfter(cursor)) {
      if (this.#watchers.full)
        return refuse('OVERLOADED', `${this.id} holds all the watches that it can`, {
          retryAfterMs: this.#life.timing.heartbeatMs,
        })
      await this.#watchers.wait(jobId, Math.min(waitMs, MAX_WAIT_MS), call.signal)
      if (this.#life.over) return refuse('NODE_STOPPED', `${this.id} is stopped`)
    }
    const page = job.ring.read(cursor)
    job.ring.seen(reader, page.cursor, clock.now())
    return { ok: true as const, ...page, owner: job.owner }
  }

  /** Wakes the watchers of a job soon, once for all that happens meanwhile. */
  #tell(job: GateJob): void {
    if (this.#news.has(job.jobId) || !this.#watchers.isWatched(job.jobId)) return
    const timer = this.#life.runtime.clock.setTimer(GATHER_MS, () => {
      this.#news.delete(job.jobId)
      this.#watchers.wake(job.jobId)
    })
    this.#news.set(job.jobId, timer)
  }

  /** At once, and not again for what was gathered. */
  #wakeNow(jobId: string): void {
    this.#news.get(jobId)?.cancel()
    this.#news.delete(jobId)
    this.#watchers.wake(jobId)
  }

  #cancel({ jobId, workflowId, reason }: RequestOf<typeof jobCancel>) {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return refuse('JOB_NOT_FOUND', `${this.id} does not know ${jobId}`)
    const why = reason === undefined ? {} : { reason }
    if (workflowId !== undefined) {
      if (!job.submission.workflows.some(({ id }) => id === workflowId))
        return refuse('INVALID_JOB', `${jobId} has no step ${workflowId}`)
      if (job.over) return { ok: true as const, status: 'already-finished' as const }
      for (const target of job.targets.values()) target.assignment.cancel({ workflowId, ...why })
      return { ok: true as const, status: 'cancelling' as const }
    }
    const { status, notify } = job.global.cancel(reason)
    for (const datacenter of notify) job.targets.get(datacenter)?.assignment.cancel(why)
    this.#check(job)
    return { ok: true as const, status }
  }

  #halt(): void {
    for (const job of this.#jobs.values()) job.timer?.cancel()
    for (const timer of this.#news.values()) timer.cancel()
    this.#watchers.wakeAll()
  }
}

const MAX_TIMER_MS = 2_147_483_647

/** What is wrong with the job as a whole, or null. */
function invalidity(jobId: string, { workflows, tenant, timeoutMs, stuckMs }: Submission): string | null {
  try {
    parseJobSpec({ jobId, workflows, timeoutMs, ...(tenant && { tenant }), ...(stuckMs !== undefined && { stuckMs }) })
    return null
  } catch (error) {
    if (HsError.is(error)) return error.message
    throw error
  }
}
