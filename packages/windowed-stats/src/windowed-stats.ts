/**
 * Event-time windows over the small reports of many sources. A window closes by the local clock, `driftToleranceMs`
 * after its end, so a silent source cannot hold it open; what comes later is a correction, and what comes too late is
 * refused, counted and told. Limits cost resolution in time, never counts: the sum over all windows given out and held
 * is the sum over all records taken in.
 * Source: windows and allowed lateness as in Apache Flink; corrections as the discarding mode of the Dataflow model
 * (VLDB 2015).
 */
import {
  deepFreeze,
  ErrorReporter,
  parseOptions,
  runtimeShape,
  TypedEmitter,
  type Clock,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { ByIndex } from './by-index.js'
import { FinishedJobs } from './finished-jobs.js'
import { JobWindows, type OpenWindow, type WorkflowWindows } from './job-windows.js'
import { isSketchFactory, type SketchFactory } from './quantile-sketch.js'
import { SketchCheck } from './sketch-check.js'
import { checkRecord, checkWindow, type StatsRecord } from './stats-record.js'
import { tdigestSketch } from './tdigest-sketch.js'
import { WindowAccumulator } from './window-accumulator.js'
import { addAmounts, plainRecord, type WindowCause, type WindowResult } from './window-result.js'

export type RecordOutcome = 'counted' | 'late' | 'duplicate' | 'expired' | 'future' | 'finished' | 'limited'

export interface WindowedStatsOptions extends RuntimeOptions {
  /** Width of a window in milliseconds, an integer from 10. @default 100 */
  windowMs?: number
  /** How long after its end a window stays open, in milliseconds from 0. @default 50 */
  driftToleranceMs?: number
  /** How long after that corrections are taken, in milliseconds from 0. @default 5_000 */
  allowedLatenessMs?: number
  /** How far ahead of this clock an event may be, in milliseconds from 0. @default 5_000 */
  maxFutureMs?: number
  /** Jobs known at a time, and ids of finished ones that are remembered; an integer from 1. @default 10_000 */
  maxJobs?: number
  /** Over all jobs; above it the oldest window closes early. An integer from 1. @default 50_000 */
  maxOpenWindows?: number
  /**
   * Closed windows of a job that nobody took, an integer from 1; above it (or above one a workflow, where there are more
   * workflows) neighbours of one workflow are merged. @default 256
   */
  maxPendingPerJob?: number
  /** (workflow, source) pairs, an integer from 1. @default 4_096 */
  maxSourcesPerJob?: number
  /** Distinct names in counts, gauges and values together, an integer from 1. @default 128 */
  maxNamesPerJob?: number
  /** Sequence numbers a source that are told apart, an integer from 32 to 65,536. @default 256 */
  dedupWindow?: number
  /** How long a finished job's stragglers are refused, in milliseconds from 0, however the wall clock steps. @default 60_000 */
  finishedTtlMs?: number
  /** What holds the samples of a name; those that come as sketches must be of its kind. @default tdigestSketch() */
  sketch?: SketchFactory
}

export interface DroppedRecord {
  readonly reason: 'expired' | 'future' | 'finished' | 'limited'
  readonly jobId: string
  readonly workflowId: string
  readonly source: string
  readonly atMs: number
  /** How far off, in milliseconds: late beyond closing (`'expired'`), or ahead of the clock (`'future'`). */
  readonly byMs?: number
  /** Which limit, if it is `'limited'`. */
  readonly limit?: 'maxJobs' | 'maxSourcesPerJob' | 'maxNamesPerJob'
}

export interface WindowedStatsEvents {
  /** A record was refused, and its counts went into `droppedCounts`. Repeats raise no event. */
  dropped: [DroppedRecord]
}

export interface StatsSource {
  readonly workflowId: string
  readonly source: string
  /** Taken in; an absorbed window stands for as many as are in it. */
  readonly records: number
  readonly duplicates: number
  /** Sequence numbers that left the window of `dedupWindow` unseen, from the least one seen on. */
  readonly missing: number
  /** Of `records`. */
  readonly late: number
  /** The smallest arrival - atMs seen of records taken in, in milliseconds. Negative: its clock is ahead; large and steady: behind. */
  readonly delayMs: number
}

export interface WindowedStatsSnapshot {
  readonly jobs: number
  readonly openWindows: number
  readonly pendingWindows: number
  /** 0 to 1: what an overload detector reads. */
  readonly fill: number
  /** Calls of `record` and `absorb`, by what came of them. */
  readonly records: Readonly<Record<RecordOutcome, number>>
  /**
   * The `counts` of refused records, repeats excepted; names beyond the first 1,024 together under ''. Samples and gauges
   * that were refused are not in it: one name may stand for a count and for samples.
   */
  readonly droppedCounts: Readonly<Record<string, number>>
  /** Sequence numbers that left their windows unseen, those of finished jobs included. */
  readonly missing: number
  /** Merges of two pending windows. */
  readonly coalesced: number
  /** Windows that closed early. */
  readonly evicted: number
  /** How late beyond closing the latest record has come that was still taken in, in milliseconds. */
  readonly maxLateMs: number
}

const MAX_DROPPED_NAMES = 1_024

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    windowMs: z.int().min(10).default(100),
    driftToleranceMs: z.number().min(0).default(50),
    allowedLatenessMs: z.number().min(0).default(5_000),
    maxFutureMs: z.number().min(0).default(5_000),
    maxJobs: z.int().min(1).default(10_000),
    maxOpenWindows: z.int().min(1).default(50_000),
    maxPendingPerJob: z.int().min(1).default(256),
    maxSourcesPerJob: z.int().min(1).default(4_096),
    maxNamesPerJob: z.int().min(1).default(128),
    dedupWindow: z.int().min(32).max(65_536).default(256),
    finishedTtlMs: z.number().min(0).default(60_000),
    sketch: z.custom<SketchFactory>(isSketchFactory, 'expected a sketch factory').default(() => tdigestSketch()),
  }))()

type Settings = z.output<typeof schema>
/** Open windows of one index. */
interface ClosingTogether {
  readonly index: number
  readonly windows: OpenWindow[]
}

type Limit = NonNullable<DroppedRecord['limit']>

export class WindowedStats {
  readonly events: TypedEmitter<WindowedStatsEvents>
  readonly #clock: Clock
  readonly #settings: Settings
  readonly #sketches: SketchCheck
  readonly #jobs = new Map<string, JobWindows>()
  readonly #finished: FinishedJobs
  /** Jobs with something to take. */
  readonly #withPending = new Set<string>()
  readonly #open = new ByIndex<ClosingTogether>()
  #openCount = 0
  #serial = 0
  readonly #records: Record<RecordOutcome, number> = {
    counted: 0,
    late: 0,
    duplicate: 0,
    expired: 0,
    future: 0,
    finished: 0,
    limited: 0,
  }
  readonly #droppedCounts = new Map<string, number>()
  #missingOfFinished = 0
  #coalesced = 0
  #evicted = 0
  #maxLateMs = 0

  /** @throws ConfigError */
  constructor(options: WindowedStatsOptions = {}) {
    const settings = parseOptions(schema, options, 'WindowedStats')
    this.#settings = settings
    this.#clock = settings.clock
    this.#sketches = new SketchCheck(settings.sketch)
    this.#finished = new FinishedJobs(settings.finishedTtlMs, settings.maxJobs)
    const { clock, random, logger } = settings
    this.events = new TypedEmitter('WindowedStats', new ErrorReporter({ clock, random, logger }))
  }

  /**
   * Takes a record in, or says why not.
   * @throws HsError `'INVALID_ARGUMENT'`, `'SKETCH_MISMATCH'`; nothing is applied then.
   */
  record(record: StatsRecord): RecordOutcome {
    checkRecord(record, this.#sketches)
    return this.#take(record, 1)
  }

  /**
   * Takes in a window that another collector gave out: at its last millisecond, with its counts, its sketches, the sum
   * of each gauge and its number of records. So gates nest over managers to any depth.
   * @param source whom it comes from, for example the datacenter.
   * @throws HsError as `record`.
   */
  absorb(window: WindowResult, source: string, seq?: number): RecordOutcome {
    checkWindow(window)
    const gauges = plainRecord(Object.entries(window.gauges).map(([name, { sum }]) => [name, sum] as const))
    const record: StatsRecord = {
      jobId: window.jobId,
      workflowId: window.workflowId,
      source,
      atMs: window.endMs - 1,
      counts: window.counts,
      gauges,
      values: window.values,
      ...(seq === undefined ? {} : { seq }),
    }
    checkRecord(record, this.#sketches)
    return this.#take(record, window.records)
  }

  /** Jobs with closed windows that were not taken. */
  getJobsWithPendingStats(): string[] {
    this.#closeDue(this.#clock.wallNow())
    return [...this.#withPending]
  }

  /** Closed windows, oldest first; reading takes nothing. */
  getAggregatedStats(jobId: string): readonly WindowResult[] {
    this.#closeDue(this.#clock.wallNow())
    return this.#jobs.get(jobId)?.pending() ?? []
  }

  /** Closed windows, oldest first, and they are gone. */
  takeAggregatedStats(jobId: string): readonly WindowResult[] {
    this.#closeDue(this.#clock.wallNow())
    this.#withPending.delete(jobId)
    return this.#jobs.get(jobId)?.takePending() ?? []
  }

  /** Everything of the job, open windows too; forgets it and refuses its stragglers for `finishedTtlMs`. */
  finish(jobId: string): readonly WindowResult[] {
    this.#closeDue(this.#clock.wallNow())
    this.#finished.add(jobId, this.#clock.now())
    const job = this.#jobs.get(jobId)
    if (job === undefined) return []
    const open = [...job.workflows.values()].flatMap((workflow) => workflow.open.entries)
    const windows = [...job.takePending()]
    for (const window of open.sort((a, b) => a.index - b.index)) {
      this.#takeOut(window)
      windows.push(window.accumulator.seal('final'))
    }
    this.#missingOfFinished += missingOf(job)
    this.#jobs.delete(jobId)
    this.#withPending.delete(jobId)
    return windows
  }

  /** Who reports, who is late and whose clock is off; sorted by workflow, then source. */
  sources(jobId: string): readonly StatsSource[] {
    const rows: StatsSource[] = []
    for (const { workflowId, sources } of this.#jobs.get(jobId)?.workflows.values() ?? []) {
      for (const [source, { records, duplicates, late, delayMs, sequence }] of sources) {
        rows.push({ workflowId, source, records, duplicates, missing: sequence.missing, late, delayMs })
      }
    }
    return deepFreeze(rows.sort((a, b) => compare(a.workflowId, b.workflowId) || compare(a.source, b.source)))
  }

  snapshot(): WindowedStatsSnapshot {
    this.#closeDue(this.#clock.wallNow())
    let pendingWindows = 0
    for (const jobId of this.#withPending) pendingWindows += this.#jobs.get(jobId)?.pendingCount ?? 0
    let missing = this.#missingOfFinished
    for (const job of this.#jobs.values()) missing += missingOf(job)
    const { maxJobs, maxOpenWindows } = this.#settings
    return deepFreeze({
      jobs: this.#jobs.size,
      openWindows: this.#openCount,
      pendingWindows,
      fill: Math.max(this.#jobs.size / maxJobs, this.#openCount / maxOpenWindows),
      records: { ...this.#records },
      droppedCounts: Object.fromEntries(this.#droppedCounts),
      missing,
      coalesced: this.#coalesced,
      evicted: this.#evicted,
      maxLateMs: this.#maxLateMs,
    })
  }

  /** @param records how many records this one stands for. */
  #take(record: StatsRecord, records: number): RecordOutcome {
    const { windowMs, driftToleranceMs, allowedLatenessMs, maxFutureMs } = this.#settings
    const { jobId, atMs, seq } = record
    const now = this.#clock.wallNow()
    this.#closeDue(now)
    const job = this.#jobs.get(jobId)
    if (job === undefined && this.#finished.has(jobId, this.#clock.now())) return this.#refuse(record, 'finished')

    const workflow = job?.workflows.get(record.workflowId)
    const known = workflow?.sources.get(record.source)
    if (known !== undefined && seq !== undefined && known.sequence.isRepeat(seq)) {
      known.duplicates++
      this.#records.duplicate++
      return 'duplicate'
    }
    if (atMs > now + maxFutureMs) return this.#refuse(record, 'future', { byMs: atMs - now })

    const index = Math.floor(atMs / windowMs) + 0 // -0 is 0
    const lateMs = now - ((index + 1) * windowMs + driftToleranceMs)
    if (lateMs > allowedLatenessMs) return this.#refuse(record, 'expired', { byMs: lateMs })
    const fresh = newNames(job?.names, record)
    const limit = this.#exceeded(job, known !== undefined, fresh?.size ?? 0)
    if (limit !== undefined) return this.#refuse(record, 'limited', { limit })

    const isLate = lateMs >= 0
    const into = job ?? this.#addJob(jobId)
    const of = workflow ?? into.workflow(record.workflowId)
    const source = known ?? into.addSource(of, record.source, this.#settings.dedupWindow)
    if (fresh !== undefined) for (const name of fresh) into.names.add(name)
    const accumulator = isLate ? this.#correction(into, of, index) : this.#openWindow(into, of, index)
    if (source.lastSerial !== accumulator.serial) {
      source.lastSerial = accumulator.serial
      accumulator.addSource(record.source)
    }
    accumulator.add(record, records)
    if (seq !== undefined) source.sequence.mark(seq)
    source.records += records
    if (now - atMs < source.delayMs) source.delayMs = now - atMs
    if (!isLate) {
      this.#evictExcess()
      this.#records.counted++
      return 'counted'
    }
    into.boundCorrections(of)
    source.late += records
    this.#maxLateMs = Math.max(this.#maxLateMs, lateMs)
    this.#records.late++
    return 'late'
  }

  #exceeded(job: JobWindows | undefined, knownSource: boolean, freshNames: number): Limit | undefined {
    const { maxJobs, maxSourcesPerJob, maxNamesPerJob } = this.#settings
    if (job === undefined && this.#jobs.size >= maxJobs) return 'maxJobs'
    if (!knownSource && (job?.sourceCount ?? 0) >= maxSourcesPerJob) return 'maxSourcesPerJob'
    if (freshNames > 0 && (job?.names.size ?? 0) + freshNames > maxNamesPerJob) return 'maxNamesPerJob'
    return undefined
  }

  #refuse(
    record: StatsRecord,
    reason: DroppedRecord['reason'],
    details: { byMs?: number; limit?: Limit } = {},
  ): RecordOutcome {
    const { jobId, workflowId, source, atMs, counts } = record
    this.#records[reason]++
    for (const name in counts) {
      const known = this.#droppedCounts.has(name) || this.#droppedCounts.size < MAX_DROPPED_NAMES
      const key = known ? name : ''
      this.#droppedCounts.set(key, addAmounts(this.#droppedCounts.get(key) ?? 0, counts[name] ?? 0))
    }
    this.events.emit('dropped', { reason, jobId, workflowId, source, atMs, ...details })
    return reason
  }

  #addJob(jobId: string): JobWindows {
    const job = new JobWindows(jobId, this.#settings.maxPendingPerJob, () => this.#coalesced++)
    this.#jobs.set(jobId, job)
    return job
  }

  #correction(job: JobWindows, workflow: WorkflowWindows, index: number): WindowAccumulator {
    const known = workflow.late.get(index)
    if (known !== undefined) return known
    const accumulator = this.#accumulator(job, workflow, index)
    this.#withPending.add(job.jobId)
    job.addCorrection(workflow, index, accumulator)
    return accumulator
  }

  #openWindow(job: JobWindows, workflow: WorkflowWindows, index: number): WindowAccumulator {
    const known = workflow.open.get(index)
    if (known !== undefined) return known.accumulator
    let together = this.#open.get(index)
    if (together === undefined) this.#open.add((together = { index, windows: [] }))
    const accumulator = this.#accumulator(job, workflow, index)
    const window: OpenWindow = { job, workflow, index, accumulator, place: together.windows.length }
    together.windows.push(window)
    workflow.open.add(window)
    this.#openCount++
    return accumulator
  }

  #accumulator({ jobId }: JobWindows, { workflowId }: WorkflowWindows, index: number): WindowAccumulator {
    const { windowMs, sketch } = this.#settings
    const place = { jobId, workflowId, startMs: index * windowMs, endMs: (index + 1) * windowMs }
    return new WindowAccumulator(place, ++this.#serial, sketch)
  }

  #closeDue(now: number): void {
    const { windowMs, driftToleranceMs } = this.#settings
    for (;;) {
      const due = this.#open.first
      if (due === undefined || now < (due.index + 1) * windowMs + driftToleranceMs) return
      this.#open.delete(due.index)
      this.#openCount -= due.windows.length
      for (const window of due.windows) {
        window.workflow.open.delete(window.index)
        this.#close(window, 'closed')
      }
    }
  }

  #evictExcess(): void {
    while (this.#openCount > this.#settings.maxOpenWindows) {
      const oldest = this.#open.first?.windows[0]
      if (oldest === undefined) return
      this.#takeOut(oldest)
      this.#close(oldest, 'evicted')
      this.#evicted++
    }
  }

  /** Takes the window from among the open ones. */
  #takeOut({ workflow, index, place }: OpenWindow): void {
    workflow.open.delete(index)
    const windows = this.#open.get(index)?.windows ?? []
    const last = windows.pop()
    if (last !== undefined && place < windows.length) {
      windows[place] = last
      last.place = place
    }
    if (windows.length === 0) this.#open.delete(index)
    this.#openCount--
  }

  #close({ job, workflow, accumulator }: OpenWindow, cause: WindowCause): void {
    this.#withPending.add(job.jobId)
    job.addPending(workflow, accumulator.seal(cause))
  }
}

/** Those that the job has not had yet; made when there is one. */
function newNames(known: ReadonlySet<string> | undefined, record: StatsRecord): Set<string> | undefined {
  const { counts, gauges, values } = record
  let fresh: Set<string> | undefined
  for (const name in counts) if (known?.has(name) !== true) (fresh ??= new Set()).add(name)
  for (const name in gauges) if (known?.has(name) !== true) (fresh ??= new Set()).add(name)
  for (const name in values) if (known?.has(name) !== true) (fresh ??= new Set()).add(name)
  return fresh
}

function missingOf(job: JobWindows): number {
  let missing = 0
  for (const { sources } of job.workflows.values())
    for (const { sequence } of sources.values()) missing += sequence.missing
  return missing
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
