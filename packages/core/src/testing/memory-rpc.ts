/**
 * Requests and answers over a `MemoryNetwork`. Every request settles exactly once: by its answer, its deadline, its
 * signal, or the end of either transport. Whoever serves it learns by `call.signal` that nobody waits any more.
 */

import { unwatchAbort, watchAbort } from '../abort-watch.js'
import { checkFunction, checkMessage } from '../arguments.js'
import type { Timer } from '../clock.js'
import { HsError, TransportError, type TransportErrorCode, type TransportErrorOptions } from '../errors.js'
import type { PeerIdentity, RpcCall, RpcHandler, RpcRequestOptions, RpcTransport } from '../transport.js'
import type { MemoryWire } from './memory-network.js'

const DEFAULT_TIMEOUT_MS = 30_000
const MAX_METHOD_BYTES = 255
const MAX_REMOTE_MESSAGE = 1_024

export class MemoryRpc implements RpcTransport {
  readonly address: string
  readonly #wire: MemoryWire
  readonly #identity: PeerIdentity
  readonly #handlers = new Map<string, RpcHandler>()
  /** Requests of this end without an outcome. */
  readonly #asked = new Set<PendingRequest>()
  /** Calls that handlers of this end work on. */
  readonly #serving = new Set<ServedCall>()
  #closed = false

  constructor(address: string, wire: MemoryWire) {
    this.address = address
    this.#wire = wire
    this.#identity = Object.freeze({
      address,
      nodeId: '',
      encrypted: false,
      protocol: Object.freeze({ major: 1, minor: 0 }),
      features: Object.freeze([]),
    })
  }

  async request(to: string, method: string, body: Uint8Array, options: RpcRequestOptions = {}): Promise<Uint8Array> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options
    this.#check(to, method, body)
    if (!Number.isFinite(timeoutMs) || timeoutMs < 0)
      throw failure('INVALID_ARGUMENT', `timeoutMs is milliseconds, found ${timeoutMs}`, { notExecuted: true })
    if (signal?.aborted)
      throw failure('CANCELLED', `${method} was cancelled`, { notExecuted: true, cause: signal.reason })

    const sent = body.slice()
    return new Promise((resolve, reject) => {
      const pending = new PendingRequest(this.#wire, this.#asked, { method, timeoutMs, signal, resolve, reject })
      this.#wire.carry(() => {
        if (!pending.settled) this.#arrive(to, method, sent, pending)
      })
    })
  }

  /** What nobody holds or handles is lost; what the handler throws is logged. */
  async notify(to: string, method: string, body: Uint8Array): Promise<void> {
    this.#check(to, method, body)
    const sent = body.slice()
    const deadline = this.#wire.clock.now() + DEFAULT_TIMEOUT_MS
    this.#wire.carry(() => {
      const peer = this.#wire.rpcs.get(to)
      const handler = peer?.handlerOf(method)
      if (peer === undefined || handler === undefined) return
      const call = peer.serve(deadline)
      const fields = { method, address: to, from: this.address }
      const serve = this.#wire.reporter.guard(
        'MemoryNetwork.notify',
        async () => {
          try {
            await handler(sent, this.#identity, call)
          } finally {
            peer.served(call)
          }
        },
        fields,
      )
      serve()
    })
  }

  handle(method: string, fn: RpcHandler): void {
    checkMethod(method)
    checkFunction(`The handler of ${method}`, fn)
    this.#handlers.set(method, fn)
  }

  /** Ends everything in flight from and to here at once. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#wire.rpcs.delete(this.address)
    for (const pending of this.#asked) pending.fail(failure('CLOSED', `${this.address} was closed`))
    for (const call of this.#serving) call.lose(`${this.address} was closed while it served the request`)
  }

  handlerOf(method: string): RpcHandler | undefined {
    return this.#handlers.get(method)
  }

  serve(deadline: number, lost: (error: TransportError) => void = () => undefined): ServedCall {
    const call = new ServedCall(this.#wire, deadline, lost)
    this.#serving.add(call)
    return call
  }

  served(call: ServedCall): void {
    this.#serving.delete(call)
  }

  #check(to: string, method: string, body: Uint8Array): void {
    if (this.#closed) throw failure('CLOSED', `${this.address} is closed`, { notExecuted: true })
    this.#wire.checkAddress(to)
    checkMethod(method)
    checkMessage(body)
  }

  /** The request is at its destination: an answer of one kind or another goes back. */
  #arrive(to: string, method: string, body: Uint8Array, pending: PendingRequest): void {
    const back = (settle: () => void) => this.#wire.carry(settle)
    const peer = this.#wire.rpcs.get(to)
    if (peer === undefined) {
      const error = failure('CONNECT_FAILED', `Nobody listens at ${to}`, { notExecuted: true })
      return back(() => pending.fail(error))
    }
    const handler = peer.handlerOf(method)
    if (handler === undefined) {
      const error = failure('UNKNOWN_METHOD', `${to} does not handle ${method}`, { notExecuted: true })
      return back(() => pending.fail(error))
    }
    const call = peer.serve(pending.deadline, (error) => back(() => pending.fail(error)))
    pending.onOver = (error) => this.#wire.carry(() => call.abort(error))
    void this.#answer(handler, body, call, method).then((answer) => {
      peer.served(call)
      back(() => pending.settle(answer))
    })
  }

  /** What the handler makes of the request, an error that may cross the wire included; never rejects. */
  async #answer(
    handler: RpcHandler,
    body: Uint8Array,
    call: ServedCall,
    method: string,
  ): Promise<Uint8Array | TransportError> {
    try {
      const answer: unknown = await handler(body, this.#identity, call)
      if (answer instanceof Uint8Array) return answer.slice()
      throw new TypeError(`The handler of ${method} must answer with a Uint8Array, found ${typeof answer}`)
    } catch (error) {
      if (!HsError.is(error)) this.#wire.reporter.report('MemoryNetwork.handler', error, { method })
      return remoteError(error)
    }
  }
}

interface RequestTerms {
  readonly method: string
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  resolve(answer: Uint8Array): void
  reject(error: TransportError): void
}

/** The caller's side of a request. */
class PendingRequest {
  readonly deadline: number
  /** Tells the side that serves it, once it does, that nobody waits any more. */
  onOver: ((error: TransportError) => void) | undefined
  readonly #terms: RequestTerms
  readonly #among: Set<PendingRequest>
  readonly #timer: Timer
  #settled = false

  constructor(wire: MemoryWire, among: Set<PendingRequest>, terms: RequestTerms) {
    const { method, timeoutMs, signal } = terms
    this.#terms = terms
    this.#among = among
    this.deadline = wire.clock.now() + timeoutMs
    this.#timer = wire.clock.setTimer(timeoutMs, () =>
      this.fail(failure('DEADLINE_EXCEEDED', `${method} was not answered within ${timeoutMs} ms`)),
    )
    if (signal !== undefined) watchAbort(signal, this)
    among.add(this)
  }

  get settled(): boolean {
    return this.#settled
  }

  onAbort(): void {
    const { method, signal } = this.#terms
    this.fail(failure('CANCELLED', `${method} was cancelled`, { cause: signal?.reason }))
  }

  /** The answer, good or bad, is here. */
  settle(answer: Uint8Array | TransportError): void {
    if (!this.#end()) return
    if (answer instanceof Uint8Array) this.#terms.resolve(answer)
    else this.#terms.reject(answer)
  }

  /** There will be no answer. */
  fail(error: TransportError): void {
    if (!this.#end()) return
    this.#terms.reject(error)
    this.onOver?.(failure(error.code, error.message))
  }

  #end(): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.#timer.cancel()
    if (this.#terms.signal !== undefined) unwatchAbort(this.#terms.signal, this)
    this.#among.delete(this)
    return true
  }
}

/** The handler's side of a request. */
class ServedCall implements RpcCall {
  readonly #wire: MemoryWire
  readonly #deadline: number
  readonly #lost: (error: TransportError) => void
  /** Made only for handlers that ask for it. */
  #controller: AbortController | undefined
  #reason: TransportError | undefined

  constructor(wire: MemoryWire, deadline: number, lost: (error: TransportError) => void) {
    this.#wire = wire
    this.#deadline = deadline
    this.#lost = lost
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  remainingMs(): number {
    return this.#reason === undefined ? Math.max(0, this.#deadline - this.#wire.clock.now()) : 0
  }

  /** The caller waits no more. */
  abort(reason: TransportError): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#controller?.abort(reason)
  }

  /** This end goes away: the caller hears that the connection is lost. */
  lose(message: string): void {
    this.abort(failure('CLOSED', message))
    this.#lost(failure('CONNECTION_LOST', message))
  }
}

function failure(code: TransportErrorCode, message: string, options?: TransportErrorOptions): TransportError {
  return new TransportError(code, message, options)
}

/** What of a handler's error crosses the wire: of an `HsError` code and message, of any other nothing. */
function remoteError(error: unknown): TransportError {
  if (!HsError.is(error)) return failure('REMOTE_ERROR', 'The handler failed; its own log says why')
  const retryAfterMs = (error as { retryAfterMs?: unknown }).retryAfterMs ?? error.details['retryAfterMs']
  return failure('REMOTE_ERROR', error.message.slice(0, MAX_REMOTE_MESSAGE), {
    remoteCode: error.code,
    ...(typeof retryAfterMs === 'number' && Number.isFinite(retryAfterMs) ? { retryAfterMs } : {}),
  })
}

function checkMethod(method: string): void {
  const bytes = typeof method === 'string' ? new TextEncoder().encode(method).length : 0
  if (bytes < 1 || bytes > MAX_METHOD_BYTES) {
    throw failure('INVALID_ARGUMENT', `A method's name has 1 to ${MAX_METHOD_BYTES} bytes of UTF-8, found ${bytes}`, {
      notExecuted: true,
    })
  }
}
