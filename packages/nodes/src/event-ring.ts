/**
 * What has happened to a job, for readers that come back with a cursor. It is bounded without losing a count: progress
 * is the latest only, and when there are too many windows, the two oldest neighbours of one workflow become one. No two
 * windows are merged across the place where a known reader stands, or it would count the first one twice.
 */
import { mergeWindows, windowToWire, type WindowResult } from '@hs/windowed-stats'
import type { WorkflowStatus } from '@hs/jobs'
import type { JobProgress } from './job-types.js'
import { windowCodec, type JobEvent } from './wire/client-gate.js'
import { PART_BYTES, type Part } from './wire/parts.js'

/** Windows of a job; one a workflow if there are more workflows. */
const MAX_WINDOWS = 256
/** Readers of a job whose place is remembered; the one that was away longest is forgotten. */
const MAX_READERS = 64

interface WindowEvent {
  readonly seq: number
  readonly window: WindowResult
  /** Made when it is first read. */
  encoded: Uint8Array | null
}

interface Reader {
  cursor: number
  seenAtMs: number
}

export interface RingPage {
  readonly events: JobEvent[]
  readonly cursor: number
}

export class EventRing {
  #sequence = 0
  #progress: { seq: number; progress: JobProgress } | null = null
  #windows: WindowEvent[] = []
  /** One a workflow and datacenter: outcomes only. */
  readonly #outcomes: Extract<JobEvent, { kind: 'workflow' }>[] = []
  #result: Extract<JobEvent, { kind: 'result' }>[] = []
  readonly #readers = new Map<string, Reader>()

  get progress(): JobProgress | null {
    return this.#progress?.progress ?? null
  }

  /** Whether the end is here: after the result nothing follows. */
  get complete(): boolean {
    return this.#result.length > 0
  }

  setProgress(progress: JobProgress): void {
    this.#progress = { seq: ++this.#sequence, progress }
  }

  addOutcome(workflowId: string, datacenter: string, status: WorkflowStatus): void {
    this.#outcomes.push({ kind: 'workflow', seq: ++this.#sequence, workflowId, datacenter, status })
  }

  addWindows(windows: readonly WindowResult[]): void {
    for (const window of windows) {
      this.#windows.push({ seq: ++this.#sequence, window, encoded: null })
      if (this.#windows.length > MAX_WINDOWS) this.#merge()
    }
  }

  finish(parts: readonly Part[]): void {
    this.#result = parts.map((part) => ({ kind: 'result', seq: ++this.#sequence, part }))
  }

  /** Whether a reader at this place would get something. */
  hasAfter(cursor: number): boolean {
    return this.#sequence > cursor
  }

  /** Notes where a reader stands. */
  seen(reader: string, cursor: number, nowMs: number): void {
    this.#readers.delete(reader)
    this.#readers.set(reader, { cursor, seenAtMs: nowMs })
    if (this.#readers.size <= MAX_READERS) return
    const [longestAway] = this.#readers.keys()
    if (longestAway !== undefined) this.#readers.delete(longestAway)
  }

  /** Whether a reader that was seen since then has not read to the end. */
  hasReaderBehind(sinceMs: number): boolean {
    for (const { cursor, seenAtMs } of this.#readers.values()) {
      if (cursor < this.#sequence && seenAtMs >= sinceMs) return true
    }
    return false
  }

  /** What comes after the cursor, in order, as much as fits a message. */
  read(cursor: number): RingPage {
    const after: { seq: number; size: number; event: () => JobEvent }[] = []
    const progress = this.#progress
    if (progress !== null && progress.seq > cursor) {
      const event = { kind: 'progress', seq: progress.seq, progress: thawed(progress.progress) } as const
      after.push({ seq: progress.seq, size: 512, event: () => event })
    }
    for (const outcome of this.#outcomes) {
      if (outcome.seq > cursor) after.push({ seq: outcome.seq, size: 320, event: () => outcome })
    }
    for (const window of this.#windows) {
      if (window.seq <= cursor) continue
      const bytes = (window.encoded ??= windowCodec.encode(windowToWire(window.window)))
      after.push({
        seq: window.seq,
        size: bytes.length + 32,
        event: () => ({ kind: 'window', seq: window.seq, window: bytes }),
      })
    }
    for (const result of this.#result) {
      if (result.seq > cursor) after.push({ seq: result.seq, size: result.part.bytes.length + 64, event: () => result })
    }
    after.sort((a, b) => a.seq - b.seq)

    const events: JobEvent[] = []
    let size = 0
    let to = cursor
    for (const entry of after) {
      size += entry.size
      if (events.length > 0 && size > PART_BYTES) break
      events.push(entry.event())
      to = entry.seq
    }
    return { events, cursor: to }
  }

  #merge(): void {
    const places = [...this.#readers.values()].map(({ cursor }) => cursor)
    const lastOf = new Map<string, number>()
    for (const [at, { window, seq }] of this.#windows.entries()) {
      const before = lastOf.get(window.workflowId)
      lastOf.set(window.workflowId, at)
      const earlier = before === undefined ? undefined : this.#windows[before]
      if (earlier === undefined || before === undefined) continue
      if (places.some((cursor) => cursor >= earlier.seq && cursor < seq)) continue
      this.#windows[at] = { seq, window: mergeWindows([earlier.window, window]), encoded: null }
      this.#windows.splice(before, 1)
      return
    }
  }
}

/** As the wire's types have it. */
function thawed(progress: JobProgress): Extract<JobEvent, { kind: 'progress' }>['progress'] {
  return { ...progress, workflows: { ...progress.workflows }, datacenters: { ...progress.datacenters } }
}
