/** A job as the gate that owns it has it: the one record of a job, from its acceptance until it is forgotten. */
import type { Timer } from '@hs/core'
import { JobStats } from '@hs/crdt'
import { fenceToken, type DcJobResult, type DcJobSnapshot, type GlobalJob, type WorkflowCounts } from '@hs/jobs'
import { EventRing } from './event-ring.js'
import { JobRate } from './job-rate.js'
import type { JobTarget } from './job-target.js'
import type { JobProgress } from './job-types.js'
import { NO_WORKFLOWS } from './no-workflows.js'
import type { Submission } from './wire/client-gate.js'
import type { JobOwner } from './wire/fields.js'
import type { Assignment } from './wire/gate-manager.js'

export interface GateJobOptions {
  readonly jobId: string
  readonly fingerprint: string
  readonly submission: Submission
  readonly owner: JobOwner
  readonly global: GlobalJob
  readonly createdAtMs: number
  readonly rateWindowMs: number
}

const statuses = [
  'waiting',
  'queued',
  'running',
  'completed',
  'failed',
  'timedOut',
  'cancelled',
  'skipped',
] as const satisfies (keyof WorkflowCounts)[]

export class GateJob {
  readonly jobId: string
  readonly fingerprint: string
  readonly submission: Submission
  readonly owner: JobOwner
  readonly global: GlobalJob
  readonly createdAtMs: number
  readonly targets = new Map<string, JobTarget>()
  readonly ring = new EventRing()
  /** What the datacenters have told, added up; a report may come twice, late, or through another gate. */
  readonly stats: JobStats
  /** Looks at the deadline while the job runs, and forgets it afterwards. */
  timer: Timer | undefined
  readonly #rateWindowMs: number
  readonly #paces = new Map<string, { readonly rate: JobRate; lastNewsMs: number }>()
  #progressSequence = 0

  constructor(options: GateJobOptions) {
    this.jobId = options.jobId
    this.fingerprint = options.fingerprint
    this.submission = options.submission
    this.owner = options.owner
    this.global = options.global
    this.createdAtMs = options.createdAtMs
    this.stats = new JobStats(options.jobId)
    this.#rateWindowMs = options.rateWindowMs
  }

  get over(): boolean {
    return this.ring.complete
  }

  /** What is left of its time goes along, not its deadline: clocks differ. */
  assignment(datacenter: string, nowMs: number): Assignment {
    const { submission, jobId } = this
    const target = this.targets.get(datacenter)
    const settled = Array.from(target?.settled() ?? [], ({ value: _value, stats: _stats, ...rest }) => rest)
    const plans = Object.entries(target?.plans ?? {}).map(([id, plan]) => [id, [...plan]] as const)
    return {
      spec: {
        jobId,
        workflows: submission.workflows,
        ...(submission.tenant !== undefined && { tenant: submission.tenant }),
        timeoutMs: Math.max(1, submission.timeoutMs + (target?.extendedMs ?? 0) - (nowMs - this.createdAtMs)),
        ...(submission.stuckMs !== undefined && { stuckMs: submission.stuckMs }),
        timeoutMode: 'local',
      },
      settled,
      plans: Object.fromEntries(plans),
    }
  }

  /** Takes what a datacenter reports of its part. */
  observe({ datacenter, epoch, sequence, status, done, workflows }: DcJobSnapshot, nowMs: number): void {
    let pace = this.#paces.get(datacenter)
    if (pace === undefined)
      this.#paces.set(datacenter, (pace = { rate: new JobRate(this.#rateWindowMs), lastNewsMs: nowMs }))
    const { completed, failed } = workflows
    const rate = pace.rate.record(done, nowMs)
    const report = { completed, failed, rate, status, time: fenceToken(epoch, sequence) }
    if (this.stats.observe(datacenter, report)) pace.lastNewsMs = nowMs
  }

  progress(nowMs: number): JobProgress {
    const { jobId, status, fraction, datacenters } = this.global.snapshot()
    const each = this.submission.workflows.length
    const counts = { ...NO_WORKFLOWS }
    const shown: Record<string, { status: JobProgress['status']; fraction: number }> = {}
    for (const [name, target] of this.targets) {
      const known = target.final === null ? target.snapshot?.workflows : countsOf(target.final)
      counts.total += each
      if (known === undefined) counts.waiting += each
      else for (const key of statuses) counts[key] += known[key]
      const ended = known === undefined ? 0 : each - known.waiting - known.queued - known.running
      shown[name] = { status: asStatus(datacenters[name]?.status), fraction: each === 0 ? 1 : ended / each }
    }
    const rate = this.over ? 0 : this.#rate(nowMs)
    return { jobId, status, fraction, sequence: ++this.#progressSequence, rate, workflows: counts, datacenters: shown }
  }

  /** A datacenter that has had no news for long does nothing, whatever its last rate was. */
  #rate(nowMs: number): number {
    const busy = [...this.#paces].filter(([, { lastNewsMs }]) => lastNewsMs > nowMs - 2 * this.#rateWindowMs)
    if (busy.length === this.#paces.size) return this.stats.totalRate
    const rate = busy.reduce((sum, [name]) => sum + (this.stats.datacenter(name)?.rate ?? 0), 0)
    return Math.min(rate, this.stats.totalRate)
  }
}

function countsOf({ accounting }: DcJobResult): WorkflowCounts {
  const { workflows, completed, failed, timedOut, cancelled, skipped } = accounting
  return { total: workflows, waiting: 0, queued: 0, running: 0, completed, failed, timedOut, cancelled, skipped }
}

/** Of a datacenter that has told nothing yet, or of which nothing will come. */
function asStatus(status: string | undefined): JobProgress['status'] {
  return status === undefined || status === 'missing' ? 'pending' : (status as JobProgress['status'])
}
