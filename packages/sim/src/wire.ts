/** What requests and answers travel on: the streams of the links. */

import type { LinkDice } from './link-dice.js'
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
  readonly #dice: LinkDice

  constructor(world: World, links: Links, dice: LinkDice) {
    this.#world = world
    this.#links = links
    this.#dice = dice
    this.trace = world.trace
  }

  send(link: Link, message: StreamMessage): void {
    link.stream ??= new Stream(this.#world, link, this.#dice)
    link.stream.send(message)
  }

  /** The link of the answers. */
  back(link: Link): Link {
    return this.#links.between(link.to, link.from)
  }

  /** Undefined if no node has the address. @throws TransportError `'INVALID_ARGUMENT'` for what is no address */
  toAddress(from: LinkEnd, address: string): Link | undefined {
    const to = this.#links.endOf(address)
    return to === undefined ? undefined : this.#links.between(from, to)
  }
}
