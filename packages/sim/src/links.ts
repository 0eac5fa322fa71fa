/**
 * The links between nodes, of which only those that are not as all others are kept. Partitions and clogs are counted, changes lie in layers: so
 * what overlaps adds up, and each ends on its own.
 */

import { parseAddress, TransportError } from '@hs/core'
import type { DatagramEvent } from './datagram-event.js'
import type { LinkEnd } from './link-end.js'
import type { LinkOptions } from './link-options.js'
import { Link, type LinkChange } from './link.js'
import { changed } from './simulation-options.js'

/** What is to be done with datagrams that a link held when nothing holds them any more. */
export interface LinkRelease {
  datagrams(link: Link, held: readonly DatagramEvent[]): void
}

export class Links {
  /** What links are like that are as all others. */
  readonly defaults: LinkOptions
  readonly #ends = new Map<string, LinkEnd>()
  readonly #release: LinkRelease

  constructor(defaults: LinkOptions, release: LinkRelease) {
    this.defaults = defaults
    this.#release = release
  }

  add(end: LinkEnd): void {
    this.#ends.set(end.address, end)
  }

  /** Who has an address; undefined if no node has. @throws TransportError `'INVALID_ARGUMENT'` for what is no address */
  endOf(address: string): LinkEnd | undefined {
    const end = this.#ends.get(address)
    if (end !== undefined) return end
    try {
      parseAddress(address)
    } catch (cause) {
      throw new TransportError('INVALID_ARGUMENT', `Expected an address like host:port, found ${String(address)}`, {
        notExecuted: true,
        cause,
      })
    }
    return undefined
  }

  /** The link, which may be changed from now on. */
  between(from: LinkEnd, to: LinkEnd): Link {
    from.links ??= new Map()
    let link = from.links.get(to)
    if (link === undefined) {
      link = new Link(from, to, this.defaults)
      from.links.set(to, link)
    }
    return link
  }

  /** Changes what links are like for good. */
  change(links: readonly Link[], change: LinkChange): void {
    for (const link of links) {
      link.base = changed(link.base, change)
      restack(link)
    }
  }

  /** Changes what links are like until the result is called. */
  changeForNow(links: readonly Link[], change: LinkChange): () => void {
    // A layer of its own, though another fault may be the same change.
    const layer = { ...change }
    for (const link of links) {
      link.layers.add(layer)
      restack(link)
    }
    return () => {
      for (const link of links) if (link.layers.delete(layer)) restack(link)
    }
  }

  /** Cuts links until the result is called, or they are healed. */
  partition(links: readonly Link[]): () => void {
    const cut = links.map((link) => {
      link.partitions++
      return { link, healed: link.healed }
    })
    return () => {
      for (const { link, healed } of cut) {
        if (link.healed !== healed) continue
        link.partitions--
        this.#releaseFrom(link)
      }
    }
  }

  clog(links: readonly Link[]): () => void {
    const clogged = links.map((link) => {
      link.clogs++
      return { link, unclogged: link.unclogged }
    })
    return () => {
      for (const { link, unclogged } of clogged) {
        if (link.unclogged !== unclogged) continue
        link.clogs--
        this.#releaseFrom(link)
      }
    }
  }

  /** Ends all partitions of links. */
  heal(links: Iterable<Link>): void {
    for (const link of links) {
      if (link.partitions === 0) continue
      link.partitions = 0
      link.healed++
      this.#releaseFrom(link)
    }
  }

  unclog(links: Iterable<Link>): void {
    for (const link of links) {
      if (link.clogs === 0) continue
      link.clogs = 0
      link.unclogged++
      this.#releaseFrom(link)
    }
  }

  #releaseFrom(link: Link): void {
    if (link.clogs > 0) return
    if (link.held.length > 0) this.#release.datagrams(link, link.held.splice(0))
    if (link.partitions === 0) link.stream?.release()
  }
}

/** The layers over the base, the later over the earlier. */
function restack(link: Link): void {
  let options = link.base
  for (const layer of link.layers) options = changed(options, layer)
  link.options = options
}
