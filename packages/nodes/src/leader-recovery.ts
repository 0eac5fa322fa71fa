/**
 * How a new leader learns what there is before it starts anything: it asks its peers what they know, calls the workers
 * to register, and the gates to assign their jobs again. As soon as all of them have come it goes on, at the latest
 * after `recoveryMs`; what no gate has assigned by then goes on as the peers knew it.
 *
 * A single manager, or one whose peers know nothing, has nobody to wait for. Only if a gate says that it had accepted a
 * job before does it give the workers that may run it the same time.
 */
import type { TaskScope, Timer } from '@hs/core'
import type { JobScheduler } from '@hs/jobs'
import type { DatacenterState } from './datacenter-state.js'
import type { KnownJob } from './known-job.js'
import type { NodeLife } from './node-life.js'
import { tryThrice } from './tries.js'
import type { LeaderRef } from './wire/fields.js'
import { jobReport } from './wire/gate-manager.js'
import { managerSync, stateCodec } from './wire/manager-manager.js'
import { workerPing } from './wire/manager-worker.js'
import { PartCollector } from './wire/parts.js'

export interface LeaderRecoveryOptions {
  readonly life: NodeLife
  readonly scope: TaskScope
  readonly datacenter: string
  /** Null where there are no peers. */
  readonly state: DatacenterState | null
  readonly scheduler: JobScheduler
  self(): LeaderRef
  /** Addresses of the managers that are there now. */
  peers(): readonly string[]
  isRegistered(workerId: string): boolean
  hasJob(jobId: string): boolean
  /** A job that its owner has not assigned again. */
  submit(job: KnownJob): void
  onOver(): void
}

/** Questions to gates under way at once. */
const MAX_QUESTIONS = 64

export class LeaderRecovery {
  readonly #options: LeaderRecoveryOptions
  readonly #startedAt: number
  readonly #called = new Set<string>()
  readonly #awaitedWorkers = new Set<string>()
  readonly #awaitedJobs = new Set<string>()
  readonly #askedJobs = new Set<string>()
  #phase: 'syncing' | 'gathering' | 'over' = 'over'
  /** Whether anybody could say which workers there are. */
  #informed = false
  #timer: Timer | undefined

  constructor(options: LeaderRecoveryOptions) {
    this.#options = options
    this.#startedAt = options.life.runtime.clock.now()
  }

  begin(): void {
    const { state, scheduler, scope, life } = this.#options
    if (state === null) {
      this.#options.onOver()
      return
    }
    this.#phase = 'syncing'
    scheduler.hold()
    this.#timer = life.runtime.clock.setTimer(life.timing.recoveryMs, () => this.#end())
    const previous = state.leader?.address
    this.#learn()
    const peers = this.#options.peers()
    // The leader of before is asked too, but nobody waits for it: most likely it is gone.
    for (const peer of peers)
      if (peer === previous) scope.spawn(`sync with ${peer}`, (signal) => this.#pull(peer, signal))
    scope.spawn('recovery', async (signal) => {
      await Promise.all(peers.filter((peer) => peer !== previous).map((peer) => this.#pull(peer, signal)))
      if (this.#phase !== 'syncing') return
      this.#phase = 'gathering'
      this.#goOn()
    })
  }

  stop(): void {
    this.#timer?.cancel()
    this.#phase = 'over'
  }

  /** Nobody is waited for any more. */
  get over(): boolean {
    return this.#phase === 'over'
  }

  registered(workerId: string): void {
    if (this.#awaitedWorkers.delete(workerId)) this.#goOn()
  }

  assigned(jobId: string): void {
    if (this.#awaitedJobs.delete(jobId)) this.#goOn()
  }

  /**
   * A job that was assigned to an earlier leader: workers that still run it must have had the time to say so, or its
   * shards would run twice.
   */
  recovered(): void {
    if (this.#phase !== 'over' || this.#informed || this.#timer !== undefined) return
    const { life, scheduler } = this.#options
    const leftMs = this.#startedAt + life.timing.recoveryMs - life.runtime.clock.now()
    if (leftMs <= 0) return
    scheduler.hold()
    this.#timer = life.runtime.clock.setTimer(leftMs, () => scheduler.resume())
  }

  #goOn(): void {
    if (this.#phase === 'gathering' && this.#awaitedWorkers.size === 0 && this.#awaitedJobs.size === 0) this.#end()
  }

  #end(): void {
    if (this.#phase === 'over') return
    const { state, scheduler, submit, isRegistered, onOver } = this.#options
    this.#phase = 'over'
    this.#timer?.cancel()
    this.#timer = undefined
    for (const jobId of this.#awaitedJobs) {
      const job = state?.jobs.get(jobId)
      if (job !== undefined) submit(job)
    }
    for (const workerId of state?.workers.keys() ?? []) if (!isRegistered(workerId)) state?.workerLost(workerId)
    scheduler.resume()
    onOver()
  }

  /** Whom to wait for, of what is known now; each is called once. */
  #learn(): void {
    const { state, scope, isRegistered, hasJob } = this.#options
    if (state === null || this.#phase === 'over') return
    this.#informed ||= state.workers.size > 0
    for (const { workerId, address } of state.workers.values()) {
      if (this.#called.has(workerId)) continue
      this.#called.add(workerId)
      if (isRegistered(workerId)) continue
      this.#awaitedWorkers.add(workerId)
      scope.spawn(`call ${workerId}`, (signal) => this.#call(workerId, address, signal))
    }
    const jobs = [...state.jobs.values()].filter(({ jobId }) => !this.#askedJobs.has(jobId))
    for (const { jobId } of jobs) {
      this.#askedJobs.add(jobId)
      if (!hasJob(jobId)) this.#awaitedJobs.add(jobId)
    }
    if (jobs.length > 0) scope.spawn('call gates', (signal) => this.#askOwners(jobs, signal))
  }

  async #pull(peer: string, signal: AbortSignal): Promise<void> {
    const { state, life, self } = this.#options
    await this.#try(signal, async () => {
      const collector = new PartCollector()
      for (let cursor = 0; ; cursor++) {
        const answer = await life.peer.ask(peer, managerSync, { leader: self(), cursor }, { signal })
        if (!answer.ok) return false
        const whole = collector.add(answer.part)
        if (whole === null) continue
        if (this.#phase === 'over') return true
        state?.join(stateCodec.decode(whole), life.runtime.clock.now())
        this.#learn()
        return true
      }
    })
  }

  /** Tells a worker who leads, so that it registers; one that cannot be reached is not waited for. */
  async #call(workerId: string, address: string, signal: AbortSignal): Promise<void> {
    const { life, self } = this.#options
    const isCalled = await this.#try(signal, async () => {
      if (!this.#awaitedWorkers.has(workerId)) return true
      return (await life.peer.ask(address, workerPing, { leader: self() }, { signal })).ok
    })
    if (!isCalled) this.registered(workerId)
  }

  /** An owner that hears of a new leader assigns all that it has; of what it has not, nobody waits for it. */
  async #askOwners(jobs: readonly KnownJob[], signal: AbortSignal): Promise<void> {
    for (let at = 0; at < jobs.length; at += MAX_QUESTIONS)
      await Promise.all(jobs.slice(at, at + MAX_QUESTIONS).map((job) => this.#askOwner(job, signal)))
  }

  async #askOwner(job: KnownJob, signal: AbortSignal): Promise<void> {
    const { life, state, datacenter, self } = this.#options
    const { jobId } = job
    const isAnswered = await this.#try(signal, async () => {
      if (!this.#awaitedJobs.has(jobId)) return true
      const report = { jobId, datacenter, leader: self(), settled: [], windows: [] }
      const answer = await life.peer.ask(job.owner.address, jobReport, report, { signal })
      if (!answer.ok && answer.owner !== undefined) {
        state?.jobOwned(jobId, answer.owner)
        return false
      }
      const isUnwanted = answer.ok ? answer.abandon : answer.code === 'JOB_NOT_FOUND'
      if (isUnwanted && this.#awaitedJobs.has(jobId)) {
        state?.jobForgotten(jobId)
        this.assigned(jobId)
      }
      return true
    })
    if (!isAnswered) life.runtime.logger.debug('the owner of a job does not answer', { jobId, gate: job.owner.gateId })
  }

  #try(signal: AbortSignal, attempt: () => Promise<boolean>): Promise<boolean> {
    return tryThrice(this.#options.life, 'recovery', signal, attempt, () => this.#phase === 'over')
  }
}
