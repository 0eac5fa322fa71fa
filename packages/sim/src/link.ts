/**
 * The directed link from one node to another: what it is like, what stands in its way, and its own stream of chance.
 * There may be a million of them, so what is rare (a queue, what a clog holds, a stream) is kept apart.
 */

import { Dice } from './dice.js'
import type { DatagramEvent } from './datagram-event.js'
import { blend, scramble } from './hash.js'
import { drawLatency } from './latency.js'
import type { LinkEnd } from './link-end.js'
import type { LinkOptions } from './link-options.js'
import type { Stream } from './stream.js'

/** A node to itself: no network is between. */
export const SELF_LATENCY_MS = 0.01

export class Link {
  readonly dice: Dice
  readonly from: LinkEnd
  readonly to: LinkEnd
  readonly isSelf: boolean
  /** As set by `network.link`, and by the faults on top of it. */
  options: LinkOptions
  /** Partitions and clogs that stand in this direction. */
  partitions = 0
  clogs = 0
  /** What of this link is not usual; made when it is needed. */
  extra: LinkExtra | undefined = undefined

  constructor(from: LinkEnd, to: LinkEnd, options: LinkOptions) {
    // The stream of `link/a>b`: of both names and their order, and of nothing else.
    this.dice = new Dice(scramble(blend(from.linkLow, to.linkLow)), scramble(blend(from.linkHigh, to.linkHigh)))
    this.from = from
    this.to = to
    this.isSelf = from === to
    this.options = options
  }

  drawLatency(): number {
    return this.isSelf ? SELF_LATENCY_MS : drawLatency(this.options.latency, this.dice)
  }

  /** Draws only where there is something to decide. */
  happens(probability: number): boolean {
    return probability > 0 && this.dice.next() < probability
  }

  rare(): LinkExtra {
    return (this.extra ??= new LinkExtra(this.options))
  }
}

/** A layer of changes that a fault puts over a link. */
export type LinkChange = Partial<LinkOptions>

export class LinkExtra {
  /** What the link is like without faults. */
  base: LinkOptions
  /** Those of the faults that are on, the later over the earlier. */
  readonly layers = new Set<LinkChange>()
  /** When the link has sent all that was given to it. */
  freeAt = 0
  /** Datagrams that a clog holds, in the order in which they would have arrived. */
  readonly held: DatagramEvent[] = []
  stream: Stream | undefined = undefined
  /** Partitions and clogs were healed so often: an older one has nothing to end any more. */
  healed = 0
  unclogged = 0

  constructor(base: LinkOptions) {
    this.base = base
  }
}
