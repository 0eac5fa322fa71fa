/**
 * The sending half of a socket. Each message is copied behind a header, because the socket may keep it for later (when
 * the kernel's queue is full) while the caller of `send` may reuse its bytes at once; the buffers are used again, so a
 * steady stream allocates nothing. The first datagram of a turn of the event loop leaves at once, further ones together
 * at its end: the socket reports the fate of each on the next tick, and one tick for many costs a fraction of one for
 * each.
 */
import type { Socket } from 'node:dgram'
import type { IpEndpoint } from './ip-endpoints.js'

/** At that many the turn's end is not awaited, so that few buffers suffice and stay in the processor's cache. */
const BATCH = 16
/** Buffers kept for reuse; a burst beyond that leaves the rest to the garbage collector. */
const MAX_KEPT = 64
/** Datagrams that may wait in this process for the kernel to take them. */
const MAX_WAITING = 1_024

export interface SendTotals {
  sent: number
  bytesSent: number
  sendErrors: number
}

interface OutgoingDatagram {
  readonly whole: Buffer
  /** Header and body. */
  bytes: Buffer
  to: IpEndpoint
  /** Called by the socket when it is done with `bytes`. */
  readonly done: (error: Error | null) => void
}

export class DatagramSender {
  readonly #socket: Socket
  readonly #header: Uint8Array
  readonly #maxBytes: number
  readonly #totals: SendTotals
  readonly #kept: OutgoingDatagram[] = []
  readonly #batch: OutgoingDatagram[] = []
  /** Given to the socket, or about to be, and not reported done. */
  #unreported = 0
  #turnEndAwaited = false

  /** @param maxBytes of a whole datagram. */
  constructor(socket: Socket, header: Uint8Array, maxBytes: number, totals: SendTotals) {
    this.#socket = socket
    this.#header = header
    this.#maxBytes = maxBytes
    this.#totals = totals
  }

  /** Sends header and `body`, which together do not exceed `maxBytes`, by the end of this turn. */
  send(to: IpEndpoint, body: Uint8Array): void {
    // After a burst many are unreported although the kernel took them all: only then is it worth asking the socket.
    if (this.#unreported >= MAX_WAITING && this.#socket.getSendQueueCount() >= MAX_WAITING) {
      this.#totals.sendErrors++
      return
    }
    const datagram = this.#kept.pop() ?? this.#create(to)
    const length = this.#header.length + body.length
    // Messages of one length in a row, which is what protocols send, need no new view.
    if (datagram.bytes.length !== length) datagram.bytes = datagram.whole.subarray(0, length)
    datagram.bytes.set(body, this.#header.length)
    datagram.to = to
    this.#unreported++
    this.#totals.sent++
    this.#totals.bytesSent += length
    this.#batch.push(datagram)
    if (this.#turnEndAwaited && this.#batch.length < BATCH) return
    this.flush()
    this.#awaitTurnEnd()
  }

  /** Gives to the socket what waits for the end of the turn. */
  flush(): void {
    for (const { bytes, to, done } of this.#batch) this.#socket.send(bytes, to.port, to.host, done)
    this.#batch.length = 0
  }

  #awaitTurnEnd(): void {
    if (this.#turnEndAwaited) return
    this.#turnEndAwaited = true
    setImmediate(() => {
      this.#turnEndAwaited = false
      this.flush()
    })
  }

  #create(to: IpEndpoint): OutgoingDatagram {
    const whole = Buffer.alloc(this.#maxBytes)
    whole.set(this.#header)
    const datagram: OutgoingDatagram = { whole, bytes: whole, to, done: (error) => this.#onDone(datagram, error) }
    return datagram
  }

  #onDone(datagram: OutgoingDatagram, error: Error | null): void {
    this.#unreported--
    if (error !== null) this.#totals.sendErrors++
    if (this.#kept.length < MAX_KEPT) this.#kept.push(datagram)
  }
}
