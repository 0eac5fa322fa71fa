/**
 * One connection between two ends, from the dial or accept to the end of its socket: greeting, frames in, signs of
 * life, farewell. What it sends is `OutgoingTraffic`, what the peer asks `InboundRequests`. Every request that was
 * given to it is settled exactly once, or handed back to its owner when the peer says goodbye before having taken it.
 *
 * connecting (dialled only) → greeting → open → leaving (a goodbye was said or heard) → closing (only the socket is
 * left) → closed; and from any of them to closing when something goes wrong.
 */
import type { Clock, PeerIdentity, TransportError } from '@hs/core'
import type { Duplex } from 'node:stream'
import { BodyCompression } from './body-compression.js'
import { viewOf } from './byte-gatherer.js'
import { isRefusalReason, judge, type Refusal } from './greeting.js'
import type { InboundCall } from './inbound-call.js'
import { IncomingStream, type StreamEnvironment, type StreamHost } from './incoming-stream.js'
import { InboundRequests, type AnswerPath, type ServingEnvironment, type Violation } from './inbound-requests.js'
import { LazyTimer } from './lazy-timer.js'
import type { Lane } from './methods.js'
import type { OutboundCall } from './outbound-call.js'
import type { Message } from './send-queue.js'
import type { OutgoingFrame } from './outgoing-frame.js'
import { OutgoingTraffic, type TrafficEnvironment, type TrafficHost } from './outgoing-traffic.js'
import {
  decodeError,
  decodeGoaway,
  decodeHello,
  encodeGoaway,
  encodeHello,
  type ConnectionClass,
  type Goaway,
  type Hello,
} from './payloads.js'
import { helloOf, type TcpSettings } from './tcp-options.js'
import type { Direction, TcpRejections } from './tcp-stats.js'
import { ended, unreached, type EndCode } from './transport-errors.js'
import { encodeFrame, FLAG_DEFLATED, FRAME_TYPES, MAX_HELLO_LENGTH, MIN_LENGTH, PING_BYTES } from './wire.js'

/** By how much the dialler's PING comes before the acceptor's: one of both ends is enough to show to both that they live. */
const DIALLER_FIRST_MS = 20

export interface ConnectionEnvironment extends ServingEnvironment, TrafficEnvironment, StreamEnvironment {}

export interface ConnectionOwner {
  onOpen(connection: Connection, peer: PeerIdentity): void
  /** New requests need another connection. */
  onLeaving(connection: Connection): void
  /** These certainly did not run, because of the peer's goodbye: they go to a new connection. */
  onReturned(connection: Connection, messages: readonly Message[]): void
  /** It is over. `error` says why a peer could not be reached; null if it had been open. */
  onClosed(connection: Connection, code: EndCode, error: TransportError | null): void
  /** The socket is gone. */
  onReleased(connection: Connection): void
  onRejected(reason: keyof TcpRejections, connection: Pick<Connection, 'address' | 'direction'>): void
}

type State = 'connecting' | 'greeting' | 'open' | 'leaving' | 'closing' | 'closed'

export class Connection implements StreamHost, AnswerPath, TrafficHost {
  readonly direction: Direction
  /** What was dialled, or the socket's own remote address. Never what a peer claims. */
  readonly address: string
  readonly #environment: ConnectionEnvironment
  readonly #settings: TcpSettings
  readonly #clock: Clock
  readonly #owner: ConnectionOwner
  readonly #socket: Duplex
  readonly #incoming: IncomingStream
  readonly #traffic: OutgoingTraffic
  /** For connecting, the greeting, then silence, at last the peer's farewell. */
  readonly #watch: LazyTimer
  readonly #idle: LazyTimer | null
  /** Of `keepaliveTimeoutMs`, so that a dead peer is found no later. */
  readonly #pingLaterMs: number
  #state: State
  #connectionClass: ConnectionClass
  #peer: PeerIdentity | null = null
  #inbound: InboundRequests | null = null
  #compression: BodyCompression | null = null
  #lastUsedMs: number
  #pinged = false
  #saidGoodbye = false
  /** Something was in flight when goodbye was said: then the peer's farewell is awaited, lest its last bytes be lost. */
  #lingers = false
  #refusal: Refusal | null = null
  #socketError: Error | null = null
  #whenOpen: { resolve: (peer: PeerIdentity) => void; reject: (error: unknown) => void }[] = []

  /** @param socket connecting if `'outbound'`: it will emit `'connect'`. */
  constructor(
    environment: ConnectionEnvironment,
    owner: ConnectionOwner,
    socket: Duplex,
    direction: Direction,
    connectionClass: ConnectionClass,
    address: string,
  ) {
    const { settings, clock, wheel } = environment
    this.#environment = environment
    this.#settings = settings
    this.#clock = clock
    this.#owner = owner
    this.#socket = socket
    this.direction = direction
    this.#connectionClass = connectionClass
    this.address = address
    this.#incoming = new IncomingStream(environment, this, socket, MAX_HELLO_LENGTH)
    this.#traffic = new OutgoingTraffic(environment, this, socket)
    this.#watch = new LazyTimer(clock, wheel, () => this.#onWatch())
    this.#idle = direction === 'outbound' ? new LazyTimer(clock, wheel, () => this.#onIdle()) : null
    this.#pingLaterMs = direction === 'outbound' ? 0 : Math.min(DIALLER_FIRST_MS, settings.keepaliveTimeoutMs / 2)
    const nowMs = clock.now()
    this.#lastUsedMs = nowMs
    if (direction === 'outbound') {
      this.#state = 'connecting'
      this.#watch.set(nowMs, settings.connectTimeoutMs)
      socket.once('connect', () => this.#onConnect())
    } else {
      this.#state = 'greeting'
      this.#watch.set(nowMs, settings.handshakeTimeoutMs)
    }
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('drain', () => this.#traffic.onDrain())
    socket.on('end', () => this.#onEnd())
    socket.on('error', (error) => {
      this.#socketError = error
    })
    socket.on('close', () => this.#onSocketClosed())
  }

  /** The peer's, once it has said HELLO. */
  get connectionClass(): ConnectionClass {
    return this.#connectionClass
  }

  /** What was agreed; null before that. */
  get peer(): PeerIdentity | null {
    return this.#peer
  }

  /** Not open yet. */
  get isDialing(): boolean {
    return this.#state === 'connecting' || this.#state === 'greeting'
  }

  /** Open, or saying goodbye. */
  get isUp(): boolean {
    return this.#state === 'open' || this.#state === 'leaving'
  }

  /** Open, with nothing in flight and nothing queued: it can be closed in order at once. */
  get isIdle(): boolean {
    return this.#state === 'open' && this.#isQuiet && !this.#traffic.isBlocked
  }

  get outboundInFlight(): number {
    return this.#traffic.inFlight
  }

  get inboundInFlight(): number {
    return this.#inbound === null ? 0 : this.#inbound.size
  }

  get queuedBytes(): number {
    return this.#traffic.queuedBytes
  }

  /** When the last request, notification or answer came or was given to it. */
  get lastUsedMs(): number {
    return this.#lastUsedMs
  }

  /** The length of the largest frame that may be sent, as far as is known. */
  get maxSendLength(): number {
    return this.#traffic.terms.maxSendLength
  }

  queuedMessages(lane: Lane): number {
    return this.#traffic.queuedMessages(lane)
  }

  /** Resolves with what was agreed; rejects if the peer cannot be reached. */
  whenOpen(): Promise<PeerIdentity> {
    if (this.#peer !== null) return Promise.resolve(this.#peer)
    return new Promise((resolve, reject) => this.#whenOpen.push({ resolve, reject }))
  }

  /** Whether a message may be added within the bounds. */
  admit(lane: Lane, bytes: number): boolean {
    return this.#traffic.admit(lane, bytes)
  }

  /** Takes over a request or notification that was admitted. */
  add(message: Message, nowMs: number): void {
    this.#traffic.add(message)
    this.#touch(nowMs)
  }

  /** Says goodbye: what is in flight goes on, nothing new is taken, then the socket is closed. */
  leave(reason: string): void {
    if (this.isDialing) this.terminate('CLOSED', `${reason} before it was open`)
    if (this.#inbound === null || !this.isUp || this.#saidGoodbye) return
    this.#saidGoodbye = true
    this.#lingers = !this.#isQuiet
    this.#state = 'leaving'
    this.#traffic.addControl(FRAME_TYPES.goaway, encodeGoaway(reason, '', this.#inbound.refuse()))
    this.#owner.onLeaving(this)
    this.#traffic.flush()
  }

  /** This end stops: as `leave`, and requests that were not written will not be. */
  stop(): void {
    this.#traffic.flush()
    this.#traffic.failWaiting(ended(this.address, 'CLOSED', 'this end is stopping', true, null))
    // Who was refused gets no more time to read why; other sockets that are closing have last answers to deliver.
    if (this.#state === 'closing' && this.#refusal !== null) this.#socket.destroy()
    else this.leave('stopping')
  }

  /** Ends it at once. */
  terminate(code: EndCode, why: string): void {
    this.#settle(code, why)
    this.#socket.destroy()
  }

  // What the parts tell

  /** `AnswerPath` */
  send(frame: OutgoingFrame): void {
    if (!this.isUp) return
    this.#traffic.addAnswer(frame)
    this.#holdBackIfFull()
  }

  /** `AnswerPath` */
  onDropped(): void {
    this.#finishIfQuiet()
  }

  /** `TrafficHost` */
  onAnswerWritten(call: InboundCall): void {
    this.#inbound?.onWritten(call)
  }

  /** `TrafficHost` */
  onFlushed(): void {
    if (this.#incoming.isHeldBack && this.#traffic.answerBytes <= this.#settings.maxQueuedBytes / 2) {
      process.nextTick(() => this.#goOn())
    }
    this.#finishIfQuiet()
  }

  /** `TrafficHost` */
  onSlowPeer(): void {
    this.#reject('slowPeer', `it took nothing for ${this.#settings.writeTimeoutMs} ms`)
  }

  /** `StreamHost` */
  onFrame(type: number, flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.#state === 'greeting') {
      this.#onGreeting(type, flags, bytes, start, end)
      return
    }
    if (!this.isUp || this.#inbound === null) return
    const violation = this.#onOpenFrame(this.#inbound, type, flags, id, bytes, start, end)
    if (violation !== null) this.#violated(violation)
  }

  /** `StreamHost` */
  onBadLength(length: number): void {
    const allowed = `${MIN_LENGTH} to ${this.#incoming.limit} are allowed`
    this.#reject('frameTooLarge', `it sent a frame of length ${length}, ${allowed}`)
  }

  /** `StreamHost` */
  onSlowFrame(): void {
    this.#reject('frameTimeout', `it took longer than ${this.#settings.frameTimeoutMs} ms for one frame`)
  }

  // Reading

  #onData(chunk: Buffer): void {
    if (this.#state === 'closing') return
    const nowMs = this.#clock.now()
    this.#pinged = false
    if (this.isUp) this.#watch.set(nowMs, this.#silenceMs)
    this.#incoming.push(chunk, nowMs)
    this.#flushIfAny()
  }

  #flushIfAny(): void {
    if (this.queuedBytes > 0) this.#traffic.flush()
  }

  /** Where answers exceed what may wait, nothing more is read, so that nothing more is answered. */
  #holdBackIfFull(): void {
    const { maxQueuedBytes } = this.#settings
    if (this.#traffic.answerBytes <= maxQueuedBytes) return
    this.#traffic.flush()
    if (this.#traffic.answerBytes <= maxQueuedBytes || this.#incoming.isHeldBack || !this.isUp) return
    this.#incoming.holdBack()
    this.#watch.clear()
  }

  #goOn(): void {
    if (!this.isUp || !this.#incoming.isHeldBack) return
    const nowMs = this.#clock.now()
    this.#watch.set(nowMs, this.#silenceMs)
    this.#incoming.goOn(nowMs)
    this.#flushIfAny()
  }

  #onOpenFrame(
    inbound: InboundRequests,
    type: number,
    flags: number,
    id: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): Violation {
    const deflated = flags !== 0
    if (deflated && type <= FRAME_TYPES.goaway && !this.#mayHaveFlags(type, flags)) return `it set flags ${flags}`
    switch (type) {
      case FRAME_TYPES.request:
        this.#touch(this.#incoming.nowMs)
        return inbound.onRequest(id, bytes, start, end, deflated, this.#incoming.nowMs)
      case FRAME_TYPES.response:
        return this.#onResponse(id, bytes, start, end, deflated)
      case FRAME_TYPES.error:
        this.#onError(id, bytes, start, end)
        return null
      case FRAME_TYPES.notify:
        this.#touch(this.#incoming.nowMs)
        return inbound.onNotify(bytes, start, end, deflated, this.#incoming.nowMs)
      case FRAME_TYPES.cancel:
        inbound.onCancel(id)
        this.#finishIfQuiet()
        return null
      case FRAME_TYPES.ping:
        if (end - start !== PING_BYTES) return 'PING has not 8 bytes'
        if (this.isUp) this.#watch.move(this.#incoming.nowMs, this.#silenceMs)
        this.#traffic.addControl(FRAME_TYPES.pong, viewOf(bytes, start, end))
        this.#holdBackIfFull()
        return null
      case FRAME_TYPES.pong:
        if (end - start !== PING_BYTES) return 'PONG has not 8 bytes'
        if (this.isUp) this.#watch.move(this.#incoming.nowMs, this.#silenceMs)
        return null
      case FRAME_TYPES.goaway:
        this.#onGoodbye(decodeGoaway(bytes, start, end))
        return null
      case FRAME_TYPES.hello:
        return 'it said HELLO twice'
      default:
        this.#environment.counters.totals.unknownFrames++
        return null
    }
  }

  #mayHaveFlags(type: number, flags: number): boolean {
    const hasBody = type === FRAME_TYPES.request || type === FRAME_TYPES.response || type === FRAME_TYPES.notify
    return flags === FLAG_DEFLATED && hasBody && this.#compression !== null
  }

  #onResponse(id: number, bytes: Uint8Array, start: number, end: number, deflated: boolean): Violation {
    const wired = viewOf(bytes, start, end)
    const body = deflated ? (this.#compression?.inflate(wired) ?? null) : wired
    if (body === null) return 'a body cannot be inflated within maxFrameBytes'
    const call = this.#answered(id)
    if (call === undefined) return null
    call.succeed(body)
    this.#finishIfQuiet()
    return null
  }

  #onError(id: number, bytes: Uint8Array, start: number, end: number): void {
    const call = this.#answered(id)
    if (call === undefined) return
    call.fail(decodeError(bytes, start, end, call.method.name, this.address))
    this.#finishIfQuiet()
  }

  /** The request that an answer is for; undefined if nobody waits for it any more. */
  #answered(id: number): OutboundCall | undefined {
    const call = this.#traffic.takePending(id)
    if (call === undefined) this.#environment.counters.totals.lateResponses++
    else this.#touch(this.#incoming.nowMs)
    return call
  }

  #onGoodbye(goaway: Goaway): void {
    this.#state = 'leaving'
    this.#owner.onLeaving(this)
    const returned = this.#traffic.takeUntaken(goaway.lastId ?? Infinity)
    if (returned.length > 0) this.#owner.onReturned(this, returned)
    this.#finishIfQuiet()
  }

  // Life

  #onConnect(): void {
    if (this.#state !== 'connecting') return
    this.#state = 'greeting'
    this.#watch.set(this.#clock.now(), this.#settings.handshakeTimeoutMs)
    this.#sayHello()
  }

  #sayHello(): void {
    this.#writeNow(FRAME_TYPES.hello, encodeHello(helloOf(this.#settings, this.#connectionClass)))
  }

  /** Before and after it is up. */
  #writeNow(type: number, payload: Uint8Array): void {
    const frame = encodeFrame(type, 0, payload)
    this.#environment.counters.totals.bytesSent += frame.length
    this.#socket.write(frame)
  }

  #onGreeting(type: number, flags: number, bytes: Uint8Array, start: number, end: number): void {
    if (type === FRAME_TYPES.goaway && flags === 0 && this.direction === 'outbound') {
      this.#onRefused(decodeGoaway(bytes, start, end))
      return
    }
    const hello = type === FRAME_TYPES.hello && flags === 0 ? decodeHello(bytes, start, end) : null
    if (hello === null) {
      this.#violated('its first frame is not HELLO of wire version 1')
      return
    }
    const { reporter } = this.#environment
    const judgement = judge(hello, this.#settings, this.address, this.direction, reporter)
    // `authorize` may have stopped the transport.
    if (!this.isDialing) return
    if ('refusal' in judgement) this.#refuse(judgement.refusal)
    else this.#open(hello, judgement.peer)
  }

  #open(hello: Hello, peer: PeerIdentity): void {
    const { maxFrameBytes, maxInFlight, compression, requestTimeoutMs } = this.#settings
    const maxSendLength = Math.min(maxFrameBytes, hello.maxFrameBytes ?? maxFrameBytes)
    if (compression !== false && hello.deflate) {
      this.#compression = new BodyCompression(compression.thresholdBytes, maxFrameBytes)
    }
    this.#inbound = new InboundRequests(
      this.#environment,
      { peer, maxInFlight, maxSendLength, notifyTimeoutMs: requestTimeoutMs, compression: this.#compression },
      this,
    )
    this.#traffic.agree({
      maxInFlight: Math.min(maxInFlight, hello.maxInFlight ?? maxInFlight),
      maxSendLength,
      compression: this.#compression,
    })
    this.#peer = peer
    if (this.direction === 'inbound') {
      this.#connectionClass = hello.connectionClass
      this.#sayHello()
    }
    this.#state = 'open'
    this.#incoming.limit = maxFrameBytes
    this.#watch.set(this.#incoming.nowMs, this.#silenceMs)
    this.#touch(this.#incoming.nowMs)
    for (const waiter of this.#whenOpen.splice(0)) waiter.resolve(peer)
    this.#owner.onOpen(this, peer)
  }

  /** This end refuses the peer: it is told why, and has until the handshake's end to read it. */
  #refuse(refusal: Refusal): void {
    this.#refusal = refusal
    this.#owner.onRejected(refusal.reason, this)
    this.#settle('CONNECTION_LOST', refusal.message)
    this.#writeNow(FRAME_TYPES.goaway, encodeGoaway(refusal.reason, refusal.message))
    this.#watch.set(this.#incoming.nowMs, this.#settings.handshakeTimeoutMs)
    this.#socket.end()
  }

  /** The peer refuses this end. */
  #onRefused({ reason, message }: Goaway): void {
    if (isRefusalReason(reason)) this.#refusal = { reason, message: `it refused this end: ${message}` }
    this.terminate('CONNECTION_LOST', `it said goodbye: ${reason}`)
  }

  #onWatch(): void {
    const { connectTimeoutMs, handshakeTimeoutMs } = this.#settings
    if (this.#state === 'closing') this.#socket.destroy()
    else if (this.#state === 'connecting') {
      this.terminate('CONNECTION_LOST', `no connection within ${connectTimeoutMs} ms`)
    } else if (this.#state === 'greeting') {
      this.#reject('handshakeTimeout', `it did not say HELLO within ${handshakeTimeoutMs} ms`)
    } else this.#onSilence()
  }

  /** Until PING. */
  get #silenceMs(): number {
    return this.#settings.keepaliveMs + this.#pingLaterMs
  }

  #onSilence(): void {
    const { keepaliveTimeoutMs } = this.#settings
    if (this.#pinged) {
      this.#reject('keepaliveTimeout', `it gave no sign of life for ${keepaliveTimeoutMs} ms after PING`)
      return
    }
    this.#pinged = true
    this.#watch.set(this.#clock.now(), keepaliveTimeoutMs - this.#pingLaterMs)
    this.#traffic.addControl(FRAME_TYPES.ping, new Uint8Array(PING_BYTES))
  }

  #touch(nowMs: number): void {
    this.#lastUsedMs = nowMs
    this.#idle?.set(nowMs, this.#settings.idleTimeoutMs)
  }

  #onIdle(): void {
    if (this.isIdle) {
      this.#environment.counters.totals.idleClosed++
      this.leave('idle')
    } else if (this.isUp) this.#idle?.set(this.#clock.now(), this.#settings.idleTimeoutMs)
  }

  get #isQuiet(): boolean {
    return this.inboundInFlight === 0 && this.#traffic.isQuiet
  }

  #finishIfQuiet(): void {
    if (this.#state !== 'leaving' || !this.#isQuiet) return
    this.#settle('CLOSED', 'a goodbye had been said')
    if (!this.#lingers) {
      this.#socket.end(() => this.#socket.destroy())
      return
    }
    this.#watch.set(this.#clock.now(), this.#settings.drainTimeoutMs)
    this.#socket.end()
  }

  #onEnd(): void {
    const inOrder = this.#state === 'leaving' && this.#traffic.inFlight === 0
    this.terminate(inOrder ? 'CLOSED' : 'CONNECTION_LOST', 'the peer has closed it')
  }

  #onSocketClosed(): void {
    this.#settle('CONNECTION_LOST', this.#socketError?.message ?? 'its socket was closed')
    this.#state = 'closed'
    this.#watch.cancel()
    this.#owner.onReleased(this)
  }

  #violated(what: string): void {
    this.#reject('protocolError', what)
  }

  /** Ends it for what the peer did. */
  #reject(reason: keyof TcpRejections, why: string): void {
    this.#owner.onRejected(reason, this)
    this.terminate('CONNECTION_LOST', why)
  }

  /** Settles all that was given to this connection; after it only the socket is left. */
  #settle(code: EndCode, why: string): void {
    if (this.#state === 'closing' || this.#state === 'closed') return
    const { address } = this
    const cause = this.#socketError
    this.#state = 'closing'
    this.#incoming.end()
    this.#watch.cancel()
    this.#idle?.cancel()
    const error = this.#peer === null ? unreached(address, code, why, this.#refusal, cause) : null
    // Before anything is settled, so that whoever asks again at once gets another connection.
    this.#owner.onClosed(this, code, error)
    const sent = ended(address, code, why, false, cause)
    const unsent = error ?? ended(address, code, why, true, cause)
    this.#traffic.end(unsent, sent)
    for (const waiter of this.#whenOpen.splice(0)) waiter.reject(unsent)
    this.#inbound?.abortAll(sent)
  }
}
