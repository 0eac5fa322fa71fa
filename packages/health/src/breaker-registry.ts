/**
 * A breaker for each peer, one record each. When there are too many, the least recently used closed one makes room: it
 * had nothing to say that a new one would not say too. Only where none is closed, an open one goes.
 */
import { deepFreeze, HsError, parseOptions } from '@hs/core'
import { BreakerSettings, registrySchema, type CircuitBreakerOptions } from './breaker-options.js'
import { CircuitBreaker, type BreakerOwner, type CircuitBreakerSnapshot } from './circuit-breaker.js'
import { LinkList, unlink, type Link } from './link-list.js'

export interface BreakerRegistryOptions extends CircuitBreakerOptions {
  /** Peers remembered, at least 1. @default 10_000 */
  maxPeers?: number
}

export type BreakerRegistrySnapshot = Readonly<Record<string, CircuitBreakerSnapshot>>

/** The peers by their last use. */
class PeerLists {
  readonly closed = new LinkList<PeerRecord>()
  readonly notClosed = new LinkList<PeerRecord>()
}

class PeerRecord implements Link, BreakerOwner {
  readonly peer: string
  readonly breaker: CircuitBreaker
  previous: Link = this
  next: Link = this
  /** The latest life of the peer's process that is known. */
  incarnation: number | undefined = undefined
  #list: LinkList<PeerRecord>
  /** Undefined once it is forgotten; whoever still holds the breaker goes on with it alone. */
  #lists: PeerLists | undefined

  constructor(peer: string, settings: BreakerSettings, lists: PeerLists) {
    this.peer = peer
    this.breaker = new CircuitBreaker(settings, this)
    this.#lists = lists
    this.#list = lists.closed
    this.#list.append(this)
  }

  touch(): void {
    unlink(this)
    this.#list.append(this)
  }

  /** Its place among the others is that of a use just now, for it is one. */
  stateChanged(isClosed: boolean): void {
    if (this.#lists === undefined) return
    this.#list = isClosed ? this.#lists.closed : this.#lists.notClosed
    this.touch()
  }

  leave(): void {
    unlink(this)
    this.#lists = undefined
  }
}

/** One breaker a peer, all with the same options. */
export class BreakerRegistry {
  readonly #settings: BreakerSettings
  readonly #maxPeers: number
  readonly #records = new Map<string, PeerRecord>()
  readonly #lists = new PeerLists()

  /** @throws ConfigError */
  constructor(options?: BreakerRegistryOptions) {
    const { maxPeers, ...own } = parseOptions(registrySchema, options, 'BreakerRegistry')
    this.#settings = new BreakerSettings(own)
    this.#maxPeers = maxPeers
  }

  /**
   * The peer's breaker, which is now the most recently used.
   * @throws HsError `'INVALID_ARGUMENT'` if the name is no text.
   */
  for(peer: string): CircuitBreaker {
    const known = this.#records.get(peer)
    if (known === undefined) return this.#add(peer).breaker
    known.touch()
    return known.breaker
  }

  /**
   * Tells which life of its process a peer is in, by the generation of its `NodeId`. True: it is a newer one, and the
   * breaker was reset, for what failed is gone. The first that is told, and a lower one, change nothing.
   * @throws HsError `'INVALID_ARGUMENT'` if the name is no text, or the number no integer from 0.
   */
  incarnation(peer: string, incarnation: number): boolean {
    if (!Number.isSafeInteger(incarnation) || incarnation < 0)
      throw new HsError('INVALID_ARGUMENT', `An incarnation is an integer from 0, found ${String(incarnation)}`)
    const record = this.#records.get(peer) ?? this.#add(peer)
    const known = record.incarnation
    if (known !== undefined && incarnation <= known) return false
    record.incarnation = incarnation
    if (known === undefined) return false
    record.breaker.reset()
    return true
  }

  /** True if it was there. */
  forget(peer: string): boolean {
    const record = this.#records.get(peer)
    if (record === undefined) return false
    this.#remove(record)
    return true
  }

  /** Peers whose breaker refuses every call now. */
  open(): string[] {
    return Array.from(this.#lists.notClosed)
      .filter(({ breaker }) => breaker.state === 'open')
      .map(({ peer }) => peer)
  }

  /** Peers that are remembered. */
  get size(): number {
    return this.#records.size
  }

  /** What a dashboard shows, by peer. */
  snapshot(): BreakerRegistrySnapshot {
    return deepFreeze(
      Object.fromEntries(Array.from(this.#records.values(), ({ peer, breaker }) => [peer, breaker.snapshot()])),
    )
  }

  #add(peer: string): PeerRecord {
    if (typeof peer !== 'string') throw new HsError('INVALID_ARGUMENT', `A peer is a string, found ${typeof peer}`)
    if (this.#records.size >= this.#maxPeers) this.#makeRoom(this.#lists)
    const record = new PeerRecord(peer, this.#settings, this.#lists)
    this.#records.set(peer, record)
    return record
  }

  #makeRoom({ closed, notClosed }: PeerLists): void {
    const record = closed.first ?? notClosed.first
    if (record !== undefined) this.#remove(record)
  }

  #remove(record: PeerRecord): void {
    this.#records.delete(record.peer)
    record.leave()
  }
}
