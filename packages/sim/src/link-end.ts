/** A node as the network sees it. */

import type { Incarnation } from './incarnation.js'
import type { InstantCounts } from './instant-counts.js'
import type { Link } from './link.js'
import type { EventOwner } from './world.js'

export interface LinkEnd extends EventOwner {
  readonly address: string
  /** Two words of the seed and the name, which the dice of its links are made from. */
  readonly linkLow: number
  readonly linkHigh: number
  /** Its links to others that are not as all others. */
  readonly links: Map<LinkEnd, Link>
  /** What it sent to whom at this instant. */
  readonly sends: InstantCounts<LinkEnd>
  /** Undefined while the node is down. */
  readonly life: Incarnation | undefined
}
