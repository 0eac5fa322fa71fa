/**
 * One record a job, which owns its workflows, which own their shards: everything that is known about a piece of work
 * hangs on its record and goes with it. Statuses change only by `move`, through the tables.
 */
import {
  dependencyCount,
  dependenciesAmong,
  dependentsAmong,
  indexInGraph,
  type WorkflowGraph,
} from './workflow-graph.js'
import type { Candidate } from './candidate.js'
import type { DueEntry } from './due-queue.js'
import type { ParsedJobSpec, ParsedWorkflowSpec } from './job-spec.js'
import type { JobTimeout } from './job-timeout.js'
import type { ResultError, ShardResult } from './shard-result.js'
import { ShardSetbacks, type Abort, type ShardPulse } from './shard-setbacks.js'
import type { TenantShare } from './tenant-share.js'
import {
  JOB_TRANSITIONS,
  SHARD_TRANSITIONS,
  WORKFLOW_TRANSITIONS,
  assertTransition,
  isTerminal,
  type JobStatus,
  type ShardStatus,
  type WorkflowStatus,
} from './transitions.js'
import type { Lease } from './worker-records.js'

/** What waits for cores. */
export type Waiting = WorkflowRecord | ShardRecord

/** Something that went wrong on the way, whether or not it decided anything. */
export interface JobTrouble {
  readonly code: string
  readonly key: string
  readonly workerId: string
}

/** Troubles kept of one job; what comes later is not listed. */
const MAX_TROUBLES = 1_000

const NOBODY: readonly string[] = Object.freeze([])
const NO_ABORTS: readonly Abort[] = Object.freeze([])
const NO_SHARDS: readonly ShardRecord[] = Object.freeze([])
const ONE_USER: readonly number[] = Object.freeze([1])
/** More cores than any worker has, and still a small integer: engines keep those without a box. */
const UNLIMITED = 2 ** 30

export class ShardRecord {
  readonly workflow: WorkflowRecord
  readonly index: number
  readonly key: string
  readonly vus: number
  status: ShardStatus = 'queued'
  /** Executions so far, of earlier leaders too. */
  attempts = 0
  /** The latest that was issued, 0 for none. */
  fence = 0
  /** The fence under which a result was counted last, 0 for none. */
  countedFence = 0
  /** The worker of the latest execution. */
  workerId = ''
  /** The cores of the execution under way. */
  lease: Lease | null = null
  /** The most cores it had so far; it may run on fewer later. */
  maxCores = UNLIMITED
  payload: Uint8Array | null = null
  candidate: Candidate<Waiting> | null = null
  /** What the counted result carries; null if that is nothing. */
  result: ShardResult | null = null
  error: ResultError | null = null
  /** Null as long as nothing went wrong. */
  setbacks: ShardSetbacks | null = null
  /** Null as long as nobody watches it and it reports nothing. */
  pulse: ShardPulse | null = null

  constructor(workflow: WorkflowRecord, index: number, vus: number) {
    this.workflow = workflow
    this.index = index
    this.vus = vus
    this.key = `${workflow.job.spec.jobId}/${workflow.spec.id}/${index}`
  }

  get isOver(): boolean {
    return isTerminal(SHARD_TRANSITIONS, this.status)
  }

  /** Whether it is, or may be, under way on a worker. */
  get isActive(): boolean {
    return this.status === 'dispatching' || this.status === 'running'
  }

  /** Whether its execution was told to end, and it ends with it. */
  get isEnding(): boolean {
    return this.aborts.some(({ isFinal, fence }) => isFinal && fence === this.fence)
  }

  get avoid(): readonly string[] {
    return this.setbacks?.avoid ?? NOBODY
  }

  /** Of its executions that were told to end. */
  get aborts(): readonly Abort[] {
    return this.setbacks?.aborts ?? NO_ABORTS
  }

  /** Of an execution that was told to end without deciding the shard, 0 for none. */
  get abandonedFence(): number {
    return this.setbacks?.abandonedFence ?? 0
  }

  /** Whether it waits before it may be planned again. */
  get isBackingOff(): boolean {
    return this.setbacks !== null && this.setbacks.backoff !== null
  }

  /** Something goes wrong. */
  setBack(): ShardSetbacks {
    return (this.setbacks ??= new ShardSetbacks())
  }

  move(status: ShardStatus): void {
    assertTransition(SHARD_TRANSITIONS, this.status, status)
    const { workflow } = this
    if (this.isActive) workflow.activeShards--
    this.status = status
    if (this.isActive) workflow.activeShards++
    if (this.isOver) workflow.openShards--
    workflow.job.touch()
  }
}

export class WorkflowRecord {
  readonly job: JobRecord
  readonly index: number
  readonly spec: ParsedWorkflowSpec
  /** Place in the order in which workflows were submitted. */
  readonly order: number
  status: WorkflowStatus = 'waiting'
  /** Dependencies that have not ended. */
  openDependencies: number
  /** Virtual users of each shard, fixed at the first dispatch. */
  plan: readonly number[] | null = null
  shards: readonly ShardRecord[] = NO_SHARDS
  openShards = 0
  activeShards = 0
  candidate: Candidate<Waiting> | null = null
  isCancelling = false
  /** What it has published, once it has completed; null for nothing. */
  published: Record<string, unknown> | null = null

  constructor(job: JobRecord, index: number, spec: ParsedWorkflowSpec, order: number) {
    this.job = job
    this.index = index
    this.spec = spec
    this.order = order
    this.openDependencies = dependencyCount(job.graph, index)
  }

  get isOver(): boolean {
    return isTerminal(WORKFLOW_TRANSITIONS, this.status)
  }

  /** Whether nothing of it may be started any more. */
  get isEnding(): boolean {
    return this.isCancelling || this.isOver || this.job.status === 'cancelling'
  }

  move(status: WorkflowStatus): void {
    assertTransition(WORKFLOW_TRANSITIONS, this.status, status)
    const { job } = this
    job.counts[this.status]--
    job.counts[status]++
    this.status = status
    if (this.isOver) job.openWorkflows--
    job.touch()
  }

  /** Fixes the plan and makes its shards. */
  divide(plan: readonly number[]): void {
    this.plan = plan.length === 1 && plan[0] === 1 ? ONE_USER : Object.freeze(plan.slice())
    const [first = 0] = plan
    this.shards =
      plan.length === 1
        ? [new ShardRecord(this, 0, first)]
        : plan.map((vus, index) => new ShardRecord(this, index, vus))
    this.openShards = plan.length
    this.job.plans.push(this)
    this.job.touch()
  }
}

export class JobRecord {
  readonly spec: ParsedJobSpec
  readonly graph: WorkflowGraph
  readonly workflows: readonly WorkflowRecord[]
  readonly timeout: JobTimeout
  readonly share: TenantShare
  readonly startedAtMs: number
  readonly #onTouch: (job: JobRecord) => void
  status: JobStatus = 'pending'
  /** Grows with every step that changed the job. */
  sequence = 0
  isTouched = false
  /** Whether its end has been told. */
  isReported = false
  readonly counts: Record<WorkflowStatus, number>
  openWorkflows: number
  /** Workflows with a plan, in the order in which they got it. */
  readonly plans: WorkflowRecord[] = []
  /** Completed workflows, hence versions of the context. */
  contextVersion = 0
  done = 0
  duplicates = 0
  stale = 0
  reason: string | null = null
  readonly troubles: JobTrouble[] = []
  /** How many shards of it are silent, by worker. */
  readonly stalledOn = new Map<string, number>()
  extendedAtMs = -Infinity
  timeoutDue: DueEntry | null = null

  constructor(options: {
    spec: ParsedJobSpec
    graph: WorkflowGraph
    timeout: JobTimeout
    share: TenantShare
    firstOrder: number
    nowMs: number
    onTouch: (job: JobRecord) => void
  }) {
    const { spec, graph, timeout, share, firstOrder, nowMs, onTouch } = options
    this.spec = spec
    this.graph = graph
    this.timeout = timeout
    this.share = share
    this.startedAtMs = nowMs
    this.#onTouch = onTouch
    this.workflows = spec.workflows.map(
      (workflow, index) => new WorkflowRecord(this, index, workflow, firstOrder + index),
    )
    const size = spec.workflows.length
    this.openWorkflows = size
    this.counts = {
      waiting: size,
      queued: 0,
      running: 0,
      completed: 0,
      failed: 0,
      'timed-out': 0,
      cancelled: 0,
      skipped: 0,
    }
  }

  get id(): string {
    return this.spec.jobId
  }

  get isOver(): boolean {
    return isTerminal(JOB_TRANSITIONS, this.status)
  }

  move(status: JobStatus): void {
    assertTransition(JOB_TRANSITIONS, this.status, status)
    this.status = status
    this.touch()
  }

  /** Something of it has changed in this step. */
  touch(): void {
    if (this.isTouched) return
    this.isTouched = true
    this.#onTouch(this)
  }

  trouble(code: string, key: string, workerId: string): void {
    if (this.troubles.length < MAX_TROUBLES) this.troubles.push(Object.freeze({ code, key, workerId }))
  }

  workflow(id: string): WorkflowRecord | undefined {
    const index = indexInGraph(this.graph, id)
    return index === undefined ? undefined : this.workflows[index]
  }

  /** Direct ones. */
  dependenciesOf({ index }: WorkflowRecord): readonly WorkflowRecord[] {
    return dependenciesAmong(this.graph, index, this.workflows)
  }

  /** Direct ones. */
  dependentsOf({ index }: WorkflowRecord): readonly WorkflowRecord[] {
    return dependentsAmong(this.graph, index, this.workflows)
  }
}
