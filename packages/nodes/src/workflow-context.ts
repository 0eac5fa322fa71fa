/** What a workflow's `run` is given. */
import type { Clock, Logger, Random } from '@hs/core'

export interface WorkflowContext<I> {
  readonly input: I
  readonly jobId: string
  readonly workflowId: string
  readonly datacenter: string
  readonly workerId: string
  /** The part of the workflow that runs here: its virtual users and cores. */
  readonly shard: { readonly index: number; readonly count: number; readonly vus: number; readonly cores: number }
  /** Which execution of the shard it is, from 1. */
  readonly attempt: number
  /** `shardKey#fence`: unique to this execution. */
  readonly executionId: string
  /** Aborts with an error whose `code` is CANCELLED, TIMED_OUT, STUCK, ORPHANED or NODE_STOPPED. */
  readonly signal: AbortSignal
  /** What the workflows that this one depends on have published: `context[dependencyId][key]`. */
  readonly context: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Publishes a value for the workflows that depend on this one. Counts only if this execution does. */
  set(key: string, value: unknown): void
  /** How much of this shard's work is done so far. */
  progress(done: number, total?: number): void
  readonly stats: {
    /** A sample of a metric, a finite number from 0. */
    record(metric: string, value: number): void
    /** An increment, from 0. @default 1 */
    count(name: string, n?: number): void
  }
  /**
   * Asks for more time than `timeoutMs`, for a shard that gets on: each time, `progress` must be above what it was at the
   * last grant. 30 s at first, then half of that, and so on, five times at most; `granted: false` otherwise, or when no
   * leader answers. Never rejects.
   */
  extend(reason: string): Promise<{ granted: boolean; extraMs: number }>
  readonly logger: Logger
  readonly clock: Clock
  readonly random: Random
}
