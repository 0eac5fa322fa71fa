/**
 * What waits for cores, and the names of workflows that nobody runs: a name that no registered worker knows is given a
 * grace, then what waits under it is handed to `onUnknown`.
 */
import { Candidate } from './candidate.js'
import type { DueEntry, DueQueue } from './due-queue.js'
import { ShardRecord, type Waiting, type WorkflowRecord } from './job-record.js'
import { place, type Placed, type PlaceOptions } from './placement.js'
import { WaitingQueue } from './waiting-queue.js'
import type { WorkerRecords } from './worker-records.js'

const NOBODY: readonly string[] = Object.freeze([])

export class Backlog {
  readonly #queue = new WaitingQueue<Waiting>()
  readonly #records: WorkerRecords
  readonly #dues: DueQueue
  readonly #graceMs: number
  readonly #onUnknown: (waiting: readonly Waiting[]) => void
  /** By name, when its grace ends. */
  readonly #unknown = new Map<string, DueEntry>()
  #seenFleet = -1
  #seenShapes = -1

  constructor(
    records: WorkerRecords,
    dues: DueQueue,
    graceMs: number,
    onUnknown: (waiting: readonly Waiting[]) => void,
  ) {
    this.#records = records
    this.#dues = dues
    this.#graceMs = graceMs
    this.#onUnknown = onUnknown
  }

  addWorkflow(workflow: WorkflowRecord, nowMs: number): void {
    const { spec, job, order } = workflow
    workflow.candidate = new Candidate<Waiting>({
      owner: workflow,
      priority: spec.priority,
      vus: spec.vus,
      cores: spec.cores,
      tenant: job.share.tenant,
      workflow: spec.workflow,
      maxCores: Infinity,
      spread: true,
      avoid: NOBODY,
      order,
      queuedAtMs: nowMs,
    })
    this.#queue.add(workflow.candidate)
  }

  /** One worker, and with `'auto'` cores no more than it had: its virtual users are fixed by the plan. */
  addShard(shard: ShardRecord, nowMs: number): void {
    const { spec, job, order } = shard.workflow
    shard.candidate = new Candidate<Waiting>({
      owner: shard,
      priority: spec.priority,
      vus: shard.vus,
      cores: spec.cores,
      tenant: job.share.tenant,
      workflow: spec.workflow,
      maxCores: shard.maxCores,
      spread: false,
      avoid: shard.avoid,
      order,
      queuedAtMs: nowMs,
    })
    this.#queue.add(shard.candidate)
  }

  /** It waits no more, if it did. */
  remove(waiting: Waiting): void {
    if (waiting.candidate !== null) this.#queue.remove(waiting.candidate)
    waiting.candidate = null
    if (!(waiting instanceof ShardRecord) || waiting.setbacks === null) return
    this.#dues.cancel(waiting.setbacks.backoff)
    waiting.setbacks.backoff = null
  }

  /** Takes out what can be placed now. */
  place(options: PlaceOptions): readonly Placed<Waiting>[] {
    const placed = place(this.#queue, this.#records.fleet, options)
    for (const { candidate } of placed) candidate.owner.candidate = null
    return placed
  }

  /** Begins and ends graces, if names or workers have changed. */
  checkNames(): void {
    const { fleet } = this.#records
    if (this.#seenFleet === fleet.revision && this.#seenShapes === this.#queue.revision) return
    this.#seenFleet = fleet.revision
    this.#seenShapes = this.#queue.revision
    const names = this.#records.size === 0 ? new Set<string>() : this.#queue.workflows()
    for (const [name, due] of this.#unknown) {
      if (names.has(name) && !fleet.isKnown(name)) continue
      this.#dues.cancel(due)
      this.#unknown.delete(name)
    }
    for (const name of names) {
      if (this.#unknown.has(name) || fleet.isKnown(name)) continue
      this.#unknown.set(
        name,
        this.#dues.schedule(this.#graceMs, () => this.#giveUp(name)),
      )
    }
  }

  /** Nothing is judged until `checkNames` is called again. */
  forgetNames(): void {
    for (const due of this.#unknown.values()) this.#dues.cancel(due)
    this.#unknown.clear()
    this.#seenFleet = -1
  }

  #giveUp(name: string): void {
    this.#unknown.delete(name)
    this.#onUnknown(this.#queue.ofWorkflow(name).map(({ owner }) => owner))
  }
}
