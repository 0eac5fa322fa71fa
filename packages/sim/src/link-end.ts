/** A node as the network sees it. */

import type { Incarnation } from './incarnation.js'
import type { Link } from './link.js'
import type { EventOwner } from './world.js'

export interface LinkEnd extends EventOwner {
  readonly address: string
  /** Two words of the seed and the name, which the dice of its links are made from. */
  readonly linkLow: number
  readonly linkHigh: number
  /** Its links that are not as all others; undefined while there are none, as for most nodes. */
  links: Map<LinkEnd, Link> | undefined
  /** Undefined while the node is down. */
  readonly life: Incarnation | undefined
}
