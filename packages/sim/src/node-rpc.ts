/** The RPC transport of a node: core's contract, on the streams of the simulated network. */

import type { RpcHandler, RpcRequestOptions, RpcTransport } from '@hs/core'
import { copyBytes } from '@hs/core/testing'
import { Exchange, type Reply } from './exchange.js'
import type { Incarnation } from './incarnation.js'
import type { Link } from './link.js'
import { rpcFailure } from './rpc-failure.js'
import type { Wire } from './wire.js'

const DEFAULT_TIMEOUT_MS = 30_000
const MAX_METHOD_BYTES = 255
/** How long it takes to learn that a name belongs to no machine. */
const UNKNOWN_HOST_MS = 1

const encoder = new TextEncoder()
const settled = Promise.resolve()

export class NodeRpc implements RpcTransport {
  readonly address: string
  /** Requests of this end without an outcome, in the order in which they were made. */
  readonly asked = new Set<Exchange>()
  /** Requests that handlers of this end work on. */
  readonly serving = new Set<Exchange>()
  readonly #life: Incarnation
  readonly #wire: Wire
  readonly #handlers = new Map<string, RpcHandler>()
  #closed = false

  constructor(life: Incarnation, wire: Wire) {
    this.address = life.node.address
    this.#life = life
    this.#wire = wire
  }

  get isClosed(): boolean {
    return this.#closed
  }

  handlerOf(method: string): RpcHandler | undefined {
    return this.#handlers.get(method)
  }

  request(to: string, method: string, body: Uint8Array, options: RpcRequestOptions = {}): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      // Of an incarnation that has ended nothing ever settles.
      if (this.#life.isDead) return
      const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options
      const link = this.#linkTo(to, method)
      if (!Number.isFinite(timeoutMs) || timeoutMs < 0)
        throw rpcFailure('INVALID_ARGUMENT', `timeoutMs is milliseconds, found ${timeoutMs}`, { notExecuted: true })
      if (signal?.aborted)
        throw rpcFailure('CANCELLED', `${method} was cancelled`, { notExecuted: true, cause: signal.reason })
      const reply = { resolve, reject }
      if (link === undefined) this.#failUnknown(to, reply)
      else
        new Exchange(this.#wire, this.#life, link, { method, body: copyBytes(body), timeoutMs, signal }, reply).begin()
    })
  }

  /** What nobody holds or handles is lost. */
  notify(to: string, method: string, body: Uint8Array): Promise<void> {
    if (this.#life.isDead) return new Promise(() => undefined)
    try {
      const link = this.#linkTo(to, method)
      const terms = { method, body: copyBytes(body), timeoutMs: DEFAULT_TIMEOUT_MS, signal: undefined }
      if (link !== undefined) new Exchange(this.#wire, this.#life, link, terms, undefined).begin()
      return settled
    } catch (error) {
      return Promise.reject(error)
    }
  }

  handle(method: string, fn: RpcHandler): void {
    checkMethod(method)
    this.#handlers.set(method, fn)
  }

  /** Ends everything in flight from and to here. */
  async close(): Promise<void> {
    if (this.#closed || this.#life.isDead) return
    this.#closed = true
    for (const exchange of this.asked) exchange.close()
    for (const exchange of this.serving) exchange.lose()
    this.serving.clear()
  }

  /** The process is no more. Its machine resets the connections: peers learn of it as of any message. */
  crash(): void {
    for (const exchange of this.serving) exchange.lose()
    for (const exchange of this.asked) exchange.abandon()
    this.serving.clear()
    this.asked.clear()
  }

  #linkTo(to: string, method: string): Link | undefined {
    if (this.#closed) throw rpcFailure('CLOSED', `${this.address} is closed`, { notExecuted: true })
    const link = this.#wire.toAddress(this.#life.node, to)
    checkMethod(method)
    return link
  }

  #failUnknown(to: string, reply: Reply): void {
    const error = rpcFailure('CONNECT_FAILED', `No machine has the address ${to}`, { notExecuted: true })
    this.#life.clock.setTimer(UNKNOWN_HOST_MS, () => reply.reject(error))
  }
}

/** Names that were found good: a program has few, and uses them again and again. */
const goodMethods = new Set<string>()
const MAX_GOOD_METHODS = 1_000

function checkMethod(method: string): void {
  if (goodMethods.has(method)) return
  const bytes = typeof method === 'string' ? encoder.encode(method).length : 0
  if (bytes < 1 || bytes > MAX_METHOD_BYTES) {
    throw rpcFailure(
      'INVALID_ARGUMENT',
      `A method's name has 1 to ${MAX_METHOD_BYTES} bytes of UTF-8, found ${bytes}`,
      {
        notExecuted: true,
      },
    )
  }
  if (goodMethods.size < MAX_GOOD_METHODS) goodMethods.add(method)
}
