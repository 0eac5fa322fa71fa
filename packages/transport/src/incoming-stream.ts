/**
 * The bytes that come on one connection: cut into frames, timed, and held back while this end has too much to answer.
 * A frame may not drip for ever; what this end holds back itself counts against nobody.
 */
import type { Clock, TimingWheel } from '@hs/core'
import type { Duplex } from 'node:stream'
import { FrameReader, type FrameSink } from './frame-reader.js'
import { LazyTimer } from './lazy-timer.js'
import type { TcpSettings } from './tcp-options.js'
import type { TcpCounters } from './tcp-stats.js'

export interface StreamEnvironment {
  readonly settings: TcpSettings
  readonly clock: Clock
  readonly wheel: TimingWheel
  readonly counters: TcpCounters
}

export interface StreamHost extends FrameSink {
  /** A frame took longer than `frameTimeoutMs`. */
  onSlowFrame(): void
}

export class IncomingStream {
  readonly #environment: StreamEnvironment
  readonly #host: StreamHost
  readonly #socket: Duplex
  readonly #reader: FrameReader
  #frameTimer: LazyTimer | null = null
  #nowMs: number

  /** @param limit the largest length of a frame. */
  constructor(environment: StreamEnvironment, host: StreamHost, socket: Duplex, limit: number) {
    this.#environment = environment
    this.#host = host
    this.#socket = socket
    this.#reader = new FrameReader(host, limit)
    this.#nowMs = environment.clock.now()
  }

  /** When the bytes came that are looked at now. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** The largest length of a frame, from the next one on. */
  get limit(): number {
    return this.#reader.limit
  }

  set limit(length: number) {
    this.#reader.limit = length
  }

  get isHeldBack(): boolean {
    return this.#reader.paused
  }

  /** Takes what the socket brings. */
  push(chunk: Uint8Array, nowMs: number): void {
    this.#nowMs = nowMs
    this.#environment.counters.totals.bytesReceived += chunk.length
    this.#reader.push(chunk, nowMs)
    this.#watchFrame()
  }

  /** No further frame is handed out, nor more read, until `goOn`. */
  holdBack(): void {
    this.#reader.pause()
    this.#socket.pause()
    this.#frameTimer?.clear()
  }

  goOn(nowMs: number): void {
    this.#nowMs = nowMs
    this.#reader.resume(nowMs)
    this.#watchFrame()
    if (!this.#reader.paused) this.#socket.resume()
  }

  end(): void {
    this.#reader.end()
    this.#frameTimer?.cancel()
  }

  #watchFrame(): void {
    const sinceMs = this.#reader.partialSinceMs
    if (sinceMs < 0) {
      this.#frameTimer?.clear()
      return
    }
    const { clock, wheel, settings } = this.#environment
    this.#frameTimer ??= new LazyTimer(clock, wheel, () => this.#host.onSlowFrame())
    this.#frameTimer.set(sinceMs, settings.frameTimeoutMs)
  }
}
