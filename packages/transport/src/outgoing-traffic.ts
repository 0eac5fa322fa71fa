/**
 * What one connection sends: messages wait in the queue, are written in batches as the socket takes them, and, if
 * they are requests, wait for their answers. Whatever was given to it is settled or given back exactly once.
 */
import type { Clock, TimingWheel, TransportError } from '@hs/core'
import type { Duplex } from 'node:stream'
import type { BodyCompression } from './body-compression.js'
import type { InboundCall } from './inbound-call.js'
import { LazyTimer } from './lazy-timer.js'
import type { Lane } from './methods.js'
import { OutboundCall, type CallHolder } from './outbound-call.js'
import { failMessage, SendQueue, type Message } from './send-queue.js'
import { NO_BODY, OutgoingFrame } from './outgoing-frame.js'
import { PendingCalls } from './pending-calls.js'
import { SocketWriter, type Scratch } from './socket-writer.js'
import type { TcpSettings } from './tcp-options.js'
import type { TcpCounters } from './tcp-stats.js'
import { queueFull, tooLarge } from './transport-errors.js'
import { FRAME_TYPES, LENGTH_BYTES, MAX_ID } from './wire.js'

export interface TrafficEnvironment {
  readonly settings: TcpSettings
  readonly clock: Clock
  readonly wheel: TimingWheel
  readonly counters: TcpCounters
  readonly scratch: Scratch
}

/** The connection. */
export interface TrafficHost {
  readonly address: string
  /** Whether frames may be written. */
  readonly isUp: boolean
  onAnswerWritten(call: InboundCall): void
  /** Whatever the socket took was written. */
  onFlushed(): void
  /** The socket took nothing for `writeTimeoutMs`. */
  onSlowPeer(): void
}

/** The smaller ones of both ends. */
export interface SendingTerms {
  readonly maxInFlight: number
  readonly maxSendLength: number
  readonly compression: BodyCompression | null
}

export class OutgoingTraffic implements CallHolder {
  readonly #environment: TrafficEnvironment
  readonly #host: TrafficHost
  readonly #queue: SendQueue
  readonly #writer: SocketWriter
  readonly #pending = new PendingCalls()
  #terms: SendingTerms
  #writeTimer: LazyTimer | null = null
  #flushQueued = false
  /** Whose frame was cut, the rest being still to be written. */
  #cut: Message | null = null

  constructor(environment: TrafficEnvironment, host: TrafficHost, socket: Duplex) {
    const { settings, scratch, counters } = environment
    this.#environment = environment
    this.#host = host
    this.#queue = new SendQueue(settings)
    this.#writer = new SocketWriter(socket, scratch, counters.totals)
    // Until the peer has told its own.
    this.#terms = { maxInFlight: settings.maxInFlight, maxSendLength: settings.maxFrameBytes, compression: null }
  }

  get terms(): SendingTerms {
    return this.#terms
  }

  /** Requests that wait for their answers. */
  get inFlight(): number {
    return this.#pending.size
  }

  /** What waits for the socket. */
  get queuedBytes(): number {
    return this.#queue.bytes + this.#writer.restBytes
  }

  /** Of that, what is no request and no notification: it waits for nothing but the socket. */
  get answerBytes(): number {
    return this.#queue.answerBytes
  }

  /** Nothing is in flight and nothing waits. */
  get isQuiet(): boolean {
    return this.#pending.size === 0 && this.#queue.isEmpty && !this.#writer.isWithinFrame
  }

  /** The socket takes nothing now. */
  get isBlocked(): boolean {
    return this.#writer.blocked
  }

  queuedMessages(lane: Lane): number {
    return this.#queue.messages(lane)
  }

  /** The peer has said HELLO. */
  agree(terms: SendingTerms): void {
    this.#terms = terms
  }

  /**
   * Whether a message may be added within the bounds, after what can be done for it: writing what the socket takes,
   * and shedding what waits at lower priorities.
   */
  admit(lane: Lane, bytes: number): boolean {
    if (this.#admits(lane, bytes)) return true
    this.flush()
    if (this.#admits(lane, bytes)) return true
    for (const message of this.#queue.displace(lane, bytes + this.#writer.restBytes)) this.#shed(message)
    return this.#admits(lane, bytes)
  }

  /** Takes over a request or notification that was admitted. */
  add(message: Message): void {
    if (message instanceof OutboundCall) {
      message.holder = this
      this.#queue.addRequest(message)
    } else this.#queue.addFrame(message)
    this.#flushSoon()
  }

  addAnswer(frame: OutgoingFrame): void {
    this.#queue.addFrame(frame)
    this.#flushSoon()
  }

  addControl(type: number, body: Uint8Array, id = 0): void {
    this.#queue.addControl(OutgoingFrame.control(type, id, body))
    this.#flushSoon()
  }

  /** The caller waits no more. */
  release(call: OutboundCall): void {
    if (!call.written) {
      this.#queue.remove(call)
      return
    }
    this.takePending(call.id)
    this.addControl(FRAME_TYPES.cancel, NO_BODY, call.id)
  }

  /** The request of this id, if it waits for its answer; then it waits no more. */
  takePending(id: number): OutboundCall | undefined {
    const call = this.#pending.take(id)
    if (call === undefined) return undefined
    // The rest of its frame is still written, or what follows could not be told apart.
    if (this.#cut === call) {
      this.#cut = null
      call.isBodyInUse = true
    }
    if (!this.#queue.isEmpty) this.#flushSoon()
    return call
  }

  /** Takes out what the peer has not taken: requests whose id is greater, and all that waits, in order. */
  takeUntaken(lastId: number): Message[] {
    const written = this.#pending.takeAbove(lastId)
    if (this.#cut !== null && written.includes(this.#cut as OutboundCall)) {
      this.#cut = null
      for (const call of written) call.isBodyInUse = true
    }
    return [...written, ...this.#queue.drain(true)]
  }

  /** Fails the requests that were not written. */
  failWaiting(error: TransportError): void {
    for (const message of this.#queue.drain(false)) failMessage(message, error)
  }

  /** Fails all: with `unsent` what certainly has not arrived, with `sent` the rest. Nothing is written any more. */
  end(unsent: TransportError, sent: TransportError): void {
    this.#writeTimer?.cancel()
    this.#writer.end()
    const cut = this.#cut
    this.#cut = null
    for (const call of this.#pending.takeAbove(-1)) call.fail(call === cut ? unsent : sent)
    for (const waiting of this.#queue.drain(true)) failMessage(waiting, unsent)
    if (cut instanceof OutgoingFrame) failMessage(cut, unsent)
  }

  /** Gives to the socket whatever it takes now. */
  flush(): void {
    const writer = this.#writer
    if (!this.#host.isUp || writer.blocked) return
    while (writer.begin()) {
      if (this.#cut !== null && !writer.isWithinFrame) this.#onWritten(this.#cut)
      this.#fillBatch()
      if (!writer.finish()) break
    }
    if (writer.blocked) this.#awaitDrain()
    this.#host.onFlushed()
  }

  onDrain(): void {
    this.#writer.unblock()
    this.#writeTimer?.clear()
    this.flush()
  }

  /** What `#flushSoon` has put off. */
  flushNow(): void {
    this.#flushQueued = false
    this.flush()
  }

  #admits(lane: Lane, bytes: number): boolean {
    const freeSlots = this.#terms.maxInFlight - this.#pending.size
    return this.#queue.admits(lane, bytes + this.#writer.restBytes, freeSlots)
  }

  #shed(message: Message): void {
    const { method } = message
    if (method === null) return
    this.#environment.counters.queueFull[method.priority]++
    const text = `${method.name} to ${this.#host.address} gave way to a message of a higher priority`
    failMessage(message, queueFull(text))
  }

  /** At the end of what runs now, so that all frames of one turn go in one write. */
  #flushSoon(): void {
    if (this.#flushQueued || !this.#host.isUp) return
    this.#flushQueued = true
    process.nextTick(flushNow, this)
  }

  #fillBatch(): void {
    const writer = this.#writer
    const { maxInFlight, maxSendLength } = this.#terms
    const maxBytes = LENGTH_BYTES + maxSendLength
    let nowMs = -1
    for (;;) {
      const message = this.#queue.peek(this.#pending.size < maxInFlight)
      if (message === null || !writer.mayPut(message.bytes)) return
      this.#queue.take(message)
      if (message.bytes > maxBytes && message.method !== null) {
        // It was given to this connection before the peer had told what it takes.
        failMessage(message, tooLarge(message.method.name, message.bytes - LENGTH_BYTES, maxSendLength))
        continue
      }
      if (message instanceof OutboundCall) {
        if (nowMs < 0) nowMs = this.#environment.clock.now()
        this.#putRequest(message, nowMs)
      } else this.#putFrame(message)
      if (writer.isWithinFrame) this.#cut = message
      else this.#onWritten(message)
    }
  }

  #putRequest(call: OutboundCall, nowMs: number): void {
    const { method, body } = call
    const { compression } = this.#terms
    call.written = true
    this.#pending.add(call)
    this.#environment.counters.totals.requestsSent++
    const remainingMs = Math.min(MAX_ID, Math.max(1, Math.ceil(call.deadlineMs - nowMs)))
    const deflated = compression === null ? null : compression.deflate(body)
    this.#writer.put(FRAME_TYPES.request, deflated !== null, call.id, remainingMs, method, deflated ?? body)
  }

  #putFrame(frame: OutgoingFrame): void {
    const { type, id, method, body } = frame
    const { compression } = this.#terms
    const hasBody = type === FRAME_TYPES.response || type === FRAME_TYPES.notify
    const deflated = hasBody && compression !== null ? compression.deflate(body) : null
    if (type === FRAME_TYPES.notify) this.#environment.counters.totals.notifiesSent++
    this.#writer.put(type, deflated !== null, id, -1, method, deflated ?? body)
  }

  #onWritten(message: Message): void {
    this.#cut = null
    if (message instanceof OutboundCall) return
    if (message.answers !== null) this.#host.onAnswerWritten(message.answers)
    message.resolve?.()
  }

  #awaitDrain(): void {
    const { clock, wheel, settings } = this.#environment
    this.#writeTimer ??= new LazyTimer(clock, wheel, () => this.#host.onSlowPeer())
    this.#writeTimer.set(clock.now(), settings.writeTimeoutMs)
  }
}

function flushNow(traffic: OutgoingTraffic): void {
  traffic.flushNow()
}
