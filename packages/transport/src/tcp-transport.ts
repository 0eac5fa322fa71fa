/**
 * Requests and notifications over TCP: multiplexed over few connections, prioritised, bounded, drained. Every error
 * says whether the request may have run (`notExecuted`), every request has a deadline, and what is critical travels on
 * a connection of its own, so that it passes whatever the other one is stuck on.
 */
import {
  parseOptions,
  type PeerIdentity,
  type RpcHandler,
  type RpcRequestOptions,
  type RpcTransport,
  type TypedEmitter,
} from '@hs/core'
import { RpcEndpoint } from './rpc-endpoint.js'
import { netSockets } from './sockets.js'
import { tcpOptionsSchema, type TcpTransportOptions } from './tcp-options.js'
import type { TcpEvents, TcpStats } from './tcp-stats.js'

/** Requests and notifications over TCP. Dials from its making on, listens from `start` on, and ends with `stop`. */
export class TcpTransport implements RpcTransport, AsyncDisposable {
  readonly #endpoint: RpcEndpoint

  /** @throws ConfigError */
  constructor(options: TcpTransportOptions = {}) {
    this.#endpoint = new RpcEndpoint(parseOptions(tcpOptionsSchema, options, 'TcpTransport'), netSockets)
  }

  /** Where peers dial this one: `advertise`, else what `start` has bound; `''` for one that only dials. */
  get address(): string {
    return this.#endpoint.address
  }

  /** Who comes, who goes, and who is refused. What a listener throws is logged. */
  get events(): TypedEmitter<TcpEvents> {
    return this.#endpoint.events
  }

  /**
   * Begins to listen, if `listen` says where; dialling needs no start.
   * After a failure it may be called again; once it listens, it does nothing.
   * @throws HsError with the system's code (`'EADDRINUSE'`) if it cannot, TransportError `'CLOSED'` after `stop`.
   */
  start(): Promise<void> {
    return this.#endpoint.start()
  }

  /**
   * Asks the peer at `to` and resolves with its answer. The connection is dialled if there is none; `from.address` of
   * a live connection that was accepted is answered on that. `body` may be used again at once.
   * @param to `host:port` or `[ipv6]:port`.
   * @param method 1 to 255 bytes of UTF-8.
   * @param options `timeoutMs` counts from this call, @default `requestTimeoutMs`; `signal` cancels, at the peer too.
   * @throws TransportError of any code; `notExecuted` tells whether the request certainly did not reach a handler.
   */
  request(to: string, method: string, body: Uint8Array, options?: RpcRequestOptions): Promise<Uint8Array> {
    return this.#endpoint.request(to, method, body, options)
  }

  /**
   * Tells the peer at `to`; resolves when it is handed to the socket, and there is no answer. `body` may be used again
   * at once.
   * @throws TransportError, `notExecuted`
   */
  notify(to: string, method: string, body: Uint8Array): Promise<void> {
    return this.#endpoint.notify(to, method, body)
  }

  /**
   * Serves `method`, for requests and notifications alike, in place of the handler there was. The body belongs to the
   * handler, what it returns to the transport. A handler that returns its answer itself rather than a promise is
   * answered without one.
   * @throws TransportError `'INVALID_ARGUMENT'`
   */
  handle(method: string, fn: RpcHandler): void {
    this.#endpoint.handle(method, fn)
  }

  /**
   * Dials the bulk connection now, if there is none, and resolves with what was agreed.
   * @throws TransportError `'CONNECT_FAILED'`, `'PEER_REJECTED'`, `'POOL_EXHAUSTED'`, `'CLOSED'`, `'INVALID_ARGUMENT'`
   */
  connect(to: string): Promise<PeerIdentity> {
    return this.#endpoint.connect(to)
  }

  /** Counters and gauges, frozen and JSON-safe. */
  stats(): TcpStats {
    return this.#endpoint.stats()
  }

  /**
   * Takes nothing new, grants `drainTimeoutMs` to what runs, closes. Idempotent, and final. Afterwards no timer, socket
   * or listener is left. A handler must not wait for it, since it waits for handlers.
   */
  stop(): Promise<void> {
    return this.#endpoint.stop()
  }

  /** The same as `stop`. */
  close(): Promise<void> {
    return this.#endpoint.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#endpoint.stop()
  }
}
