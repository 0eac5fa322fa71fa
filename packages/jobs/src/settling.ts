/**
 * What follows from the end of a piece of work: of a shard for its workflow, of a workflow for those that depend on it,
 * of the last workflow for the job.
 */
import type { JobRecord, ShardRecord, WorkflowRecord } from './job-record.js'
import type { SchedulerState } from './scheduler-state.js'
import type { ContextValue, ResultError, ShardOutcome, ShardResult } from './shard-result.js'
import type { JobStatus, WorkflowStatus } from './transitions.js'

export class Settling {
  readonly #state: SchedulerState

  constructor(state: SchedulerState) {
    this.#state = state
  }

  /** Its dependencies have ended: it waits for cores, or those of its shards do that do not run yet. */
  release(workflow: WorkflowRecord): void {
    const { backlog, clock } = this.#state
    const nowMs = clock.now()
    if (workflow.status === 'waiting') workflow.move('queued')
    if (workflow.plan === null) {
      backlog.addWorkflow(workflow, nowMs)
      return
    }
    for (const shard of workflow.shards) {
      const isIdle = shard.status === 'queued' && shard.candidate === null && !shard.isBackingOff
      if (isIdle) backlog.addShard(shard, nowMs)
    }
  }

  /** Fixes the plan of a workflow. */
  divide(workflow: WorkflowRecord, plan: readonly number[]): void {
    this.#state.backlog.remove(workflow)
    workflow.divide(plan)
    for (const shard of workflow.shards) this.#state.shards.set(shard.key, shard)
  }

  /** The worker has the shard. */
  confirm(shard: ShardRecord): void {
    if (shard.status !== 'dispatching') return
    if (shard.setbacks !== null) shard.setbacks.rejections = 0
    shard.move('running')
  }

  /** An execution has decided the shard. */
  decide(shard: ShardRecord, result: ShardResult): void {
    const { value, stats, context } = result
    const carriesSomething = value !== undefined || stats !== undefined || context !== undefined
    if (carriesSomething || this.#state.outbox.shardSettled !== null) shard.result = result
    shard.countedFence = result.fence
    this.end(shard, result.status, result.error ?? null)
  }

  /** The shard is over, with or without a result. */
  end(shard: ShardRecord, status: ShardOutcome, error: ResultError | null): void {
    this.calm(shard)
    this.drop(shard)
    shard.error = error
    shard.move(status)
    this.#state.outbox.shardSettled?.(settledResult(shard, status))
    this.refresh(shard.workflow)
  }

  /** Ends everything that was set to happen to the shard's execution or to its next one. */
  drop(shard: ShardRecord): void {
    const { backlog, dues } = this.#state
    backlog.remove(shard)
    shard.payload = shard.isOver ? null : shard.payload
    shard.lease = null
    const { pulse } = shard
    if (pulse === null) return
    dues.cancel(pulse.watch)
    pulse.watch = null
    pulse.lastFrameAtMs = null
  }

  /** It is not silent any more, or nobody expects it to speak. */
  calm(shard: ShardRecord): void {
    if (shard.pulse?.isStalled !== true) return
    shard.pulse.isStalled = false
    const { job } = shard.workflow
    const stalled = (job.stalledOn.get(shard.workerId) ?? 1) - 1
    if (stalled > 0) {
      job.stalledOn.set(shard.workerId, stalled)
      return
    }
    job.stalledOn.delete(shard.workerId)
    this.#state.outbox.suspicion({ jobId: job.id, workerId: shard.workerId, suspected: false })
  }

  /** Brings the workflow's status in line with its shards. */
  refresh(workflow: WorkflowRecord): void {
    if (workflow.isOver || workflow.plan === null) return
    if (workflow.openShards === 0) {
      this.finish(workflow, outcomeOf(workflow))
      return
    }
    if (workflow.activeShards > 0 && workflow.status === 'waiting') workflow.move('queued')
    if (workflow.activeShards > 0 && workflow.status === 'queued') workflow.move('running')
    if (workflow.activeShards === 0 && workflow.status === 'running') workflow.move('queued')
    if (workflow.activeShards > 0 && workflow.job.status === 'pending') workflow.job.move('running')
  }

  /** The workflow is over; so may be those that depend on it, and the job. */
  finish(workflow: WorkflowRecord, status: WorkflowStatus): void {
    const { job } = workflow
    this.#close(workflow, status)
    if (job.status !== 'cancelling' && job.dependentsOf(workflow).length > 0) {
      const skipped: WorkflowRecord[] = []
      this.#settleDependents(workflow, skipped)
      // A list instead of recursion: a chain may be ten thousand long.
      for (let next = skipped.pop(); next !== undefined; next = skipped.pop()) {
        if (next.isOver) continue
        this.#close(next, 'skipped')
        this.#settleDependents(next, skipped)
      }
    }
    if (job.openWorkflows === 0) this.endJob(job, jobOutcome(job))
  }

  /** The job is over; what of it has not ended by itself ends with it. */
  endJob(job: JobRecord, status: JobStatus): void {
    const { dues, records, shares, counters } = this.#state
    job.timeout.stop()
    dues.cancel(job.timeoutDue)
    job.timeoutDue = null
    for (const { shards } of job.workflows) {
      for (const shard of shards) {
        for (const { due, fence } of shard.aborts) {
          dues.cancel(due)
          records.leaveToHeartbeats(shard.key, fence)
        }
        if (shard.setbacks !== null) shard.setbacks.aborts = []
      }
    }
    job.stalledOn.clear()
    if (job.status === 'pending' && (status === 'completed' || status === 'partial')) job.move('running')
    if (status === 'cancelled' && job.status !== 'cancelling') job.move('cancelling')
    job.move(status)
    shares.close(job.share)
    counters.finished++
  }

  /** Everything that has not ended is timed out, and so is the job. */
  timeOut(job: JobRecord): void {
    for (const workflow of job.workflows) if (!workflow.isOver) this.#close(workflow, 'timed-out')
    this.endJob(job, 'timed-out')
  }

  #close(workflow: WorkflowRecord, status: WorkflowStatus): void {
    this.#state.backlog.remove(workflow)
    // Results that an earlier leader counted may decide a workflow that never came to wait for cores here.
    const wasWaiting = workflow.status === 'waiting'
    if (wasWaiting && (status === 'completed' || status === 'failed')) workflow.move('queued')
    for (const shard of workflow.shards) {
      if (shard.isOver) continue
      this.drop(shard)
      shard.move(status === 'timed-out' ? 'timed-out' : 'cancelled')
    }
    workflow.move(status)
    if (workflow.job.spec.stuckMs !== undefined) workflow.job.timeout.progress()
    if (status !== 'completed') return
    workflow.job.contextVersion++
    workflow.published = publishedBy(workflow.shards)
  }

  /** Adds to `skipped` those that are skipped now, and releases those that wait for nothing more. */
  #settleDependents(workflow: WorkflowRecord, skipped: WorkflowRecord[]): void {
    for (const dependent of workflow.job.dependentsOf(workflow)) {
      dependent.openDependencies--
      const isDecided = dependent.isOver || (dependent.plan !== null && dependent.openShards === 0)
      if (isDecided) continue
      const isSkipped = workflow.status !== 'completed' && dependent.spec.onDependencyFailure === 'skip'
      if (isSkipped && dependent.status === 'waiting') skipped.push(dependent)
      else if (dependent.openDependencies === 0) this.release(dependent)
    }
  }
}

function settledResult({ key, fence, attempts, result, error }: ShardRecord, status: ShardOutcome): ShardResult {
  // Not `{ ...result, key, … }`: a spread that more fields follow takes V8 microseconds.
  const settled = Object.assign({}, result, { key, fence, attempt: attempts, status }, error && { error })
  return Object.freeze(settled)
}

/** Failed if any is, else timed out, else cancelled, else completed. */
function outcomeOf({ shards }: WorkflowRecord): WorkflowStatus {
  let outcome: 'completed' | 'cancelled' | 'timed-out' = 'completed'
  for (const { status } of shards) {
    if (status === 'failed') return 'failed'
    if (status === 'timed-out') outcome = 'timed-out'
    else if (status === 'cancelled' && outcome === 'completed') outcome = 'cancelled'
  }
  return outcome
}

/** Of a job all of whose workflows are over. */
function jobOutcome({ status, counts }: JobRecord): JobStatus {
  if (status === 'cancelling') return 'cancelled'
  if (counts.failed > 0) return 'failed'
  if (counts['timed-out'] > 0) return 'timed-out'
  if (counts.cancelled === 0) return 'completed'
  return counts.completed > 0 ? 'partial' : 'cancelled'
}

/** Where two shards publish the same key, the higher version wins, then the higher index: whatever came first. */
function publishedBy(shards: readonly ShardRecord[]): Record<string, unknown> | null {
  if (shards.every(({ result }) => result?.context === undefined)) return null
  const winners = new Map<string, ContextValue>()
  for (const { result } of shards) {
    for (const [key, published] of Object.entries(result?.context ?? {})) {
      if (key === '__proto__') continue // no codec lets it through
      const winner = winners.get(key)
      if (winner === undefined || published.version >= winner.version) winners.set(key, published)
    }
  }
  if (winners.size === 0) return null
  return Object.fromEntries(Array.from(winners, ([key, { value }]) => [key, value]))
}
