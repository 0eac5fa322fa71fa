/**
 * From waiting to running and, when an execution is lost, back: plans and reserves in one step, issues fences, encodes
 * each payload once, and decides whether a shard may run again, when and where.
 */
import { HsError } from '@hs/core'
import { apportion } from './apportion.js'
import { fullJitterMs } from './backoff.js'
import { encodePayload, type DispatchPayload } from './dispatch-payload.js'
import { fenceToken } from './fence-token.js'
import { ShardRecord, type Waiting, type WorkflowRecord } from './job-record.js'
import type { Part, Placed } from './placement.js'
import type { SchedulerState } from './scheduler-state.js'
import type { Settling } from './settling.js'
import type { ShardWatch } from './shard-watch.js'
import type { LeaseHolder } from './worker-records.js'

export interface RequeueOptions {
  /** A worker to avoid from now on. */
  readonly avoid?: string
  /** How long to wait before it may be planned again. @default 0 */
  readonly delayMs?: number
}

export class Dispatcher {
  readonly #state: SchedulerState
  readonly #settling: Settling
  readonly #watch: ShardWatch
  /** Of all fences seen or issued. */
  #highestFence = 0
  /** The first of this leader's term. */
  #lowestFence = 0

  constructor(state: SchedulerState, settling: Settling, watch: ShardWatch) {
    this.#state = state
    this.#settling = settling
    this.#watch = watch
  }

  /** Every fence issued from now on is greater. */
  observeFence(fence: number): void {
    if (fence > this.#highestFence) this.#highestFence = fence
  }

  /** Plans and dispatches until nothing more fits. */
  run(): void {
    const { backlog, clock, settings, shares } = this.#state
    // Asked before anything is taken: a term out of range throws here.
    this.#lowestFence = fenceToken(settings.term(), 1)
    for (let hasFailed = true; hasFailed;) {
      hasFailed = false
      const placed = backlog.place({
        nowMs: clock.now(),
        agingMs: settings.agingMs,
        exclusiveRunning: shares.exclusiveRunning,
      })
      // What could not be encoded has given its cores back, and somebody else may have them.
      for (const one of placed) if (!this.#start(one)) hasFailed = true
    }
  }

  /** Its execution is over and decided nothing: it waits again, or fails for good. */
  requeue(shard: ShardRecord, { avoid, delayMs = 0 }: RequeueOptions = {}): void {
    const { backlog, dues, clock, settings, counters } = this.#state
    const { workflow } = shard
    this.#settling.drop(shard)
    if (avoid !== undefined && !shard.avoid.includes(avoid)) shard.setBack().avoid = [...shard.avoid, avoid]
    if (workflow.isEnding) {
      this.#settling.end(shard, 'cancelled', null)
      return
    }
    if (shard.attempts >= settings.maxAttempts) {
      const message = `${shard.attempts} executions were started and none of them gave a result`
      workflow.job.trouble('ATTEMPTS_EXHAUSTED', shard.key, shard.workerId)
      this.#settling.end(shard, 'failed', { code: 'ATTEMPTS_EXHAUSTED', message })
      return
    }
    if (shard.isActive) {
      this.#settling.calm(shard)
      shard.move('queued')
      counters.requeued++
    }
    this.#settling.refresh(workflow)
    if (delayMs > 0) {
      const setbacks = shard.setBack()
      setbacks.backoff = dues.schedule(delayMs, () => {
        setbacks.backoff = null
        if (workflow.openDependencies === 0) backlog.addShard(shard, clock.now())
      })
    } else if (workflow.openDependencies === 0) backlog.addShard(shard, clock.now())
  }

  /** `random(0, min(maxMs, baseMs * 2^doublings))` */
  backoffMs(doublings: number): number {
    return fullJitterMs(this.#state.settings.backoff, doublings, this.#state.random)
  }

  /** Whom the cores of a shard are given to. */
  holderOf({ job, spec }: WorkflowRecord): LeaseHolder {
    return spec.priority === 'exclusive' ? job.share.exclusive : job.share.ordinary
  }

  /** False if it could not be encoded: then it has failed. */
  #start({ candidate, parts }: Placed<Waiting>): boolean {
    const { owner } = candidate
    const workflow = owner instanceof ShardRecord ? owner.workflow : owner
    if (owner instanceof ShardRecord) return this.#dispatch(owner, parts[0])
    this.#settling.divide(workflow, planOf(workflow.spec.vus, parts))
    let isStarted = true
    for (const [index, part] of parts.entries()) {
      if (!this.#dispatch(workflow.shards[index], part)) isStarted = false
    }
    return isStarted
  }

  #dispatch(shard: ShardRecord | undefined, part: Part | undefined): boolean {
    const { records, outbox, shares, counters } = this.#state
    const worker = part === undefined ? undefined : records.get(part.worker.workerId)
    if (shard === undefined || part === undefined || worker === undefined) return true
    const { workflow } = shard
    const isExclusive = workflow.spec.priority === 'exclusive'
    if (isExclusive) shares.useExclusive(part.cores)
    const fence = this.#nextFence()
    const lease = records.book(worker, shard.key, fence, part.cores, this.holderOf(workflow))
    // A sibling that could not be encoded may have ended the workflow.
    const payload = workflow.isOver ? null : (shard.payload ?? this.#encode(shard))
    if (payload === null) {
      records.release(lease)
      return false
    }
    shard.payload = payload
    shard.lease = lease
    shard.fence = fence
    shard.workerId = part.worker.workerId
    shard.maxCores = Math.min(shard.maxCores, part.cores)
    shard.attempts++
    shard.move('dispatching')
    this.#settling.refresh(workflow)
    this.#watch.begin(shard)
    counters.dispatched++
    outbox.dispatch({
      jobId: workflow.job.id,
      workflowId: workflow.spec.id,
      shard: shard.index,
      key: shard.key,
      attempt: shard.attempts,
      fence,
      workerId: part.worker.workerId,
      cores: part.cores,
      payload,
    })
    return true
  }

  /** Null if it cannot be: then the shard has failed with the code that says why. */
  #encode(shard: ShardRecord): Uint8Array | null {
    try {
      return encodePayload(payloadOf(shard))
    } catch (error) {
      const code = HsError.is(error) ? error.code : 'ENCODE_FAILED'
      const message = error instanceof Error ? error.message : String(error)
      shard.workflow.job.trouble(code, shard.key, '')
      this.#settling.end(shard, 'failed', { code, message })
      return null
    }
  }

  /** Of this term, and above everything seen: also of an earlier leader's, or of this term's own before a restart. */
  #nextFence(): number {
    this.#highestFence = Math.max(this.#lowestFence, this.#highestFence + 1)
    return this.#highestFence
  }
}

/** Virtual users by cores. */
function planOf(vus: number, parts: readonly Part[]): number[] {
  if (parts.length === 1) return [vus]
  return apportion(
    vus,
    parts.map(({ cores }) => cores),
  )
}

function payloadOf({ workflow, index, vus }: ShardRecord): DispatchPayload {
  const { spec, plan, job } = workflow
  const context: Record<string, Record<string, unknown>> = {}
  for (const { spec: dependency, published } of job.dependenciesOf(workflow)) {
    if (published !== null) context[dependency.id] = published
  }
  return {
    workflow: spec.workflow,
    input: spec.input,
    vus,
    shard: index,
    plan: plan ?? [vus],
    context,
    contextVersion: job.contextVersion,
    timeoutMs: spec.timeoutMs,
  }
}
