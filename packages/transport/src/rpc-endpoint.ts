/**
 * The engine behind `TcpTransport`, on whatever gives it sockets: finds or makes the connection for a message, accepts
 * connections, counts and tells, and ends all of it in order.
 */
import {
  ErrorReporter,
  messagePriorities,
  TimingWheel,
  TransportError,
  TypedEmitter,
  type MessagePriority,
  type PeerIdentity,
  type RpcHandler,
  type RpcRequestOptions,
} from '@hs/core'
import type { Duplex } from 'node:stream'
import { Acceptor, type AcceptorHost } from './acceptor.js'
import { Connection, type ConnectionEnvironment, type ConnectionOwner } from './connection.js'
import { DialedPeers } from './dialed-peers.js'
import { harmlessLogger } from './harmless-logger.js'
import { CalledMethods, CRITICAL, ServedMethods, type Lane, type Method } from './methods.js'
import { OutboundCalls } from './outbound-call.js'
import { failMessage, type Message } from './send-queue.js'
import { OutgoingFrame } from './outgoing-frame.js'
import type { ConnectionClass } from './payloads.js'
import { PriorityTable } from './priority-table.js'
import { RunningNotifications } from './running-notifications.js'
import { Scratch } from './socket-writer.js'
import type { SocketLayer } from './sockets.js'
import type { TcpSettings } from './tcp-options.js'
import { newCounters, statsOf, type TcpEvents, type TcpRejections, type TcpStats } from './tcp-stats.js'
import {
  cancelled,
  deadlineExceeded,
  invalidArgument,
  queueFull,
  stopped,
  takesNoMore,
  tooLarge,
  type EndCode,
} from './transport-errors.js'
import { HEADER_BYTES, LENGTH_BYTES, MAX_ID, REQUEST_PREFIX_BYTES } from './wire.js'

/** Deadlines are late by less than this, and never early. */
const TICK_MS = 1

export class RpcEndpoint implements ConnectionOwner, AcceptorHost {
  readonly events: TypedEmitter<TcpEvents>
  readonly #settings: TcpSettings
  readonly #environment: ConnectionEnvironment
  readonly #notifications: RunningNotifications
  readonly #called: CalledMethods
  readonly #calls: OutboundCalls
  readonly #peers: DialedPeers
  readonly #acceptor: Acceptor
  /** Whatever has a socket. */
  readonly #connections = new Set<Connection>()
  /** Open ones that were accepted, by the address that they come from. */
  readonly #accepted = new Map<string, Connection>()
  #isStopping = false
  #stopping: Promise<void> | null = null
  #onQuiet: (() => void) | null = null

  constructor(settings: TcpSettings, layer: SocketLayer) {
    const { clock, random, logger } = settings
    const reporter = new ErrorReporter({ clock, random, logger })
    const priorities = new PriorityTable(settings.priorities)
    const wheel = new TimingWheel({ clock, random, logger, tickMs: TICK_MS })
    this.events = new TypedEmitter('TcpTransport', reporter)
    this.#settings = settings
    this.#notifications = new RunningNotifications(() => this.#checkQuiet())
    this.#environment = {
      settings,
      clock,
      wheel,
      logger: harmlessLogger(logger, reporter, 'TcpTransport.logger'),
      reporter,
      served: new ServedMethods(priorities),
      notifications: this.#notifications,
      counters: newCounters(),
      scratch: new Scratch(),
    }
    this.#called = new CalledMethods(priorities)
    this.#calls = new OutboundCalls(clock, wheel)
    const dial = (host: string, port: number, connectionClass: ConnectionClass, address: string) =>
      this.#adopt(layer.dial(host, port), 'outbound', connectionClass, address)
    this.#peers = new DialedPeers({ settings, clock, random, dial })
    this.#acceptor = new Acceptor(settings, layer, this)
  }

  get address(): string {
    return this.#settings.advertise ?? this.#acceptor.address
  }

  start(): Promise<void> {
    if (this.#isStopping) return Promise.reject(stopped())
    return this.#acceptor.start()
  }

  request(to: string, method: string, body: Uint8Array, options: RpcRequestOptions = {}): Promise<Uint8Array> {
    try {
      return this.#request(to, method, body, options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  notify(to: string, method: string, body: Uint8Array): Promise<void> {
    try {
      return this.#notify(to, method, body)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async connect(to: string): Promise<PeerIdentity> {
    if (this.#isStopping) throw stopped()
    return this.#connectionTo(to, 'bulk').whenOpen()
  }

  handle(method: string, handler: RpcHandler): void {
    this.#environment.served.set(method, handler)
  }

  stats(): TcpStats {
    const queued: Record<MessagePriority, number> & { bytes: number } = {
      critical: 0,
      high: 0,
      normal: 0,
      low: 0,
      bytes: 0,
    }
    const inFlight = { outbound: 0, inbound: 0 }
    let outbound = 0
    let dialing = 0
    for (const connection of this.#connections) {
      inFlight.outbound += connection.outboundInFlight
      inFlight.inbound += connection.inboundInFlight
      queued.bytes += connection.queuedBytes
      for (const [lane, priority] of messagePriorities.entries()) {
        queued[priority] += connection.queuedMessages(lane as Lane)
      }
      if (connection.direction === 'inbound') continue
      if (connection.isDialing) dialing++
      else if (connection.isUp) outbound++
    }
    return statsOf(this.#environment.counters, {
      connections: { inbound: this.#acceptor.sockets, outbound, dialing },
      inFlight,
      queued,
    })
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#shutDown()
    return this.#stopping
  }

  // What connections tell

  onOpen(connection: Connection, peer: PeerIdentity): void {
    const { direction, connectionClass, address } = connection
    if (direction === 'inbound') this.#accepted.set(address, connection)
    else this.#peers.onOpen(connection)
    this.events.emit('peerConnected', { peer, direction, connectionClass })
  }

  onLeaving(connection: Connection): void {
    if (connection.direction === 'outbound') this.#peers.onLeaving(connection)
    else if (this.#accepted.get(connection.address) === connection) this.#accepted.delete(connection.address)
  }

  onReturned(connection: Connection, messages: readonly Message[]): void {
    for (const message of messages) {
      try {
        this.#sendAgain(connection, message)
      } catch (error) {
        failMessage(message, error as TransportError)
      }
    }
  }

  onClosed(connection: Connection, code: EndCode, error: TransportError | null): void {
    const { peer, direction, connectionClass } = connection
    this.onLeaving(connection)
    if (direction === 'outbound') this.#peers.onClosed(connection, code === 'CLOSED' ? null : error)
    if (peer !== null) this.events.emit('peerDisconnected', { peer, direction, connectionClass, error: code })
  }

  onReleased(connection: Connection): void {
    this.#connections.delete(connection)
    this.#checkQuiet()
  }

  onRejected(reason: keyof TcpRejections, { address, direction }: Pick<Connection, 'address' | 'direction'>): void {
    this.#environment.counters.rejected[reason]++
    this.events.emit('rejected', { reason, from: address, direction })
  }

  // What the acceptor tells

  onSocket(socket: Duplex, address: string): void {
    this.#adopt(socket, 'inbound', 'bulk', address)
  }

  onOverCapacity(address: string): void {
    this.onRejected('capacity', { address, direction: 'inbound' })
  }

  onAcceptError(error: Error): void {
    this.#environment.reporter.report('TcpTransport.accept', error)
  }

  #request(to: string, name: string, body: Uint8Array, options: RpcRequestOptions): Promise<Uint8Array> {
    const { timeoutMs = this.#settings.requestTimeoutMs, signal } = options
    const method = this.#check(name, body)
    if (!(typeof timeoutMs === 'number' && timeoutMs >= 0 && timeoutMs < Infinity)) {
      throw invalidArgument(`timeoutMs is a number of milliseconds, 0 or more, found ${String(timeoutMs)}`)
    }
    if (signal !== undefined && !isSignal(signal)) throw invalidArgument('signal must be an AbortSignal')
    if (signal?.aborted === true) throw cancelled(name, to, signal.reason, true)
    if (timeoutMs === 0) throw deadlineExceeded(name, to, 0, true)
    const connection = this.#admitted(to, method, HEADER_BYTES + REQUEST_PREFIX_BYTES - 1, body)
    const nowMs = this.#environment.clock.now()
    const call = this.#calls.take()
    const answer = call.begin(to, method, body, nowMs, Math.min(timeoutMs, MAX_ID), signal)
    connection.add(call, nowMs)
    return answer
  }

  #notify(to: string, name: string, body: Uint8Array): Promise<void> {
    const method = this.#check(name, body)
    const connection = this.#admitted(to, method, HEADER_BYTES, body)
    const frame = OutgoingFrame.notification(method, this.#calls.bodies.copy(body))
    const handedOver = new Promise<void>((resolve, reject) => {
      frame.resolve = resolve
      frame.reject = reject
    })
    connection.add(frame, this.#environment.clock.now())
    return handedOver
  }

  #check(name: string, body: Uint8Array): Method {
    if (this.#isStopping) throw stopped()
    if (!(body instanceof Uint8Array)) throw invalidArgument(`The body of ${String(name)} must be a Uint8Array`)
    return this.#called.get(name)
  }

  /** The connection for a message, which may be added to it now. */
  #admitted(to: string, method: Method, prefixBytes: number, body: Uint8Array): Connection {
    const bytes = prefixBytes + method.encoded.length + body.length
    const length = bytes - LENGTH_BYTES
    if (length > this.#settings.maxFrameBytes) throw tooLarge(method.name, length, this.#settings.maxFrameBytes)
    const connection = this.#connectionTo(to, method.lane === CRITICAL ? 'control' : 'bulk')
    if (length > connection.maxSendLength) throw tooLarge(method.name, length, connection.maxSendLength)
    if (connection.admit(method.lane, bytes)) return connection
    this.#environment.counters.queueFull[method.priority]++
    throw queueFull(`${method.name} to ${to}: its queue of priority ${method.priority} is full`)
  }

  #connectionTo(to: string, connectionClass: ConnectionClass): Connection {
    // Whoever dialled this end is answered where it came from: it may not be reachable otherwise.
    const accepted = this.#accepted.size === 0 ? undefined : this.#accepted.get(to)
    return accepted ?? this.#peers.connectionTo(to, connectionClass)
  }

  /** After the peer's goodbye, once. */
  #sendAgain(connection: Connection, message: Message): void {
    const { method } = message
    if (method === null) return
    if (this.#isStopping) throw stopped()
    if (message.moved || connection.direction === 'inbound') throw takesNoMore(method.name, connection.address)
    const next = this.#connectionTo(connection.address, method.lane === CRITICAL ? 'control' : 'bulk')
    message.moved = true
    if (!(message instanceof OutgoingFrame)) message.written = false
    next.add(message, this.#environment.clock.now())
  }

  #adopt(
    socket: Duplex,
    direction: 'inbound' | 'outbound',
    connectionClass: ConnectionClass,
    address: string,
  ): Connection {
    const connection = new Connection(this.#environment, this, socket, direction, connectionClass, address)
    this.#connections.add(connection)
    return connection
  }

  async #shutDown(): Promise<void> {
    this.#isStopping = true
    const { wheel } = this.#environment
    const { drainTimeoutMs } = this.#settings
    const unlistened = this.#acceptor.stop()
    for (const connection of [...this.#connections]) connection.stop()
    const timer = drainTimeoutMs > 0 ? wheel.schedule(drainTimeoutMs, () => this.#cutOff()) : null
    if (timer === null) this.#cutOff()
    await this.#quiet()
    timer?.cancel()
    await unlistened
    wheel.stop()
  }

  /** The time for what was in flight is over. */
  #cutOff(): void {
    const message = 'this end has stopped'
    for (const connection of [...this.#connections]) connection.terminate('CLOSED', message)
    this.#notifications.abortAll(new TransportError('CLOSED', message))
  }

  /** Resolves when no socket is left and no handler of a notification works. */
  #quiet(): Promise<void> {
    return new Promise((resolve) => {
      this.#onQuiet = resolve
      this.#checkQuiet()
    })
  }

  #checkQuiet(): void {
    if (this.#connections.size === 0 && this.#notifications.size === 0) this.#onQuiet?.()
  }
}

/** By what is used of it: there are other implementations than the platform's. */
function isSignal(value: unknown): boolean {
  return typeof (value as Partial<AbortSignal> | null)?.addEventListener === 'function'
}
