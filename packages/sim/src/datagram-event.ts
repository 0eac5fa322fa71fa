/** A copy of a datagram that is on its way. */

import type { Datagrams } from './datagrams.js'
import type { SimEvent } from './event-queue.js'
import type { LinkEnd } from './link-end.js'

export class DatagramEvent implements SimEvent {
  tie = 0
  order = 0
  readonly isOver = false
  readonly from: LinkEnd
  readonly to: LinkEnd
  readonly bytes: Uint8Array
  /** It waits in the socket of a paused node, where the network cannot harm it. */
  isReceived = false
  readonly #datagrams: Datagrams

  constructor(datagrams: Datagrams, from: LinkEnd, to: LinkEnd, bytes: Uint8Array) {
    this.#datagrams = datagrams
    this.from = from
    this.to = to
    this.bytes = bytes
  }

  fire(): void {
    const { links } = this.from
    const link = links === undefined || this.isReceived ? undefined : links.get(this.to)
    if (link === undefined) this.#datagrams.receive(this)
    else if (link.partitions > 0) this.#datagrams.drop(this, 'partition')
    else if (link.clogs > 0) link.held.push(this)
    else this.#datagrams.receive(this)
  }
}
