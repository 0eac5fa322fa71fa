/** What a client submits, and what it gets back. */
import type { JobStatus, Priority, WorkflowStatus } from '@hs/jobs'
import type { DigestSummary } from '@hs/windowed-stats'
import type { WorkflowDefinition } from './workflow.js'

export interface JobStep<I = unknown> {
  /** A definition, or the name under which workers know one. */
  workflow: WorkflowDefinition<I, unknown> | string
  /** Unique in the job. @default the workflow's name */
  id?: string
  input?: I
  /** Ids of steps that must have ended before. */
  dependsOn?: readonly string[]
  /** What happens when one of them ends other than completed. @default 'skip' */
  onDependencyFailure?: 'skip' | 'run'
  priority?: Priority
  vus?: number
  cores?: number | 'auto'
  attempts?: number
  timeoutMs?: number
  stuckMs?: number
  expectedMs?: number
}

export interface JobDescription {
  name?: string
  /** Unit of fair sharing. @default the job's id */
  tenant?: string
  workflows: readonly JobStep[]
}

export interface SubmitOptions {
  /** Submitting the same key again means the same job. @default a new one for each call */
  idempotencyKey?: string
  /** How many, all, or exactly these. @default 1 */
  datacenters?: number | 'all' | readonly string[]
  /** Of the whole job, in milliseconds. @default 300_000 */
  timeoutMs?: number
  /** No progress of the whole job for this long: it times out. @default off */
  stuckMs?: number
  /** Of the submission, not of the job. */
  signal?: AbortSignal
}

export interface JobProgress {
  readonly jobId: string
  readonly status: JobStatus
  /** 0 to 1, never falls. */
  readonly fraction: number
  readonly sequence: number
  /** What shards report as done, per second, over the last window. */
  readonly rate: number
  /** Over all datacenters. */
  readonly workflows: {
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
  readonly datacenters: Readonly<Record<string, { readonly status: JobStatus; readonly fraction: number }>>
}

export interface StepResult {
  readonly status: WorkflowStatus
  /** One a shard, by index. */
  readonly values: unknown[]
  /** `executionId` of the counted execution of each shard. */
  readonly executions: string[]
  readonly error: { readonly code: string; readonly message: string } | null
  readonly counters: Readonly<Record<string, number>>
}

export interface JobResult {
  readonly jobId: string
  readonly status: 'completed' | 'partial' | 'failed' | 'timed-out' | 'cancelled'
  /** Of the cancellation, or the rule that ended it. */
  readonly reason: string | null
  readonly durationMs: number
  readonly accounting: {
    readonly workflows: number
    readonly completed: number
    readonly failed: number
    readonly timedOut: number
    readonly cancelled: number
    readonly skipped: number
    readonly missing: number
    readonly executions: number
    readonly requeued: number
    readonly duplicates: number
    readonly stale: number
  }
  /** By step id, then by datacenter. */
  readonly workflows: Readonly<Record<string, Readonly<Record<string, StepResult>>>>
  /** By metric; of counted executions only. */
  readonly stats: Readonly<Record<string, DigestSummary>>
  /** Of counted executions only: exact. */
  readonly counters: Readonly<Record<string, number>>
}
