/**
 * What a transport is, without one: `@hs/transport` implements it on sockets, `@hs/sim` on a simulated network,
 * `MemoryNetwork` of `@hs/core/testing` in one process. The conformance cases of `@hs/core/testing` pin what all share.
 */

/** Messages that may be lost, repeated or reordered: UDP. */
export interface DatagramTransport {
  /** Where others reach this one: `host:port`. */
  readonly address: string
  /** The longest message that `send` takes. */
  readonly maxMessageBytes: number
  /**
   * Fire and forget: what the network does with it is silent. The caller may reuse `bytes` afterwards.
   * @throws TransportError for misuse: `'MESSAGE_TOO_LARGE'`, `'INVALID_ARGUMENT'` (the address, or bytes that are none),
   *   `'CLOSED'`.
   */
  send(to: string, bytes: Uint8Array): void
  /** A second call replaces the first handler. The bytes belong to the handler. */
  onMessage(fn: (from: string, bytes: Uint8Array) => void): void
  /** Gives the address back; idempotent. */
  close(): Promise<void>
}

/** Who sent a request, as far as the transport knows. */
export interface PeerIdentity {
  readonly address: string
  /** Empty if the peer named none. */
  readonly nodeId: string
  readonly encrypted: boolean
  /** The peer's certificate as DER, with TLS that asks for one. */
  readonly certificate?: Uint8Array
  readonly protocol: { readonly major: number; readonly minor: number }
  readonly features: readonly string[]
}

/** The call that a handler serves. */
export interface RpcCall {
  /** Aborts when the caller is gone, cancelled, or out of time. */
  readonly signal: AbortSignal
  /** How long the caller will still wait, in milliseconds; 0 if not at all. */
  remainingMs(): number
}

/**
 * Serves one request. What it throws reaches the caller as `'REMOTE_ERROR'`: an `HsError` with its code and message,
 * anything else with a generic message only, for internals do not cross the wire.
 */
export type RpcHandler = (body: Uint8Array, from: PeerIdentity, call: RpcCall) => Uint8Array | Promise<Uint8Array>

export interface RpcRequestOptions {
  /** How long to wait for the answer, in milliseconds. @default 30_000 */
  timeoutMs?: number
  /** Aborting rejects with `'CANCELLED'`, whose `cause` is the signal's reason. */
  signal?: AbortSignal
}

/** Requests with an answer: TCP, TLS. */
export interface RpcTransport {
  /** Where others reach this one: `host:port`. */
  readonly address: string
  /** @throws TransportError, whose `notExecuted` tells whether repeating is safe. */
  request(to: string, method: string, body: Uint8Array, options?: RpcRequestOptions): Promise<Uint8Array>
  /** Resolves when handed to the network; there is no answer. */
  notify(to: string, method: string, body: Uint8Array): Promise<void>
  /** A second call for the same method replaces the first. */
  handle(method: string, fn: RpcHandler): void
  /** Ends what is in flight (`'CLOSED'` here, `'CONNECTION_LOST'` at peers) and gives the address back; idempotent. */
  close(): Promise<void>
}
