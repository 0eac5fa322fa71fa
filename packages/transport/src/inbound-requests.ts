/**
 * What the peer of one connection asks of this end: starts handlers in order of arrival, side by side, and gives back
 * exactly one answer for each request, unless its caller has gone.
 */
import {
  HsError,
  type Clock,
  type ErrorReporter,
  type PeerIdentity,
  type TimingWheel,
  type TransportError,
} from '@hs/core'
import { viewOf } from './byte-gatherer.js'
import type { BodyCompression } from './body-compression.js'
import type { HarmlessLogger } from './harmless-logger.js'
import { InboundCall } from './inbound-call.js'
import { nameFrom, type Lane, type ServedMethods } from './methods.js'
import { OutgoingFrame } from './outgoing-frame.js'
import { encodeError, MAX_MESSAGE_CHARS, type WireError } from './payloads.js'
import type { RunningNotifications } from './running-notifications.js'
import type { TcpCounters } from './tcp-stats.js'
import { FRAME_TYPES, MIN_LENGTH, readU32, REQUEST_PREFIX_BYTES } from './wire.js'

export interface ServingEnvironment {
  readonly clock: Clock
  readonly wheel: TimingWheel
  readonly logger: HarmlessLogger
  readonly reporter: ErrorReporter
  readonly served: ServedMethods
  readonly counters: TcpCounters
  readonly notifications: RunningNotifications
}

/** The connection, as its requests see it. */
export interface AnswerPath {
  send(frame: OutgoingFrame): void
  /** A request has ended without an answer. */
  onDropped(): void
}

export interface ServingTerms {
  readonly peer: PeerIdentity
  readonly maxInFlight: number
  /** The length of the largest frame that the peer takes. */
  readonly maxSendLength: number
  /** How long a notification may be worked on: nobody waits for it. */
  readonly notifyTimeoutMs: number
  readonly compression: BodyCompression | null
}

/** What a frame did wrong; null: nothing. */
export type Violation = string | null

/** What RESOURCE_EXHAUSTED suggests. */
const RETRY_AFTER_MS = 100
const NORMAL: Lane = 2
/** Of one connection; more than one read of its socket can bring, so that handlers that end at once never meet it. */
const MAX_RUNNING_NOTIFICATIONS = 16_384

export class InboundRequests {
  readonly #environment: ServingEnvironment
  readonly #terms: ServingTerms
  readonly #path: AnswerPath
  /** Requests without a written answer. */
  readonly #calls = new Map<number, InboundCall>()
  /** Notifications of this connection whose handlers still work. */
  #notifications = 0
  #lastId = 0
  #refusing = false

  constructor(environment: ServingEnvironment, terms: ServingTerms, path: AnswerPath) {
    this.#environment = environment
    this.#terms = terms
    this.#path = path
  }

  /** Requests without a written answer. */
  get size(): number {
    return this.#calls.size
  }

  /** From now on every request is answered with `'CLOSED'`. Returns the highest id taken so far. */
  refuse(): number {
    this.#refusing = true
    return this.#lastId
  }

  /** REQUEST: `u32 timeoutMs | u8 n | method | body`. */
  onRequest(id: number, bytes: Uint8Array, start: number, end: number, deflated: boolean, nowMs: number): Violation {
    const nameStart = start + REQUEST_PREFIX_BYTES
    const bodyStart = nameStart + (end < nameStart ? 0 : (bytes[nameStart - 1] as number))
    if (bodyStart === nameStart || bodyStart > end) return 'REQUEST is shorter than its header says'
    if (this.#calls.has(id)) return `REQUEST ${id} is in flight already`
    const body = this.#bodyOf(bytes, bodyStart, end, deflated)
    if (body === null) return 'a body cannot be inflated within maxFrameBytes'

    const { served, counters } = this.#environment
    counters.totals.requestsReceived++
    const method = served.find(bytes, nameStart, bodyStart)
    const lane = method?.lane ?? NORMAL
    if (this.#refusing) {
      this.#sendError(id, lane, { code: 'CLOSED', message: 'this end is stopping', notExecuted: true })
      return null
    }
    if (id > this.#lastId) this.#lastId = id
    if (this.#calls.size >= this.#terms.maxInFlight) {
      counters.resourceExhausted++
      const message = `more than ${this.#terms.maxInFlight} requests in flight`
      const retryAfterMs = RETRY_AFTER_MS
      this.#sendError(id, lane, { code: 'RESOURCE_EXHAUSTED', message, notExecuted: true, retryAfterMs })
      return null
    }
    if (method === undefined) {
      const message = `no handler for ${nameFrom(bytes, nameStart, bodyStart)}`
      this.#sendError(id, lane, { code: 'UNKNOWN_METHOD', message, notExecuted: true })
      return null
    }
    const timeoutMs = readU32(bytes, start)
    if (timeoutMs === 0) {
      const message = 'the deadline had passed on arrival'
      this.#sendError(id, lane, { code: 'DEADLINE_EXCEEDED', message, notExecuted: true })
      return null
    }
    const call = new InboundCall(this.#environment, id, method, nowMs, timeoutMs)
    this.#calls.set(id, call)
    this.#serve(call, body)
    return null
  }

  /** NOTIFY: `u8 n | method | body`. */
  onNotify(bytes: Uint8Array, start: number, end: number, deflated: boolean, nowMs: number): Violation {
    const bodyStart = start + 1 + (end === start ? 0 : (bytes[start] as number))
    if (bodyStart === start + 1 || bodyStart > end) return 'NOTIFY is shorter than its header says'
    const body = this.#bodyOf(bytes, bodyStart, end, deflated)
    if (body === null) return 'a body cannot be inflated within maxFrameBytes'

    const { served, counters, logger } = this.#environment
    counters.totals.notifiesReceived++
    const method = served.find(bytes, start + 1, bodyStart)
    if (method === undefined) {
      const name = nameFrom(bytes, start + 1, bodyStart)
      logger.debug('A notification has no handler', { method: name, from: this.#terms.peer.address })
      return null
    }
    if (this.#notifications >= MAX_RUNNING_NOTIFICATIONS) {
      counters.resourceExhausted++
      logger.debug('A notification was dropped: too many still run', {
        method: method.name,
        from: this.#terms.peer.address,
        running: this.#notifications,
      })
      return null
    }
    const call = new InboundCall(this.#environment, 0, method, nowMs, this.#terms.notifyTimeoutMs)
    this.#serveNotification(call, body)
    return null
  }

  /** The caller waits no more: its slot is free, whatever the handler goes on to do. */
  onCancel(id: number): void {
    const call = this.#calls.get(id)
    if (call === undefined) return
    this.#calls.delete(id)
    call.cancel()
  }

  /** The answer was given to the socket, or there will be none. */
  onWritten(call: InboundCall): void {
    // A cancelled call's id may stand for another one by now.
    if (this.#calls.get(call.id) === call) this.#calls.delete(call.id)
  }

  /** The connection has ended: nobody hears an answer. */
  abortAll(reason: TransportError): void {
    for (const call of this.#calls.values()) call.abort(reason)
    this.#calls.clear()
  }

  #serve(call: InboundCall, body: Uint8Array): void {
    let result: unknown
    try {
      result = call.method.handler(body, this.#terms.peer, call)
    } catch (error) {
      this.#fail(call, error)
      return
    }
    if (result instanceof Uint8Array) {
      this.#answer(call, result)
      return
    }
    Promise.resolve(result).then(
      (answer) => this.#answer(call, answer),
      (error: unknown) => this.#fail(call, error),
    )
  }

  #serveNotification(call: InboundCall, body: Uint8Array): void {
    this.#environment.notifications.begin(call)
    this.#notifications++
    let result: unknown
    try {
      result = call.method.handler(body, this.#terms.peer, call)
    } catch (error) {
      this.#endNotification(call)
      this.#reportThrown(call, error)
      return
    }
    if (result instanceof Uint8Array) {
      this.#endNotification(call)
      return
    }
    Promise.resolve(result).then(
      () => this.#endNotification(call),
      (error: unknown) => {
        this.#endNotification(call)
        this.#reportThrown(call, error)
      },
    )
  }

  #endNotification(call: InboundCall): void {
    this.#notifications--
    this.#environment.notifications.end(call)
  }

  #answer(call: InboundCall, answer: unknown): void {
    if (!(answer instanceof Uint8Array)) {
      const found = answer === null ? 'null' : typeof answer
      this.#fail(call, new TypeError(`A handler must answer with a Uint8Array, found ${found}`))
      return
    }
    call.end()
    if (call.isAborted) {
      this.#drop(call)
      return
    }
    const { id, method } = call
    const length = MIN_LENGTH + answer.length
    if (length > this.#terms.maxSendLength) {
      const message = `the answer needs a frame of ${length} bytes, at most ${this.#terms.maxSendLength} are allowed`
      this.#sendError(id, method.lane, { code: 'MESSAGE_TOO_LARGE', message, notExecuted: false }, call)
      return
    }
    this.#path.send(OutgoingFrame.answer(FRAME_TYPES.response, id, method.lane, answer, call))
  }

  #fail(call: InboundCall, error: unknown): void {
    call.end()
    this.#reportThrown(call, error)
    if (call.isAborted) this.#drop(call)
    else this.#sendError(call.id, call.method.lane, remoteError(error), call)
  }

  #drop(call: InboundCall): void {
    this.onWritten(call)
    this.#path.onDropped()
  }

  #sendError(id: number, lane: Lane, error: WireError, answers: InboundCall | null = null): void {
    const body = encodeError(error, this.#terms.maxSendLength)
    this.#path.send(OutgoingFrame.answer(FRAME_TYPES.error, id, lane, body, answers))
  }

  /** What an aborted handler throws is its way to end; what it throws as `HsError` its caller reads. */
  #reportThrown(call: InboundCall, error: unknown): void {
    if (call.isAborted && isAbortion(error)) return
    const { counters, reporter, logger } = this.#environment
    counters.totals.handlerErrors++
    const fields = { method: call.method.name, from: this.#terms.peer.address, nodeId: this.#terms.peer.nodeId }
    if (HsError.is(error)) logger.debug('A handler threw', { ...fields, err: error })
    else reporter.report('TcpTransport.handler', error, fields)
  }

  #bodyOf(bytes: Uint8Array, start: number, end: number, deflated: boolean): Uint8Array | null {
    const body = viewOf(bytes, start, end)
    return deflated ? (this.#terms.compression?.inflate(body) ?? null) : body
  }
}

/** What of a handler's error crosses the wire: of an `HsError` code and message, of any other nothing. */
function remoteError(error: unknown): WireError {
  const code = 'REMOTE_ERROR'
  if (!HsError.is(error)) return { code, message: 'the handler failed; its own log says why' }
  const own = (error as { retryAfterMs?: unknown }).retryAfterMs
  const retryAfterMs = Number.isFinite(own) ? own : error.details['retryAfterMs']
  const retry = Number.isFinite(retryAfterMs) ? { retryAfterMs: retryAfterMs as number } : {}
  // Whoever made the error may have put anything there.
  const text: unknown = error.message
  const message = typeof text === 'string' ? text.slice(0, MAX_MESSAGE_CHARS) : ''
  return { code, message, remoteCode: error.code, ...retry }
}

function isAbortion(error: unknown): boolean {
  if (HsError.is(error, 'CANCELLED') || HsError.is(error, 'DEADLINE_EXCEEDED') || HsError.is(error, 'CLOSED'))
    return true
  return HsError.is(error, 'CONNECTION_LOST') || (error instanceof Error && error.name === 'AbortError')
}
