/**
 * A job in the hands of a client: one held request follows its owner and brings progress, windows and, at the end, the
 * result. It goes on through failures of the network, until no gate has known the job for `jobLostMs`.
 */
import {
  deferred,
  TypedEmitter,
  withTimeout,
  type Clock,
  type Deferred,
  type ErrorReporter,
  type RuntimeOptions,
} from '@hs/core'
import type { JobStatus, WorkflowStatus } from '@hs/jobs'
import { windowFromWire, type WindowResult } from '@hs/windowed-stats'
import { fullJitterMs } from './backoff.js'
import type { Gates } from './gates.js'
import { resultCodec, resultFromWire } from './job-result.js'
import type { JobProgress, JobResult } from './job-types.js'
import { Latest } from './latest.js'
import { NodeError, refusalError } from './node-errors.js'
import { NO_WORKFLOWS } from './no-workflows.js'
import type { NodeTiming } from './timing.js'
import { jobCancel, jobWatch, windowCodec, type JobEvent } from './wire/client-gate.js'
import type { JobOwner } from './wire/fields.js'
import { PartCollector } from './wire/parts.js'
import { WindowStream } from './window-stream.js'

export interface JobHandleEvents {
  progress: [JobProgress]
  stats: [WindowResult]
  /** A workflow has ended in a datacenter. */
  workflow: [{ workflowId: string; datacenter: string; status: WorkflowStatus }]
  /** Which gate owns the job, first and whenever it changes. */
  leader: [{ gateId: string; address: string; fence: number }]
  /** No gate has known the job for `clientOrphanMs`. */
  orphaned: []
}

export interface ResultOptions {
  timeoutMs?: number
  signal?: AbortSignal
}

export interface CancelAnswer {
  status: 'cancelling' | 'cancelled' | 'already-finished'
}

export interface JobHandleOptions {
  readonly jobId: string
  /** This handle, to the gate. */
  readonly reader: string
  readonly gates: Gates
  readonly runtime: Required<RuntimeOptions>
  readonly reporter: ErrorReporter
  readonly timing: Readonly<NodeTiming>
  /** Of the client. */
  readonly signal: AbortSignal
  /** Known from the submission. */
  readonly owner?: JobOwner
}

const WAIT_MS = 10_000
const BACKOFF = Object.freeze({ baseMs: 50, maxMs: 2_000 })

export class JobHandle {
  readonly jobId: string
  readonly events: TypedEmitter<JobHandleEvents>
  readonly #options: JobHandleOptions
  readonly #clock: Clock
  readonly #progress = new Latest<JobProgress>()
  readonly #stats = new WindowStream()
  readonly #parts = new PartCollector()
  readonly #outcome: Deferred<JobResult> = deferred()
  #over = false
  #status: JobStatus = 'pending'
  #cursor = 0
  #owner: JobOwner | null = null
  /** Since when no gate has known the job. */
  #unknownSince: number | null = null
  #orphaned = false

  constructor(options: JobHandleOptions) {
    this.jobId = options.jobId
    this.#options = options
    this.#clock = options.runtime.clock
    this.events = new TypedEmitter(`JobHandle ${options.jobId}`, options.reporter)
    // A result that nobody asks for is no unhandled rejection.
    this.#outcome.promise.catch(() => this.#over)
    if (options.owner !== undefined) this.#follow(options.owner)
  }

  get status(): JobStatus {
    return this.#status
  }

  /** The latest progress for each reader at its own pace; ends with the job. */
  get progress(): AsyncIterable<JobProgress> {
    return this.#progress
  }

  /**
   * Increments of the job's statistics, per workflow, all datacenters together; ends with the job. A slow reader gets
   * neighbours of one workflow merged, never fewer counts.
   */
  get stats(): AsyncIterable<WindowResult> {
    return this.#stats
  }

  /**
   * Resolves for every outcome of the job, also `failed` and `cancelled`.
   * @throws (as a rejection) NodeError `'JOB_LOST'`, `'NODE_STOPPED'`; TimeoutError; the signal's reason.
   */
  result({ timeoutMs = Infinity, signal }: ResultOptions = {}): Promise<JobResult> {
    const { clock } = this.#options.runtime
    const options = signal === undefined ? { clock } : { clock, signal }
    return withTimeout(`result of ${this.jobId}`, timeoutMs, () => this.#outcome.promise, options)
  }

  /**
   * Ends the job, or with `workflowId` that step only. It is repeated until a gate has heard it.
   * @throws (as a rejection) NodeError `'JOB_NOT_FOUND'`, `'INVALID_JOB'` for a step that it does not have,
   *   `'NODE_STOPPED'`, `'NO_GATE'` after `jobLostMs`.
   */
  async cancel(reason?: string, { workflowId }: { workflowId?: string } = {}): Promise<CancelAnswer> {
    const { gates, signal, timing, runtime } = this.#options
    const request = {
      jobId: this.jobId,
      ...(reason !== undefined && { reason }),
      ...(workflowId !== undefined && { workflowId }),
    }
    const deadline = this.#clock.now() + timing.jobLostMs
    let unknownTo = 0
    for (let failures = 1; ; failures++) {
      signal.throwIfAborted()
      const answer = await gates.ask(jobCancel, request, { signal })
      if (answer?.ok === true) return { status: answer.status }
      if (answer?.owner !== undefined) gates.prefer(answer.owner.address)
      else if (answer?.code === 'JOB_NOT_FOUND' && ++unknownTo < gates.count) gates.next()
      else if (answer !== null && answer.code !== 'OVERLOADED') throw refusalError(answer)
      if (this.#clock.now() >= deadline)
        throw new NodeError('NO_GATE', `no gate has heard the cancellation of ${this.jobId}`)
      await this.#clock.sleep(answer?.retryAfterMs ?? fullJitterMs(BACKOFF, failures, runtime.random), signal)
    }
  }

  /** The latest progress that is known. */
  snapshot(): JobProgress {
    return this.#progress.value ?? nothingKnown(this.jobId)
  }

  /** For the client: follows the job until it is over. */
  async watch(): Promise<void> {
    const { gates, signal, timing, runtime } = this.#options
    let failures = 0
    while (!this.#over) {
      try {
        const request = { jobId: this.jobId, reader: this.#options.reader, cursor: this.#cursor, waitMs: WAIT_MS }
        const answer = await gates.ask(jobWatch, request, { signal, timeoutMs: WAIT_MS + timing.rpcTimeoutMs })
        if (answer?.ok === true && this.#follow(answer.owner)) {
          failures = 0
          this.#unknownSince = null
          this.#orphaned = false
          for (const event of answer.events) this.#take(event)
          this.#cursor = Math.max(this.#cursor, answer.cursor)
          continue
        }
        if (answer?.ok === false) {
          if (answer.owner !== undefined) gates.prefer(answer.owner.address)
          else gates.next()
        }
        this.#unknown()
        if (this.#over) return
        failures++
        await this.#clock.sleep(
          (answer?.ok === false ? answer.retryAfterMs : undefined) ?? fullJitterMs(BACKOFF, failures, runtime.random),
          signal,
        )
      } catch (error) {
        this.#fail(signal.aborted ? signal.reason : error)
        if (!signal.aborted) throw error
      }
    }
  }

  /** False for an owner that has been succeeded. */
  #follow(owner: JobOwner): boolean {
    const known = this.#owner
    if (known !== null && owner.fence < known.fence) return false
    this.#options.gates.prefer(owner.address)
    this.#owner = owner
    if (known?.gateId !== owner.gateId || known.fence !== owner.fence || known.address !== owner.address) {
      this.events.emit('leader', { gateId: owner.gateId, address: owner.address, fence: owner.fence })
    }
    return true
  }

  #take(event: JobEvent): void {
    switch (event.kind) {
      case 'progress': {
        if (event.progress.sequence <= (this.#progress.value?.sequence ?? -1)) return
        const progress: JobProgress = Object.freeze(event.progress)
        this.#status = progress.status
        this.#progress.set(progress)
        this.events.emit('progress', progress)
        return
      }
      case 'window': {
        const window = windowFromWire(windowCodec.decode(event.window))
        this.#stats.push(window)
        this.events.emit('stats', window)
        return
      }
      case 'workflow': {
        const { workflowId, datacenter, status } = event
        this.events.emit('workflow', { workflowId, datacenter, status })
        return
      }
      case 'result': {
        const whole = this.#parts.add(event.part)
        if (whole !== null) this.#finish(resultFromWire(resultCodec.decode(whole)))
      }
    }
  }

  #finish(result: JobResult): void {
    this.#status = result.status
    this.#end()
    this.#outcome.resolve(result)
  }

  #fail(error: unknown): void {
    if (this.#over) return
    this.#end()
    this.#outcome.reject(error)
  }

  #end(): void {
    this.#over = true
    this.#progress.end()
    this.#stats.end()
  }

  /** No gate that was asked knows the job. */
  #unknown(): void {
    const { timing } = this.#options
    const now = this.#clock.now()
    this.#unknownSince ??= now
    const unknownMs = now - this.#unknownSince
    if (unknownMs >= timing.clientOrphanMs && !this.#orphaned) {
      this.#orphaned = true
      this.events.emit('orphaned')
    }
    if (unknownMs >= timing.jobLostMs)
      this.#fail(new NodeError('JOB_LOST', `no gate has known ${this.jobId} for ${Math.round(unknownMs)} ms`))
  }
}

function nothingKnown(jobId: string): JobProgress {
  return Object.freeze({
    jobId,
    status: 'pending',
    fraction: 0,
    sequence: 0,
    rate: 0,
    workflows: NO_WORKFLOWS,
    datacenters: {},
  })
}
