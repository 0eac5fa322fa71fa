/**
 * Tells from an error whether to repeat the call. An error is judged along its causes: the first of them that says
 * something decides. What nobody knows is permanent: a programming error repeated is a programming error multiplied.
 */
import { HsError, systemClock } from '@hs/core'
import type { Failure, FailureKind } from './failure.js'
import { parseRetryAfter } from './parse-retry-after.js'

/** The error itself is the first. */
const MAX_LINKS = 5

/** What a code says; beside core's transport codes, those of Node and of undici, which is under its `fetch`. */
const kindOfCode: ReadonlyMap<unknown, FailureKind> = /* @__PURE__ */ (() =>
  new Map<unknown, FailureKind>([
    ['CANCELLED', 'permanent'],
    ['UNKNOWN_METHOD', 'permanent'],
    ['MESSAGE_TOO_LARGE', 'permanent'],
    ['PEER_REJECTED', 'permanent'],
    ['INVALID_ARGUMENT', 'permanent'],
    ['CLOSED', 'permanent'],
    ['RESOURCE_EXHAUSTED', 'throttled'],
    ['QUEUE_FULL', 'throttled'],
    ['POOL_EXHAUSTED', 'throttled'],
    ['CONNECT_FAILED', 'transient'],
    ['CONNECTION_LOST', 'transient'],
    ['DEADLINE_EXCEEDED', 'transient'],
    ['ECONNRESET', 'transient'],
    ['ECONNREFUSED', 'transient'],
    ['ECONNABORTED', 'transient'],
    ['EPIPE', 'transient'],
    ['ETIMEDOUT', 'transient'],
    ['EHOSTUNREACH', 'transient'],
    ['ENETUNREACH', 'transient'],
    ['ENETDOWN', 'transient'],
    ['EAI_AGAIN', 'transient'],
    ['UND_ERR_SOCKET', 'transient'],
    ['UND_ERR_CONNECT_TIMEOUT', 'transient'],
    ['UND_ERR_HEADERS_TIMEOUT', 'transient'],
    ['UND_ERR_BODY_TIMEOUT', 'transient'],
  ]))()

/** Codes of requests that never left. */
const notExecutedCodes: ReadonlySet<unknown> = /* @__PURE__ */ (() =>
  new Set(['ECONNREFUSED', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT', 'CONNECT_FAILED']))()

const transientStatuses: ReadonlySet<number> = /* @__PURE__ */ (() => new Set([408, 425, 500, 502, 503, 504]))()

/** What may stand in an error, or in anything else that is thrown; none of it is sure. */
interface Link {
  readonly name?: unknown
  readonly code?: unknown
  readonly status?: unknown
  readonly statusCode?: unknown
  readonly headers?: unknown
  readonly retryable?: unknown
  readonly retryAfterMs?: unknown
  readonly notExecuted?: unknown
  readonly cause?: unknown
}

/**
 * The default classifier. Never throws. A thrown `Response` is understood too.
 * @param wallNow Unix epoch milliseconds, for a Retry-After that is a date. @default the machine's time
 */
export function classifyFailure(error: unknown, wallNow?: number): Failure {
  try {
    return classifyChain(error, wallNow)
  } catch {
    // A getter of the error threw: it says nothing that could be relied on.
    return { kind: 'permanent' }
  }
}

function classifyChain(error: unknown, wallNow: number | undefined): Failure {
  let notExecuted = false
  let link = error
  for (let depth = 0; depth < MAX_LINKS && isObject(link); depth++) {
    notExecuted ||= link.notExecuted === true || notExecutedCodes.has(link.code)
    const failure = classifyLink(link, wallNow)
    if (failure !== null) return notExecuted ? { ...failure, notExecuted } : failure
    link = link.cause
  }
  return notExecuted ? { kind: 'permanent', notExecuted } : { kind: 'permanent' }
}

/** The order is the rule: what is surer comes first. Null if the link says nothing. */
function classifyLink(link: Link, wallNow: number | undefined): Failure | null {
  const byCode = kindOfCode.get(link.code)
  if (link.retryable === false || byCode === 'permanent' || link.name === 'AbortError') return { kind: 'permanent' }
  const hint = isHint(link.retryAfterMs) ? link.retryAfterMs : undefined
  // There the hint is the time to the next dial, and no wish of the peer.
  if (link.code === 'CONNECT_FAILED') return withHint('transient', hint)
  if (hint !== undefined) return withHint('throttled', hint)
  if (byCode === 'throttled') return { kind: 'throttled' }
  const byStatus = classifyStatus(link, wallNow)
  if (byStatus !== null) return byStatus
  if (link.retryable === true || byCode === 'transient' || isTimeout(link)) return { kind: 'transient' }
  return null
}

function classifyStatus(link: Link, wallNow: number | undefined): Failure | null {
  const status = typeof link.status === 'number' ? link.status : link.statusCode
  if (typeof status !== 'number') return null
  if (status === 429 || status === 503) {
    const hint = parseRetryAfter(retryAfterHeader(link.headers), wallNow ?? systemClock.wallNow())
    if (status === 429 || hint !== undefined) return withHint('throttled', hint)
  }
  if (transientStatuses.has(status)) return { kind: 'transient' }
  return status >= 400 && status < 500 ? { kind: 'permanent' } : null
}

/** Of `Headers`, or of a plain object as Node's `http` has it. */
function retryAfterHeader(headers: unknown): string | undefined {
  if (!isObject(headers)) return undefined
  const { get } = headers as { get?: unknown }
  const value: unknown =
    typeof get === 'function' ? get.call(headers, 'retry-after') : (headers as Record<string, unknown>)['retry-after']
  return typeof value === 'string' ? value : undefined
}

/** By the code too, for a bundler may rename a class. */
function isTimeout(link: Link): boolean {
  return link.name === 'TimeoutError' || HsError.is(link, 'TIMEOUT')
}

function isHint(value: unknown): value is number {
  return typeof value === 'number' && value >= 0
}

function withHint(kind: FailureKind, retryAfterMs: number | undefined): Failure {
  return retryAfterMs === undefined ? { kind } : { kind, retryAfterMs }
}

function isObject(value: unknown): value is Link {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}
