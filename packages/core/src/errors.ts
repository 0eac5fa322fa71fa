/**
 * Every error this library throws is an `HsError` with a stable `code`: code decides, messages are for people.
 * `HsError.is` recognises errors of another copy of the package too (the ESM and CommonJS builds are two copies,
 * between which `instanceof` fails).
 */
import { isErrorLike, messageOf, toPlain } from './plain.js'

const brand = Symbol.for('@hs/core/HsError')

export interface HsErrorOptions {
  /** What led to this error; any value, for anything can be thrown. */
  cause?: unknown
  /** Facts for programs: copied and frozen. */
  details?: Record<string, unknown>
}

export interface HsErrorJson {
  readonly name: string
  readonly code: string
  readonly message: string
  /** JSON-safe: bigints, cycles and the like are text. */
  readonly details: Readonly<Record<string, unknown>>
  readonly cause?: { readonly name: string; readonly message: string; readonly code?: string }
}

/** An error of this library. `code` says what happened, for programs; the message says it for people. */
export class HsError extends Error {
  /** Stable, in capitals: `'TIMEOUT'`. */
  readonly code: string
  /** Facts for programs; frozen. Empty if there are none. */
  readonly details: Readonly<Record<string, unknown>>

  static {
    // On the prototype, so that the stack's first line has the right name already when it is captured.
    // A bundler may put underscores before a class's name; `code` is what never changes.
    Object.defineProperty(this.prototype, 'name', {
      configurable: true,
      get(this: Error): string {
        return this.constructor.name.replace(/^_+/, '')
      },
      set(this: Error, value: string) {
        Object.defineProperty(this, 'name', { value, configurable: true, writable: true })
      },
    })
    Object.defineProperty(this.prototype, brand, { value: true })
  }

  constructor(code: string, message: string, options: HsErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = Object.freeze({ ...options.details })
  }

  /** Whether `value` is an error of this library, of whichever copy of it; with `code`, one of that code. */
  static is(value: unknown, code?: string): value is HsError {
    if (typeof value !== 'object' || value === null || !(brand in value)) return false
    return code === undefined || (value as { code?: unknown }).code === code
  }

  /** Plain data without the stack, safe for `JSON.stringify`. */
  toJSON(): HsErrorJson {
    const json = {
      name: this.name,
      code: this.code,
      message: this.message,
      details: toPlain(this.details) as Record<string, unknown>,
    }
    return this.cause === undefined ? json : { ...json, cause: causeJson(this.cause) }
  }
}

function causeJson(cause: unknown): NonNullable<HsErrorJson['cause']> {
  if (!isErrorLike(cause)) return { name: typeof cause, message: messageOf(cause) }
  const { code } = cause as { code?: unknown }
  const json = { name: cause.name, message: cause.message }
  return typeof code === 'string' ? { ...json, code } : json
}

export interface ConfigIssue {
  /** Where: `'slo.p50Ms'`; empty for the options as a whole. */
  readonly path: string
  /** What was expected, with the bound. */
  readonly message: string
  /** What was found; `'[redacted]'` under a path that looks like a secret. */
  readonly value: unknown
}

/** Options that cannot be used (`'CONFIG_INVALID'`): all of what is wrong with them, at once. */
export class ConfigError extends HsError {
  readonly issues: readonly ConfigIssue[]

  /** @param owner the class or function whose options these are */
  constructor(owner: string, issues: readonly ConfigIssue[]) {
    const shown = Object.freeze(issues.map((issue) => Object.freeze(redactIssue(issue))))
    super('CONFIG_INVALID', `${owner}: ${shown.map(issueText).join('; ')}`, { details: { owner, issues: shown } })
    this.issues = shown
  }
}

const REDACTED = '[redacted]'
const secretPath = /key|secret|password|token|credential/i
const MAX_SHOWN = 120

function issueText({ path, message, value }: ConfigIssue): string {
  const text = value === undefined || value === REDACTED ? String(value) : JSON.stringify(toPlain(value))
  const found = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
  return `${path === '' ? '(options)' : path}: ${message}, found ${found}`
}

function redactIssue({ path, message, value }: ConfigIssue): ConfigIssue {
  if (!secretPath.test(path)) return { path, message, value: redactWithin(value, 0) }
  // A message of a refinement may quote the value.
  const quoted = typeof value === 'string' || typeof value === 'number' ? String(value) : ''
  return { path, message: quoted === '' ? message : message.replaceAll(quoted, REDACTED), value: REDACTED }
}

/** No secrets deeper within the value of an issue about the whole, nor behind the fields of a class. */
function redactWithin(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (depth >= 8) return '[Object]'
  if (Array.isArray(value)) return value.map((item) => redactWithin(item, depth + 1))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return `[${value.constructor?.name ?? 'Object'}]`
  return Object.fromEntries(
    Object.keys(value).map((key) => [key, secretPath.test(key) ? REDACTED : readWithin(value, key, depth)]),
  )
}

function readWithin(value: object, key: string, depth: number): unknown {
  try {
    return redactWithin((value as Record<string, unknown>)[key], depth + 1)
  } catch (thrown) {
    return `[Throws: ${messageOf(thrown)}]`
  }
}

/** Too long, too deep, too many values, malformed, not plain data, not what the schema says. */
export type DecodeReason = 'size' | 'depth' | 'items' | 'syntax' | 'forbidden' | 'schema'

export interface DecodeErrorOptions {
  /** Which check refused the input. @default 'schema' */
  reason?: DecodeReason
  /** Where in the decoded value, for a `'schema'` failure. */
  path?: string
  cause?: unknown
}

/** Input that is not what it should be (`'DECODE_ERROR'`); whoever threw it has changed nothing. */
export class DecodeError extends HsError {
  /** Which check refused it. */
  readonly reason: DecodeReason
  /** Where in the decoded value, for a `'schema'` failure. */
  declare readonly path?: string

  constructor(message: string, options: DecodeErrorOptions = {}) {
    const { reason = 'schema', path, cause } = options
    super('DECODE_ERROR', message, { cause, details: path === undefined ? { reason } : { reason, path } })
    this.reason = reason
    if (path !== undefined) this.path = path
  }
}

/** Something took longer than it was given (`'TIMEOUT'`). */
export class TimeoutError extends HsError {
  readonly operation: string
  readonly timeoutMs: number

  /** @param operation what did not finish: `'read of the lease'` */
  constructor(operation: string, timeoutMs: number) {
    super('TIMEOUT', `${operation} did not finish within ${timeoutMs} ms`, { details: { operation, timeoutMs } })
    this.operation = operation
    this.timeoutMs = timeoutMs
  }
}

/** A stated bound is reached (`'LIMIT_EXCEEDED'`). */
export class LimitError extends HsError {
  readonly limit: number
  declare readonly actual?: number

  /** @param what what is bounded: `'Bytes of a message'` */
  constructor(what: string, limit: number, actual?: number) {
    const found = actual === undefined ? '' : `, found ${actual}`
    super('LIMIT_EXCEEDED', `${what}: at most ${limit} allowed${found}`, {
      details: actual === undefined ? { what, limit } : { what, limit, actual },
    })
    this.limit = limit
    if (actual !== undefined) this.actual = actual
  }
}

/** Used after it was closed or stopped (`'CLOSED'`). */
export class ClosedError extends HsError {
  /** @param what what was used: `'TaskScope worker'` */
  constructor(what: string) {
    super('CLOSED', `${what} is closed`, { details: { what } })
  }
}

export type TransportErrorCode =
  | 'CONNECT_FAILED'
  | 'CONNECTION_LOST'
  | 'DEADLINE_EXCEEDED'
  | 'CANCELLED'
  | 'UNKNOWN_METHOD'
  | 'REMOTE_ERROR'
  | 'MESSAGE_TOO_LARGE'
  | 'QUEUE_FULL'
  | 'RESOURCE_EXHAUSTED'
  | 'POOL_EXHAUSTED'
  | 'PEER_REJECTED'
  | 'INVALID_ARGUMENT'
  | 'CLOSED'

export interface TransportErrorOptions extends HsErrorOptions {
  /** True only if the request cannot have run at the peer, so that repeating it is safe. @default false */
  notExecuted?: boolean
  /** The code of the error that the peer's handler threw. */
  remoteCode?: string
  /** When the peer says it makes sense to ask again, in milliseconds from now. */
  retryAfterMs?: number
}

/** What every transport throws, real or simulated. */
export class TransportError extends HsError {
  declare readonly code: TransportErrorCode
  /** True only if the request cannot have run at the peer. */
  readonly notExecuted: boolean
  /** The code of the error that the peer's handler threw. */
  declare readonly remoteCode?: string
  /** When the peer says it makes sense to ask again, in milliseconds from then. */
  declare readonly retryAfterMs?: number

  constructor(code: TransportErrorCode, message: string, options: TransportErrorOptions = {}) {
    super(code, message, options)
    this.notExecuted = options.notExecuted ?? false
    if (options.remoteCode !== undefined) this.remoteCode = options.remoteCode
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs
  }
}
