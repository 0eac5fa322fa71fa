/** What requests and answers travel on: the streams of the links. */

import type { LinkEnd } from './link-end.js'
import type { Link } from './link.js'
import type { Links } from './links.js'
import { Stream, type StreamMessage } from './stream.js'
import type { TraceLog } from './trace.js'
import type { World } from './world.js'

export class Wire {
  readonly trace: TraceLog
  readonly #world: World
  readonly #links: Links

  constructor(world: World, links: Links) {
    this.#world = world
    this.#links = links
    this.trace = world.trace
  }

  send(link: Link, message: StreamMessage): void {
    const extra = link.rare()
    extra.stream ??= new Stream(this.#world, link)
    extra.stream.send(message)
  }

  /** The link of the answers. */
  back(link: Link): Link {
    return this.#links.between(link.to, link.from)
  }

  /** Undefined if no node has the address. @throws TransportError `'INVALID_ARGUMENT'` for what is no address */
  toAddress(from: LinkEnd, address: string): Link | undefined {
    return this.#links.toAddress(from, address)
  }
}
