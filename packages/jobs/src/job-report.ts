/** What is told about a job of one datacenter: where it stands, and what became of it. */
import type { JobRecord, JobTrouble, ShardRecord, WorkflowRecord } from './job-record.js'
import type { ResultError } from './shard-result.js'
import type { JobStatus, ShardStatus, WorkflowStatus } from './transitions.js'

export interface WorkflowCounts {
  readonly total: number
  readonly waiting: number
  readonly queued: number
  readonly running: number
  readonly completed: number
  readonly failed: number
  readonly timedOut: number
  readonly cancelled: number
  readonly skipped: number
}

export interface DcJobSnapshot {
  readonly jobId: string
  readonly datacenter: string
  /** The term of the leader that says it. */
  readonly epoch: number
  /** Grows with every change within an epoch. */
  readonly sequence: number
  readonly status: JobStatus
  /** What shards have reported as done, in all. */
  readonly done: number
  /** Workflows that have completed. */
  readonly contextVersion: number
  readonly workflows: WorkflowCounts
  /** Virtual users of each shard, of the workflows that have been dispatched. */
  readonly plans: Readonly<Record<string, readonly number[]>>
}

export interface ShardReport {
  readonly shard: number
  readonly status: ShardStatus
  readonly attempts: number
  readonly fence: number
  readonly vus: number
  readonly value?: unknown
  readonly error?: ResultError
  readonly stats?: unknown
}

export interface WorkflowReport {
  readonly workflowId: string
  readonly status: WorkflowStatus
  readonly shards: readonly ShardReport[]
}

export interface JobAccounting {
  readonly workflows: number
  readonly completed: number
  readonly failed: number
  readonly timedOut: number
  readonly cancelled: number
  readonly skipped: number
  /** Executions that were started. */
  readonly executions: number
  /** Executions beyond the first of a shard. */
  readonly requeued: number
  /** Counted results that came again. */
  readonly duplicates: number
  /** Results that could not count any more. */
  readonly stale: number
}

export interface DcJobResult {
  readonly jobId: string
  readonly datacenter: string
  readonly status: JobStatus
  /** Why it was cancelled or timed out. */
  readonly reason: string | null
  readonly durationMs: number
  readonly contextVersion: number
  /** What went wrong on the way, whether or not it decided anything; at most 1,000. */
  readonly errors: readonly JobTrouble[]
  readonly workflows: readonly WorkflowReport[]
  readonly accounting: JobAccounting
}

export function jobSnapshot(job: JobRecord, datacenter: string, epoch: number): DcJobSnapshot {
  const { counts } = job
  const planned = job.plans.length
  let plans: DcJobSnapshot['plans'] | undefined
  return Object.freeze({
    jobId: job.id,
    datacenter,
    epoch,
    sequence: job.sequence,
    status: job.status,
    done: job.done,
    contextVersion: job.contextVersion,
    workflows: Object.freeze({
      total: job.workflows.length,
      waiting: counts.waiting,
      queued: counts.queued,
      running: counts.running,
      completed: counts.completed,
      failed: counts.failed,
      timedOut: counts['timed-out'],
      cancelled: counts.cancelled,
      skipped: counts.skipped,
    }),
    // Collected when they are read: there is a snapshot a step, and listing all plans in each would be quadratic.
    get plans() {
      return (plans ??= plansOf(job.plans.slice(0, planned)))
    },
  })
}

function plansOf(workflows: readonly WorkflowRecord[]): DcJobSnapshot['plans'] {
  return Object.freeze(Object.fromEntries(workflows.map(({ spec, plan }) => [spec.id, plan ?? []])))
}

export function jobResult(job: JobRecord, datacenter: string, nowMs: number): DcJobResult {
  return Object.freeze({
    jobId: job.id,
    datacenter,
    status: job.status,
    reason: job.reason,
    durationMs: nowMs - job.startedAtMs,
    contextVersion: job.contextVersion,
    errors: Object.freeze([...job.troubles]),
    workflows: job.workflows.map(workflowReport),
    accounting: accountingOf(job),
  })
}

function workflowReport({ spec, status, shards }: WorkflowRecord): WorkflowReport {
  return { workflowId: spec.id, status, shards: shards.map(shardReport) }
}

function shardReport({ index, status, attempts, fence, vus, result, error }: ShardRecord): ShardReport {
  const report: { -readonly [key in keyof ShardReport]: ShardReport[key] } = {
    shard: index,
    status,
    attempts,
    fence,
    vus,
  }
  if (result?.value !== undefined) report.value = result.value
  if (error !== null) report.error = error
  if (result?.stats !== undefined) report.stats = result.stats
  return report
}

function accountingOf({ workflows, counts, duplicates, stale }: JobRecord): JobAccounting {
  let executions = 0
  let dispatched = 0
  for (const { shards } of workflows) {
    for (const { attempts } of shards) {
      executions += attempts
      if (attempts > 0) dispatched++
    }
  }
  return Object.freeze({
    workflows: workflows.length,
    completed: counts.completed,
    failed: counts.failed,
    timedOut: counts['timed-out'],
    cancelled: counts.cancelled,
    skipped: counts.skipped,
    executions,
    requeued: executions - dispatched,
    duplicates,
    stale,
  })
}
