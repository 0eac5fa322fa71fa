/** What a `TcpTransport` counts and tells. */
import { deepFreeze, type MessagePriority, type PeerIdentity } from '@hs/core'
import type { ConnectionClass } from './payloads.js'

export type Direction = 'inbound' | 'outbound'

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
  requestsSent: number
  requestsReceived: number
  notifiesSent: number
  notifiesReceived: number
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

export interface TcpRejections {
  /** Sockets beyond `maxInbound` or `maxInboundPerIp`. */
  capacity: number
  tls: number
  label: number
  version: number
  authorize: number
  handshakeTimeout: number
  frameTooLarge: number
  frameTimeout: number
  protocolError: number
  keepaliveTimeout: number
  slowPeer: number
}

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
