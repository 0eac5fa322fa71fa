/**
 * Watches over the progress of what runs. A shard that has reported progress and then falls silent makes its worker
 * suspect for its job; one that may not be silent for longer than `stuckMs` is handed to `onStuck`. A silent shard is
 * not a stuck one unless its workflow says so.
 */
import { TOLERANCE_MS } from './due-queue.js'
import type { ShardRecord } from './job-record.js'
import type { SchedulerState } from './scheduler-state.js'
import { ShardPulse } from './shard-setbacks.js'

export class ShardWatch {
  readonly #state: SchedulerState
  readonly #onStuck: (shard: ShardRecord) => void

  constructor(state: SchedulerState, onStuck: (shard: ShardRecord) => void) {
    this.#state = state
    this.#onStuck = onStuck
  }

  pulseOf(shard: ShardRecord): ShardPulse {
    return (shard.pulse ??= new ShardPulse())
  }

  /** An execution begins. */
  begin(shard: ShardRecord): void {
    if (shard.workflow.spec.stuckMs === undefined) return
    this.pulseOf(shard).startedAtMs = this.#state.clock.now()
    this.#arm(shard)
  }

  /** It has reported progress. */
  frame(shard: ShardRecord): void {
    const pulse = this.pulseOf(shard)
    pulse.lastFrameAtMs = this.#state.clock.now()
    // The time that is set already is early, never late: when it comes, it looks again.
    if (pulse.watch === null) this.#arm(shard)
  }

  #arm(shard: ShardRecord): void {
    const { dues, clock } = this.#state
    const pulse = this.pulseOf(shard)
    const atMs = Math.min(this.#stalledAtMs(pulse), this.#stuckAtMs(shard, pulse))
    if (atMs === Infinity) return
    pulse.watch = dues.schedule(atMs - clock.now(), () => {
      pulse.watch = null
      this.#look(shard, pulse)
    })
  }

  #look(shard: ShardRecord, pulse: ShardPulse): void {
    const now = this.#state.clock.now() + TOLERANCE_MS
    if (!shard.isActive) return
    if (this.#stuckAtMs(shard, pulse) <= now) {
      this.#onStuck(shard)
      return
    }
    if (this.#stalledAtMs(pulse) <= now) this.#suspect(shard, pulse)
    this.#arm(shard)
  }

  #suspect({ workflow, workerId }: ShardRecord, pulse: ShardPulse): void {
    const { job } = workflow
    pulse.isStalled = true
    const stalled = job.stalledOn.get(workerId) ?? 0
    job.stalledOn.set(workerId, stalled + 1)
    if (stalled === 0) this.#state.outbox.suspicion({ jobId: job.id, workerId, suspected: true })
  }

  #stalledAtMs({ lastFrameAtMs, isStalled }: ShardPulse): number {
    return lastFrameAtMs === null || isStalled ? Infinity : lastFrameAtMs + this.#state.settings.stalledMs
  }

  #stuckAtMs({ workflow }: ShardRecord, { startedAtMs, lastFrameAtMs }: ShardPulse): number {
    const { stuckMs } = workflow.spec
    if (stuckMs === undefined) return Infinity
    return Math.max(startedAtMs, lastFrameAtMs ?? startedAtMs, workflow.job.extendedAtMs) + stuckMs
  }
}
