/** A job in one of its datacenters, as the gate that owns it knows it. */
import { parseShardKey, type DcJobResult, type DcJobSnapshot, type WorkflowStatus } from '@hs/jobs'
import { finalCodec } from './manager-job.js'
import type { TargetAssignment } from './target-assignment.js'
import type { GrantedTime } from './wire/gate-manager.js'
import { PartCollector, type Part } from './wire/parts.js'
import type { ShardResultWire } from './wire/shard-result.js'

type Plans = Readonly<Record<string, readonly number[]>>
type Outcome = 'completed' | 'failed' | 'timed-out' | 'cancelled' | 'skipped'

export class JobTarget {
  readonly datacenter: string
  readonly #assignment: TargetAssignment
  readonly #collector = new PartCollector()
  /** The first that came of each shard. */
  readonly #settled = new Map<string, ShardResultWire>()
  readonly #plans = new Map<string, readonly number[]>()
  /** Statuses of the settled shards of a workflow that has not ended. */
  readonly #open = new Map<string, ShardResultWire['status'][]>()
  readonly #ended = new Set<string>()
  #snapshot: DcJobSnapshot | null = null
  #final: DcJobResult | null = null
  #duplicates = 0
  #granted: GrantedTime = { term: 0, totalMs: 0 }
  #extendedMs = 0

  constructor(datacenter: string, assignment: TargetAssignment) {
    this.datacenter = datacenter
    this.#assignment = assignment
  }

  get assignment(): TargetAssignment {
    return this.#assignment
  }

  get snapshot(): DcJobSnapshot | null {
    return this.#snapshot
  }

  get final(): DcJobResult | null {
    return this.#final
  }

  /** Other executions of shards that were settled already. */
  get duplicates(): number {
    return this.#duplicates
  }

  /** All the time that was granted beyond that of the job, in milliseconds. */
  get extendedMs(): number {
    return this.#extendedMs
  }

  /** What of it is news. A later leadership counts from 0 again. */
  extended({ term, totalMs }: GrantedTime): number {
    const known = this.#granted
    if (term < known.term) return 0
    const moreMs = Math.max(0, totalMs - (term === known.term ? known.totalMs : 0))
    this.#granted = { term, totalMs: term === known.term ? Math.max(totalMs, known.totalMs) : totalMs }
    this.#extendedMs += moreMs
    return moreMs
  }

  get plans(): Plans {
    return Object.fromEntries(this.#plans)
  }

  settled(): Iterable<ShardResultWire> {
    return this.#settled.values()
  }

  settledOf(key: string): ShardResultWire | undefined {
    return this.#settled.get(key)
  }

  /** Takes results over; returns the workflows that ended by them. */
  settle(results: readonly ShardResultWire[]): [workflowId: string, status: WorkflowStatus][] {
    const ended: [string, WorkflowStatus][] = []
    for (const result of results) {
      const known = this.#settled.get(result.key)
      if (known !== undefined) {
        if (known.fence !== result.fence) this.#duplicates++
        continue
      }
      this.#settled.set(result.key, result)
      const { workflowId } = parseShardKey(result.key)
      const statuses = this.#open.get(workflowId)
      if (statuses === undefined) this.#open.set(workflowId, [result.status])
      else statuses.push(result.status)
      const status = this.#endOf(workflowId)
      if (status !== null) ended.push([workflowId, status])
    }
    return ended
  }

  /** Notes how far the job is; returns the workflows of which it is known only now that they ended. */
  progress(snapshot: DcJobSnapshot): [workflowId: string, status: WorkflowStatus][] {
    this.#snapshot = snapshot
    const ended: [string, WorkflowStatus][] = []
    for (const [workflowId, plan] of Object.entries(snapshot.plans)) {
      this.#plans.set(workflowId, plan)
      const status = this.#endOf(workflowId)
      if (status !== null) ended.push([workflowId, status])
    }
    return ended
  }

  /** Collects the final result; non-null once, with the last part. @throws DecodeError */
  collect(jobId: string, part: Part): DcJobResult | null {
    if (this.#final !== null) return null
    const whole = this.#collector.add(part)
    if (whole === null) return null
    this.#final = { jobId, datacenter: this.datacenter, ...finalCodec.decode(whole) }
    return this.#final
  }

  /** Workflows whose outcome only the final result tells: those that were skipped, or never ran. */
  restOfFinal(): [workflowId: string, status: WorkflowStatus][] {
    const rest = (this.#final?.workflows ?? []).filter(({ workflowId }) => !this.#ended.has(workflowId))
    for (const { workflowId } of rest) this.#ended.add(workflowId)
    return rest.map(({ workflowId, status }) => [workflowId, status])
  }

  /** Nothing of it is needed any more: the result stands on its own. */
  release(): void {
    this.#settled.clear()
    this.#open.clear()
    this.#ended.clear()
  }

  #endOf(workflowId: string): WorkflowStatus | null {
    const plan = this.#plans.get(workflowId)
    const statuses = this.#open.get(workflowId)
    if (plan === undefined || statuses === undefined || statuses.length < plan.length) return null
    this.#open.delete(workflowId)
    this.#ended.add(workflowId)
    return outcomeOf(statuses)
  }
}

/** Of a workflow from those of its shards. */
function outcomeOf(statuses: readonly ShardResultWire['status'][]): Outcome {
  for (const status of ['failed', 'timed-out', 'cancelled'] as const) if (statuses.includes(status)) return status
  return 'completed'
}
