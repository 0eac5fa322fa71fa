/**
 * A directed link between two nodes that is not as all others: changed, cut, clogged, limited, or with a stream. Those
 * that are have no object.
 */

import type { DatagramEvent } from './datagram-event.js'
import type { LinkEnd } from './link-end.js'
import type { LinkOptions } from './link-options.js'
import type { Stream } from './stream.js'

/** A node to itself: no network is between. */
export const SELF_LATENCY_MS = 0.01

/** What `network.link` or a fault changes of a link. */
export type LinkChange = Partial<LinkOptions>

export class Link {
  readonly from: LinkEnd
  readonly to: LinkEnd
  /** As they are now: `base`, and over it the layers. */
  options: LinkOptions
  /** What the link is like without faults. */
  base: LinkOptions
  /** Those of the faults that are on, the later over the earlier. */
  readonly layers = new Set<LinkChange>()
  /** Partitions and clogs that stand in this direction. */
  partitions = 0
  clogs = 0
  /** Partitions and clogs were healed so often: an older one has nothing to end any more. */
  healed = 0
  unclogged = 0
  /** When the link has sent all that was given to it. */
  freeAt = 0
  /** Datagrams that a clog holds, in the order in which they would have arrived. */
  readonly held: DatagramEvent[] = []
  stream: Stream | undefined = undefined

  constructor(from: LinkEnd, to: LinkEnd, options: LinkOptions) {
    this.from = from
    this.to = to
    this.options = options
    this.base = options
  }
}
