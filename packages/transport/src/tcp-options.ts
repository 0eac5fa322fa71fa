/** The options of `TcpTransport`, and the schema that checks them. */
import {
  messagePriorities,
  parseAddress,
  runtimeShape,
  type MessagePriority,
  type PeerIdentity,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { encodeHello, type ConnectionClass, type Hello } from './payloads.js'
import { MAX_HELLO_LENGTH, MIN_LENGTH } from './wire.js'

/**
 * Throws to refuse the peer. Called once a connection, after both have said HELLO and before any request. What it
 * throws is logged here, and the peer learns only that it was not authorized. Must be synchronous: a promise refuses.
 */
export type Authorize = (peer: PeerIdentity, direction: 'inbound' | 'outbound') => void

/** Times are milliseconds above 0, fractions allowed, at most 366 days; numbers of things are integers. */
export interface TcpTransportOptions extends RuntimeOptions {
  /**
   * `host:port` or `[ipv6]:port` to listen on; port 0 is any free port, and a name is looked up by `start`. Null: this
   * transport only dials.
   * @default null
   */
  listen?: string | null
  /** What `address` says, where peers reach this one by another address than it binds. @default what `start` has bound */
  advertise?: string
  /** Told to peers as `from.nodeId`. @default '' */
  nodeId?: string
  /** Both ends of a connection have the same one, up to 255 bytes. @default '' */
  label?: string
  /**
   * Of what is said over the transport. Ends of different majors do not talk; the lower minor is agreed on.
   * @default { major: 1, minor: 0 }
   */
  protocol?: { major: number; minor: number }
  /** Words for what this end can do; a connection has those that both ends list. @default [] */
  features?: readonly string[]
  /** By method name, or by prefix where it ends in `*` (`'stats.*'`); the longest one counts. @default {}: all `'normal'` */
  priorities?: Record<string, MessagePriority>
  /** Whom to talk to. @default everybody */
  authorize?: Authorize
  /** Raw deflate of bodies from `thresholdBytes` to 256 KiB, where the peer has it too. @default false */
  compression?: false | { thresholdBytes: number }
  /** One frame, hence one body: 64 bytes to 1 GiB. @default 4_194_304 */
  maxFrameBytes?: number
  /** Unanswered requests per connection and direction, at least 1. @default 1_024 */
  maxInFlight?: number
  /** Messages of one priority that wait beyond that, per connection; 0: none. @default 1_024 */
  maxQueued?: number
  /** Bytes that wait for the socket, per connection, at least 1. @default 16_777_216 */
  maxQueuedBytes?: number
  /** Peers dialled, at least 1. @default 1_024 */
  maxConnections?: number
  /** Accepted sockets, at least 1. @default 10_000 */
  maxInbound?: number
  /** Of one IP address, at least 1. @default 256 */
  maxInboundPerIp?: number
  /** For the TCP connection of a dial, a name's look-up included. @default 5_000 */
  connectTimeoutMs?: number
  /** From accept or connect until HELLO was read. @default 5_000 */
  handshakeTimeoutMs?: number
  /** The deadline of a request that states none. @default 30_000 */
  requestTimeoutMs?: number
  /** First to last byte of an inbound frame. @default 10_000 */
  frameTimeoutMs?: number
  /** The longest wait for a socket that takes nothing more. @default 10_000 */
  writeTimeoutMs?: number
  /** Silence before PING; 20 ms more at the end that was dialled, so that one end pings and not both. @default 10_000 */
  keepaliveMs?: number
  /** Silence after PING before the connection is dead; less by those 20 ms at the end that was dialled. @default 5_000 */
  keepaliveTimeoutMs?: number
  /** No request either way for this long: the dialler closes. @default 300_000 */
  idleTimeoutMs?: number
  /** The first wait before a failed peer is dialled again; doubles with each failure. @default 100 */
  reconnectBaseMs?: number
  /** The longest such wait, not below `reconnectBaseMs`. @default 5_000 */
  reconnectMaxMs?: number
  /** What `stop()` grants to requests in flight; 0: nothing. @default 5_000 */
  drainTimeoutMs?: number
}

const MAX_LABEL_BYTES = 255
/** Every goodbye and every error without its text fits. */
const MIN_FRAME_BYTES = 64
const MAX_MS = 366 * 86_400_000
const GIB = 1_073_741_824

const bytesOf = (text: string) => new TextEncoder().encode(text).length
const count = (fallback: number, min = 1) => z.int().min(min).max(0x7fff_ffff).default(fallback)
const duration = (fallback: number) => z.number().positive().max(MAX_MS).default(fallback)
const version = () => z.int().min(0)

function isAddress(text: string, allowZeroPort: boolean): boolean {
  try {
    parseAddress(text, { allowZeroPort })
    return true
  } catch {
    return false
  }
}

const schema = /* @__PURE__ */ (() =>
  z
    .strictObject({
      ...runtimeShape,
      listen: z
        .string()
        .refine((text) => isAddress(text, true), 'expected host:port or [ipv6]:port')
        .nullable()
        .default(null),
      advertise: z
        .string()
        .refine((text) => isAddress(text, false), 'expected host:port or [ipv6]:port')
        .optional(),
      nodeId: z.string().default(''),
      label: z
        .string()
        .refine((text) => bytesOf(text) <= MAX_LABEL_BYTES, `expected at most ${MAX_LABEL_BYTES} bytes of UTF-8`)
        .default(''),
      protocol: z.strictObject({ major: version(), minor: version() }).default(() => ({ major: 1, minor: 0 })),
      features: z.array(z.string().min(1)).default(() => []),
      priorities: z.record(z.string().min(1), z.enum(messagePriorities)).default(() => ({})),
      authorize: z.custom<Authorize>((x) => typeof x === 'function', 'expected a function').optional(),
      compression: z.union([z.literal(false), z.strictObject({ thresholdBytes: z.int().min(0) })]).default(false),
      maxFrameBytes: z.int().min(MIN_FRAME_BYTES).max(GIB).default(4_194_304),
      maxInFlight: count(1_024),
      maxQueued: count(1_024, 0),
      maxQueuedBytes: z.int().min(1).default(16_777_216),
      maxConnections: count(1_024),
      maxInbound: count(10_000),
      maxInboundPerIp: count(256),
      connectTimeoutMs: duration(5_000),
      handshakeTimeoutMs: duration(5_000),
      requestTimeoutMs: duration(30_000),
      frameTimeoutMs: duration(10_000),
      writeTimeoutMs: duration(10_000),
      keepaliveMs: duration(10_000),
      keepaliveTimeoutMs: duration(5_000),
      idleTimeoutMs: duration(300_000),
      reconnectBaseMs: duration(100),
      reconnectMaxMs: duration(5_000),
      drainTimeoutMs: z.number().min(0).max(MAX_MS).default(5_000),
    })
    .refine((o) => o.reconnectMaxMs >= o.reconnectBaseMs, {
      path: ['reconnectMaxMs'],
      message: 'expected at least reconnectBaseMs',
    })
    .refine((o) => MIN_LENGTH + encodeHello(helloOf(o, 'control')).length <= MAX_HELLO_LENGTH, {
      path: ['features'],
      message: `expected features and nodeId that fit into a greeting of ${MAX_HELLO_LENGTH} bytes`,
    }))()

export type TcpSettings = z.output<typeof schema>

export { schema as tcpOptionsSchema }

interface Introduction {
  readonly label: string
  readonly protocol: { readonly major: number; readonly minor: number }
  readonly features: readonly string[]
  readonly nodeId: string
  readonly maxFrameBytes: number
  readonly maxInFlight: number
  readonly compression: false | { readonly thresholdBytes: number }
}

/** What this end says of itself. */
export function helloOf(settings: Introduction, connectionClass: ConnectionClass): Hello {
  const { label, protocol, features, nodeId, maxFrameBytes, maxInFlight, compression } = settings
  return {
    label,
    major: protocol.major,
    minor: protocol.minor,
    features,
    node: nodeId,
    connectionClass,
    maxFrameBytes,
    maxInFlight,
    deflate: compression !== false,
  }
}
