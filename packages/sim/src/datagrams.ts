/**
 * What the network does with datagrams. Each copy meets, in this order, the partition of its link, loss, latency, the
 * queue of a link with a bandwidth, and corruption; unequal latencies reorder. Every copy is counted until it is
 * delivered or dropped: sent + duplicated = delivered + all dropped + inFlight.
 */

import { DatagramEvent } from './datagram-event.js'
import { hashBytes } from './hash.js'
import type { Incarnation } from './incarnation.js'
import type { LinkEnd } from './link-end.js'
import type { Link } from './link.js'
import type { Links } from './links.js'
import { enterScope, watchResult } from './scope.js'
import { traceKinds } from './trace.js'
import type { World } from './world.js'

/** Of datagrams, since the simulation began. */
export interface SimNetworkStats {
  readonly sent: number
  readonly duplicated: number
  readonly delivered: number
  /** Copies of which a bit was turned. */
  readonly corrupted: number
  /** On their way, held by a clog, or waiting at a paused node. */
  readonly inFlight: number
  /** Of what was sent. */
  readonly bytes: number
  readonly dropped: {
    readonly loss: number
    readonly partition: number
    /** No room in the queue of a link or at a paused node. */
    readonly overflow: number
    /** The node is down, unknown, or does not listen. */
    readonly down: number
  }
}

type DropReason = keyof SimNetworkStats['dropped']

/** Of fractions of bytes that rounding makes. */
const ROUNDING_BYTES = 1e-6

export class Datagrams {
  readonly #world: World
  readonly #links: Links
  #sent = 0
  #duplicated = 0
  #delivered = 0
  #corrupted = 0
  #inFlight = 0
  #bytes = 0
  readonly #dropped = { loss: 0, partition: 0, overflow: 0, down: 0 }

  constructor(world: World, links: Links) {
    this.#world = world
    this.#links = links
  }

  send(from: LinkEnd, to: string, bytes: Uint8Array): void {
    const link = from.links.get(to) ?? this.#links.toAddress(from, to)
    this.#sent++
    this.#bytes += bytes.length
    if (link === undefined) return this.#toNobody(from, to)
    this.#world.trace.peer(from, traceKinds.send, link.to, hashBytes(bytes))
    this.#carry(link, bytes.slice())
    if (link.isSelf || !link.happens(link.options.duplicate)) return
    this.#duplicated++
    this.#carry(link, bytes.slice())
  }

  /** It is at its destination. */
  receive(event: DatagramEvent): void {
    const { from, to } = event.link
    const { life } = to
    if (life === undefined) return this.drop(event, 'down')
    if (life.isPaused) return this.#wait(event, life)
    const handler = life.datagram.handler
    if (handler === undefined) return this.drop(event, 'down')
    this.#inFlight--
    this.#delivered++
    this.#world.trace.peer(to, traceKinds.deliver, from, event.bytes.length)
    enterScope(life)
    watchResult(handler(from.address, event.bytes), life)
  }

  /** Something that was on its way goes no further. */
  drop(event: DatagramEvent, reason: DropReason): void {
    this.#inFlight--
    this.#lose(event.link, reason)
  }

  /** Sends on, with a new latency, what a clog held. */
  release(link: Link, held: readonly DatagramEvent[]): void {
    for (const event of held) this.#world.schedule(this.#world.now + link.drawLatency(), link.to, event)
  }

  stats(): SimNetworkStats {
    return Object.freeze({
      sent: this.#sent,
      duplicated: this.#duplicated,
      delivered: this.#delivered,
      corrupted: this.#corrupted,
      inFlight: this.#inFlight,
      bytes: this.#bytes,
      dropped: Object.freeze({ ...this.#dropped }),
    })
  }

  #carry(link: Link, bytes: Uint8Array): void {
    if (link.partitions > 0) return this.#lose(link, 'partition')
    if (!link.isSelf && link.happens(link.options.loss)) return this.#lose(link, 'loss')
    let delayMs = link.drawLatency()
    if (!link.isSelf) {
      if (link.options.bytesPerSecond < Infinity) {
        const queueMs = this.#queue(link, bytes.length)
        if (queueMs === null) return this.#lose(link, 'overflow')
        delayMs += queueMs
      }
      if (bytes.length > 0 && link.happens(link.options.corrupt)) this.#corrupt(link, bytes)
    }
    this.#inFlight++
    this.#world.schedule(this.#world.now + delayMs, link.to, new DatagramEvent(this, link, bytes))
  }

  /** How long it takes until the link has sent it; null if there is no room to wait. */
  #queue(link: Link, size: number): number | null {
    const extra = link.rare()
    const { bytesPerSecond, queueBytes } = link.options
    const { now } = this.#world
    const waitMs = Math.max(0, extra.freeAt - now)
    if ((waitMs / 1_000) * bytesPerSecond + size > queueBytes + ROUNDING_BYTES) return null
    const untilSentMs = waitMs + (size / bytesPerSecond) * 1_000
    extra.freeAt = now + untilSentMs
    return untilSentMs
  }

  #corrupt(link: Link, bytes: Uint8Array): void {
    const bit = Math.floor(link.dice.next() * bytes.length * 8)
    const at = bit >> 3
    bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7))
    this.#corrupted++
  }

  #wait(event: DatagramEvent, life: Incarnation): void {
    if (life.waitingDatagrams >= this.#world.options.receiveQueue) return this.drop(event, 'overflow')
    event.isReceived = true
    life.waitingDatagrams++
    life.hold(event)
  }

  #lose(link: Link, reason: DropReason): void {
    this.#dropped[reason]++
    this.#world.trace.text(link.from, traceKinds.drop, `${link.to.name} ${reason}`)
  }

  #toNobody(from: LinkEnd, to: string): void {
    this.#dropped.down++
    this.#world.trace.text(from, traceKinds.drop, `${to} unknown`)
  }
}
