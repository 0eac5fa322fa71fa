/**
 * Listens, and bounds what it accepts: `maxInbound` sockets in all, `maxInboundPerIp` of one address, counted from
 * accept to close. One more is destroyed (LIM-4).
 */
import { formatAddress, parseAddress } from '@hs/core'
import type { Duplex } from 'node:stream'
import type { Listener, SocketLayer } from './sockets.js'
import type { TcpSettings } from './tcp-options.js'
import { stopped } from './transport-errors.js'

export interface AcceptorHost {
  /** @param address where the socket comes from. */
  onSocket(socket: Duplex, address: string): void
  /** A socket was beyond the bounds. */
  onOverCapacity(address: string): void
  /** The system could not accept. */
  onAcceptError(error: Error): void
}

export class Acceptor {
  readonly #settings: TcpSettings
  readonly #layer: SocketLayer
  readonly #host: AcceptorHost
  readonly #socketsOf = new Map<string, number>()
  #sockets = 0
  #listener: Listener | null = null
  #starting: Promise<void> | null = null
  #isStopped = false

  constructor(settings: TcpSettings, layer: SocketLayer, host: AcceptorHost) {
    this.#settings = settings
    this.#layer = layer
    this.#host = host
  }

  /** What is bound; empty before `start`, and where nothing is to be listened on. */
  get address(): string {
    return this.#listener === null ? '' : formatAddress(this.#listener.host, this.#listener.port)
  }

  /** Accepted sockets that are not closed. */
  get sockets(): number {
    return this.#sockets
  }

  /** Rejects if it cannot listen; then it may be tried again. */
  start(): Promise<void> {
    this.#starting ??= this.#listen().catch((error: unknown) => {
      this.#starting = null
      throw error
    })
    return this.#starting
  }

  /** Accepts nothing more, from now on; resolves when all that it accepted is closed too. */
  async stop(): Promise<void> {
    this.#isStopped = true
    const closed = this.#listener?.close()
    // Whoever called `start` hears why it failed.
    await Promise.allSettled([this.#starting])
    await closed
  }

  async #listen(): Promise<void> {
    const { listen } = this.#settings
    if (listen === null) return
    const { host, port } = parseAddress(listen, { allowZeroPort: true })
    const listener = await this.#layer.listen(
      host,
      port,
      (socket, ip, remotePort) => this.#accept(socket, ip, remotePort),
      (error) => this.#host.onAcceptError(error),
    )
    if (this.#isStopped) {
      await listener.close()
      throw stopped()
    }
    this.#listener = listener
  }

  #accept(socket: Duplex, ip: string, port: number): void {
    const { maxInbound, maxInboundPerIp } = this.#settings
    const address = formatAddress(ip, port)
    const ofIp = this.#socketsOf.get(ip) ?? 0
    if (this.#isStopped) {
      socket.destroy()
      return
    }
    if (this.#sockets >= maxInbound || ofIp >= maxInboundPerIp) {
      socket.destroy()
      this.#host.onOverCapacity(address)
      return
    }
    this.#sockets++
    this.#socketsOf.set(ip, ofIp + 1)
    socket.once('close', () => this.#onClosed(ip))
    this.#host.onSocket(socket, address)
  }

  #onClosed(ip: string): void {
    this.#sockets--
    const left = (this.#socketsOf.get(ip) ?? 1) - 1
    if (left === 0) this.#socketsOf.delete(ip)
    else this.#socketsOf.set(ip, left)
  }
}
