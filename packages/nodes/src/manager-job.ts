/**
 * A job as the leader of a datacenter has it: who owns it, which settled results are still in its custody, and what its
 * gate was told. The one record of a job beside the scheduler's.
 */
import type { Timer } from '@hs/core'
import { fenceToken, parseShardKey, shardKey, type DcJobResult, type DcJobSnapshot } from '@hs/jobs'
import { windowToWire, type WindowResult } from '@hs/windowed-stats'
import { JobReports, type JobReportsOptions } from './job-reports.js'
import { wholeCodec } from './wire/codecs.js'
import { windowCodec } from './wire/client-gate.js'
import type { ExecutionRef, JobOwner } from './wire/fields.js'
import { assignmentSchema, finalSchema, type GrantedTime } from './wire/gate-manager.js'
import { cut } from './wire/parts.js'
import type { ShardResultWire } from './wire/shard-result.js'

/** Codes of results that only hand the work back: it runs elsewhere. */
const HANDED_BACK: ReadonlySet<string | undefined> = new Set(['ORPHANED', 'NODE_STOPPED'])

export interface ManagerJobOptions extends Omit<JobReportsOptions, 'owner' | 'onAcknowledged' | 'onDelivered'> {
  readonly owner: JobOwner
  /** Workflows whose shards may run again when they fail. */
  readonly retried: ReadonlySet<string>
  /** The worker may let its copy go. */
  onAcknowledged(workerId: string, ref: ExecutionRef): void
  onDelivered(): void
}

/** A counted result: whose copy waits for the gate's acknowledgement, null once that has come. */
interface Custody {
  readonly fence: number
  workerId: string | null
}

export const assignmentCodec = /* @__PURE__ */ (() => wholeCodec(assignmentSchema()))()
export const finalCodec = /* @__PURE__ */ (() => wholeCodec(finalSchema()))()

export class ManagerJob {
  readonly jobId: string
  readonly reports: JobReports
  owner: JobOwner
  /** Whether its owner has assigned it to this leader. */
  confirmed = true
  /** Set when it is over: forgets it after a while. */
  retention: Timer | undefined
  /** Its gate has forgotten it: so does this datacenter, as soon as it is over. */
  forgetWhenOver = false
  readonly #options: ManagerJobOptions
  readonly #custody = new Map<string, Custody>()
  /** Failures of shards that may run again; the worker's copy is let go, for losing one costs only another run. */
  readonly #provisional = new Map<string, ShardResultWire>()
  /** Windows so far, by workflow. */
  readonly #windowSequences = new Map<string, number>()
  #granted: GrantedTime | null = null
  #over = false

  constructor(options: ManagerJobOptions) {
    this.#options = options
    this.jobId = options.jobId
    this.owner = options.owner
    this.reports = new JobReports({
      ...options,
      owner: () => this.owner,
      onAcknowledged: (ref) => this.#acknowledged(ref),
    })
  }

  get over(): boolean {
    return this.#over
  }

  /** A result that the scheduler counts: kept until the gate has it, if it decides its shard. */
  settle(result: ShardResultWire, workerId: string): void {
    const { key, fence, status, error } = result
    this.#provisional.delete(key)
    // What ended the job has decided its shard.
    const mayRunAgain = !this.#over && status === 'failed' && this.#options.retried.has(parseShardKey(key).workflowId)
    const isHandedBack = !this.#over && status === 'cancelled' && HANDED_BACK.has(error?.code)
    if (mayRunAgain) this.#provisional.set(key, result)
    if (mayRunAgain || isHandedBack) this.#options.onAcknowledged(workerId, { key, fence })
    else this.#keep(result, workerId)
  }

  /** Whether the gate has this very result; if not, whoever holds it is told when it has. */
  hasDelivered({ key, fence }: ExecutionRef, workerId: string): boolean {
    const custody = this.#custody.get(key)
    if (custody?.fence !== fence) return true
    if (custody.workerId === null) return true
    custody.workerId = workerId
    return false
  }

  progress(snapshot: DcJobSnapshot): void {
    this.reports.progress(snapshot)
  }

  windows(windows: readonly WindowResult[]): void {
    const { term } = this.#options.leader()
    this.reports.windows(
      windows.map((window) => {
        const n = (this.#windowSequences.get(window.workflowId) ?? 0) + 1
        this.#windowSequences.set(window.workflowId, n)
        // Above all that an earlier leader has numbered.
        return { seq: fenceToken(term, n), window: windowCodec.encode(windowToWire(window)) }
      }),
    )
  }

  /** Some of its work was granted more time. */
  extended(ms: number): void {
    const { term = this.#options.leader().term, totalMs = 0 } = this.#granted ?? {}
    this.#granted = { term, totalMs: totalMs + ms }
    this.reports.granted(this.#granted)
  }

  finish(result: DcJobResult, windows: readonly WindowResult[]): void {
    this.#over = true
    this.#settleProvisional(result)
    this.windows(windows)
    this.reports.finish(cut(finalCodec.encode(finalReport(result))))
  }

  close(): void {
    this.retention?.cancel()
    this.reports.close()
  }

  #keep(result: ShardResultWire, workerId: string | null): void {
    this.#custody.set(result.key, { fence: result.fence, workerId })
    this.reports.settle(result)
  }

  /** Failures after which no other execution came have decided their shards. */
  #settleProvisional({ workflows }: DcJobResult): void {
    if (this.#provisional.size === 0) return
    for (const { workflowId, shards } of workflows) {
      for (const { shard, fence } of shards) {
        const result = this.#provisional.get(shardKey(this.jobId, workflowId, shard))
        if (result?.fence === fence) this.#keep(result, null)
      }
    }
    this.#provisional.clear()
  }

  #acknowledged(ref: ExecutionRef): void {
    const custody = this.#custody.get(ref.key)
    if (custody?.fence !== ref.fence || custody.workerId === null) return
    const { workerId } = custody
    custody.workerId = null
    this.#options.onAcknowledged(workerId, ref)
  }
}

/** Without values and statistics: these were settled before, one by one. */
export function finalReport(result: DcJobResult): Parameters<typeof finalCodec.encode>[0] {
  const { status, reason, durationMs, contextVersion, errors, workflows, accounting } = result
  return {
    // A finished job has one of the five.
    status: status as 'completed',
    reason,
    durationMs: Math.max(0, durationMs),
    contextVersion,
    errors: errors.map(({ code, key, workerId }) => ({ code, key, workerId })),
    workflows: workflows.map((workflow) => ({
      workflowId: workflow.workflowId,
      status: workflow.status as 'completed',
      shards: workflow.shards.map(({ shard, status: shardStatus, attempts, fence, vus, error }) => ({
        shard,
        status: shardStatus as 'completed',
        attempts,
        fence,
        vus,
        ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
      })),
    })),
    accounting: { ...accounting },
  }
}
