/**
 * Several protocols on one datagram transport: each message has one byte before it that names its channel,
 * and what arrives goes to whoever holds the channel. The transport stays its owner's: nothing here closes it.
 */
import * as z from 'zod'
import { checkMessage } from './arguments.js'
import { HsError, TransportError } from './errors.js'
import { ErrorReporter } from './error-reporter.js'
import { parseOptions } from './options.js'
import { runtimeShape, type RuntimeOptions } from './runtime.js'
import type { DatagramTransport } from './transport.js'

export type DatagramChannelsOptions = RuntimeOptions

export interface DatagramChannelsSnapshot {
  /** Channels that are held. */
  readonly channels: number
  /** Messages dropped because they were empty or for a channel that nobody holds. */
  readonly unknown: number
}

const MAX_ID = 255

/** Up to 256 datagram transports on one. */
export class DatagramChannels {
  readonly #transport: DatagramTransport
  readonly #reporter: ErrorReporter
  readonly #channels = new Map<number, Channel>()
  #unknown = 0

  /**
   * Becomes the one handler of `transport`.
   * @throws ConfigError
   */
  constructor(transport: DatagramTransport, options: DatagramChannelsOptions = {}) {
    this.#reporter = new ErrorReporter(parseOptions(optionsSchema(), options, 'DatagramChannels'))
    this.#transport = transport
    transport.onMessage((from, bytes) => this.#receive(from, bytes))
  }

  /**
   * Takes a channel: a transport whose messages are one byte shorter. Closing it ends it alone and frees its number.
   * @param id 0 to 255
   * @throws HsError `'INVALID_ARGUMENT'` for another number and for a channel that is held
   */
  channel(id: number): DatagramTransport {
    if (!Number.isInteger(id) || id < 0 || id > MAX_ID)
      throw new HsError('INVALID_ARGUMENT', `A channel is an integer from 0 to ${MAX_ID}, found ${id}`)
    if (this.#channels.has(id))
      throw new HsError('INVALID_ARGUMENT', `Channel ${id} is held already: close it first, or take another`)
    const channel = new Channel(id, this.#transport, this.#reporter, () => this.#channels.delete(id))
    this.#channels.set(id, channel)
    return channel
  }

  /** What a dashboard shows. */
  snapshot(): DatagramChannelsSnapshot {
    return Object.freeze({ channels: this.#channels.size, unknown: this.#unknown })
  }

  #receive(from: string, bytes: Uint8Array): void {
    const id = bytes[0]
    const channel = id === undefined ? undefined : this.#channels.get(id)
    if (channel === undefined) this.#unknown++
    else channel.deliver(from, bytes.subarray(1))
  }
}

class Channel implements DatagramTransport {
  readonly #id: number
  readonly #transport: DatagramTransport
  readonly #reporter: ErrorReporter
  readonly #free: () => void
  #handler: ((from: string, bytes: Uint8Array) => void) | undefined
  #closed = false

  constructor(id: number, transport: DatagramTransport, reporter: ErrorReporter, free: () => void) {
    this.#id = id
    this.#transport = transport
    this.#reporter = reporter
    this.#free = free
  }

  // Both are asked of the transport each time: it may know them only once it has started.
  get address(): string {
    return this.#transport.address
  }

  get maxMessageBytes(): number {
    return this.#transport.maxMessageBytes - 1
  }

  send(to: string, bytes: Uint8Array): void {
    if (this.#closed) throw new TransportError('CLOSED', `Channel ${this.#id} is closed`, { notExecuted: true })
    checkMessage(bytes)
    if (bytes.length > this.maxMessageBytes) {
      throw new TransportError(
        'MESSAGE_TOO_LARGE',
        `A message on channel ${this.#id} may have ${this.maxMessageBytes} bytes, found ${bytes.length}`,
        { notExecuted: true },
      )
    }
    const framed = new Uint8Array(bytes.length + 1)
    framed[0] = this.#id
    framed.set(bytes, 1)
    this.#transport.send(to, framed)
  }

  onMessage(fn: (from: string, bytes: Uint8Array) => void): void {
    this.#handler = this.#reporter.guard('DatagramChannels.onMessage', fn, { channel: this.#id })
  }

  deliver(from: string, bytes: Uint8Array): void {
    this.#handler?.(from, bytes)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#free()
  }
}

let cachedSchema: ReturnType<typeof makeSchema> | undefined
const optionsSchema = () => (cachedSchema ??= makeSchema())
const makeSchema = () => z.strictObject(runtimeShape)
