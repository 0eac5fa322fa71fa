/** A node as the network sees it. */

import type { Incarnation } from './incarnation.js'
import type { Link } from './link.js'
import type { EventOwner } from './world.js'

export interface LinkEnd extends EventOwner {
  readonly address: string
  /** Two words of the seed and the name, which the dice of its links are made from. */
  readonly linkLow: number
  readonly linkHigh: number
  /** Its links to others, by their address. */
  readonly links: Map<string, Link>
  /** Undefined while the node is down. */
  readonly life: Incarnation | undefined
}
