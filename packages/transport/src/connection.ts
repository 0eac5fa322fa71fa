/**
 * One connection between two ends, from the dial or accept to the end of its socket: greeting, frames in and out,
 * signs of life, farewell. Every request that was given to it is settled by it exactly once, or handed back to its
 * owner when the peer says goodbye before having taken it.
 *
 * connecting (dialled only) → greeting → open → leaving (a goodbye was said or heard) → closing (only the socket is
 * left) → closed; and from any of them to closing when something goes wrong.
 */
import { TransportError, type Clock, type PeerIdentity } from '@hs/core'
import type { Duplex } from 'node:stream'
import { BodyCompression } from './body-compression.js'
import { viewOf } from './byte-gatherer.js'
import { FrameReader, type FrameSink } from './frame-reader.js'
import { isRefusalReason, judge, type Refusal, type RefusalReason } from './greeting.js'
import { InboundRequests, type AnswerPath, type ServingEnvironment, type Violation } from './inbound-requests.js'
import { LazyTimer } from './lazy-timer.js'
import type { Lane } from './methods.js'
import { OutboundCall, type CallHolder } from './outbound-call.js'
import { failMessage, Outbox, type Message } from './outbox.js'
import { NO_BODY, OutgoingFrame } from './outgoing-frame.js'
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
import { PendingCalls } from './pending-calls.js'
import { SocketWriter, type Scratch } from './socket-writer.js'
import { helloOf, type TcpSettings } from './tcp-options.js'
import type { Direction, TcpRejections } from './tcp-stats.js'
import {
  encodeFrame,
  FLAG_DEFLATED,
  FRAME_TYPES,
  HEADER_BYTES,
  MAX_HELLO_LENGTH,
  MAX_ID,
  MIN_LENGTH,
  PING_BYTES,
} from './wire.js'

export interface ConnectionEnvironment extends ServingEnvironment {
  readonly settings: TcpSettings
  readonly scratch: Scratch
}

/** What a connection's end means to those who used it: it was lost, or this end or the peer had said goodbye. */
export type EndCode = 'CONNECTION_LOST' | 'CLOSED'

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

export class Connection implements FrameSink, CallHolder, AnswerPath {
  readonly direction: Direction
  /** What was dialled, or the socket's own remote address. Never what a peer claims. */
  readonly address: string
  readonly #environment: ConnectionEnvironment
  readonly #settings: TcpSettings
  readonly #clock: Clock
  readonly #owner: ConnectionOwner
  readonly #socket: Duplex
  readonly #reader: FrameReader
  readonly #writer: SocketWriter
  readonly #outbox: Outbox
  readonly #pending = new PendingCalls()
  /** For connecting, the greeting, then silence, at last the peer's farewell. */
  readonly #watch: LazyTimer
  readonly #idle: LazyTimer | null
  #frameTimer: LazyTimer | null = null
  #writeTimer: LazyTimer | null = null
  #state: State
  #connectionClass: ConnectionClass
  #peer: PeerIdentity | null = null
  #inbound: InboundRequests | null = null
  #compression: BodyCompression | null = null
  /** The smaller one of both ends, once the peer's is known. */
  #slots: number
  #maxSendLength: number
  /** When the bytes came that are looked at now. */
  #nowMs: number
  #lastUsedMs: number
  #isReading = false
  #pinged = false
  #flushQueued = false
  /** Whose frame was cut, the rest being still to be written. */
  #cut: Message | null = null
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
    const { settings, clock, wheel, scratch, counters } = environment
    this.#environment = environment
    this.#settings = settings
    this.#clock = clock
    this.#owner = owner
    this.#socket = socket
    this.direction = direction
    this.#connectionClass = connectionClass
    this.address = address
    this.#slots = settings.maxInFlight
    this.#maxSendLength = settings.maxFrameBytes
    this.#reader = new FrameReader(this, MAX_HELLO_LENGTH)
    this.#writer = new SocketWriter(socket, scratch, counters.totals)
    this.#outbox = new Outbox(settings)
    this.#watch = new LazyTimer(clock, wheel, () => this.#onWatch())
    this.#idle = direction === 'outbound' ? new LazyTimer(clock, wheel, () => this.#onIdle()) : null
    this.#nowMs = clock.now()
    this.#lastUsedMs = this.#nowMs
    if (direction === 'outbound') {
      this.#state = 'connecting'
      this.#watch.set(this.#nowMs, settings.connectTimeoutMs)
      socket.once('connect', () => this.#onConnect())
    } else {
      this.#state = 'greeting'
      this.#watch.set(this.#nowMs, settings.handshakeTimeoutMs)
    }
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('drain', () => this.#onDrain())
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

  /** Open, with nothing in flight and nothing queued. */
  get isIdle(): boolean {
    return this.#state === 'open' && this.#isQuiet
  }

  get outboundInFlight(): number {
    return this.#pending.size
  }

  get inboundInFlight(): number {
    return this.#inbound?.size ?? 0
  }

  get queuedBytes(): number {
    return this.#outbox.bytes + this.#writer.restBytes
  }

  /** When the last request, notification or answer came or was given to it. */
  get lastUsedMs(): number {
    return this.#lastUsedMs
  }

  /** The length of the largest frame that may be sent, as far as is known. */
  get maxSendLength(): number {
    return this.#maxSendLength
  }

  queuedMessages(lane: Lane): number {
    return this.#outbox.messages(lane)
  }

  /** Resolves with what was agreed; rejects if the peer cannot be reached. */
  whenOpen(): Promise<PeerIdentity> {
    if (this.#peer !== null) return Promise.resolve(this.#peer)
    return new Promise((resolve, reject) => this.#whenOpen.push({ resolve, reject }))
  }

  /**
   * Whether a message may be added within the bounds, after what can be done for it: writing what the socket takes,
   * and shedding what waits at lower priorities.
   */
  admit(lane: Lane, bytes: number): boolean {
    if (this.#admits(lane, bytes)) return true
    this.flush()
    if (this.#admits(lane, bytes)) return true
    for (const message of this.#outbox.displace(lane, bytes)) this.#shed(message)
    return this.#admits(lane, bytes)
  }

  /** Takes over a request that was admitted. */
  addRequest(call: OutboundCall, nowMs: number): void {
    call.holder = this
    this.#outbox.addRequest(call)
    this.#touch(nowMs)
    this.#flushSoon()
  }

  /** Takes over a notification that was admitted. */
  addNotification(frame: OutgoingFrame, nowMs: number): void {
    this.#outbox.addFrame(frame)
    this.#touch(nowMs)
    this.#flushSoon()
  }

  /** The caller waits no more (`CallHolder`). */
  release(call: OutboundCall): void {
    if (!call.written) {
      this.#outbox.remove(call)
      return
    }
    this.#takePending(call.id)
    this.#sendControl(FRAME_TYPES.cancel, NO_BODY, call.id)
    this.#onSlotFree()
  }

  /** An answer (`AnswerPath`). */
  send(frame: OutgoingFrame): void {
    if (!this.isUp) return
    this.#outbox.addFrame(frame)
    if (this.#outbox.bytes > this.#settings.maxQueuedBytes) this.#holdBack()
    this.#flushSoon()
  }

  /** A handler has ended that nobody waits for (`AnswerPath`). */
  onDropped(): void {
    this.#finishIfQuiet()
  }

  /** Says goodbye: what is in flight goes on, nothing new is taken, then the socket is closed. */
  leave(reason: string): void {
    if (this.isDialing) this.terminate('CLOSED', `${reason} before it was open`)
    if (this.#inbound === null || !this.isUp || this.#saidGoodbye) return
    this.#saidGoodbye = true
    this.#lingers = !this.#isQuiet
    this.#state = 'leaving'
    this.#sendControl(FRAME_TYPES.goaway, encodeGoaway(reason, '', this.#inbound.refuse()))
    this.#owner.onLeaving(this)
    this.flush()
  }

  /** This end stops: as `leave`, and requests that were not written will not be. */
  stop(): void {
    this.flush()
    for (const message of this.#outbox.drain(false))
      failMessage(message, this.#endError('CLOSED', 'it is stopping', true))
    // Who was refused gets no more time to read why; other sockets that are closing have last answers to deliver.
    if (this.#state === 'closing' && this.#refusal !== null) this.#socket.destroy()
    else this.leave('stopping')
  }

  /** Ends it at once. */
  terminate(code: EndCode, message: string): void {
    this.#settle(code, message)
    this.#socket.destroy()
  }

  /** Gives to the socket whatever it takes now. */
  flush(): void {
    this.#flushQueued = false
    const writer = this.#writer
    if (!this.isUp || writer.blocked) return
    while (writer.begin()) {
      if (this.#cut !== null && !writer.isWithinFrame) this.#onWritten(this.#cut)
      this.#fillBatch()
      if (!writer.finish()) break
    }
    if (writer.blocked) this.#awaitDrain()
    if (this.#reader.paused && this.#outbox.bytes <= this.#settings.maxQueuedBytes / 2) this.#resumeSoon()
    this.#finishIfQuiet()
  }

  // Reading

  onFrame(type: number, flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.#state === 'greeting') {
      this.#onGreeting(type, flags, bytes, start, end)
      return
    }
    if (!this.isUp || this.#inbound === null) return
    const violation = this.#onOpenFrame(this.#inbound, type, flags, id, bytes, start, end)
    if (violation !== null) this.#violated(violation)
  }

  onBadLength(length: number): void {
    this.#reject(
      'frameTooLarge',
      `it sent a frame of length ${length}, ${MIN_LENGTH} to ${this.#reader.limit} are allowed`,
    )
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
        this.#touch(this.#nowMs)
        return inbound.onRequest(id, bytes, start, end, deflated, this.#nowMs)
      case FRAME_TYPES.response:
        return this.#onResponse(id, bytes, start, end, deflated)
      case FRAME_TYPES.error:
        this.#onError(id, bytes, start, end)
        return null
      case FRAME_TYPES.notify:
        this.#touch(this.#nowMs)
        return inbound.onNotify(bytes, start, end, deflated, this.#nowMs)
      case FRAME_TYPES.cancel:
        inbound.onCancel(id)
        this.#finishIfQuiet()
        return null
      case FRAME_TYPES.ping:
        if (end - start !== PING_BYTES) return 'PING has not 8 bytes'
        this.#sendControl(FRAME_TYPES.pong, viewOf(bytes, start, end))
        return null
      case FRAME_TYPES.pong:
        return end - start === PING_BYTES ? null : 'PONG has not 8 bytes'
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
    const call = this.#takePending(id)
    if (call === undefined) {
      this.#environment.counters.totals.lateResponses++
      return null
    }
    this.#touch(this.#nowMs)
    call.succeed(body)
    this.#onSlotFree()
    return null
  }

  #onError(id: number, bytes: Uint8Array, start: number, end: number): void {
    const call = this.#takePending(id)
    if (call === undefined) {
      this.#environment.counters.totals.lateResponses++
      return
    }
    this.#touch(this.#nowMs)
    call.fail(decodeError(bytes, start, end, call.method.name, this.address))
    this.#onSlotFree()
  }

  #onGoodbye(goaway: Goaway): void {
    this.#state = 'leaving'
    this.#owner.onLeaving(this)
    const returned: Message[] = goaway.lastId === undefined ? [] : this.#pending.takeAbove(goaway.lastId)
    if (returned.includes(this.#cut as Message)) this.#cut = null
    returned.push(...this.#outbox.drain(true))
    if (returned.length > 0) this.#owner.onReturned(this, returned)
    this.#finishIfQuiet()
  }

  #onData(chunk: Buffer): void {
    if (this.#state === 'closing') return
    const { settings } = this.#environment
    const nowMs = this.#clock.now()
    this.#nowMs = nowMs
    this.#environment.counters.totals.bytesReceived += chunk.length
    this.#pinged = false
    if (this.isUp) this.#watch.set(nowMs, settings.keepaliveMs)
    this.#isReading = true
    this.#reader.push(chunk, nowMs)
    this.#isReading = false
    this.#watchFrame()
    this.#flushIfAny()
  }

  /** A frame may not drip for ever. What this end holds back itself counts against nobody. */
  #watchFrame(): void {
    const sinceMs = this.#reader.partialSinceMs
    if (sinceMs < 0 || this.#reader.paused || !(this.isUp || this.#state === 'greeting')) {
      this.#frameTimer?.clear()
      return
    }
    const { clock, wheel, settings } = this.#environment
    this.#frameTimer ??= new LazyTimer(clock, wheel, () =>
      this.#reject('frameTimeout', `it took longer than ${settings.frameTimeoutMs} ms for one frame`),
    )
    this.#frameTimer.set(sinceMs, settings.frameTimeoutMs)
  }

  /** Answers exceed what may wait: nothing more is read, so that nothing more is answered. */
  #holdBack(): void {
    this.flush()
    if (this.#outbox.bytes <= this.#settings.maxQueuedBytes || this.#reader.paused || !this.isUp) return
    this.#reader.pause()
    this.#socket.pause()
    this.#watch.clear()
    this.#frameTimer?.clear()
  }

  #resumeSoon(): void {
    process.nextTick(() => this.#resume())
  }

  #resume(): void {
    if (!this.isUp || !this.#reader.paused) return
    const nowMs = this.#clock.now()
    this.#nowMs = nowMs
    this.#watch.set(nowMs, this.#settings.keepaliveMs)
    this.#isReading = true
    this.#reader.resume(nowMs)
    this.#isReading = false
    this.#watchFrame()
    this.#flushIfAny()
    if (!this.#reader.paused && this.isUp) this.#socket.resume()
  }

  // Writing

  #admits(lane: Lane, bytes: number): boolean {
    return this.#outbox.admits(lane, bytes + this.#writer.restBytes, this.#slots - this.#pending.size)
  }

  #shed(message: Message): void {
    const { method } = message
    if (method === null) return
    this.#environment.counters.queueFull[method.priority]++
    const text = `${method.name} to ${this.address} gave way to a message of a higher priority`
    failMessage(message, new TransportError('QUEUE_FULL', text, { notExecuted: true }))
  }

  #sendControl(type: number, body: Uint8Array, id = 0): void {
    this.#outbox.addControl(OutgoingFrame.control(type, id, body))
    if (this.#outbox.bytes > this.#settings.maxQueuedBytes) this.#holdBack()
    this.#flushSoon()
  }

  /** At the end of what runs now, so that all frames of one turn go in one write. */
  #flushSoon(): void {
    if (this.#flushQueued || this.#isReading || !this.isUp) return
    this.#flushQueued = true
    process.nextTick(flushNow, this)
  }

  #flushIfAny(): void {
    if (!this.#outbox.isEmpty) this.flush()
  }

  #fillBatch(): void {
    const writer = this.#writer
    let nowMs = -1
    while (writer.hasRoom) {
      const message = this.#outbox.take(this.#pending.size < this.#slots)
      if (message === null) return
      if (message instanceof OutboundCall) {
        if (nowMs < 0) nowMs = this.#clock.now()
        if (!this.#putRequest(message, nowMs)) continue
      } else this.#putFrame(message)
      if (writer.isWithinFrame) this.#cut = message
      else this.#onWritten(message)
    }
  }

  /** False: the peer does not take so large a frame. */
  #putRequest(call: OutboundCall, nowMs: number): boolean {
    const { method, body } = call
    const length = call.bytes - HEADER_BYTES + MIN_LENGTH
    if (length > this.#maxSendLength) {
      call.fail(tooLarge(method.name, length, this.#maxSendLength))
      return false
    }
    call.written = true
    this.#pending.add(call)
    this.#environment.counters.totals.requestsSent++
    const remainingMs = Math.min(MAX_ID, Math.max(1, Math.ceil(call.deadlineMs - nowMs)))
    const deflated = this.#compression?.deflate(body) ?? null
    this.#writer.put(FRAME_TYPES.request, deflated !== null, call.id, remainingMs, method, deflated ?? body)
    return true
  }

  #putFrame(frame: OutgoingFrame): void {
    const { type, id, method, body } = frame
    const hasBody = type === FRAME_TYPES.response || type === FRAME_TYPES.notify
    const deflated = hasBody ? (this.#compression?.deflate(body) ?? null) : null
    if (type === FRAME_TYPES.notify) this.#environment.counters.totals.notifiesSent++
    this.#writer.put(type, deflated !== null, id, -1, method, deflated ?? body)
  }

  #onWritten(message: Message): void {
    this.#cut = null
    if (message instanceof OutboundCall) return
    if (message.answers !== null) this.#inbound?.onWritten(message.answers)
    message.resolve?.()
  }

  #awaitDrain(): void {
    const { clock, wheel, settings } = this.#environment
    this.#writeTimer ??= new LazyTimer(clock, wheel, () =>
      this.#reject('slowPeer', `it took nothing for ${settings.writeTimeoutMs} ms`),
    )
    this.#writeTimer.set(clock.now(), settings.writeTimeoutMs)
  }

  #onDrain(): void {
    this.#writer.unblock()
    this.#writeTimer?.clear()
    this.flush()
  }

  /** The call of this id, if it waits for its answer. */
  #takePending(id: number): OutboundCall | undefined {
    const call = this.#pending.take(id)
    // The rest of its frame is still written, or what follows could not be told apart.
    if (call !== undefined && this.#cut === call) this.#cut = null
    return call
  }

  #onSlotFree(): void {
    if (!this.#outbox.isEmpty) this.#flushSoon()
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
    if (!this.isDialing) return
    if ('refusal' in judgement) this.#refuse(judgement.refusal)
    else this.#open(hello, judgement.peer)
  }

  #open(hello: Hello, peer: PeerIdentity): void {
    const { maxFrameBytes, maxInFlight, compression, keepaliveMs, idleTimeoutMs, requestTimeoutMs } = this.#settings
    this.#slots = Math.min(maxInFlight, hello.maxInFlight ?? maxInFlight)
    this.#maxSendLength = Math.min(maxFrameBytes, hello.maxFrameBytes ?? maxFrameBytes)
    if (compression !== false && hello.deflate) {
      this.#compression = new BodyCompression(compression.thresholdBytes, maxFrameBytes)
    }
    this.#inbound = new InboundRequests(
      this.#environment,
      {
        peer,
        maxInFlight,
        maxSendLength: this.#maxSendLength,
        notifyTimeoutMs: requestTimeoutMs,
        compression: this.#compression,
      },
      this,
    )
    this.#peer = peer
    if (this.direction === 'inbound') {
      this.#connectionClass = hello.connectionClass
      this.#sayHello()
    }
    this.#state = 'open'
    this.#reader.limit = maxFrameBytes
    this.#watch.set(this.#nowMs, keepaliveMs)
    this.#idle?.set(this.#nowMs, idleTimeoutMs)
    for (const waiter of this.#whenOpen.splice(0)) waiter.resolve(peer)
    this.#owner.onOpen(this, peer)
  }

  /** This end refuses the peer: it is told why, and has until the handshake's end to read it. */
  #refuse(refusal: Refusal): void {
    this.#refusal = refusal
    this.#owner.onRejected(refusal.reason, this)
    this.#settle('CONNECTION_LOST', refusal.message)
    this.#writeNow(FRAME_TYPES.goaway, encodeGoaway(refusal.reason, refusal.message))
    this.#watch.set(this.#nowMs, this.#settings.handshakeTimeoutMs)
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

  #onSilence(): void {
    const { keepaliveTimeoutMs } = this.#settings
    if (this.#pinged) {
      this.#reject('keepaliveTimeout', `it gave no sign of life for ${keepaliveTimeoutMs} ms after PING`)
      return
    }
    this.#pinged = true
    this.#watch.set(this.#clock.now(), keepaliveTimeoutMs)
    this.#sendControl(FRAME_TYPES.ping, new Uint8Array(PING_BYTES))
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
    return this.#pending.size === 0 && this.inboundInFlight === 0 && this.#outbox.isEmpty && !this.#writer.isWithinFrame
  }

  #finishIfQuiet(): void {
    if (this.#state !== 'leaving' || !this.#isQuiet) return
    this.#settle('CLOSED', 'it had said goodbye')
    if (!this.#lingers) {
      this.#socket.end(() => this.#socket.destroy())
      return
    }
    this.#watch.set(this.#clock.now(), this.#settings.drainTimeoutMs)
    this.#socket.end()
  }

  #onEnd(): void {
    const inOrder = this.#state === 'leaving' && this.#pending.size === 0
    this.terminate(inOrder ? 'CLOSED' : 'CONNECTION_LOST', 'it closed the connection')
  }

  #onSocketClosed(): void {
    this.#settle('CONNECTION_LOST', this.#socketError?.message ?? 'the connection was closed')
    this.#state = 'closed'
    this.#watch.cancel()
    this.#owner.onReleased(this)
  }

  #violated(what: string): void {
    this.#reject('protocolError', what)
  }

  /** Ends it for what the peer did. */
  #reject(reason: keyof TcpRejections, message: string): void {
    this.#owner.onRejected(reason, this)
    this.terminate('CONNECTION_LOST', message)
  }

  /** Settles all that was given to this connection; after it only the socket is left. */
  #settle(code: EndCode, message: string): void {
    if (this.#state === 'closing' || this.#state === 'closed') return
    this.#state = 'closing'
    this.#reader.end()
    for (const timer of [this.#watch, this.#idle, this.#frameTimer, this.#writeTimer]) timer?.cancel()
    const unreached = this.#peer === null ? this.#unreached(code, message) : null
    this.#owner.onClosed(this, code, unreached)

    const unsent = unreached ?? this.#endError(code, message, true)
    const sent = this.#endError(code, message, false)
    const cut = this.#cut
    this.#cut = null
    for (const call of this.#pending.takeAbove(-1)) call.fail(call === cut ? unsent : sent)
    for (const waiting of this.#outbox.drain(true)) failMessage(waiting, unsent)
    if (cut instanceof OutgoingFrame) failMessage(cut, unsent)
    for (const waiter of this.#whenOpen.splice(0)) waiter.reject(unsent)
    this.#inbound?.abortAll(this.#endError(code, message, false))
  }

  #endError(code: EndCode, message: string, notExecuted: boolean): TransportError {
    const text = `The connection with ${this.address} has ended: ${message}`
    return new TransportError(code, text, { notExecuted, cause: this.#socketError ?? undefined })
  }

  #unreached(code: EndCode, message: string): TransportError {
    const reason: RefusalReason | undefined = this.#refusal?.reason
    const cause = this.#socketError ?? undefined
    if (code === 'CLOSED') return this.#endError(code, message, true)
    if (reason === undefined) {
      return new TransportError('CONNECT_FAILED', `Cannot reach ${this.address}: ${message}`, {
        notExecuted: true,
        cause,
      })
    }
    const text = `The connection with ${this.address} was refused: ${this.#refusal?.message}`
    return new TransportError('PEER_REJECTED', text, { notExecuted: true, cause, details: { reason } })
  }
}

export function tooLarge(method: string, length: number, limit: number): TransportError {
  const text = `${method} needs a frame of ${length} bytes, at most ${limit} are allowed`
  return new TransportError('MESSAGE_TOO_LARGE', text, { notExecuted: true })
}

function flushNow(connection: Connection): void {
  connection.flush()
}
