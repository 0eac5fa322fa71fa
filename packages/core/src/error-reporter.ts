/**
 * No error without a reader. Errors that nobody awaits (of tasks, listeners, callbacks) go, in this order, to a count,
 * the owner's `onError`, the logger, and where these fail to the console; what even the console refuses is counted
 * as `lost`. Repetition is throttled in the log only: `onError` and the counters see every error.
 */
import * as z from 'zod'
import type { Clock } from './clock.js'
import { checkFunction } from './arguments.js'
import { logLine, mergeFields, type LogFields, type Logger } from './logger.js'
import { parseOptions } from './options.js'
import { messageOf } from './plain.js'
import { runtimeShape, type RuntimeOptions } from './runtime.js'
import { whenRejected } from './when-rejected.js'

/** Called for every error; may be async. What it throws or rejects with is logged beside the error. */
export type OnError = (error: unknown, context: { source: string } & LogFields) => unknown

export interface ErrorReporterOptions extends RuntimeOptions {
  /** Told every error, before the logger is. */
  onError?: OnError
  /** Lines logged per source and error code (or name) within `logIntervalMs`, at least 1. @default 5 */
  logBurst?: number
  /** In milliseconds, above 0. @default 10_000 */
  logIntervalMs?: number
}

export interface ErrorReporterSnapshot {
  /** Errors reported so far. */
  readonly total: number
  /** The same by source, of the first 1,000 sources. */
  readonly bySource: Readonly<Record<string, number>>
  /** Errors that neither the logger nor the console took. */
  readonly lost: number
}

const MAX_SOURCES = 1_000
const MAX_KINDS_PER_SOURCE = 100
/** What further kinds are throttled under; no code or name has a space first. */
const OTHER_KINDS = ' other'

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    onError: z.custom<OnError>((x) => typeof x === 'function', 'expected a function').optional(),
    logBurst: z.int().min(1).default(5),
    logIntervalMs: z.number().positive().default(10_000),
  }))()

interface SourceRecord {
  count: number
  readonly kinds: Map<string, LogWindow>
}

interface LogWindow {
  startedAtMs: number
  lines: number
  suppressed: number
}

/** Counts, hands on and logs the errors that nobody awaits; throttles their lines in the log. */
export class ErrorReporter {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #onError: OnError | undefined
  readonly #logBurst: number
  readonly #logIntervalMs: number
  readonly #sources = new Map<string, SourceRecord>()
  /** Throttles together whatever comes from sources beyond the limit. */
  readonly #untracked: SourceRecord = { count: 0, kinds: new Map() }
  #total = 0
  #lost = 0

  /** @throws ConfigError */
  constructor(options: ErrorReporterOptions = {}) {
    const { clock, logger, onError, logBurst, logIntervalMs } = parseOptions(schema, options, 'ErrorReporter')
    this.#clock = clock
    this.#logger = logger
    this.#onError = onError
    this.#logBurst = logBurst
    this.#logIntervalMs = logIntervalMs
  }

  /**
   * Counts the error, gives it to `onError`, logs it. Never throws.
   * @param source what failed: `'pool.connect'`
   * @param fields added to the line and to the context of `onError`; `source` and `err` are not theirs to set
   */
  report(source: string, error: unknown, fields?: LogFields): void {
    const readable = fields === undefined ? undefined : mergeFields({}, fields)
    this.#total++
    const record = this.#recordOf(source)
    record.count++
    const handler = this.#callOnError(source, error, readable)
    const window = this.#admit(record, kindOf(error))
    if (window === null && handler === null) return
    const loggerFailed = (loggerError: unknown) => this.#toConsole(source, error, handler, loggerError, readable)
    try {
      if (window !== null) {
        const suppressed = window.suppressed > 0 ? { suppressed: window.suppressed } : undefined
        window.suppressed = 0
        const line = { ...readable, ...suppressed, source, err: error }
        whenRejected(this.#logger.error(`${source}: ${messageOf(error)}`, line), loggerFailed)
      }
      if (handler !== null) whenRejected(this.#logHandlerError(source, error, handler.thrown, readable), loggerFailed)
    } catch (loggerError) {
      loggerFailed(loggerError)
    }
  }

  /**
   * Wraps a callback: what it throws, or what its promise rejects with, is reported under `source`. What this returns
   * never throws.
   * @throws HsError `'INVALID_ARGUMENT'` if `fn` is no function
   */
  guard<A extends unknown[]>(source: string, fn: (...args: A) => unknown, fields?: LogFields): (...args: A) => void {
    checkFunction(source, fn)
    return (...args) => {
      try {
        whenRejected(fn(...args), (error) => this.report(source, error, fields))
      } catch (error) {
        this.report(source, error, fields)
      }
    }
  }

  snapshot(): ErrorReporterSnapshot {
    const bySource = Object.fromEntries(Array.from(this.#sources, ([source, { count }]) => [source, count]))
    return Object.freeze({ total: this.#total, bySource: Object.freeze(bySource), lost: this.#lost })
  }

  #recordOf(source: string): SourceRecord {
    const known = this.#sources.get(source)
    if (known !== undefined) return known
    if (this.#sources.size >= MAX_SOURCES) return this.#untracked
    const record: SourceRecord = { count: 0, kinds: new Map() }
    this.#sources.set(source, record)
    return record
  }

  /** What `onError` threw, if it did; what it rejects with later is logged then. */
  #callOnError(source: string, error: unknown, fields: LogFields | undefined): { thrown: unknown } | null {
    if (this.#onError === undefined) return null
    try {
      whenRejected(this.#onError(error, { ...fields, source }), (thrown) => {
        const loggerFailed = (loggerError: unknown) => this.#toConsole(source, error, { thrown }, loggerError, fields)
        try {
          whenRejected(this.#logHandlerError(source, error, thrown, fields), loggerFailed)
        } catch (loggerError) {
          loggerFailed(loggerError)
        }
      })
      return null
    } catch (thrown) {
      return { thrown }
    }
  }

  /** Returns what the logger does: one that is async against its type gives a promise. */
  #logHandlerError(source: string, error: unknown, thrown: unknown, fields: LogFields | undefined): unknown {
    return this.#logger.error(`onError failed for ${source}: ${messageOf(thrown)}`, {
      ...fields,
      source,
      err: thrown,
      originalErr: error,
    })
  }

  /** The window to count the line in, or null if this kind of error has had its lines. */
  #admit(record: SourceRecord, kind: string): LogWindow | null {
    const now = this.#clock.now()
    const window = windowOf(record, kind, now)
    if (now - window.startedAtMs >= this.#logIntervalMs) {
      window.startedAtMs = now
      window.lines = 0
    }
    if (window.lines >= this.#logBurst) {
      window.suppressed++
      return null
    }
    window.lines++
    return window
  }

  #toConsole(
    source: string,
    error: unknown,
    handler: { thrown: unknown } | null,
    loggerError: unknown,
    fields: LogFields | undefined,
  ): void {
    const onError = handler === null ? undefined : { onErrorErr: handler.thrown }
    const line = { ...fields, source, err: error, ...onError, loggerErr: loggerError }
    try {
      console.error(logLine('error', `The logger failed on an error of ${source}`, line))
    } catch {
      this.#lost++
    }
  }
}

function windowOf(record: SourceRecord, kind: string, now: number): LogWindow {
  const key = record.kinds.has(kind) || record.kinds.size < MAX_KINDS_PER_SOURCE ? kind : OTHER_KINDS
  const known = record.kinds.get(key)
  if (known !== undefined) return known
  const window: LogWindow = { startedAtMs: now, lines: 0, suppressed: 0 }
  record.kinds.set(key, window)
  return window
}

/** The error's code, or else its name. */
function kindOf(error: unknown): string {
  try {
    if (typeof error !== 'object' || error === null) return typeof error
    const { code, name } = error as { code?: unknown; name?: unknown }
    return String(typeof code === 'string' || typeof code === 'number' ? code : name)
  } catch {
    return 'unreadable'
  }
}
