/**
 * Datagrams over UDP. What arrives reaches the handler only if it carries this cluster's label; what does not is
 * counted by reason, told as an event and logged, never answered. The address handed to the handler is the observed
 * source of the datagram, nothing that a peer wrote into it.
 * Fire and forget: what the network or the system does to a datagram is counted, not thrown.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import {
  ErrorReporter,
  HsError,
  TransportError,
  TypedEmitter,
  deepFreeze,
  parseAddress,
  parseOptions,
  runtimeShape,
  type DatagramTransport,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { PLAIN_HEADER_BYTES, datagramForm, hasLabelOf, plainHeader } from './datagram-header.js'
import { DatagramRejections, type DatagramRejection } from './datagram-rejections.js'
import { DatagramSender, type SendTotals } from './datagram-sender.js'
import { harmlessLogger, type HarmlessLogger } from './harmless-logger.js'
import { IpEndpoints, endpointText, type IpEndpoint } from './ip-endpoints.js'
import { handlesReleased } from './released-handles.js'
import { invalidArgument } from './transport-errors.js'

/** Where it binds, and what it sends. */
export interface UdpTransportOptions extends RuntimeOptions {
  /** Where to listen, `host:port`; port 0 takes any free one. A name is looked up once, by `start`. @default '127.0.0.1:0' */
  bind?: string
  /** What `address` says, where others reach this node by another address than it binds. @default the bound one */
  advertise?: string
  /** The cluster's label, up to 255 bytes: datagrams of another one are rejected. @default '' */
  label?: string
  /** The largest datagram sent, header included, 7 to 65,507 bytes. Larger ones are still received. @default 1_400 */
  maxDatagramBytes?: number
  /** What the system is asked to hold for this process while it is busy, in bytes; it may grant less. @default 2_097_152 */
  receiveBufferBytes?: number
}

/** What `UdpTransport.stats()` returns, since the transport was made. */
export interface UdpTransportStats {
  /** Datagrams handed to the socket, and their bytes, header included. */
  readonly sent: number
  readonly bytesSent: number
  /** Datagrams accepted, and their bytes, header included. */
  readonly received: number
  readonly bytesReceived: number
  /** Datagrams that the system refused to send, or for which its queue was full. */
  readonly sendErrors: number
  /** What the message handler and the listeners of `events` threw or rejected with. */
  readonly callbackErrors: number
  /** Senders whose sequence numbers are remembered; 0 where nothing is sealed. */
  readonly senders: number
  /** Datagrams that did not reach the handler, by reason. */
  readonly rejected: Readonly<Record<DatagramRejection, number>>
}

/** The events of a `UdpTransport`. */
export interface UdpEvents {
  /** A datagram was refused. `from` is its observed source. */
  rejected: [{ reason: DatagramRejection; from: string }]
}

const OWNER = 'UdpTransport'
const HANDLER = `${OWNER}.onMessage`

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    bind: z.string().refine(isListenAddress, 'expected host:port').default('127.0.0.1:0'),
    advertise: z.string().refine(isAddress, 'expected host:port').optional(),
    label: z
      .string()
      .refine((label) => Buffer.byteLength(label) <= 255, 'expected at most 255 bytes of UTF-8')
      .default(''),
    maxDatagramBytes: z
      .int()
      .min(PLAIN_HEADER_BYTES + 1)
      .max(65_507)
      .default(1_400),
    receiveBufferBytes: z
      .int()
      .min(1)
      .max(2 ** 31 - 1)
      .default(2_097_152),
  }))()

interface OpenSocket {
  readonly socket: Socket
  readonly endpoints: IpEndpoints
  readonly sender: DatagramSender
}

/** Datagrams over UDP. Sends and receives from `start` until `stop`. */
export class UdpTransport implements DatagramTransport, AsyncDisposable {
  /** The largest body that `send` takes: `maxDatagramBytes` less the 6 bytes of the header. */
  readonly maxMessageBytes: number
  /** Datagrams that were refused. What a listener throws is logged. */
  readonly events: TypedEmitter<UdpEvents>
  readonly #bind: { readonly host: string; readonly port: number }
  readonly #advertise: string | undefined
  readonly #receiveBufferBytes: number
  readonly #logger: HarmlessLogger
  readonly #reporter: ErrorReporter
  readonly #rejections: DatagramRejections
  readonly #header: Uint8Array
  readonly #maxDatagramBytes: number
  readonly #sendTotals: SendTotals = { sent: 0, bytesSent: 0, sendErrors: 0 }
  #bound = ''
  #open: OpenSocket | null = null
  #starting: Promise<void> | null = null
  #stopping: Promise<void> | null = null
  #handler: ((from: string, bytes: Uint8Array) => void) | null = null
  #received = 0
  #bytesReceived = 0

  /** @throws ConfigError */
  constructor(options: UdpTransportOptions = {}) {
    const checked = parseOptions(schema, options, OWNER)
    const { clock, random, logger } = checked
    this.maxMessageBytes = checked.maxDatagramBytes - PLAIN_HEADER_BYTES
    this.#bind = parseAddress(checked.bind, { allowZeroPort: true })
    this.#advertise = checked.advertise
    this.#receiveBufferBytes = checked.receiveBufferBytes
    this.#reporter = new ErrorReporter({ clock, random, logger })
    this.#logger = harmlessLogger(logger, this.#reporter, `${OWNER}.logger`)
    this.events = new TypedEmitter<UdpEvents>(OWNER, this.#reporter)
    this.#rejections = new DatagramRejections(OWNER, clock, this.#logger)
    this.#header = plainHeader(checked.label)
    this.#maxDatagramBytes = checked.maxDatagramBytes
  }

  /** Where others reach this transport: `advertise`, else the bound `ip:port`, which is `''` until it has started. */
  get address(): string {
    return this.#advertise ?? this.#bound
  }

  /**
   * Binds. After a failure it may be called again; once it is bound, it does nothing.
   * @throws HsError with the system's code if that fails (`'EADDRINUSE'`, `'EACCES'`, `'EADDRNOTAVAIL'`, `'ENOTFOUND'`).
   * @throws TransportError `'CLOSED'` if it was stopped.
   */
  start(): Promise<void> {
    if (this.#isStopping()) return Promise.reject(this.#notOpen())
    this.#starting ??= this.#listen().catch((error: unknown) => {
      this.#starting = null
      throw error
    })
    return this.#starting
  }

  /**
   * Sends one datagram, by the end of this turn of the event loop.
   * @param to an IP literal with port, `10.0.0.6:7000` or `[::1]:7000`; a name would mean a look-up a packet.
   * @param bytes at most `maxMessageBytes`; copied.
   * @throws TransportError `'MESSAGE_TOO_LARGE'`, `'INVALID_ARGUMENT'` (the address, or bytes that are none), `'CLOSED'`
   * (also before `start`).
   */
  send(to: string, bytes: Uint8Array): void {
    if (this.#open === null) throw this.#notOpen()
    // Anything with a length could be copied, and would arrive as something else.
    if (!(bytes instanceof Uint8Array)) throw invalidArgument(`A message to ${String(to)} must be a Uint8Array`)
    if (bytes.length > this.maxMessageBytes) throw this.#tooLarge(bytes.length)
    const { endpoints, sender } = this.#open
    sender.send(parseDestination(endpoints, to), bytes)
  }

  /**
   * Takes the place of the handler before. What it throws is counted and logged.
   * @throws TransportError `'INVALID_ARGUMENT'`
   */
  onMessage(fn: (from: string, bytes: Uint8Array) => void): void {
    if (typeof fn !== 'function') throw invalidArgument('The handler of messages must be a function')
    this.#handler = this.#reporter.guard(HANDLER, fn)
  }

  /** Counters, frozen and JSON-safe. */
  stats(): UdpTransportStats {
    const { bySource } = this.#reporter.snapshot()
    return deepFreeze({
      ...this.#sendTotals,
      received: this.#received,
      bytesReceived: this.#bytesReceived,
      callbackErrors: (bySource[HANDLER] ?? 0) + (bySource[`${OWNER}.rejected`] ?? 0),
      senders: 0,
      rejected: this.#rejections.counts(),
    })
  }

  /** Closes the socket; no message is handed over after this call. Idempotent, and final. */
  stop(): Promise<void> {
    this.#stopping ??= this.#close()
    return this.#stopping
  }

  /** The same as `stop`. */
  close(): Promise<void> {
    return this.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #listen(): Promise<void> {
    const { port } = this.#bind
    const host = await literalOf(this.#bind.host)
    if (this.#isStopping()) throw this.#notOpen()
    const family = isIP(host) === 6 ? 6 : 4
    // The look-up answers at once, so that a datagram leaves in the turn of its `send`.
    const socket = createSocket({ type: `udp${family}`, lookup: (name, _options, done) => done(null, name, family) })
    await bindSocket(socket, host, port)
    if (this.#isStopping()) {
      socket.close()
      throw this.#notOpen()
    }
    this.#setReceiveBuffer(socket)
    const endpoints = new IpEndpoints(family)
    socket.on('message', (datagram, source) => this.#receive(datagram, source, endpoints))
    socket.on('error', (error) => this.#reporter.report(`${OWNER}.socket`, error))
    const bound = socket.address()
    this.#bound = endpointText(bound.address, bound.port)
    const sender = new DatagramSender(socket, this.#header, this.#maxDatagramBytes, this.#sendTotals)
    this.#open = { socket, endpoints, sender }
  }

  async #close(): Promise<void> {
    const open = this.#open
    this.#open = null
    this.#rejections.flush()
    await Promise.allSettled([this.#starting]) // which sees that it came too late, and closes its own socket
    if (open === null) return
    open.sender.flush()
    await new Promise<void>((resolve) => open.socket.close(resolve))
    await handlesReleased()
  }

  #receive(datagram: Uint8Array, source: RemoteInfo, endpoints: IpEndpoints): void {
    if (this.#open === null) return
    const from = endpoints.textOf(source.address, source.port)
    const reason = this.#reasonToReject(datagram)
    if (reason !== null) {
      this.#rejections.add(reason, from)
      this.events.emit('rejected', { reason, from })
      return
    }
    this.#received++
    this.#bytesReceived += datagram.length
    // The socket makes a buffer for each datagram, so the handler may keep this window onto it.
    const { buffer, byteOffset, length } = datagram
    this.#handler?.(from, new Uint8Array(buffer, byteOffset + PLAIN_HEADER_BYTES, length - PLAIN_HEADER_BYTES))
  }

  #reasonToReject(datagram: Uint8Array): DatagramRejection | null {
    switch (datagramForm(datagram)) {
      case 'plain':
        return hasLabelOf(this.#header, datagram) ? null : 'wrongLabel'
      case 'sealed':
        return 'unknownKey' // without a key ring there is no key it could be sealed with
      case null:
        return 'malformed'
    }
  }

  #setReceiveBuffer(socket: Socket): void {
    try {
      socket.setRecvBufferSize(this.#receiveBufferBytes)
    } catch (error) {
      this.#logger.warn(`${OWNER}: the system keeps its own receive buffer size`, {
        receiveBufferBytes: this.#receiveBufferBytes,
        err: error,
      })
    }
  }

  #isStopping(): boolean {
    return this.#stopping !== null
  }

  #notOpen(): TransportError {
    const state = this.#stopping === null ? 'has not started: await start() first' : 'is stopped'
    return new TransportError('CLOSED', `${OWNER} ${state}`, { notExecuted: true })
  }

  #tooLarge(bytes: number): TransportError {
    const message = `a message of ${bytes} bytes: at most ${this.maxMessageBytes} fit into a datagram of this transport`
    return new TransportError('MESSAGE_TOO_LARGE', message, {
      notExecuted: true,
      details: { bytes, maxMessageBytes: this.maxMessageBytes },
    })
  }
}

async function literalOf(host: string): Promise<string> {
  if (isIP(host) !== 0) return host
  try {
    return (await lookup(host)).address
  } catch (error) {
    throw new HsError(systemCode(error), `${OWNER} cannot look up ${host} to bind it`, { cause: error })
  }
}

async function bindSocket(socket: Socket, address: string, port: number): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind({ address, port, exclusive: true }, () => {
        socket.off('error', reject)
        resolve()
      })
    })
  } catch (error) {
    socket.close()
    const code = systemCode(error)
    const hint = code === 'EADDRINUSE' ? ': the port is in use; stop who holds it, or bind port 0 for any free one' : ''
    const message = `${OWNER} cannot bind ${endpointText(address, port)}${hint} (${code})`
    throw new HsError(code, message, { cause: error })
  }
}

function systemCode(error: unknown): string {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' ? code : 'BIND_FAILED'
}

function parseDestination(endpoints: IpEndpoints, to: string): IpEndpoint {
  try {
    return endpoints.parse(to)
  } catch (error) {
    throw invalidArgument(`"${to}" is no address to send to: expected an IP address and a port`, error)
  }
}

function isListenAddress(text: string): boolean {
  return parses(text, true)
}

function isAddress(text: string): boolean {
  return parses(text, false)
}

function parses(text: string, allowZeroPort: boolean): boolean {
  try {
    parseAddress(text, { allowZeroPort })
    return true
  } catch {
    return false
  }
}
