/**
 * The workers of a datacenter as its leader knows them, one record each. A worker registers with all that it runs, so
 * that a new leader learns from it what is under way; a later life of it takes the place of an earlier one.
 */
import type { Dispatch, JobScheduler } from '@hs/jobs'
import type { LeaderHealth } from './leader-health.js'
import type { NodeLife } from './node-life.js'
import { refuse, type LeaderRef } from './wire/fields.js'
import type { Admission, workerRegister } from './wire/manager-worker.js'
import type { RequestOf } from './wire/method.js'
import { WorkerRecord } from './worker-record.js'

export interface LeaderWorkersOptions {
  readonly life: NodeLife
  readonly datacenter: string
  readonly maxWorkers: number
  readonly scheduler: () => JobScheduler
  self(): LeaderRef
  /** A worker has followed somebody else. */
  onLeader(leader: LeaderRef): void
  /** The latest life of a worker that managers know. */
  minIncarnation(workerId: string): number
  readonly health: LeaderHealth
  onRegistered(workerId: string): void
  onLost(workerId: string, why: string): void
}

export class LeaderWorkers {
  readonly #options: LeaderWorkersOptions
  readonly #records = new Map<string, WorkerRecord>()

  constructor(options: LeaderWorkersOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#records.size
  }

  get(workerId: string): WorkerRecord | undefined {
    return this.#records.get(workerId)
  }

  values(): Iterable<WorkerRecord> {
    return this.#records.values()
  }

  register(request: RequestOf<typeof workerRegister>) {
    const { life, maxWorkers, scheduler, self, onRegistered, minIncarnation } = this.#options
    const { workerId, incarnation, address, datacenter, cores, workflows, running, undelivered } = request
    if (datacenter !== this.#options.datacenter)
      return refuse('UNAUTHORIZED', `${life.id} leads ${this.#options.datacenter}, not ${datacenter}`)
    const known = this.#records.get(workerId)
    if (known === undefined && this.#records.size >= maxWorkers)
      return refuse('OVERLOADED', `${life.id} has all the workers that it takes`, {
        retryAfterMs: life.timing.heartbeatMs,
      })
    if (incarnation < Math.max(known?.incarnation ?? 0, minIncarnation(workerId)))
      return refuse('STALE_FENCE', `a later life of ${workerId} has registered`)
    const isNew = known?.incarnation !== incarnation || known.address !== address
    if (isNew) {
      known?.close()
      life.peer.met({ address, generation: incarnation })
      // Before the scheduler hears of it: what it dispatches within this step is for this life.
      this.#records.set(workerId, this.#record(workerId, incarnation, address))
    } else known.monitor.heard()
    const registration = { workerId, incarnation, address, cores, workflows }
    const { abort } = scheduler().register(registration, [...running, ...undelivered])
    if (isNew) onRegistered(workerId)
    return { ok: true as const, leader: self(), abort: abort.map(({ key, fence }) => ({ key, fence })) }
  }

  dispatch(dispatch: Dispatch): void {
    const worker = this.#records.get(dispatch.workerId)
    if (worker !== undefined) worker.dispatch(dispatch)
    else this.#options.scheduler().dispatchFailed(dispatch.key, dispatch.fence, { code: 'WORKER_LOST' })
  }

  /** This life of the worker has ended, or is given up. */
  gone(record: WorkerRecord, why: string): void {
    const { workerId } = record
    if (this.#records.get(workerId) !== record) return
    record.close()
    this.#records.delete(workerId)
    this.#options.health.workers.forget(workerId)
    this.#options.scheduler().workerLost(workerId)
    this.#options.onLost(workerId, why)
  }

  close(): void {
    for (const record of this.#records.values()) record.close()
  }

  #record(workerId: string, incarnation: number, address: string): WorkerRecord {
    const { life, scheduler, self, onLeader, health } = this.#options
    const { peer, runtime, timing, reporter, label } = life
    const record: WorkerRecord = new WorkerRecord({
      workerId,
      incarnation,
      address,
      peer,
      clock: runtime.clock,
      runtime,
      timing,
      leader: self,
      onLeader,
      onAdmission: (key, fence, admission) => this.#admission(key, fence, admission),
      onUnanswered: (key, fence, code) => scheduler().dispatchFailed(key, fence, { code }),
      onAbortState: (key, fence, state) => {
        if (state === 'unknown') scheduler().aborted(key, fence)
      },
      onAnswered: (afterMs) => health.latency.record(afterMs),
      onSuspected: () => scheduler().pool.setHealth(workerId, health.bucket(record)),
      onLost: (why) => {
        runtime.logger.warn('a worker is lost', { worker: workerId, why })
        this.gone(record, why)
      },
      onError: (error) => reporter.report(`${label}.worker`, error, { worker: workerId }),
    })
    return record
  }

  #admission(key: string, fence: number, admission: Admission): void {
    const scheduler = this.#options.scheduler()
    switch (admission) {
      case 'run':
      case 'duplicate':
        scheduler.dispatchAccepted(key, fence)
        return
      case 'busy':
      case 'superseded':
      case 'stopping':
        scheduler.dispatchFailed(key, fence, { rejected: true, retryAfterMs: this.#options.life.timing.reportMs })
        return
      case 'stale':
        scheduler.dispatchFailed(key, fence, { code: 'STALE_FENCE' })
        return
      case 'unknown-workflow':
        scheduler.dispatchFailed(key, fence, { code: 'UNKNOWN_WORKFLOW' })
        return
      case 'malformed':
        scheduler.dispatchFailed(key, fence, { code: 'DECODE_ERROR' })
    }
  }
}
