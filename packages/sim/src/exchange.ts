/**
 * One request and its answer, as both sides know it. The caller's promise settles exactly once: by the answer, the
 * deadline, the signal, or the end of either side; the server learns by `call.signal` that nobody waits any more.
 */

import { HsError, unwatchAbort, watchAbort, type RpcHandler, type Timer, type TransportError } from '@hs/core'
import { copyBytes } from '@hs/core/testing'
import { hashBytes, hashText } from './hash.js'
import type { Incarnation } from './incarnation.js'
import type { Link } from './link.js'
import { enterScope } from './scope.js'
import { ServedCall } from './served-call.js'
import { rpcFailure } from './rpc-failure.js'
import { AnswerMessage, CancelMessage, RequestMessage } from './rpc-messages.js'
import { traceKinds } from './trace.js'
import type { Wire } from './wire.js'

const MAX_REMOTE_MESSAGE = 1_024

export interface ExchangeTerms {
  readonly method: string
  readonly body: Uint8Array
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

/** Where the caller's promise is settled. Null for a notification, which has no answer. */
export interface Reply {
  resolve(answer: Uint8Array): void
  reject(error: TransportError): void
}

export class Exchange {
  readonly caller: Incarnation
  readonly terms: ExchangeTerms
  readonly #wire: Wire
  readonly #link: Link
  readonly #isNotification: boolean
  /** Undefined once settled. */
  #reply: Reply | undefined
  #deadline: Timer | undefined
  #call: ServedCall | undefined

  constructor(wire: Wire, caller: Incarnation, link: Link, terms: ExchangeTerms, reply: Reply | undefined) {
    this.#wire = wire
    this.caller = caller
    this.#link = link
    this.terms = terms
    this.#reply = reply
    this.#isNotification = reply === undefined
  }

  /** The caller asks. */
  begin(): void {
    const { body, timeoutMs, signal, method } = this.terms
    this.#wire.trace.peer(this.caller, traceKinds.request, this.#link.to, hashBytes(body))
    if (this.#reply !== undefined) {
      this.caller.rpc.asked.add(this)
      this.#deadline = this.caller.clock.setTimer(timeoutMs, () =>
        this.#giveUp(rpcFailure('DEADLINE_EXCEEDED', `${method} was not answered within ${timeoutMs} ms`)),
      )
      if (signal !== undefined) watchAbort(signal, this)
    }
    this.#wire.send(this.#link, new RequestMessage(this))
  }

  /** Of the caller's signal. */
  onAbort(): void {
    this.#giveUp(rpcFailure('CANCELLED', `${this.terms.method} was cancelled`, { cause: this.terms.signal?.reason }))
  }

  /** The caller's transport ends. */
  close(): void {
    this.#giveUp(rpcFailure('CLOSED', `${this.caller.node.address} was closed`))
  }

  /** The caller's process is no more: nobody is told but the peer, whose machine is told by the caller's. */
  abandon(): void {
    this.#end()
    this.#wire.send(this.#link, new CancelMessage(this, null, rpcFailure('CONNECTION_LOST', 'The caller is gone')))
  }

  /** The request is at a process that listens. */
  serve(life: Incarnation): void {
    const { method, body } = this.terms
    this.#wire.trace.peer(life, traceKinds.serve, this.caller, body.length)
    const handler = life.rpc.handlerOf(method)
    const { address } = life.node
    if (handler === undefined)
      return this.#answer(
        null,
        rpcFailure('UNKNOWN_METHOD', `${address} does not handle ${method}`, { notExecuted: true }),
      )
    const call = new ServedCall(life, this.terms.timeoutMs)
    this.#call = call
    life.rpc.serving.add(this)
    enterScope(life)
    this.#run(handler, life, call)
  }

  /** The request is where nobody listens; the machine says so. */
  refuse(): void {
    const message = `Nobody listens at ${this.#link.to.address}`
    this.#answer(null, rpcFailure('CONNECT_FAILED', message, { notExecuted: true }))
  }

  /** The process that serves, or was to serve, ends. */
  lose(): void {
    const message = `${this.#link.to.address} was closed while it served the request`
    this.#call?.abort(rpcFailure('CLOSED', message))
    this.#call = undefined
    this.#answer(null, rpcFailure('CONNECTION_LOST', message))
  }

  /** At the server: nobody waits any more. */
  abortCall(reason: TransportError): void {
    this.#call?.abort(reason)
  }

  /** At the caller: an answer of one kind or another. */
  settle(answer: Uint8Array | TransportError): void {
    const reply = this.#reply
    if (reply === undefined || this.caller.isDead) return
    this.#end()
    enterScope(this.caller)
    if (answer instanceof Uint8Array) {
      this.#wire.trace.peer(this.caller, traceKinds.answer, this.#link.to, answer.length)
      reply.resolve(answer)
      return
    }
    this.#wire.trace.text(this.caller, traceKinds.answer, `${this.#link.to.name} ${answer.code}`)
    reply.reject(answer)
  }

  #run(handler: RpcHandler, life: Incarnation, call: ServedCall): void {
    let result: Uint8Array | Promise<Uint8Array>
    try {
      result = handler(this.terms.body, this.caller.node.identity, call)
    } catch (error) {
      return this.#finish(life, this.#errorOf(error, life))
    }
    if (result instanceof Uint8Array) return this.#finish(life, copyBytes(result))
    if (typeof (result as Partial<Promise<Uint8Array>> | undefined)?.then !== 'function')
      return this.#finish(life, this.#badAnswer(result, life))
    result.then(
      (answer) => this.#finish(life, answer instanceof Uint8Array ? copyBytes(answer) : this.#badAnswer(answer, life)),
      (error: unknown) => this.#finish(life, this.#errorOf(error, life)),
    )
  }

  #finish(life: Incarnation, answer: Uint8Array | TransportError): void {
    // A call that was lost was answered for by the machine.
    if (life.isDead || this.#call === undefined) return
    this.#call.end()
    this.#call = undefined
    life.rpc.serving.delete(this)
    this.#answer(life, answer)
  }

  /** @param sender null if it is the machine that answers */
  #answer(sender: Incarnation | null, answer: Uint8Array | TransportError): void {
    const { to } = this.#link
    const isBytes = answer instanceof Uint8Array
    this.#wire.trace.peer(
      to,
      traceKinds.response,
      this.caller,
      isBytes ? hashBytes(answer) : hashText(answer.code, 0) >>> 1,
    )
    if (this.#reply === undefined) return
    this.#wire.send(this.#wire.back(this.#link), new AnswerMessage(this, sender, answer))
  }

  #giveUp(error: TransportError): void {
    const reply = this.#reply
    if (reply === undefined || this.caller.isDead) return
    this.#end()
    reply.reject(error)
    this.#wire.send(this.#link, new CancelMessage(this, this.caller, rpcFailure(error.code, error.message)))
  }

  #end(): void {
    this.#reply = undefined
    this.#deadline?.cancel()
    if (this.terms.signal !== undefined) unwatchAbort(this.terms.signal, this)
    this.caller.rpc.asked.delete(this)
  }

  #badAnswer(answer: unknown, life: Incarnation): TransportError {
    const message = `The handler of ${this.terms.method} must answer with a Uint8Array, found ${typeof answer}`
    // A notification has no answer to be wrong.
    return this.#isNotification ? rpcFailure('REMOTE_ERROR', message) : this.#errorOf(new TypeError(message), life)
  }

  /** What of a handler's error crosses the wire: of an `HsError` code and message, of any other nothing. */
  #errorOf(error: unknown, life: Incarnation): TransportError {
    const { method } = this.terms
    // Nobody else would read it.
    if (!life.isDead && (this.#isNotification || !HsError.is(error)))
      life.env.logger.error('The handler of a request failed', { method, err: error })
    if (!HsError.is(error)) {
      return rpcFailure('REMOTE_ERROR', 'The handler failed; its own log says why')
    }
    const retryAfterMs = (error as { retryAfterMs?: unknown }).retryAfterMs ?? error.details['retryAfterMs']
    return rpcFailure('REMOTE_ERROR', error.message.slice(0, MAX_REMOTE_MESSAGE), {
      remoteCode: error.code,
      ...(typeof retryAfterMs === 'number' && Number.isFinite(retryAfterMs) ? { retryAfterMs } : {}),
    })
  }
}
