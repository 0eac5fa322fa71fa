/** A copy of a datagram that is on its way. */

import type { Datagrams } from './datagrams.js'
import type { SimEvent } from './event-queue.js'
import type { Link } from './link.js'

export class DatagramEvent implements SimEvent {
  tie = 0
  order = 0
  readonly isOver = false
  readonly link: Link
  readonly bytes: Uint8Array
  /** It waits in the socket of a paused node, where the network cannot harm it. */
  isReceived = false
  readonly #datagrams: Datagrams

  constructor(datagrams: Datagrams, link: Link, bytes: Uint8Array) {
    this.#datagrams = datagrams
    this.link = link
    this.bytes = bytes
  }

  fire(): void {
    const { link } = this
    if (this.isReceived) this.#datagrams.receive(this)
    else if (link.partitions > 0) this.#datagrams.drop(this, 'partition')
    else if (link.clogs > 0) link.rare().held.push(this)
    else this.#datagrams.receive(this)
  }
}
