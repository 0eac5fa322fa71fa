/** What a scheduler asks of the world around it, and what it tells it. */
import type { DcJobResult, DcJobSnapshot } from './job-report.js'
import type { ShardResult } from './shard-result.js'

/** One execution of a shard, to be started on a worker. */
export interface Dispatch {
  readonly jobId: string
  readonly workflowId: string
  readonly shard: number
  readonly key: string
  /** From 1; a dispatch that the worker refused does not count. */
  readonly attempt: number
  /** Greater than that of every earlier attempt. */
  readonly fence: number
  readonly workerId: string
  readonly cores: number
  /** See `decodePayload`; the same bytes at every attempt. */
  readonly payload: Uint8Array
}

export interface AbortRequest {
  readonly key: string
  readonly fence: number
  readonly workerId: string
  readonly reason: 'cancel' | 'timeout' | 'stuck'
}

export interface TimeoutReport {
  readonly jobId: string
  readonly reason: 'deadline' | 'stuck'
}

export interface JobSuspicion {
  readonly jobId: string
  readonly workerId: string
  readonly suspected: boolean
}

/**
 * Called after the state has settled, one call at a time, in order. A method may call the scheduler; what follows from
 * that comes after the current call. What it throws or rejects with is reported and changes nothing.
 */
export interface SchedulerPort {
  dispatch(dispatch: Dispatch): unknown
  abort?(abort: AbortRequest): unknown
  /**
   * A shard has its outcome: what the next leader needs as `recovered.results`. Once a shard, before the job's end is
   * told; a result that was accepted and leads to another execution is none.
   */
  shardSettled?(result: ShardResult): unknown
  /** At most once a job and step, `sequence` strictly growing. */
  jobChanged?(snapshot: DcJobSnapshot): unknown
  /** Exactly once a job. */
  jobFinished?(result: DcJobResult): unknown
  /** A coordinated job has run out of time here. */
  timeoutReport?(report: TimeoutReport): unknown
  /** A worker has fallen silent on one job, or speaks again. */
  suspicion?(suspicion: JobSuspicion): unknown
}
