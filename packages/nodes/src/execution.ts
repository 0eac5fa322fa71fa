/**
 * One execution of a shard: the context that `run` is given, and what becomes of what it returns or throws.
 * It ends when `run` has really ended, whatever its signal said: cores are free only then.
 */
import { HsError, LimitError, deepFreeze, type Clock, type Logger, type RuntimeOptions, type Timer } from '@hs/core'
import type { Dispatch, DispatchPayload, ShardResult } from '@hs/jobs'
import { encodeTotals, StatsTotals } from './execution-stats.js'
import type { StatsWriter } from './stats-stream.js'
import { MAX_FRAME_BYTES } from './wire/codecs.js'
import type { ExecutionRef } from './wire/fields.js'
import { sizeOf, type ShardResultWire } from './wire/shard-result.js'
import { decodeValue, encodeValue } from './wire/value.js'
import type { WorkflowContext } from './workflow-context.js'
import type { WorkflowDefinition } from './workflow.js'

/** Why an execution is told to end. */
export type AbortCode = 'CANCELLED' | 'TIMED_OUT' | 'STUCK' | 'ORPHANED' | 'NODE_STOPPED'

/** How far an execution has come, by its own account. */
export interface ProgressFrame {
  readonly key: string
  readonly fence: number
  readonly sequence: number
  readonly done: number
  readonly total?: number
}

/** What an execution asks of the leader, and what it gets: 0 is nothing. */
export type AskForTime = (asked: ExecutionRef & { progress: number; reason: string }) => Promise<number>

export interface ExecutionOptions {
  readonly dispatch: Omit<Dispatch, 'workerId' | 'payload'>
  readonly payload: DispatchPayload
  readonly workflow: WorkflowDefinition
  readonly datacenter: string
  readonly workerId: string
  readonly runtime: Required<RuntimeOptions>
  readonly stream: StatsWriter
  readonly askForTime: AskForTime
}

type Outcome = Omit<ShardResult, 'key' | 'fence'>

const MAX_ERROR_BYTES = 4_096
/** What a result may take, so that it fits a frame beside what else a message carries. */
const MAX_RESULT_BYTES: number = MAX_FRAME_BYTES - 65_536

export class Execution {
  readonly key: string
  readonly fence: number
  readonly #options: ExecutionOptions
  readonly #clock: Clock
  readonly #totals = new StatsTotals()
  readonly #published = new Map<string, Uint8Array>()
  /** Made for whoever asks for it. */
  #controller: AbortController | undefined
  #abortCode: AbortCode | null = null
  #progress: ProgressFrame | null = null
  #done: number | null = null
  #reported = 0
  #deadlineMs = Infinity
  #timer: Timer | undefined
  #over = false

  constructor(options: ExecutionOptions) {
    this.#options = options
    this.#clock = options.runtime.clock
    this.key = options.dispatch.key
    this.fence = options.dispatch.fence
  }

  get jobId(): string {
    return this.#options.dispatch.jobId
  }

  get attempt(): number {
    return this.#options.dispatch.attempt
  }

  get plan(): readonly number[] {
    return this.#options.payload.plan
  }

  /** Why it was told to end, if it was. */
  get abortCode(): AbortCode | null {
    return this.#abortCode
  }

  /** How far it has come at most, in its own units; null if it does not tell. */
  get done(): number | null {
    return this.#done
  }

  /** The latest progress that was not taken yet. */
  get progress(): ProgressFrame | null {
    return this.#progress !== null && this.#progress.sequence > this.#reported ? this.#progress : null
  }

  progressTaken(sequence: number): void {
    this.#reported = Math.max(this.#reported, sequence)
  }

  /** The first reason counts. */
  abort(code: AbortCode): void {
    if (this.#abortCode !== null || this.#over) return
    this.#abortCode = code
    this.#controller?.abort(abortReason(code, this.key))
  }

  /** Never rejects. */
  async run(): Promise<Outcome> {
    const { dispatch, payload, stream } = this.#options
    const startedAt = this.#clock.now()
    let outcome: Outcome
    try {
      if (this.#abortCode !== null) throw abortReason(this.#abortCode, this.key)
      this.#deadlineMs = startedAt + payload.timeoutMs
      this.#arm()
      outcome = this.#completed(await this.#value())
    } catch (error) {
      outcome = this.#failed(error)
    }
    this.#timer?.cancel()
    this.#over = true
    stream.close()
    const stats = encodeTotals(this.#totals)
    return this.#bounded({
      ...outcome,
      ...(stats === undefined ? {} : { stats }),
      attempt: dispatch.attempt,
      durationMs: Math.max(0, this.#clock.now() - startedAt),
    })
  }

  async #value(): Promise<Uint8Array> {
    const { workflow, payload } = this.#options
    const given = decodeValue(payload.input)
    const input = workflow.input === undefined ? given : await parsed(workflow.input, given, 'INVALID_JOB', 'input')
    const value: unknown = await workflow.run(this.#context(input))
    const checked =
      workflow.output === undefined ? value : await parsed(workflow.output, value, 'INVALID_OUTPUT', 'value')
    return encodeResult(checked)
  }

  #completed(value: Uint8Array): Outcome {
    const version = this.#options.payload.contextVersion
    const context = Object.fromEntries(
      Array.from(this.#published, ([name, bytes]) => [name, { value: bytes, version }]),
    )
    return {
      status: 'completed',
      value,
      ...(this.#published.size === 0 ? {} : { context }),
    }
  }

  /** After an abort whatever is thrown is its echo. */
  #failed(error: unknown): Outcome {
    switch (this.#abortCode) {
      case 'TIMED_OUT':
        return { status: 'timed-out', error: { code: 'TIMED_OUT', message: abortText.TIMED_OUT } }
      case 'CANCELLED':
      case 'STUCK':
      case 'ORPHANED':
      case 'NODE_STOPPED':
        // By the code the scheduler knows what was only handed back, and runs it elsewhere.
        return { status: 'cancelled', error: { code: this.#abortCode, message: abortText[this.#abortCode] } }
      case null:
        return { status: 'failed', error: errorOf(error) }
    }
  }

  #bounded(outcome: Outcome): Outcome {
    const size = sizeOf({ key: this.key, fence: this.fence, ...outcome } as ShardResultWire)
    if (size <= MAX_RESULT_BYTES) return outcome
    const { attempt, durationMs } = outcome
    const error = {
      code: 'RESULT_TOO_LARGE',
      message: `the result takes ${size} bytes, at most ${MAX_RESULT_BYTES} fit`,
    }
    return { status: 'failed', error, ...(attempt && { attempt }), ...(durationMs !== undefined && { durationMs }) }
  }

  #context(input: unknown): WorkflowContext<unknown> {
    const { dispatch, payload, datacenter, workerId, runtime, stream } = this.#options
    const { jobId, workflowId, shard, attempt, cores } = dispatch
    const signal = () => this.#signal()
    let logger: Logger | undefined // for most runs log nothing
    const totals = this.#totals
    return {
      input,
      jobId,
      workflowId,
      datacenter,
      workerId,
      shard: Object.freeze({ index: shard, count: payload.plan.length, vus: payload.vus, cores }),
      attempt,
      executionId: `${this.key}#${this.fence}`,
      get signal() {
        return signal()
      },
      context: decodedContext(payload.context),
      set: (name, value) => void this.#published.set(name, encodeValue(value)),
      progress: (done, total) => this.#setProgress(done, total),
      stats: {
        record: (metric, value) => {
          totals.record(metric, value)
          if (!this.#over) stream.totals.record(metric, value)
        },
        count: (name, n = 1) => {
          totals.count(name, n)
          if (!this.#over) stream.totals.count(name, n)
        },
      },
      extend: (reason) => this.#extend(reason),
      get logger() {
        return (logger ??= runtime.logger.child({ jobId, workflowId, shard, attempt }))
      },
      clock: runtime.clock,
      random: runtime.random,
    }
  }

  /** Counts only for what still runs when the answer comes. */
  async #extend(reason: string): Promise<{ granted: boolean; extraMs: number }> {
    const isOver = () => this.#over || this.#abortCode !== null
    const { key, fence } = this
    const asked = { key, fence, progress: this.#done ?? 0, reason }
    const extraMs = isOver() ? 0 : await this.#options.askForTime(asked)
    if (extraMs === 0 || isOver()) return { granted: false, extraMs: 0 }
    this.#deadlineMs += extraMs
    this.#arm()
    return { granted: true, extraMs }
  }

  #arm(): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.setTimer(this.#deadlineMs - this.#clock.now(), () => this.abort('TIMED_OUT'))
  }

  #signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#abortCode !== null) this.#controller.abort(abortReason(this.#abortCode, this.key))
    }
    return this.#controller.signal
  }

  #setProgress(done: number, total: number | undefined): void {
    if (!isAmount(done) || !(total === undefined || isAmount(total)))
      throw new HsError('INVALID_ARGUMENT', `progress takes finite numbers from 0, found ${done} of ${total}`)
    const { key, fence } = this
    const sequence = (this.#progress?.sequence ?? 0) + 1
    this.#done = Math.max(this.#done ?? 0, done)
    this.#progress = total === undefined ? { key, fence, sequence, done } : { key, fence, sequence, done, total }
  }
}

const abortText: Readonly<Record<AbortCode, string>> = Object.freeze({
  CANCELLED: 'was cancelled',
  TIMED_OUT: 'ran longer than it may',
  STUCK: 'made no progress for too long',
  ORPHANED: 'ran without a leader for too long',
  NODE_STOPPED: 'stopped, because its worker stops',
})

function abortReason(code: AbortCode, key: string): HsError {
  return new HsError(code, `${key} ${abortText[code]}`)
}

async function parsed(
  schema: NonNullable<WorkflowDefinition['input']>,
  value: unknown,
  code: string,
  what: string,
): Promise<unknown> {
  const result = await schema.safeParseAsync(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const path = [what, ...(issue?.path ?? [])].join('.')
  throw new HsError(code, `${path}: ${issue?.message ?? 'invalid'}`)
}

function encodeResult(value: unknown): Uint8Array {
  try {
    return encodeValue(value)
  } catch (error) {
    if (error instanceof LimitError) throw new HsError('RESULT_TOO_LARGE', error.message, { cause: error })
    throw error
  }
}

function errorOf(error: unknown): { code: string; message: string } {
  const { code, message } = (typeof error === 'object' && error !== null ? error : {}) as {
    code?: unknown
    message?: unknown
  }
  return {
    code: typeof code === 'string' && code !== '' ? code.slice(0, 128) : 'WORKFLOW_FAILED',
    message: truncated(typeof message === 'string' ? message : safeText(error)),
  }
}

function safeText(value: unknown): string {
  try {
    return String(value)
  } catch (thrown) {
    return `a ${typeof value} that cannot be shown: ${thrown instanceof Error ? thrown.name : typeof thrown}`
  }
}

/** To bytes, not characters: that is what the frame is made of. */
function truncated(message: string): string {
  const bytes = new TextEncoder().encode(message)
  if (bytes.length <= MAX_ERROR_BYTES) return message
  return new TextDecoder().decode(bytes.subarray(0, MAX_ERROR_BYTES)).replace(/\uFFFD+$/, '')
}

function decodedContext(context: DispatchPayload['context']): WorkflowContext<unknown>['context'] {
  const decoded: Record<string, Record<string, unknown>> = {}
  for (const [dependency, values] of Object.entries(context)) {
    decoded[dependency] = Object.fromEntries(
      Object.entries(values).map(([name, bytes]) => [name, bytes instanceof Uint8Array ? decodeValue(bytes) : bytes]),
    )
  }
  return deepFreeze(decoded)
}

function isAmount(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value < Infinity
}
