/**
 * The jobs that a gate owns: assigned to their datacenters, filled with what these report, ended with exactly one
 * outcome for every workflow, and forgotten when they were remembered for long enough.
 */
import { GlobalJob } from '@hs/jobs'
import { exponentialSketch, windowFromWire, WindowedStats } from '@hs/windowed-stats'
import type { DatacenterLinks } from './datacenter-links.js'
import { GateJob } from './gate-job.js'
import { JobHandover } from './job-handover.js'
import { buildResult, resultCodec } from './job-result.js'
import { JobTarget } from './job-target.js'
import { assignmentCodec } from './manager-job.js'
import type { NodeLife } from './node-life.js'
import { TargetAssignment } from './target-assignment.js'
import type { Watchers } from './watchers.js'
import { windowCodec, type ResultWire, type Submission } from './wire/client-gate.js'
import { refuse, type JobOwner } from './wire/fields.js'
import { jobForget, type jobReport } from './wire/gate-manager.js'
import type { RequestOf } from './wire/method.js'
import { cut } from './wire/parts.js'

export interface GateJobsOptions {
  readonly life: NodeLife
  readonly links: DatacenterLinks
  readonly watchers: Watchers
  readonly maxJobs: number
  readonly retain: { readonly completedMs: number; readonly failedMs: number }
  onFinished(result: ResultWire): void
  onForgotten(jobId: string): void
}

/** How long a finished job is kept beyond its time for a reader that is still reading. */
const READER_STEP_MS = 100
const MAX_TIMER_MS = 2_147_483_647

export class GateJobs {
  readonly #options: GateJobsOptions
  readonly #life: NodeLife
  readonly #jobs = new Map<string, GateJob>()
  readonly #handovers = new Set<JobHandover>()
  readonly #stats: WindowedStats
  readonly #counters = { duplicates: 0, forgotten: 0 }

  constructor(options: GateJobsOptions) {
    const { life, maxJobs } = options
    const { runtime, timing, scope } = life
    this.#options = options
    this.#life = life
    this.#stats = new WindowedStats({
      ...runtime,
      windowMs: timing.statsWindowMs,
      driftToleranceMs: 4 * timing.reportMs,
      maxJobs,
      sketch: exponentialSketch(),
    })
    scope.every('stats', timing.reportMs, () => this.#passWindowsOn())
  }

  get size(): number {
    return this.#jobs.size
  }

  /** How many are not over. */
  get running(): number {
    let running = 0
    for (const job of this.#jobs.values()) if (!job.over) running++
    return running
  }

  get counters(): Readonly<Record<string, number>> {
    return this.#counters
  }

  get(jobId: string): GateJob | undefined {
    return this.#jobs.get(jobId)
  }

  /** Makes room by forgetting what is over, oldest first. */
  makeRoom(): boolean {
    if (this.#jobs.size < this.#options.maxJobs) return true
    for (const job of this.#jobs.values()) {
      if (!job.over) continue
      this.#forget(job)
      return true
    }
    return false
  }

  create(
    jobId: string,
    fingerprint: string,
    submission: Submission,
    datacenters: readonly string[],
    owner: JobOwner,
  ): GateJob {
    const { runtime, timing, peer, reporter, label } = this.#life
    const { clock, random } = runtime
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
      const link = this.#options.links.get(datacenter)
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
      this.#life.scope.spawn(`assign ${jobId} to ${datacenter}`, (signal) => assignment.run(signal))
    }
    job.ring.setProgress(job.progress(clock.now()))
    this.check(job)
    return job
  }

  /** A new leader: what it is to do is told to it at once. */
  reconsider(datacenter: string): void {
    for (const job of this.#jobs.values()) job.targets.get(datacenter)?.assignment.reconsider()
  }

  /** Null for a job that is not this gate's. */
  report({ jobId, datacenter, leader, progress, settled, windows, granted, final }: RequestOf<typeof jobReport>) {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return null
    const target = job.targets.get(datacenter)
    const link = this.#options.links.get(datacenter)
    const backpressure = this.#life.load.signal()
    if (target === undefined || link === undefined)
      return { ok: true as const, acknowledged: [], abandon: true, backpressure }
    if (!link.heard(leader)) return refuse('NOT_LEADER', `${datacenter} is led under a higher term`)
    const acknowledged = settled.map(({ key, fence }) => ({ key, fence }))
    // A new leader that has nothing to tell asks whether the job is wanted.
    const isQuestion = [settled[0], windows[0], progress, granted, final].every((told) => told === undefined)
    if (job.over) return { ok: true as const, acknowledged, abandon: isQuestion, backpressure }

    const before = target.duplicates
    for (const [workflowId, status] of target.settle(settled)) job.ring.addOutcome(workflowId, datacenter, status)
    this.#counters.duplicates += target.duplicates - before
    for (const { seq, window } of windows)
      this.#stats.absorb(windowFromWire(windowCodec.decode(window)), datacenter, seq)
    if (progress !== undefined) {
      for (const [workflowId, status] of target.progress(progress)) job.ring.addOutcome(workflowId, datacenter, status)
      const verdict = job.global.progress(progress)
      if (verdict === 'accepted' || verdict === 'duplicate') job.observe(progress, this.#life.runtime.clock.now())
    }
    const moreMs = granted === undefined ? 0 : target.extended(granted)
    if (moreMs > 0) job.global.extend(datacenter, moreMs)
    const result = final === undefined ? null : target.collect(jobId, final)
    if (result !== null) {
      for (const [workflowId, status] of target.restOfFinal()) job.ring.addOutcome(workflowId, datacenter, status)
      target.assignment.end()
      job.global.dcResult(result)
    }
    this.check(job)
    return { ok: true as const, acknowledged, abandon: false, backpressure }
  }

  /** After anything that may have ended the job, and when its time may be over. */
  check(job: GateJob): void {
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
    job.timer = clock.setTimer(Math.max(1, Math.min(nextMs, MAX_TIMER_MS)), () => this.check(job))
    job.ring.setProgress(job.progress(clock.now()))
    this.#options.watchers.wakeSoon(job.jobId)
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
    this.#options.watchers.wake(job.jobId)
    this.#options.onFinished(wire)
    const { completedMs, failedMs } = this.#options.retain
    const retainMs = result.status === 'completed' ? completedMs : failedMs
    job.timer = runtime.clock.setTimer(retainMs, () => this.#expire(job))
  }

  /** Another gate owns it by a better claim: what was taken over of it here is that one's. */
  handOver(jobId: string, to: JobOwner): void {
    const job = this.#jobs.get(jobId)
    // One that is over is answered from here: nothing of it is to come.
    if (job === undefined || job.over) return
    this.#drop(job)
    this.#life.runtime.logger.warn('another gate owns a job that this one had', { jobId, gate: to.gateId })
    for (const target of job.targets.values()) {
      const link = this.#options.links.get(target.datacenter)
      const leader = link?.leader
      if (link === undefined || leader == null) continue
      const handover: JobHandover = new JobHandover({
        life: this.#life,
        jobId,
        target,
        to,
        leader: () => link.leader ?? leader,
        onOver: () => this.#handovers.delete(handover),
      })
      this.#handovers.add(handover)
      handover.begin()
    }
  }

  stop(): void {
    for (const job of this.#jobs.values()) job.timer?.cancel()
    for (const handover of this.#handovers) handover.close()
  }

  /** What this gate has checked another node finds invalid: they are of different versions. */
  #rejected(job: GateJob, datacenter: string, code: string, message: string): void {
    this.#life.runtime.logger.error('a datacenter refuses a job', { jobId: job.jobId, datacenter, code, message })
    job.global.cancel(`${datacenter} refuses the job: ${message}`)
    job.targets.get(datacenter)?.assignment.end()
    job.global.cancelAcked(datacenter)
    this.check(job)
  }

  #passWindowsOn(): void {
    for (const jobId of this.#stats.getJobsWithPendingStats()) {
      const windows = this.#stats.takeAggregatedStats(jobId)
      const job = this.#jobs.get(jobId)
      if (job === undefined || windows.length === 0) continue
      job.ring.addWindows(windows)
      this.#options.watchers.wakeSoon(jobId)
    }
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
    this.#drop(job)
    this.#counters.forgotten++
    this.#options.onForgotten(jobId)
    const { peer, scope, runtime } = this.#life
    for (const datacenter of job.targets.keys()) {
      const leader = this.#options.links.get(datacenter)?.leader
      if (leader == null) continue
      // Once: a leader that does not hear it forgets the job by its own retention.
      peer.ask(leader.address, jobForget, { jobIds: [jobId] }, { signal: scope.signal }).catch((error: unknown) => {
        runtime.logger.debug('a datacenter was not told to forget a job', { jobId, datacenter, err: error })
      })
    }
  }

  #drop(job: GateJob): void {
    job.timer?.cancel()
    this.#jobs.delete(job.jobId)
    for (const target of job.targets.values()) target.assignment.end()
    this.#options.watchers.wake(job.jobId)
  }
}
