/**
 * Executions that were told to end. Each is told again until it confirms, `cancelAttempts` times in all; one that never
 * does is recorded as `ABORT_UNCONFIRMED`, and its cores stay reserved until the worker confirms, stops listing it or
 * is lost: what may still run must not be counted as free.
 */
import type { JobRecord, ShardRecord, WorkflowRecord } from './job-record.js'
import type { SchedulerState } from './scheduler-state.js'
import type { Settling } from './settling.js'
import type { Abort } from './shard-setbacks.js'

const UNCONFIRMED = 'ABORT_UNCONFIRMED'

export class Aborts {
  readonly #state: SchedulerState
  readonly #settling: Settling

  constructor(state: SchedulerState, settling: Settling) {
    this.#state = state
    this.#settling = settling
  }

  /** Tells the worker of the shard's execution to end it; another one will take its place. */
  replace(shard: ShardRecord, reason: 'cancel' | 'stuck'): void {
    shard.setBack().abandonedFence = shard.fence
    this.#begin(shard, reason, false)
  }

  /** The execution has ended, as far as it can be known. Null if it was not being aborted. */
  confirm(shard: ShardRecord, fence: number): Abort | null {
    const abort = shard.aborts.find((one) => one.fence === fence)
    if (abort === undefined) return null
    shard.setBack().aborts = shard.aborts.filter((one) => one !== abort)
    this.#state.dues.cancel(abort.due)
    return abort
  }

  /** What waits is cancelled, what runs is told to end: in one step. */
  cancelJob(job: JobRecord, reason: string | null): void {
    job.reason = reason
    job.timeout.stop()
    this.#state.dues.cancel(job.timeoutDue)
    job.timeoutDue = null
    job.move('cancelling')
    for (const workflow of job.workflows) if (!workflow.isOver) this.#cancelShards(workflow)
  }

  /** The same for one workflow; those that depend on it go by their rule. */
  cancelWorkflow(workflow: WorkflowRecord): void {
    this.#cancelShards(workflow)
  }

  /** Everything that has not ended is timed out, and the job is over at once. */
  timeOut(job: JobRecord, reason: string): void {
    const { outbox, records } = this.#state
    job.reason = reason
    for (const workflow of job.workflows) {
      for (const shard of workflow.shards) {
        if (!shard.isActive) continue
        outbox.abort({ key: shard.key, fence: shard.fence, workerId: shard.workerId, reason: 'timeout' })
        records.leaveToHeartbeats(shard.key, shard.fence)
      }
    }
    this.#settling.timeOut(job)
  }

  #cancelShards(workflow: WorkflowRecord): void {
    workflow.isCancelling = true
    if (workflow.plan === null) {
      this.#settling.finish(workflow, 'cancelled')
      return
    }
    for (const shard of workflow.shards) {
      if (shard.isActive) {
        if (!shard.isEnding) this.#begin(shard, 'cancel', true)
      } else if (!shard.isOver) this.#settling.end(shard, 'cancelled', null)
    }
  }

  #begin(shard: ShardRecord, reason: 'cancel' | 'stuck', isFinal: boolean): void {
    const abort: Abort = { fence: shard.fence, workerId: shard.workerId, reason, isFinal, sends: 0, due: null }
    shard.setBack().aborts = [...shard.aborts, abort]
    this.#send(shard, abort)
  }

  #send(shard: ShardRecord, abort: Abort): void {
    const { outbox, dues, settings } = this.#state
    const { fence, workerId, reason } = abort
    abort.sends++
    outbox.abort({ key: shard.key, fence, workerId, reason })
    abort.due = dues.schedule(settings.cancelTimeoutMs, () => {
      abort.due = null
      if (abort.sends < settings.cancelAttempts) this.#send(shard, abort)
      else this.#giveUp(shard, abort)
    })
  }

  #giveUp(shard: ShardRecord, abort: Abort): void {
    this.confirm(shard, abort.fence)
    this.#state.records.leaveToHeartbeats(shard.key, abort.fence)
    shard.workflow.job.trouble(UNCONFIRMED, shard.key, abort.workerId)
    if (!abort.isFinal || shard.isOver) return
    const message = `the worker did not confirm ${abort.sends} requests to end it`
    this.#settling.end(shard, 'cancelled', { code: UNCONFIRMED, message })
  }
}
