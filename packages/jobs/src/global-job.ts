/**
 * A job over several datacenters: what each has reported, and when all of it together is over.
 * Guarantee: the first result of a datacenter counts and no other; a job is over once, when every target has given its
 * result, or its time has passed, or it was cancelled; reports are ordered by epoch and sequence, so a leader that was
 * replaced is not believed again.
 */
import { parseOptions, runtimeShape, type Clock, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import { invalidArgument, requireDuration } from './arguments.js'
import { TOLERANCE_MS } from './due-queue.js'
import type { DcJobResult, DcJobSnapshot, JobAccounting } from './job-report.js'
import { resolveOutcome } from './resolve-outcome.js'
import { SequenceGate } from './sequence-gate.js'
import { JOB_TRANSITIONS, assertTransition, isTerminal, type JobStatus } from './transitions.js'

export interface GlobalJobOptions extends RuntimeOptions {
  jobId: string
  /** Datacenters it runs in: distinct, at least one. */
  targets: readonly string[]
  /** Ids of the workflows that each of them runs. */
  workflows: readonly string[]
  /** From now, in milliseconds. @default 300_000 */
  timeoutMs?: number
  /** No report of a target for this long: it is stuck. @default off */
  stuckMs?: number
  /** How long targets may still give their account once the job has timed out or was cancelled. @default 0 */
  settleMs?: number
}

export interface GlobalJobCounters {
  /** Results of a target that had given one, and reports that came twice. */
  readonly duplicates: number
  /** Reports that were overtaken. */
  readonly stale: number
  /** What came after the end. */
  readonly late: number
  /** What came from a datacenter that is no target. */
  readonly unknown: number
}

export interface GlobalJobResult {
  readonly jobId: string
  readonly status: JobStatus
  readonly reason: string | null
  readonly durationMs: number
  readonly datacenters: Readonly<Record<string, DcJobResult | { readonly status: 'missing' }>>
  /** Sums over the datacenters; `missing`: workflows of targets without a result. */
  readonly accounting: JobAccounting & { readonly missing: number }
}

export interface GlobalJobSnapshot {
  readonly jobId: string
  readonly status: JobStatus
  /** Workflows known to have their outcome, of all in all targets; from 0 to 1, never falls. */
  readonly fraction: number
  readonly datacenters: Readonly<
    Record<string, { readonly status: JobStatus | 'missing'; readonly reported: boolean; readonly gaps: number }>
  >
  readonly counters: GlobalJobCounters
}

export type GlobalCheck =
  | { readonly kind: 'ok'; readonly nextCheckMs: number }
  /** Said once each: it has timed out and the targets may still give their account; it is over. */
  | { readonly kind: 'expiring' | 'timed-out' | 'finished'; readonly reason: string; readonly notify: string[] }
  | { readonly kind: 'done' }

interface Target {
  readonly name: string
  readonly gate: SequenceGate
  latest: DcJobSnapshot | null
  result: DcJobResult | null
  /** Its own verdict. */
  timedOut: string | null
  cancelAcked: boolean
  lastSignAtMs: number
  extensionMs: number
}

const optionsSchema = /* @__PURE__ */ z.strictObject({
  jobId: z.string().min(1),
  targets: z
    .array(z.string().min(1))
    .min(1)
    .refine((names) => new Set(names).size === names.length, { error: 'expected distinct datacenters' }),
  workflows: z.array(z.string().min(1)).min(1),
  timeoutMs: z.number().positive().default(300_000),
  stuckMs: z.number().positive().optional(),
  settleMs: z.number().min(0).default(0),
  ...runtimeShape,
})

export class GlobalJob {
  readonly #jobId: string
  readonly #clock: Clock
  readonly #workflowCount: number
  readonly #stuckMs: number
  readonly #settleMs: number
  readonly #startedAtMs: number
  readonly #timeoutMs: number
  /** In the order given; a replacement takes the place of the one it replaces. */
  #targets: Map<string, Target>
  readonly #counters = { duplicates: 0, stale: 0, late: 0, unknown: 0 }
  #status: JobStatus = 'pending'
  #result: GlobalJobResult | null = null
  #fraction = 0
  #reason: string | null = null
  #cancelRequested = false
  /** When the last account is waited for, once the verdict is known. */
  #settleUntilMs: number | null = null
  /** What `check` has still to say. */
  #news: 'expiring' | 'timed-out' | 'finished' | null = null
  #notify: string[] = []

  /** @throws ConfigError */
  constructor(options: GlobalJobOptions) {
    const parsed = parseOptions(optionsSchema, options, 'GlobalJob')
    this.#jobId = parsed.jobId
    this.#clock = parsed.clock
    this.#workflowCount = parsed.workflows.length
    this.#timeoutMs = parsed.timeoutMs
    this.#stuckMs = parsed.stuckMs ?? Infinity
    this.#settleMs = parsed.settleMs
    this.#startedAtMs = parsed.clock.now()
    this.#targets = new Map(parsed.targets.map((name) => [name, this.#newTarget(name)]))
  }

  get status(): JobStatus {
    return this.#status
  }

  /** Null until it is over. */
  get result(): GlobalJobResult | null {
    return this.#result
  }

  get targets(): readonly string[] {
    return [...this.#targets.keys()]
  }

  get counters(): GlobalJobCounters {
    return Object.freeze({ ...this.#counters })
  }

  /**
   * A report of how far a target is. `'terminal'`: the job, or this target's part of it, is over.
   * @throws HsError `'INVALID_ARGUMENT'` for a report of another job.
   */
  progress(snapshot: DcJobSnapshot): 'accepted' | 'duplicate' | 'stale' | 'terminal' | 'unknown-datacenter' {
    this.#requireOwn(snapshot.jobId)
    const target = this.#targetOf(snapshot.datacenter)
    if (target === null) return 'unknown-datacenter'
    if (this.#isOver || target.result !== null) {
      this.#counters.late++
      return 'terminal'
    }
    const verdict = target.gate.admit(snapshot.epoch, snapshot.sequence)
    if (verdict !== 'new') {
      this.#counters[verdict === 'duplicate' ? 'duplicates' : 'stale']++
      return verdict
    }
    target.latest = snapshot
    target.lastSignAtMs = this.#clock.now()
    if (snapshot.status !== 'pending') this.#begin()
    this.#raiseFraction()
    return 'accepted'
  }

  /**
   * The account of a target: the first counts. `'late'`: the job was over before it came.
   * @throws HsError `'INVALID_ARGUMENT'` for a result of another job.
   */
  dcResult(result: DcJobResult): 'accepted' | 'duplicate' | 'late' | 'unknown-datacenter' {
    this.#requireOwn(result.jobId)
    const target = this.#targetOf(result.datacenter)
    if (target === null) return 'unknown-datacenter'
    if (target.result !== null) {
      this.#counters.duplicates++
      return 'duplicate'
    }
    if (this.#isOver) {
      this.#counters.late++
      return 'late'
    }
    target.result = result
    this.#begin()
    this.#raiseFraction()
    if (this.#open().length === 0) this.#finish()
    return 'accepted'
  }

  /** A target has run out of time and waits for the decision. */
  reportTimeout(report: { datacenter: string; reason: string }): 'accepted' | 'terminal' | 'unknown-datacenter' {
    const target = this.#targetOf(report.datacenter)
    if (target === null) return 'unknown-datacenter'
    if (this.#isOver || target.result !== null) return 'terminal'
    target.timedOut = report.reason
    this.#timeOut(report.reason)
    return 'accepted'
  }

  /** A target was granted more time; the job's deadline moves with the one that was granted most. */
  extend(datacenter: string, ms: number): void {
    requireDuration('ms', ms)
    const target = this.#targetOf(datacenter)
    if (target === null || this.#isOver) return
    target.extensionMs += ms
    target.lastSignAtMs = this.#clock.now()
  }

  /** `to` runs it instead; only while `from` has reported nothing. */
  replaceTarget(from: string, to: string): boolean {
    const target = this.#targets.get(from)
    const isUntouched =
      target !== undefined &&
      target.latest === null &&
      target.result === null &&
      target.timedOut === null &&
      !target.cancelAcked
    if (!isUntouched || this.#isOver || to === '' || this.#targets.has(to)) return false
    this.#targets = new Map(
      Array.from(this.#targets, ([name, known]) => (name === from ? [to, this.#newTarget(to)] : [name, known])),
    )
    return true
  }

  /** `notify`: the targets that have not confirmed it yet. Asking again answers the same. */
  cancel(reason?: string): { status: 'cancelling' | 'cancelled' | 'already-finished'; notify: string[] } {
    if (this.#status === 'cancelled') return { status: 'cancelled', notify: [] }
    if (this.#isOver) return { status: 'already-finished', notify: [] }
    if (!this.#cancelRequested) {
      this.#cancelRequested = true
      this.#reason = reason ?? null
      this.#move('cancelling')
      this.#news = null // a timeout that was about to be told
    }
    return { status: 'cancelling', notify: this.#unconfirmed() }
  }

  /** A target has stopped its part. False: it is none, had confirmed before, or nothing was cancelled. */
  cancelAcked(datacenter: string): boolean {
    const target = this.#targets.get(datacenter)
    if (target === undefined || this.#status !== 'cancelling' || target.cancelAcked) return false
    target.cancelAcked = true
    if (this.#unconfirmed().length > 0) return true
    if (this.#settleMs === 0 || this.#open().length === 0) this.#finish()
    else this.#settleUntilMs = this.#clock.now() + this.#settleMs
    return true
  }

  /** What is to be done now, and when to ask again. News is told once. */
  check(): GlobalCheck {
    if (!this.#isOver) this.#judge()
    if (this.#news !== null) {
      const kind = this.#news
      this.#news = null
      return { kind, reason: this.#reason ?? this.#status, notify: this.#notify }
    }
    if (this.#isOver) return { kind: 'done' }
    const now = this.#clock.now()
    if (this.#settleUntilMs !== null) return { kind: 'ok', nextCheckMs: this.#settleUntilMs - now }
    return { kind: 'ok', nextCheckMs: Math.min(this.#deadlineAtMs(), this.#stuckAtMs()) - now }
  }

  snapshot(): GlobalJobSnapshot {
    const datacenters = Array.from(this.#targets.values(), ({ name, latest, result, gate }) => {
      const status = result?.status ?? (this.#isOver ? 'missing' : (latest?.status ?? 'pending'))
      return [name, Object.freeze({ status, reported: result !== null, gaps: gate.gaps })] as const
    })
    return Object.freeze({
      jobId: this.#jobId,
      status: this.#status,
      fraction: this.#fraction,
      datacenters: Object.freeze(Object.fromEntries(datacenters)),
      counters: this.counters,
    })
  }

  get #isOver(): boolean {
    return isTerminal(JOB_TRANSITIONS, this.#status)
  }

  #newTarget(name: string): Target {
    return {
      name,
      gate: new SequenceGate(),
      latest: null,
      result: null,
      timedOut: null,
      cancelAcked: false,
      lastSignAtMs: this.#clock.now(),
      extensionMs: 0,
    }
  }

  #targetOf(datacenter: string): Target | null {
    const target = this.#targets.get(datacenter)
    if (target === undefined) this.#counters.unknown++
    return target ?? null
  }

  #requireOwn(jobId: string): void {
    if (jobId === this.#jobId) return
    throw invalidArgument(`this is job ${this.#jobId}, found a report of ${jobId}`, { jobId })
  }

  /** Targets without a result. */
  #open(): Target[] {
    return [...this.#targets.values()].filter(({ result }) => result === null)
  }

  #unconfirmed(): string[] {
    return this.#open()
      .filter(({ cancelAcked }) => !cancelAcked)
      .map(({ name }) => name)
  }

  #move(status: JobStatus): void {
    assertTransition(JOB_TRANSITIONS, this.#status, status)
    this.#status = status
  }

  #begin(): void {
    if (this.#status === 'pending') this.#move('running')
  }

  #deadlineAtMs(): number {
    let extensionMs = 0
    for (const target of this.#targets.values()) extensionMs = Math.max(extensionMs, target.extensionMs)
    return this.#startedAtMs + this.#timeoutMs + extensionMs
  }

  /** When the first open target will have been silent for too long. */
  #stuckAtMs(): number {
    if (this.#status === 'cancelling') return Infinity
    return Math.min(...this.#open().map(({ lastSignAtMs }) => lastSignAtMs + this.#stuckMs))
  }

  #judge(): void {
    const now = this.#clock.now() + TOLERANCE_MS
    if (this.#settleUntilMs !== null) {
      if (this.#settleUntilMs <= now) this.#finish()
      return
    }
    if (this.#deadlineAtMs() <= now) {
      if (this.#status === 'cancelling') this.#finish()
      else this.#timeOut('deadline')
    } else if (this.#stuckAtMs() <= now) this.#timeOut('stuck')
  }

  /** The verdict: over now, or once the targets have given their account. */
  #timeOut(reason: string): void {
    if (this.#status === 'cancelling' || this.#settleUntilMs !== null) return
    this.#reason = reason
    if (this.#settleMs === 0) {
      this.#finish()
      return
    }
    this.#settleUntilMs = this.#clock.now() + this.#settleMs
    this.#news = 'expiring'
    this.#notify = this.#open().map(({ name }) => name)
  }

  #finish(): void {
    const open = this.#open().map(({ name }) => name)
    const outcomes = Array.from(this.#targets.values(), ({ result }) => result?.status ?? 'missing')
    const status = resolveOutcome(outcomes, { cancelRequested: this.#cancelRequested })
    if (status !== 'failed' && status !== 'timed-out' && status !== 'cancelled') this.#begin()
    // Its datacenters may have cancelled it, though nobody asked here.
    if (status === 'cancelled' && this.#status !== 'cancelling') this.#move('cancelling')
    this.#move(status)
    if (status === 'completed') this.#reason = null
    this.#fraction = 1
    this.#news = status === 'timed-out' ? 'timed-out' : 'finished'
    this.#notify = open
    this.#result = this.#collect()
  }

  #raiseFraction(): void {
    let known = 0
    for (const { latest, result } of this.#targets.values())
      known += result === null ? endedIn(latest) : this.#workflowCount
    const fraction = known / (this.#targets.size * this.#workflowCount)
    this.#fraction = Math.max(this.#fraction, Math.min(1, fraction))
  }

  #collect(): GlobalJobResult {
    const datacenters: Record<string, DcJobResult | { readonly status: 'missing' }> = {}
    const sum = {
      workflows: 0,
      completed: 0,
      failed: 0,
      timedOut: 0,
      cancelled: 0,
      skipped: 0,
      executions: 0,
      requeued: 0,
      duplicates: 0,
      stale: 0,
    }
    let missing = 0
    for (const { name, result } of this.#targets.values()) {
      datacenters[name] = result ?? Object.freeze({ status: 'missing' })
      if (result === null) missing += this.#workflowCount
      else for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += result.accounting[key]
    }
    return Object.freeze({
      jobId: this.#jobId,
      status: this.#status,
      reason: this.#reason,
      durationMs: this.#clock.now() - this.#startedAtMs,
      datacenters: Object.freeze(datacenters),
      accounting: Object.freeze({ ...sum, missing }),
    })
  }
}

function endedIn(snapshot: DcJobSnapshot | null): number {
  if (snapshot === null) return 0
  const { completed, failed, timedOut, cancelled, skipped } = snapshot.workflows
  return completed + failed + timedOut + cancelled + skipped
}
