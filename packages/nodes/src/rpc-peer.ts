/** Typed requests over a transport: one codec a method, one cluster, refusals as answers. */
import { DecodeError, type RpcCall, type RpcTransport } from '@hs/core'
import { stoppedError } from './node.js'
import { refuse } from './wire/fields.js'
import type { Answer, Method } from './wire/method.js'

export interface AskOptions {
  timeoutMs?: number
  signal?: AbortSignal
}

export interface RpcPeerOptions {
  readonly cluster: string
  /** The deadline of a request that states none. */
  readonly timeoutMs: number
  /** For messages: which node this is. */
  readonly name: string
  /** What a handler threw beside malformed input: its caller hears little of it. */
  onError(error: unknown, method: string): void
}

export class RpcPeer {
  readonly #rpc: RpcTransport
  readonly #options: RpcPeerOptions
  #malformed = 0
  #closed = false

  constructor(rpc: RpcTransport, options: RpcPeerOptions) {
    this.#rpc = rpc
    this.#options = options
  }

  /** Requests that did not decode. */
  get malformed(): number {
    return this.#malformed
  }

  /**
   * Asks and decodes; a refusal is an answer with `ok: false`.
   * @throws (as a rejection) TransportError, DecodeError, LimitError for what does not fit a frame.
   */
  async ask<Q extends object, A extends object>(
    to: string,
    method: Method<Q, A>,
    request: Q,
    { timeoutMs = this.#options.timeoutMs, signal }: AskOptions = {},
  ): Promise<Answer<A>> {
    if (this.#closed) throw stoppedError(this.#options.name)
    const body = method.request.encode({ cluster: this.#options.cluster, ...request })
    const answer = await this.#rpc.request(
      to,
      method.name,
      body,
      signal === undefined ? { timeoutMs } : { timeoutMs, signal },
    )
    return method.answer.decode(answer)
  }

  /** Serves `method`. A body that does not decode is answered with its DecodeError and changes nothing. */
  serve<Q extends object, A extends object>(
    method: Method<Q, A>,
    handler: (request: Q, call: RpcCall) => Answer<A> | Promise<Answer<A>>,
  ): void {
    this.#rpc.handle(method.name, (body, _from, call) => {
      if (this.#closed) return method.answer.encode(refuse('NODE_STOPPED', `${this.#options.name} is stopped`))
      const request = this.#decode(method, body)
      if (request.cluster !== this.#options.cluster)
        return method.answer.encode(refuse('UNAUTHORIZED', `${this.#options.name} is of another cluster`))
      return this.#answer(method, handler, request, call)
    })
  }

  /** From now on every request is refused and none is made. */
  close(): void {
    this.#closed = true
  }

  #answer<Q extends object, A extends object>(
    method: Method<Q, A>,
    handler: (request: Q, call: RpcCall) => Answer<A> | Promise<Answer<A>>,
    request: Q,
    call: RpcCall,
  ): Uint8Array | Promise<Uint8Array> {
    const failed = (error: unknown): never => {
      if (!call.signal.aborted) this.#options.onError(error, method.name)
      throw error
    }
    try {
      const answer = handler(request, call)
      if (!(answer instanceof Promise)) return method.answer.encode(answer)
      return answer.then((settled) => method.answer.encode(settled)).catch(failed)
    } catch (error) {
      return failed(error)
    }
  }

  #decode<Q extends object>(method: Method<Q, object>, body: Uint8Array): Q & { cluster: string } {
    try {
      return method.request.decode(body)
    } catch (error) {
      if (error instanceof DecodeError) this.#malformed++
      throw error
    }
  }
}
