/**
 * What the network does with datagrams. Each copy meets, in this order, the partition of its link, loss, latency, the
 * queue of a link with a bandwidth, and corruption; unequal latencies reorder. Every copy is counted until it is
 * delivered or dropped: sent + duplicated = delivered + all dropped + inFlight.
 */

import { copyBytes } from '@hs/core/testing'
import { DatagramEvent } from './datagram-event.js'
import { hashBytes } from './hash.js'
import type { Incarnation } from './incarnation.js'
import { InstantCounts } from './instant-counts.js'
import type { LinkEnd } from './link-end.js'
import { drawLatency } from './latency.js'
import { linkUses, type LinkDice } from './link-dice.js'
import type { LinkOptions } from './link-options.js'
import { SELF_LATENCY_MS, type Link } from './link.js'
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
  readonly #dice: LinkDice
  readonly #sends = new InstantCounts<LinkEnd>()
  #sent = 0
  #duplicated = 0
  #delivered = 0
  #corrupted = 0
  #inFlight = 0
  #bytes = 0
  readonly #dropped = { loss: 0, partition: 0, overflow: 0, down: 0 }

  constructor(world: World, links: Links, dice: LinkDice) {
    this.#world = world
    this.#links = links
    this.#dice = dice
  }

  send(from: LinkEnd, to: string, bytes: Uint8Array): void {
    const end = this.#links.endOf(to)
    this.#sent++
    this.#bytes += bytes.length
    if (end === undefined) return this.#toNobody(from, to)
    const { trace, now } = this.#world
    trace.peer(from, traceKinds.send, end, hashBytes(bytes))
    if (from === end) return this.#schedule(from, end, SELF_LATENCY_MS, copyBytes(bytes))
    const link = from.links?.get(end)
    const options = link === undefined ? this.#links.defaults : link.options
    this.#dice.begin(from, end, linkUses.datagram, this.#sends.next(now, from, end))
    const isTwice = this.#dice.happens(options.duplicate)
    this.#carry(from, end, link, options, bytes)
    if (!isTwice) return
    this.#duplicated++
    this.#carry(from, end, link, options, bytes)
  }

  /** It is at its destination. */
  receive(event: DatagramEvent): void {
    const { from, to } = event
    const { life } = to
    if (life === undefined) return this.drop(event, 'down')
    if (life.isPaused) return this.#wait(event, life)
    const handler = life.onMessage
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
    this.#lose(event.from, event.to, reason)
  }

  /** Sends on, with a new latency, what a clog held. */
  release(link: Link, held: readonly DatagramEvent[]): void {
    for (const [index, event] of held.entries()) {
      this.#dice.begin(link.from, link.to, linkUses.release, index)
      this.#world.schedule(this.#world.now + drawLatency(link.options.latency, this.#dice), link.to, event)
    }
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

  /** One copy. What it draws comes in this order, and only where there is something to decide. */
  #carry(from: LinkEnd, to: LinkEnd, link: Link | undefined, options: LinkOptions, bytes: Uint8Array): void {
    if (link !== undefined && link.partitions > 0) return this.#lose(from, to, 'partition')
    if (this.#dice.happens(options.loss)) return this.#lose(from, to, 'loss')
    let delayMs = drawLatency(options.latency, this.#dice)
    if (options.bytesPerSecond < Infinity) {
      const queueMs = this.#queue(link ?? this.#links.between(from, to), bytes.length)
      if (queueMs === null) return this.#lose(from, to, 'overflow')
      delayMs += queueMs
    }
    const copy = copyBytes(bytes)
    if (bytes.length > 0 && this.#dice.happens(options.corrupt)) this.#corrupt(copy)
    this.#schedule(from, to, delayMs, copy)
  }

  #schedule(from: LinkEnd, to: LinkEnd, delayMs: number, bytes: Uint8Array): void {
    this.#inFlight++
    this.#world.schedule(this.#world.now + delayMs, to, new DatagramEvent(this, from, to, bytes))
  }

  /** How long it takes until the link has sent it; null if there is no room to wait. */
  #queue(link: Link, size: number): number | null {
    const { bytesPerSecond, queueBytes } = link.options
    const { now } = this.#world
    const waitMs = Math.max(0, link.freeAt - now)
    if ((waitMs / 1_000) * bytesPerSecond + size > queueBytes + ROUNDING_BYTES) return null
    const untilSentMs = waitMs + (size / bytesPerSecond) * 1_000
    link.freeAt = now + untilSentMs
    return untilSentMs
  }

  #corrupt(bytes: Uint8Array): void {
    const bit = Math.floor(this.#dice.next() * bytes.length * 8)
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

  #lose(from: LinkEnd, to: LinkEnd, reason: DropReason): void {
    this.#dropped[reason]++
    this.#world.trace.text(from, traceKinds.drop, `${to.name} ${reason}`)
  }

  #toNobody(from: LinkEnd, to: string): void {
    this.#dropped.down++
    this.#world.trace.text(from, traceKinds.drop, `${to} unknown`)
  }
}
