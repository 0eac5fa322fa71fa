/**
 * The peers that this end dials: one bulk and, once something critical is to be said, one control connection each.
 * A slot among `maxConnections` is taken in the step that checks for one, before the dial, and given back when the
 * peer's last connection closes, so the limit holds at every instant (LIM-3). All calls share one dial; a peer that
 * could not be reached is left alone for a while (CONN-1).
 */
import { HsError, parseAddress, type Clock, type Random, type TransportError } from '@hs/core'
import { reconnectDelayMs } from './backoff.js'
import type { Connection } from './connection.js'
import type { ConnectionClass } from './payloads.js'
import type { TcpSettings } from './tcp-options.js'
import { invalidArgument, notYet, poolExhausted } from './transport-errors.js'

/** Begins to connect; its end is told by `onClosed`, never before this has returned. */
export type Dial = (host: string, port: number, connectionClass: ConnectionClass, address: string) => Connection

export interface DialedPeersOptions {
  readonly settings: TcpSettings
  readonly clock: Clock
  readonly random: Random
  readonly dial: Dial
}

interface Link {
  /** The one to use; null: dial. */
  connection: Connection | null
  /** Dials that failed in a row, when the next one may be, and how the last one failed. */
  failures: number
  nextDialMs: number
  lastError: TransportError | null
}

interface Peer {
  readonly address: string
  readonly host: string
  readonly port: number
  readonly links: Readonly<Record<ConnectionClass, Link>>
  /** Connections that are not closed, those that say goodbye included. More than none: it has a slot. */
  readonly connections: Set<Connection>
  lastUse: number
}

/** Peers without a connection that are remembered for their failures only. */
const MAX_FAILED_PEERS = 1_024

export class DialedPeers {
  readonly #options: DialedPeersOptions
  readonly #peers = new Map<string, Peer>()
  /** Oldest failure first. */
  readonly #failed = new Set<Peer>()
  #slotsTaken = 0
  #uses = 0

  constructor(options: DialedPeersOptions) {
    this.#options = options
  }

  /**
   * The connection to use, dialled if there is none.
   * @throws TransportError `'INVALID_ARGUMENT'`, `'POOL_EXHAUSTED'`, or why the peer is not to be dialled again yet.
   */
  connectionTo(address: string, connectionClass: ConnectionClass): Connection {
    const peer = this.#peers.get(address) ?? newPeer(address)
    peer.lastUse = ++this.#uses
    return peer.links[connectionClass].connection ?? this.#dial(peer, connectionClass)
  }

  onOpen(connection: Connection): void {
    const link = this.#peers.get(connection.address)?.links[connection.connectionClass]
    if (link === undefined) return
    link.failures = 0
    link.lastError = null
  }

  /** It is not to be used for anything new. */
  onLeaving(connection: Connection): void {
    const link = this.#peers.get(connection.address)?.links[connection.connectionClass]
    if (link?.connection === connection) link.connection = null
  }

  /** @param error why it never was open; null if it was, or if this end gave up the dial. */
  onClosed(connection: Connection, error: TransportError | null): void {
    const peer = this.#peers.get(connection.address)
    if (peer === undefined || !peer.connections.delete(connection)) return
    this.onLeaving(connection)
    if (error !== null) this.#failedToOpen(peer.links[connection.connectionClass], error)
    if (peer.connections.size > 0) return
    this.#slotsTaken--
    this.#rest(peer)
  }

  #dial(peer: Peer, connectionClass: ConnectionClass): Connection {
    const link = peer.links[connectionClass]
    const waitMs = link.nextDialMs - this.#options.clock.now()
    if (link.lastError !== null && waitMs > 0) throw notYet(link.lastError, waitMs)
    if (peer.connections.size === 0) this.#takeSlot(peer)
    const connection = this.#options.dial(peer.host, peer.port, connectionClass, peer.address)
    link.connection = connection
    peer.connections.add(connection)
    return connection
  }

  #takeSlot(peer: Peer): void {
    const { maxConnections } = this.#options.settings
    if (this.#slotsTaken >= maxConnections) this.#leastRecentlyUsedIdle()?.forEach((unused) => unused.leave('evicted'))
    if (this.#slotsTaken >= maxConnections) throw poolExhausted(peer.address, maxConnections)
    this.#slotsTaken++
    this.#failed.delete(peer)
    this.#peers.set(peer.address, peer)
  }

  #leastRecentlyUsedIdle(): Connection[] | undefined {
    let oldest: Peer | undefined
    for (const peer of this.#peers.values()) {
      if (peer.connections.size === 0 || (oldest !== undefined && isEarlier(oldest, peer))) continue
      if ([...peer.connections].every((connection) => connection.isIdle)) oldest = peer
    }
    return oldest === undefined ? undefined : [...oldest.connections]
  }

  #failedToOpen(link: Link, error: TransportError): void {
    const { settings, clock, random } = this.#options
    link.failures++
    link.lastError = error
    link.nextDialMs =
      clock.now() + reconnectDelayMs(link.failures, settings.reconnectBaseMs, settings.reconnectMaxMs, random.next())
  }

  /** Nothing is left of it but perhaps the memory of its failures. */
  #rest(peer: Peer): void {
    if (peer.links.bulk.lastError === null && peer.links.control.lastError === null) {
      this.#peers.delete(peer.address)
      return
    }
    this.#failed.add(peer)
    if (this.#failed.size <= MAX_FAILED_PEERS) return
    for (const longest of this.#failed) {
      this.#failed.delete(longest)
      this.#peers.delete(longest.address)
      return
    }
  }
}

/** By the last request either way; among those of one instant, by the last call of this end. */
function isEarlier(a: Peer, b: Peer): boolean {
  const [aMs, bMs] = [lastUsedMs(a), lastUsedMs(b)]
  return aMs === bMs ? a.lastUse < b.lastUse : aMs < bMs
}

function lastUsedMs({ connections }: Peer): number {
  return Math.max(...Array.from(connections, (connection) => connection.lastUsedMs))
}

function newPeer(address: string): Peer {
  const { host, port } = parsePeerAddress(address)
  const link = (): Link => ({ connection: null, failures: 0, nextDialMs: 0, lastError: null })
  return { address, host, port, links: { bulk: link(), control: link() }, connections: new Set(), lastUse: 0 }
}

function parsePeerAddress(address: string): { host: string; port: number } {
  try {
    return parseAddress(address)
  } catch (error) {
    throw invalidArgument(HsError.is(error) ? error.message : 'Not an address', error)
  }
}
