/**
 * Work that runs already: a worker lists it, and this scheduler did not start it, or believed it lost. Wanted work is
 * taken over under its fence; what is finished, cancelled or superseded is to be aborted; work of a job that is not
 * known yet is kept for a while, for the job may still be submitted.
 */
import type { Aborts } from './aborts.js'
import type { Dispatcher } from './dispatcher.js'
import type { JobRecord, ShardRecord, WorkflowRecord } from './job-record.js'
import type { SchedulerState } from './scheduler-state.js'
import type { Settling } from './settling.js'
import type { ShardWatch } from './shard-watch.js'
import { parseShardKey, type ParsedShardKey } from './shard-key.js'
import { isPlanFor, isSamePlan, onlyPlanOf } from './shard-plan.js'
import type { RunningShard } from './shard-result.js'
import type { Lease, WorkerRecord } from './worker-records.js'

/** How long work of an unknown job may go on: longer than it takes to choose a new leader and to assign its jobs. */
const STRAY_MS = 60_000

interface Stray {
  readonly lease: Lease
  readonly running: RunningShard
  readonly seenAtMs: number
}

export interface ShardToAbort {
  readonly key: string
  readonly fence: number
}

export class Adoption {
  readonly #state: SchedulerState
  readonly #settling: Settling
  readonly #dispatcher: Dispatcher
  readonly #aborts: Aborts
  readonly #watch: ShardWatch
  /** By job, by lease. */
  readonly #strays = new Map<string, Map<Lease, Stray>>()

  constructor(state: SchedulerState, settling: Settling, dispatcher: Dispatcher, aborts: Aborts, watch: ShardWatch) {
    this.#state = state
    this.#settling = settling
    this.#dispatcher = dispatcher
    this.#aborts = aborts
    this.#watch = watch
  }

  /** Goes through what a worker says it runs; returns what it shall end. */
  listed(worker: WorkerRecord, running: readonly RunningShard[]): ShardToAbort[] {
    const abort: ShardToAbort[] = []
    for (const shard of running) {
      if (!this.#isWanted(worker, shard)) abort.push({ key: shard.key, fence: shard.fence })
    }
    return abort
  }

  /** A job that was unknown is known now: takes over what runs of it. */
  claim(job: JobRecord): void {
    const strays = this.#strays.get(job.id)
    if (strays === undefined) return
    this.#strays.delete(job.id)
    for (const { lease, running } of strays.values()) {
      const { worker } = lease
      this.#state.records.release(lease)
      if (this.#adopt(worker, running, parseShardKey(running.key), job)) continue
      const { key, fence } = running
      this.#state.outbox.abort({ key, fence, workerId: worker.slot.workerId, reason: 'cancel' })
    }
  }

  /** The lease is gone, and with it the work. */
  forget(lease: Lease): void {
    const jobId = this.#strays.size === 0 ? undefined : parsedOrNull(lease.key)?.jobId
    const strays = jobId === undefined ? undefined : this.#strays.get(jobId)
    if (jobId !== undefined && strays?.delete(lease) === true && strays.size === 0) this.#strays.delete(jobId)
  }

  #isWanted(worker: WorkerRecord, running: RunningShard): boolean {
    const { records, jobs, shards } = this.#state
    const { key, fence } = running
    const lease = records.findOn(worker, key, fence)
    if (lease !== null) records.confirm(lease)
    const shard = shards.get(key)
    if (shard?.lease === lease && lease !== null) {
      this.#settling.confirm(shard)
      return !shard.isEnding
    }
    const parsed = parsedOrNull(key)
    if (parsed === null) return false
    const job = jobs.get(parsed.jobId)
    if (job === undefined) return this.#keep(worker, running, parsed.jobId, lease)
    // A lease that its shard has left: being aborted, or of a job that is over.
    if (lease !== null) return false
    return this.#adopt(worker, running, parsed, job)
  }

  #keep(worker: WorkerRecord, running: RunningShard, jobId: string, lease: Lease | null): boolean {
    const { records, clock } = this.#state
    if (lease !== null) {
      const stray = this.#strays.get(jobId)?.get(lease)
      return stray !== undefined && clock.now() - stray.seenAtMs < STRAY_MS
    }
    const { key, fence, cores } = running
    const reserved = records.adopt(worker, key, fence, cores, null)
    if (reserved === null) return false
    this.#dispatcher.observeFence(fence)
    const strays = this.#strays.get(jobId) ?? new Map<Lease, Stray>()
    strays.set(reserved, { lease: reserved, running, seenAtMs: clock.now() })
    this.#strays.set(jobId, strays)
    return true
  }

  #adopt(
    worker: WorkerRecord,
    running: RunningShard,
    { workflowId, shard: index }: ParsedShardKey,
    job: JobRecord,
  ): boolean {
    const { records, shares, counters } = this.#state
    const { key, fence, cores, attempt = 1 } = running
    const workflow = job.workflow(workflowId)
    if (workflow === undefined || workflow.isEnding) return false
    const plan = workflow.plan ?? planCarried(workflow, running)
    if (plan === null || index >= plan.length) return false
    if (running.plan !== undefined && !isSamePlan(plan, running.plan)) return false
    const known = workflow.shards[index]
    if (known !== undefined && !mayReplace(known, fence)) return false
    const lease = records.adopt(worker, key, fence, cores, this.#dispatcher.holderOf(workflow))
    if (lease === null) {
      if (known?.fence === fence) known.setBack().abandonedFence = fence
      return false
    }
    job.share.tenant.use(cores)
    if (workflow.spec.priority === 'exclusive') shares.useExclusive(cores)
    this.#dispatcher.observeFence(fence)
    if (workflow.plan === null) this.#divide(workflow, plan)
    const shard = workflow.shards[index]
    if (shard === undefined) return false
    // Two leaders in turn may have started it: the later execution is the one that counts.
    if (shard.isActive) this.#aborts.replace(shard, 'cancel')
    this.#settling.drop(shard)
    shard.lease = lease
    shard.fence = fence
    shard.workerId = worker.slot.workerId
    shard.maxCores = cores
    shard.attempts = Math.max(shard.attempts, attempt)
    if (shard.status !== 'running') shard.move('running')
    this.#settling.refresh(workflow)
    this.#watch.begin(shard)
    counters.adopted++
    return true
  }

  /** The plan that runs is the plan; what does not run waits, once what it depends on has ended. */
  #divide(workflow: WorkflowRecord, plan: readonly number[]): void {
    this.#settling.divide(workflow, plan)
    if (workflow.openDependencies === 0) this.#settling.release(workflow)
  }
}

/** Whether an execution under `fence` may take the place of what is known of the shard. */
function mayReplace(shard: ShardRecord, fence: number): boolean {
  if (shard.isOver || shard.countedFence >= fence) return false
  if (shard.aborts.some((abort) => abort.fence === fence)) return false
  return shard.isActive ? fence > shard.fence : fence >= shard.fence
}

/** What a worker carries, if it adds up; or the only plan that there can be. */
function planCarried({ spec }: WorkflowRecord, { plan }: RunningShard): readonly number[] | null {
  if (plan === undefined) return onlyPlanOf(spec)
  return isPlanFor(spec, plan) ? plan : null
}

function parsedOrNull(key: string): ParsedShardKey | null {
  try {
    return parseShardKey(key)
  } catch {
    return null // it is not of this library's making, and nobody here wants it
  }
}
