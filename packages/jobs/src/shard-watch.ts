/**
 * Watches over the progress of what runs. A shard that has reported progress and then falls silent makes its worker
 * suspect for its job; one that may not be silent for longer than `stuckMs` is handed to `onStuck`. A silent shard is
 * not a stuck one unless its workflow says so.
 */
import { TOLERANCE_MS } from './due-queue.js'
import type { ShardRecord } from './job-record.js'
import type { SchedulerState } from './scheduler-state.js'

export class ShardWatch {
  readonly #state: SchedulerState
  readonly #onStuck: (shard: ShardRecord) => void

  constructor(state: SchedulerState, onStuck: (shard: ShardRecord) => void) {
    this.#state = state
    this.#onStuck = onStuck
  }

  /** An execution begins. */
  begin(shard: ShardRecord): void {
    shard.startedAtMs = this.#state.clock.now()
    shard.lastFrameAtMs = null
    this.#arm(shard)
  }

  /** It has reported progress. */
  frame(shard: ShardRecord): void {
    shard.lastFrameAtMs = this.#state.clock.now()
    // The time that is set already is early, never late: when it comes, it looks again.
    if (shard.watch === null) this.#arm(shard)
  }

  #arm(shard: ShardRecord): void {
    const { dues, clock } = this.#state
    const atMs = Math.min(this.#stalledAtMs(shard), this.#stuckAtMs(shard))
    if (atMs === Infinity) return
    shard.watch = dues.schedule(atMs - clock.now(), () => {
      shard.watch = null
      this.#look(shard)
    })
  }

  #look(shard: ShardRecord): void {
    const now = this.#state.clock.now() + TOLERANCE_MS
    if (!shard.isActive) return
    if (this.#stuckAtMs(shard) <= now) {
      this.#onStuck(shard)
      return
    }
    if (this.#stalledAtMs(shard) <= now) this.#suspect(shard)
    this.#arm(shard)
  }

  #suspect(shard: ShardRecord): void {
    const { job } = shard.workflow
    const { workerId } = shard
    shard.isStalled = true
    const stalled = job.stalledOn.get(workerId) ?? 0
    job.stalledOn.set(workerId, stalled + 1)
    if (stalled === 0) this.#state.outbox.suspicion({ jobId: job.id, workerId, suspected: true })
  }

  #stalledAtMs({ lastFrameAtMs, isStalled }: ShardRecord): number {
    return lastFrameAtMs === null || isStalled ? Infinity : lastFrameAtMs + this.#state.settings.stalledMs
  }

  #stuckAtMs({ workflow, startedAtMs, lastFrameAtMs }: ShardRecord): number {
    const { stuckMs } = workflow.spec
    if (stuckMs === undefined) return Infinity
    return Math.max(startedAtMs, lastFrameAtMs ?? startedAtMs, workflow.job.extendedAtMs) + stuckMs
  }
}
