/** What the parts of a scheduler share: its records, its queues, its settings. */
import type { Clock, Random } from '@hs/core'
import type { Backlog } from './backlog.js'
import type { Backoff } from './backoff.js'
import type { DueQueue } from './due-queue.js'
import type { JobRecord, ShardRecord } from './job-record.js'
import type { Outbox } from './outbox.js'
import type { TenantShares } from './tenant-share.js'
import type { WorkerRecords } from './worker-records.js'

export interface SchedulerSettings {
  readonly datacenter: string
  readonly term: () => number
  readonly maxAttempts: number
  readonly backoff: Backoff
  readonly cancelTimeoutMs: number
  readonly cancelAttempts: number
  readonly agingMs: number
  readonly recoveryMs: number
  readonly stalledMs: number
  readonly maxJobs: number
}

/** Totals since the scheduler began. */
export interface SchedulerCounters {
  submitted: number
  finished: number
  dispatched: number
  /** Dispatches that did not lead to an execution. */
  dispatchFailures: number
  accepted: number
  duplicates: number
  stale: number
  unknown: number
  /** Shards that waited again after a dispatch. */
  requeued: number
  /** Shards taken over while they ran. */
  adopted: number
  workersLost: number
  /** Progress frames that never came. */
  progressGaps: number
}

export interface SchedulerState {
  readonly clock: Clock
  readonly random: Random
  readonly settings: SchedulerSettings
  readonly counters: SchedulerCounters
  readonly records: WorkerRecords
  readonly outbox: Outbox
  readonly dues: DueQueue
  readonly backlog: Backlog
  readonly shares: TenantShares
  readonly jobs: Map<string, JobRecord>
  /** By key, of all jobs that are not forgotten. */
  readonly shards: Map<string, ShardRecord>
}
