/** What a `TcpTransport` counts and tells. */
import { deepFreeze, type MessagePriority, type PeerIdentity } from '@hs/core'
import type { ConnectionClass } from './payloads.js'

export type Direction = 'inbound' | 'outbound'

/** What `TcpTransport.stats()` returns: numbers of now, and since the transport was made. */
export interface TcpStats {
  /** Accepted sockets; connections to peers that are dialled; dials and handshakes under way. */
  readonly connections: { readonly inbound: number; readonly outbound: number; readonly dialing: number }
  /** Requests written and not answered; requests that are served, up to the writing of the answer. */
  readonly inFlight: { readonly outbound: number; readonly inbound: number }
  /** Requests and notifications that wait, by priority; bytes that wait, those of answers included. */
  readonly queued: Readonly<Record<MessagePriority, number>> & { readonly bytes: number }
  readonly totals: Readonly<TcpTotals>
  /** Messages of this end that found its queue full; what peers sent beyond `maxInFlight`, or too many notifications. */
  readonly shed: { readonly queueFull: Readonly<Record<MessagePriority, number>>; readonly resourceExhausted: number }
  /** Connections that this end refused or ended. */
  readonly rejected: Readonly<TcpRejections>
}

export interface TcpTotals {
  /** Requests written to a socket. */
  requestsSent: number
  /** Those that came, refused ones included. */
  requestsReceived: number
  notifiesSent: number
  notifiesReceived: number
  /** Given to sockets, and taken from them, whatever they were. */
  bytesSent: number
  bytesReceived: number
  /** Answers that nobody waited for any more. */
  lateResponses: number
  /** Frames of a type that this version does not know. */
  unknownFrames: number
  /** Handlers that threw. */
  handlerErrors: number
  /** Connections that this end closed because they were idle. */
  idleClosed: number
}

/** Why this end refuses or ends a connection. What the peer refuses is counted at its end. */
export interface TcpRejections {
  /** Sockets beyond `maxInbound` or `maxInboundPerIp`. */
  capacity: number
  /** Always 0 without TLS. */
  tls: number
  /** Another label. */
  label: number
  /** Another major version, or an offer that cannot be read. */
  version: number
  /** `authorize` threw. */
  authorize: number
  /** No HELLO within `handshakeTimeoutMs`. */
  handshakeTimeout: number
  /** A frame's length below 6 or above the limit: also what is no frame at all. */
  frameTooLarge: number
  /** A frame that took longer than `frameTimeoutMs`. */
  frameTimeout: number
  /** What the wire's description does not allow. */
  protocolError: number
  /** No sign of life within `keepaliveTimeoutMs` after PING. */
  keepaliveTimeout: number
  /** Its socket took nothing for `writeTimeoutMs`. */
  slowPeer: number
}

/** The events of a `TcpTransport`. */
export interface TcpEvents {
  /** A connection may be used from now on. */
  peerConnected: [{ peer: PeerIdentity; direction: Direction; connectionClass: ConnectionClass }]
  /** `error` is the code of what ended it: `'CLOSED'` if this end did on purpose, else `'CONNECTION_LOST'`. */
  peerDisconnected: [{ peer: PeerIdentity; direction: Direction; connectionClass: ConnectionClass; error: string }]
  /** This end refused a connection, or ended it for what the peer did. `from` is the peer's address. */
  rejected: [{ reason: keyof TcpRejections; from: string; direction: Direction }]
}

/** The counters behind `stats()`. */
export interface TcpCounters {
  readonly totals: TcpTotals
  readonly queueFull: Record<MessagePriority, number>
  resourceExhausted: number
  readonly rejected: TcpRejections
}

export function newCounters(): TcpCounters {
  return {
    totals: {
      requestsSent: 0,
      requestsReceived: 0,
      notifiesSent: 0,
      notifiesReceived: 0,
      bytesSent: 0,
      bytesReceived: 0,
      lateResponses: 0,
      unknownFrames: 0,
      handlerErrors: 0,
      idleClosed: 0,
    },
    queueFull: { critical: 0, high: 0, normal: 0, low: 0 },
    resourceExhausted: 0,
    rejected: {
      capacity: 0,
      tls: 0,
      label: 0,
      version: 0,
      authorize: 0,
      handshakeTimeout: 0,
      frameTooLarge: 0,
      frameTimeout: 0,
      protocolError: 0,
      keepaliveTimeout: 0,
      slowPeer: 0,
    },
  }
}

export function statsOf(counters: TcpCounters, now: Pick<TcpStats, 'connections' | 'inFlight' | 'queued'>): TcpStats {
  const { totals, queueFull, resourceExhausted, rejected } = counters
  return deepFreeze({
    ...now,
    totals: { ...totals },
    shed: { queueFull: { ...queueFull }, resourceExhausted },
    rejected: { ...rejected },
  })
}
