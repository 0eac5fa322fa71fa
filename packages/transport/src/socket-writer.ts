/**
 * Encodes frames into batches for one socket. The socket is given at most 64 KiB beyond what it accepted, and nothing
 * after `write` returned false until it drained; a frame that is too large is cut, and its rest begins the next batch.
 * So what a later message of a higher priority must wait for is bounded, however large the frames are.
 */
import type { Duplex } from 'node:stream'
import { viewOf } from './byte-gatherer.js'
import type { Method } from './methods.js'
import { FLAG_DEFLATED, writeHeader, writeU32 } from './wire.js'

/** The most that a socket holds of ours beyond what the system took. */
const SOCKET_WINDOW_BYTES = 65_536
/**
 * Where `write` begins to return false, by the socket's high-water mark. Half the window: as long as it returns true
 * there is room for another header, so that a batch never ends without either `drain` to come or nothing to write.
 */
export const SOCKET_HIGH_WATER_BYTES = 32_768
/** A body up to this is copied beside its header; a larger one is passed on as it is. */
const MAX_COPIED_BYTES = 32_768
/** A batch up to this is copied for a socket that does not take it at once, rather than giving away the scratch. */
const MAX_PARTED_BYTES = 8_192
/** Batch buffers that are kept to be used again. */
const MAX_SPARE = 16

/** The batch buffer, shared by all connections of a transport: a batch begins and ends in one synchronous step. */
export class Scratch {
  /** Made when used: a transport may never send anything. */
  #bytes: Buffer | null = null
  readonly #spare: Buffer[] = []

  get bytes(): Buffer {
    return (this.#bytes ??= this.#spare.pop() ?? Buffer.allocUnsafeSlow(SOCKET_WINDOW_BYTES))
  }

  /** A socket keeps it for a while: the next batch gets another one. */
  lend(): Buffer {
    const lent = this.bytes
    this.#bytes = null
    return lent
  }

  /** The socket has taken all of it. */
  giveBack(lent: Buffer): void {
    if (this.#spare.length < MAX_SPARE) this.#spare.push(lent)
  }
}

export class SocketWriter {
  readonly #socket: Duplex
  readonly #scratch: Scratch
  readonly #totals: { bytesSent: number }
  #blocked = false
  /** The rest of a frame that was cut. */
  #rest: Uint8Array | null = null
  /** Of the batch: room at its beginning, bytes given to `write`, where the unwritten part of the scratch begins and ends. */
  #room = 0
  #given = 0
  #start = 0
  #end = 0
  #corked = false
  /** The last batch was not taken at once: the next one will hardly be either. */
  #slow = false
  /** The socket got a part of the scratch itself; and the ones that it had not taken by the end of their batch. */
  #usesScratch = false
  #lent: Buffer[] = []

  constructor(socket: Duplex, scratch: Scratch, totals: { bytesSent: number }) {
    this.#socket = socket
    this.#scratch = scratch
    this.#totals = totals
  }

  /** `write` returned false and `drain` has not come. */
  get blocked(): boolean {
    return this.#blocked
  }

  /** Whether part of a frame was given and the rest was not. */
  get isWithinFrame(): boolean {
    return this.#rest !== null
  }

  /** Of the frame that was cut. */
  get restBytes(): number {
    return this.#rest === null ? 0 : this.#rest.length
  }

  /** Nothing more is written. */
  end(): void {
    this.#rest = null
  }

  /** The socket has drained. */
  unblock(): void {
    this.#blocked = false
  }

  /** Begins a batch with the rest of the frame that was cut. False: the socket takes nothing now. */
  begin(): boolean {
    if (this.#blocked) return false
    const untaken = this.#socket.writableLength
    if (untaken === 0 && this.#lent.length > 0) {
      for (const lent of this.#lent.splice(0)) this.#scratch.giveBack(lent)
    }
    this.#room = SOCKET_WINDOW_BYTES - untaken
    this.#given = 0
    this.#start = 0
    this.#end = 0
    const rest = this.#rest
    this.#rest = null
    if (rest !== null) this.#append(rest)
    return true
  }

  /**
   * Whether a frame of so many bytes may be put into this batch: it fits, or the batch is so small that the socket
   * would not say `drain` after it. So only a frame of more than half a window is ever cut.
   */
  mayPut(bytes: number): boolean {
    if (this.#blocked || this.#rest !== null) return false
    return bytes <= this.#roomLeft || this.#roomLeft > SOCKET_WINDOW_BYTES - SOCKET_HIGH_WATER_BYTES
  }

  /**
   * Puts a frame into the batch.
   * @param timeoutMs of a request; -1: the frame has none.
   */
  put(type: number, deflated: boolean, id: number, timeoutMs: number, method: Method | null, body: Uint8Array): void {
    const bytes = this.#scratch.bytes
    const methodBytes = method === null ? 0 : method.encoded.length
    const payloadBytes = (timeoutMs < 0 ? 0 : 4) + methodBytes + body.length
    let at = writeHeader(bytes, this.#end, payloadBytes, type, deflated ? FLAG_DEFLATED : 0, id)
    if (timeoutMs >= 0) at = writeU32(bytes, at, timeoutMs)
    if (method !== null) {
      bytes.set(method.encoded, at)
      at += methodBytes
    }
    this.#end = at
    if (body.length > 0) this.#append(body)
  }

  /** Gives the batch to the socket. False: it was empty. */
  finish(): boolean {
    this.#flushScratch()
    if (this.#given === 0) return false
    if (this.#corked) {
      this.#corked = false
      this.#socket.uncork()
    }
    this.#slow = this.#socket.writableLength > 0
    if (this.#slow && this.#usesScratch) this.#lent.push(this.#scratch.lend())
    this.#usesScratch = false
    return true
  }

  get #roomLeft(): number {
    return this.#room - this.#given - (this.#end - this.#start)
  }

  #append(body: Uint8Array): void {
    const fits = Math.min(body.length, this.#roomLeft)
    const part = fits === body.length ? body : viewOf(body, 0, fits)
    if (fits < body.length) this.#rest = viewOf(body, fits, body.length)
    if (fits <= MAX_COPIED_BYTES) {
      this.#scratch.bytes.set(part, this.#end)
      this.#end += fits
      return
    }
    if (!this.#corked) {
      this.#corked = true
      this.#socket.cork()
    }
    this.#flushScratch()
    if (this.#blocked) this.#rest = body
    else this.#write(part)
  }

  #flushScratch(): void {
    if (this.#end === this.#start) return
    const batch = this.#scratch.bytes.subarray(this.#start, this.#end)
    this.#start = this.#end
    if (this.#slow && batch.length <= MAX_PARTED_BYTES) {
      this.#write(Buffer.from(batch))
      return
    }
    this.#usesScratch = true
    this.#write(batch)
  }

  #write(chunk: Uint8Array): void {
    this.#given += chunk.length
    this.#totals.bytesSent += chunk.length
    if (!this.#socket.write(chunk)) this.#blocked = true
  }
}
