/**
 * A network within the process that loses, repeats and reorders nothing: what is sent arrives after `latencyMs`, in the
 * order of sending. It keeps to the contract of core's transports (bytes are copied, misuse throws, errors carry the
 * same codes), so a test on it speaks for real sockets; faults are `@hs/sim`'s.
 *
 * With a latency of 0 a message arrives in a microtask: after the code that sent it, and without time passing. With
 * more it arrives by a timer of the clock, so that a `VirtualClock` delivers it.
 */

import * as z from 'zod'
import { parseAddress } from '../address.js'
import { checkFunction, checkMessage } from '../arguments.js'
import type { Clock } from '../clock.js'
import { ErrorReporter } from '../error-reporter.js'
import { HsError, TransportError } from '../errors.js'
import { parseOptions } from '../options.js'
import { runtimeShape, type RuntimeOptions } from '../runtime.js'
import type { DatagramTransport, RpcTransport } from '../transport.js'
import { whenRejected } from '../when-rejected.js'
import { copyBytes } from './copy-bytes.js'
import { MemoryRpc } from './memory-rpc.js'

/** As over UDP and IPv4. */
const MAX_DATAGRAM_BYTES = 65_507

export interface MemoryNetworkOptions extends RuntimeOptions {
  /** How long every message takes, in milliseconds. @default 0 */
  latencyMs?: number
}

/** What the transports of a network share. */
export interface MemoryWire {
  readonly clock: Clock
  readonly reporter: ErrorReporter
  readonly rpcs: Map<string, MemoryRpc>
  /** Runs `arrive` when a message that is sent now arrives. It must not throw. */
  carry(arrive: () => void): void
  /** @throws TransportError `'INVALID_ARGUMENT'` for what cannot be an address */
  checkAddress(to: string): void
}

const done = Promise.resolve()

/** A network within the process that loses nothing. */
export class MemoryNetwork {
  readonly #datagrams = new Map<string, MemoryDatagram>()
  /** Every address that was ever held, for those that are no `host:port`: silence, not misuse, after they close. */
  readonly #names = new Set<string>()
  readonly #wire: MemoryWire

  /** @throws ConfigError */
  constructor(options: MemoryNetworkOptions = {}) {
    const { latencyMs, ...runtime } = parseOptions(optionsSchema(), options, 'MemoryNetwork')
    const { clock } = runtime
    this.#wire = {
      clock,
      reporter: new ErrorReporter(runtime),
      rpcs: new Map(),
      carry: latencyMs === 0 ? (arrive) => void done.then(arrive) : (arrive) => void clock.setTimer(latencyMs, arrive),
      checkAddress: (to) => this.#checkAddress(to),
    }
  }

  /**
   * A datagram transport at `address`: any text without white space, of up to 255 characters.
   * @throws HsError `'INVALID_ARGUMENT'` for another text, and while another datagram transport holds the address
   */
  datagram(address: string): DatagramTransport {
    this.#claim(address, this.#datagrams)
    const transport = new MemoryDatagram(address, this.#wire, this.#datagrams)
    this.#datagrams.set(address, transport)
    return transport
  }

  /**
   * An RPC transport at `address`, beside the datagram transport of that address if there is one.
   * Handlers see the caller's address, `nodeId` '', protocol 1.0, no features.
   * @throws HsError `'INVALID_ARGUMENT'` as `datagram`
   */
  rpc(address: string): RpcTransport {
    this.#claim(address, this.#wire.rpcs)
    const transport = new MemoryRpc(address, this.#wire)
    this.#wire.rpcs.set(address, transport)
    return transport
  }

  #claim(address: string, held: ReadonlyMap<string, unknown>): void {
    if (typeof address !== 'string' || !/^\S{1,255}$/.test(address))
      throw new HsError('INVALID_ARGUMENT', `An address is text without white space, found ${JSON.stringify(address)}`)
    if (held.has(address))
      throw new HsError('INVALID_ARGUMENT', `${address} is held already: close that transport first`)
    this.#names.add(address)
  }

  #checkAddress(to: string): void {
    if (this.#names.has(to)) return
    try {
      parseAddress(to)
    } catch (cause) {
      throw new TransportError('INVALID_ARGUMENT', `Expected an address like host:port, found ${String(to)}`, {
        notExecuted: true,
        cause,
      })
    }
  }
}

class MemoryDatagram implements DatagramTransport {
  readonly address: string
  readonly maxMessageBytes = MAX_DATAGRAM_BYTES
  readonly #wire: MemoryWire
  readonly #network: Map<string, MemoryDatagram>
  readonly #report = (error: unknown) =>
    this.#wire.reporter.report('MemoryNetwork.onMessage', error, { address: this.address })
  #handler: ((from: string, bytes: Uint8Array) => unknown) | undefined
  #closed = false

  constructor(address: string, wire: MemoryWire, network: Map<string, MemoryDatagram>) {
    this.address = address
    this.#wire = wire
    this.#network = network
  }

  send(to: string, bytes: Uint8Array): void {
    if (this.#closed) throw new TransportError('CLOSED', `${this.address} is closed`, { notExecuted: true })
    const holder = this.#network.get(to)
    if (holder === undefined) this.#wire.checkAddress(to)
    checkMessage(bytes)
    if (bytes.length > MAX_DATAGRAM_BYTES) {
      throw new TransportError(
        'MESSAGE_TOO_LARGE',
        `A message may have ${MAX_DATAGRAM_BYTES} bytes, found ${bytes.length}`,
        { notExecuted: true },
      )
    }
    const copy = copyBytes(bytes)
    this.#wire.carry(() => {
      // Whoever holds the address when it arrives, which is who held it before, unless that is closed.
      const receiver = holder === undefined || holder.#closed ? this.#network.get(to) : holder
      receiver?.deliver(this.address, copy)
    })
  }

  onMessage(fn: (from: string, bytes: Uint8Array) => void): void {
    checkFunction('MemoryNetwork.onMessage', fn)
    this.#handler = fn
  }

  deliver(from: string, bytes: Uint8Array): void {
    try {
      whenRejected(this.#handler?.(from, bytes), this.#report)
    } catch (error) {
      this.#report(error)
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#network.delete(this.address)
  }
}

let cachedSchema: ReturnType<typeof makeSchema> | undefined
const optionsSchema = () => (cachedSchema ??= makeSchema())
const makeSchema = () => z.strictObject({ ...runtimeShape, latencyMs: z.number().min(0).default(0) })
