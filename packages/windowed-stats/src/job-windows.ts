/**
 * All that is known about the statistics of one job: per workflow its open windows, its corrections, what is closed and
 * not yet taken, and its sources. The one record of a job, so that forgetting it is one `delete`.
 */
import { ByIndex } from './by-index.js'
import { coalesce } from './coalesce.js'
import { SequenceWindow } from './sequence-window.js'
import type { WindowAccumulator } from './window-accumulator.js'
import type { WindowResult } from './window-result.js'

/** A window in time order among all open ones. */
export interface OpenWindow {
  readonly job: JobWindows
  readonly workflow: WorkflowWindows
  readonly index: number
  readonly accumulator: WindowAccumulator
  /** Its place among those that close together with it. */
  place: number
}

export interface WorkflowWindows {
  readonly workflowId: string
  readonly open: ByIndex<OpenWindow>
  /** Corrections of closed windows, by window index. */
  readonly late: Map<number, WindowAccumulator>
  /** Closed and not taken, in order of closing. */
  pending: WindowResult[]
  readonly sources: Map<string, SourceRecord>
}

export interface SourceRecord {
  records: number
  duplicates: number
  late: number
  /** The smallest arrival - atMs. */
  delayMs: number
  readonly sequence: SequenceWindow
  /** Serial number of the window that its last record went into, so that it is noted there but once. */
  lastSerial: number
}

export class JobWindows {
  readonly jobId: string
  readonly workflows = new Map<string, WorkflowWindows>()
  readonly names = new Set<string>()
  sourceCount = 0
  readonly #maxPending: number
  readonly #onCoalesced: () => void
  /** Workflows with corrections or pending windows. */
  #withPending = new Set<WorkflowWindows>()
  /** Workflows with at least two pending windows: those that can be coalesced. */
  #withSeveral = new Set<WorkflowWindows>()
  #pending = 0
  #corrections = 0

  constructor(jobId: string, maxPending: number, onCoalesced: () => void) {
    this.jobId = jobId
    this.#maxPending = maxPending
    this.#onCoalesced = onCoalesced
  }

  /** Closed windows and corrections that were not taken. */
  get pendingCount(): number {
    return this.#pending + this.#corrections
  }

  workflow(workflowId: string): WorkflowWindows {
    let workflow = this.workflows.get(workflowId)
    if (workflow === undefined) {
      workflow = { workflowId, open: new ByIndex(), late: new Map(), pending: [], sources: new Map() }
      this.workflows.set(workflowId, workflow)
    }
    return workflow
  }

  addSource(workflow: WorkflowWindows, source: string, dedupWindow: number): SourceRecord {
    const sequence = new SequenceWindow(dedupWindow)
    const record = { records: 0, duplicates: 0, late: 0, delayMs: Infinity, sequence, lastSerial: 0 }
    workflow.sources.set(source, record)
    this.sourceCount++
    return record
  }

  addPending(workflow: WorkflowWindows, window: WindowResult): void {
    workflow.pending.push(window)
    this.#pending++
    this.#withPending.add(workflow)
    if (workflow.pending.length > 1) this.#withSeveral.add(workflow)
    this.#bound(workflow)
  }

  addCorrection(workflow: WorkflowWindows, index: number, accumulator: WindowAccumulator): void {
    workflow.late.set(index, accumulator)
    this.#corrections++
    this.#withPending.add(workflow)
  }

  /** Call it once the correction holds its record: what is sealed takes nothing more. */
  boundCorrections(workflow: WorkflowWindows): void {
    if (this.pendingCount > this.#limit()) this.#sealCorrections(workflow)
  }

  /** What is pending, oldest first, corrections included; nothing is taken. */
  pending(): readonly WindowResult[] {
    for (const workflow of this.#withPending) this.#sealCorrections(workflow)
    return [...this.#withPending].flatMap((workflow) => workflow.pending).sort((a, b) => a.startMs - b.startMs)
  }

  takePending(): readonly WindowResult[] {
    const windows = this.pending()
    for (const workflow of this.#withPending) workflow.pending = []
    // Not cleared: the table that `clear` leaves behind keeps the next one alive, and so on.
    this.#withPending = new Set()
    if (this.#withSeveral.size > 0) this.#withSeveral = new Set()
    this.#pending = 0
    return windows
  }

  #sealCorrections(workflow: WorkflowWindows): void {
    if (workflow.late.size === 0) return
    const corrections = [...workflow.late.values()]
    workflow.late.clear()
    this.#corrections -= corrections.length
    for (const correction of corrections) this.addPending(workflow, correction.seal('late'))
  }

  /** One a workflow can always be kept: windows of two workflows cannot become one. */
  #limit(): number {
    return Math.max(this.#maxPending, this.workflows.size)
  }

  /** Merges the two oldest windows of a workflow, so that the newest keep their resolution. */
  #bound(latest: WorkflowWindows): void {
    if (this.pendingCount <= this.#limit()) return
    const [other] = this.#withSeveral
    const workflow = latest.pending.length > 1 ? latest : other
    if (workflow === undefined) {
      // Only corrections are left to be merged: sealing those of a workflow that has several leads here again.
      const several = [...this.#withPending].find(({ late, pending }) => late.size + pending.length > 1)
      if (several !== undefined) this.#sealCorrections(several)
      return
    }
    workflow.pending.sort((a, b) => a.startMs - b.startMs)
    this.#pending -= coalesce(workflow.pending, workflow.pending.length - 1)
    if (workflow.pending.length < 2) this.#withSeveral.delete(workflow)
    this.#onCoalesced()
  }
}
