/**
 * The stream of a directed link: reliable and ordered, as a TCP connection in that direction. Loss costs the time of
 * retransmissions instead of data; a partition or clog holds messages until it is healed. A message is handed over when
 * it has arrived and all before it have been.
 */

import type { SimEvent } from './event-queue.js'
import type { Incarnation } from './incarnation.js'
import { InstantCounts } from './instant-counts.js'
import { drawLatency } from './latency.js'
import { linkUses, type LinkDice } from './link-dice.js'
import type { LinkEnd } from './link-end.js'
import { SELF_LATENCY_MS, type Link } from './link.js'
import type { World } from './world.js'

const FIRST_RETRANSMISSION_MS = 200
/** Up to 102 s, about as long as TCP waits at most. */
const MAX_DOUBLINGS = 9

/** What is done with a message at its destination. */
export interface StreamMessage {
  /** Null: of the machine rather than a process, such as a reset. Nobody sends those again. */
  readonly sender: Incarnation | null
  readonly bytes: number
  /** It is at the destination, which runs. */
  deliver(life: Incarnation): void
  /** It is at the destination, which is down or does not listen. */
  refuse(): void
}

export class Stream {
  readonly #world: World
  readonly #link: Link
  readonly #dice: LinkDice
  readonly #drawn = new InstantCounts<LinkEnd>()
  /** Everything that is not handed over yet, first to last. */
  #first: StreamEvent | undefined
  #last: StreamEvent | undefined
  /** What a partition or a clog holds, in order. */
  #held: StreamEvent[] = []

  constructor(world: World, link: Link, dice: LinkDice) {
    this.#world = world
    this.#dice = dice
    this.#link = link
  }

  send(message: StreamMessage): void {
    const event = new StreamEvent(this, message)
    if (this.#link.partitions > 0) {
      if (message.sender === null) return
      this.#append(event)
      this.#hold(event, true)
      return
    }
    this.#append(event)
    this.#dispatch(event)
  }

  /** Nothing holds the link any more. */
  release(): void {
    for (const event of this.#held.splice(0)) {
      // Whoever would send it again is gone.
      if (event.isCut && event.message.sender?.isDead === true) this.#lose(event)
      else this.#dispatch(event)
    }
  }

  /** A message came to the end of the link. */
  arrive(event: StreamEvent): void {
    const link = this.#link
    if (link.partitions > 0) return this.#cut(event)
    if (link.clogs > 0) {
      this.#hold(event, false)
      return
    }
    event.hasArrived = true
    if (event !== this.#first) return
    this.#removeFirst()
    this.#handOver(event)
  }

  /** A partition stands in its way: its sender has to send it again. */
  #cut(event: StreamEvent): void {
    const { sender } = event.message
    if (sender === null || sender.isDead) this.#lose(event)
    else this.#hold(event, true)
  }

  #hold(event: StreamEvent, isCut: boolean): void {
    event.isCut = isCut
    this.#held.push(event)
  }

  #handOver(event: StreamEvent): void {
    event.isHandedOver = true
    event.fire()
  }

  /** To the process; a paused one finds it at its resume. */
  toProcess(event: StreamEvent): void {
    const { life } = this.#link.to
    if (life === undefined) event.message.refuse()
    else if (life.isPaused) life.hold(event)
    else event.message.deliver(life)
  }

  /** Sends it, again if it was lost before. */
  #dispatch(event: StreamEvent): void {
    const { now } = this.#world
    const { from, to, options } = this.#link
    if (from === to) return this.#world.schedule(now + SELF_LATENCY_MS, to, event)
    this.#dice.begin(from, to, linkUses.stream, this.#drawn.next(now, from, to))
    if (this.#dice.happens(options.loss)) {
      event.isRetry = true
      const doublings = Math.min(event.losses++, MAX_DOUBLINGS)
      return this.#world.schedule(now + FIRST_RETRANSMISSION_MS * 2 ** doublings, from, event)
    }
    const { bytesPerSecond } = options
    const queueMs = bytesPerSecond === Infinity ? 0 : this.#sendMs(event.message.bytes, bytesPerSecond)
    this.#world.schedule(now + queueMs + drawLatency(options.latency, this.#dice), to, event)
  }

  /** It was lost, and the sender has waited long enough for word of it. */
  retry(event: StreamEvent): void {
    event.isRetry = false
    if (this.#link.partitions > 0) this.#cut(event)
    else if (event.message.sender?.isDead === true) this.#lose(event)
    else this.#dispatch(event)
  }

  /** Until the link has sent it, after all else that was given to it. A stream waits for as long as it takes. */
  #sendMs(bytes: number, bytesPerSecond: number): number {
    const link = this.#link
    const { now } = this.#world
    link.freeAt = Math.max(now, link.freeAt) + (bytes / bytesPerSecond) * 1_000
    return link.freeAt - now
  }

  #append(event: StreamEvent): void {
    if (this.#last === undefined) this.#first = event
    else this.#last.next = event
    this.#last = event
  }

  /** The next one, if it has arrived and only waited for this one, is due now. */
  #removeFirst(): void {
    const next = this.#first?.next
    this.#first = next
    if (next === undefined) this.#last = undefined
    else if (next.isLost) this.#removeFirst()
    else if (next.hasArrived) this.#world.schedule(this.#world.now, this.#link.to, next)
  }

  #lose(event: StreamEvent): void {
    event.isLost = true
    if (event === this.#first) this.#removeFirst()
  }
}

export class StreamEvent implements SimEvent {
  tie = 0
  order = 0
  readonly isOver = false
  readonly message: StreamMessage
  next: StreamEvent | undefined = undefined
  hasArrived = false
  isLost = false
  isHandedOver = false
  /** It was lost, and is to be sent again; so often it was. */
  isRetry = false
  losses = 0
  /** A partition holds it, so that its sender has to send it again; a clog holds what was sent. */
  isCut = false
  readonly #stream: Stream

  constructor(stream: Stream, message: StreamMessage) {
    this.#stream = stream
    this.message = message
  }

  fire(): void {
    if (this.isHandedOver) this.#stream.toProcess(this)
    else if (this.isRetry) this.#stream.retry(this)
    else this.#stream.arrive(this)
  }
}
