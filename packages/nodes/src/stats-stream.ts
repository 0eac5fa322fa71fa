/**
 * What a worker sends of its statistics while work runs: per job and workflow one increment at a time, numbered, and
 * sent again under the same number until it was taken. Meanwhile more gathers in place, so what is held is bounded by
 * what runs, not by time.
 */
import type { Clock } from '@hs/core'
import { StatsTotals, totalsToWire } from './execution-stats.js'
import type { StatsRecordWire } from './wire/manager-worker.js'

interface Stream {
  readonly jobId: string
  readonly workflowId: string
  /** Executions that may add to it. */
  users: number
  totals: StatsTotals
  seq: number
  /** Sent and not taken yet. */
  outstanding: StatsRecordWire | null
}

export class StatsStreams {
  readonly #clock: Clock
  readonly #streams = new Map<string, Stream>()
  /** Never below the number of any stream, so a stream that is made anew goes on above where it ended. */
  #sequence = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#streams.size
  }

  /** For an execution that begins; call `close` when it ends. */
  open(jobId: string, workflowId: string): StatsWriter {
    const key = `${jobId}/${workflowId}`
    let stream = this.#streams.get(key)
    if (stream === undefined) {
      stream = { jobId, workflowId, users: 0, totals: new StatsTotals(), seq: this.#sequence, outstanding: null }
      this.#streams.set(key, stream)
    }
    stream.users++
    return new StatsWriter(stream, () => this.#forgetIfIdle(key))
  }

  /** Whether there is something to send. */
  get pending(): boolean {
    for (const { totals, outstanding } of this.#streams.values())
      if (outstanding !== null || !totals.isEmpty) return true
    return false
  }

  /** What is to be sent now: what was not taken, the same again, and what is new. */
  outgoing(): StatsRecordWire[] {
    const records: StatsRecordWire[] = []
    for (const stream of this.#streams.values()) {
      if (stream.outstanding === null && !stream.totals.isEmpty) stream.outstanding = this.#cut(stream)
      if (stream.outstanding !== null) records.push(stream.outstanding)
    }
    return records
  }

  /** Those were taken. */
  taken(records: readonly StatsRecordWire[]): void {
    for (const { jobId, workflowId, seq } of records) {
      const key = `${jobId}/${workflowId}`
      const stream = this.#streams.get(key)
      if (stream?.outstanding?.seq !== seq) continue
      stream.outstanding = null
      this.#forgetIfIdle(key)
    }
  }

  #cut(stream: Stream): StatsRecordWire {
    const { jobId, workflowId, totals } = stream
    stream.totals = new StatsTotals()
    this.#sequence++
    stream.seq++
    return { jobId, workflowId, seq: stream.seq, atMs: this.#clock.wallNow(), ...totalsToWire(totals) }
  }

  #forgetIfIdle(key: string): void {
    const stream = this.#streams.get(key)
    if (stream === undefined || stream.users > 0 || stream.outstanding !== null || !stream.totals.isEmpty) return
    this.#streams.delete(key)
  }
}

export class StatsWriter {
  readonly #stream: Stream
  readonly #onIdle: () => void
  #closed = false

  constructor(stream: Stream, onIdle: () => void) {
    this.#stream = stream
    this.#onIdle = onIdle
  }

  get totals(): StatsTotals {
    return this.#stream.totals
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#stream.users--
    if (this.#stream.users === 0) this.#onIdle()
  }
}
