/**
 * Typed requests over a transport: one codec a method, one cluster, refusals as answers. What comes in passes
 * `Admission`; what goes out passes a circuit breaker a peer, and what is sent again is paid from a retry budget.
 */
import {
  DecodeError,
  HsError,
  parseNodeId,
  TransportError,
  type PeerIdentity,
  type RpcCall,
  type RpcTransport,
  type RuntimeOptions,
} from '@hs/core'
import { BreakerRegistry, CircuitOpenError, type BreakerPermit } from '@hs/health'
import type { Admission } from '@hs/overload'
import { RetryBudgetRegistry } from '@hs/retry-budget'
import { stoppedError } from './node.js'
import type { NodeTiming } from './timing.js'
import { refuse, type Refusal } from './wire/fields.js'
import type { Answer, Method } from './wire/method.js'

export interface AskOptions {
  timeoutMs?: number
  signal?: AbortSignal
  /** Asks although the breaker is open, and tells it nothing: whether the peer is there is the question. @default false */
  probe?: boolean
}

export interface ServeOptions<Q> {
  /** Whose rate the request counts towards. @default nobody's */
  clientOf?(request: Q, from: PeerIdentity): string | undefined
}

export interface RpcPeerOptions {
  readonly runtime: Required<RuntimeOptions>
  readonly timing: Readonly<NodeTiming>
  readonly cluster: string
  /** For messages: which node this is. */
  readonly name: string
  /** @default everything is let in */
  readonly admission?: Admission
  /** What a handler threw beside malformed input: its caller hears little of it. */
  onError(error: unknown, method: string): void
}

/** A peer that fails is left alone for a heartbeat at first, so that it is found soon once it is back. */
const MAX_OPEN_HEARTBEATS = 8

export class RpcPeer {
  readonly #rpc: RpcTransport
  readonly #options: RpcPeerOptions
  /** By address: that is all that is known of a peer before it has answered. */
  readonly #breakers: BreakerRegistry
  readonly #budgets: RetryBudgetRegistry
  #malformed = 0
  #closed = false

  constructor(rpc: RpcTransport, options: RpcPeerOptions) {
    const { runtime, timing } = options
    const { heartbeatMs } = timing
    this.#rpc = rpc
    this.#options = options
    this.#breakers = new BreakerRegistry({
      ...runtime,
      openMs: heartbeatMs,
      maxOpenMs: MAX_OPEN_HEARTBEATS * heartbeatMs,
      probes: 1,
      probeTimeoutMs: 2 * timing.rpcTimeoutMs,
    })
    this.#budgets = new RetryBudgetRegistry(runtime)
  }

  /** Requests that did not decode. */
  get malformed(): number {
    return this.#malformed
  }

  /** Peers that are left alone for a while, because requests to them failed. */
  get openBreakers(): number {
    return this.#breakers.open().length
  }

  /**
   * Asks and decodes; a refusal is an answer with `ok: false`.
   * @throws (as a rejection) TransportError, CircuitOpenError, DecodeError, LimitError for what does not fit a frame.
   */
  async ask<Q extends object, A extends object>(
    to: string,
    method: Method<Q, A>,
    request: Q,
    { timeoutMs = this.#options.timing.rpcTimeoutMs, signal, probe = false }: AskOptions = {},
  ): Promise<Answer<A>> {
    if (this.#closed) throw stoppedError(this.#options.name)
    const permit = probe ? undefined : this.#permit(to)
    try {
      const body = method.request.encode({ cluster: this.#options.cluster, ...request })
      const options = signal === undefined ? { timeoutMs } : { timeoutMs, signal }
      const answer = method.answer.decode(await this.#rpc.request(to, method.name, body, options))
      if (!answer.ok && answer.code === 'OVERLOADED') permit?.failure()
      else permit?.success()
      return answer
    } catch (error) {
      if (isPeerFailure(error)) permit?.failure()
      else permit?.release()
      throw error
    }
  }

  /** Whether the same may be sent to the peer again; counts as sent. What is not, is to wait or to be given up. */
  mayResend(to: string): boolean {
    return this.#budgets.for(to).tryWithdraw()
  }

  /** Which life of a process answers at this address: if it is a later one than before, what failed is gone. */
  met(peer: { readonly address: string } & ({ readonly id: string } | { readonly generation: number })): void {
    const generation = 'id' in peer ? generationOf(peer.id) : peer.generation
    if (generation !== undefined) this.#breakers.incarnation(peer.address, generation)
  }

  /** Serves `method`. A body that does not decode is answered with its DecodeError and changes nothing. */
  serve<Q extends object, A extends object>(
    method: Method<Q, A>,
    handler: (request: Q, call: RpcCall) => Answer<A> | Promise<Answer<A>>,
    { clientOf }: ServeOptions<Q> = {},
  ): void {
    const { name, cluster } = this.#options
    this.#rpc.handle(method.name, (body, from, call) => {
      if (this.#closed) return method.answer.encode(refuse('NODE_STOPPED', `${name} is stopped`))
      const request = this.#decode(method, body)
      if (request.cluster !== cluster)
        return method.answer.encode(refuse('UNAUTHORIZED', `${name} is of another cluster`))
      const admitted = this.#admit(method, clientOf?.(request, from))
      if ('ok' in admitted) return method.answer.encode(admitted)
      return this.#answer(method, handler, request, call, admitted.leave)
    })
  }

  /** From now on every request is refused and none is made. */
  close(): void {
    this.#closed = true
  }

  #permit(to: string): BreakerPermit {
    this.#budgets.for(to).deposit()
    const breaker = this.#breakers.for(to)
    const permit = breaker.tryAcquire()
    if (permit === null) throw new CircuitOpenError(breaker.snapshot().retryAfterMs)
    return permit
  }

  #admit(method: Method<object, object>, client: string | undefined): { leave(): void } | Refusal {
    const { admission, name } = this.#options
    if (admission === undefined) return NOT_HELD
    const { priority } = method
    const decision = admission.admit(client === undefined ? { priority } : { priority, client, operation: method.name })
    if (decision.admitted) {
      const { permit } = decision
      if (!method.held) return { leave: () => permit.release() }
      permit.release()
      return NOT_HELD
    }
    const { reason, retryAfterMs } = decision
    const hint = Number.isFinite(retryAfterMs) ? { retryAfterMs } : {}
    if (reason === 'rate') return refuse('RATE_LIMITED', `${name} takes ${method.name} more slowly`, hint)
    return refuse('OVERLOADED', `${name} has too much to do for ${method.name}`, hint)
  }

  #answer<Q extends object, A extends object>(
    method: Method<Q, A>,
    handler: (request: Q, call: RpcCall) => Answer<A> | Promise<Answer<A>>,
    request: Q,
    call: RpcCall,
    leave: () => void,
  ): Uint8Array | Promise<Uint8Array> {
    const failed = (error: unknown): never => {
      leave()
      if (!call.signal.aborted) this.#options.onError(error, method.name)
      throw error
    }
    const encoded = (answer: Answer<A>): Uint8Array => {
      const bytes = method.answer.encode(answer)
      leave()
      return bytes
    }
    try {
      const answer = handler(request, call)
      return answer instanceof Promise ? answer.then(encoded).catch(failed) : encoded(answer)
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

/** Undefined for what is no NodeId. */
function generationOf(id: string): number | undefined {
  try {
    return parseNodeId(id).generation
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

const NOT_HELD = Object.freeze({ leave: () => undefined })

const peerFailures: ReadonlySet<string> = new Set([
  'CONNECT_FAILED',
  'CONNECTION_LOST',
  'DEADLINE_EXCEEDED',
  'QUEUE_FULL',
  'RESOURCE_EXHAUSTED',
])

/** An error that its handler threw shows that a peer lives; one that says when to dial again has dialled nobody. */
function isPeerFailure(error: unknown): boolean {
  if (!HsError.is(error) || !peerFailures.has(error.code)) return false
  return !(error instanceof TransportError && error.code === 'CONNECT_FAILED' && error.retryAfterMs !== undefined)
}
