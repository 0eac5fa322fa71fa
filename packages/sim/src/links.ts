/**
 * The links between nodes, each made when it is first used. Partitions and clogs are counted, changes lie in layers: so
 * what overlaps adds up, and each ends on its own.
 */

import { parseAddress, TransportError } from '@hs/core'
import type { DatagramEvent } from './datagram-event.js'
import type { LinkEnd } from './link-end.js'
import type { LinkOptions } from './link-options.js'
import { Link, type LinkChange } from './link.js'
import { changed } from './simulation-options.js'

/** What is to be done with what a link held when nothing holds it any more. */
export interface LinkRelease {
  datagrams(link: Link, held: readonly DatagramEvent[]): void
  stream(link: Link): void
}

export class Links {
  readonly #defaults: LinkOptions
  readonly #ends = new Map<string, LinkEnd>()
  readonly #release: LinkRelease

  constructor(defaults: LinkOptions, release: LinkRelease) {
    this.#defaults = defaults
    this.#release = release
  }

  add(end: LinkEnd): void {
    this.#ends.set(end.address, end)
  }

  /** The link to an address; undefined if no node has it. @throws TransportError `'INVALID_ARGUMENT'` for what is no address */
  toAddress(from: LinkEnd, address: string): Link | undefined {
    const known = from.links.get(address)
    if (known !== undefined) return known
    const to = this.#ends.get(address)
    if (to !== undefined) return this.between(from, to)
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

  between(from: LinkEnd, to: LinkEnd): Link {
    const known = from.links.get(to.address)
    if (known !== undefined) return known
    const link = new Link(from, to, this.#defaults)
    from.links.set(to.address, link)
    return link
  }

  /** Changes what links are like for good. */
  change(links: readonly Link[], change: LinkChange): void {
    for (const link of links) {
      const extra = link.rare()
      extra.base = changed(extra.base, change)
      restack(link)
    }
  }

  /** Changes what links are like until the result is called. */
  changeForNow(links: readonly Link[], change: LinkChange): () => void {
    // A layer of its own, though another fault may be the same change.
    const layer = { ...change }
    for (const link of links) {
      link.rare().layers.add(layer)
      restack(link)
    }
    return () => {
      for (const link of links) if (link.rare().layers.delete(layer)) restack(link)
    }
  }

  /** Cuts links until the result is called, or they are healed. */
  partition(links: readonly Link[]): () => void {
    const cut = links.map((link) => {
      link.partitions++
      return { link, healed: link.rare().healed }
    })
    return () => {
      for (const { link, healed } of cut) {
        if (link.rare().healed !== healed) continue
        link.partitions--
        this.#releaseFrom(link)
      }
    }
  }

  clog(links: readonly Link[]): () => void {
    const clogged = links.map((link) => {
      link.clogs++
      return { link, unclogged: link.rare().unclogged }
    })
    return () => {
      for (const { link, unclogged } of clogged) {
        if (link.rare().unclogged !== unclogged) continue
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
      link.rare().healed++
      this.#releaseFrom(link)
    }
  }

  unclog(links: Iterable<Link>): void {
    for (const link of links) {
      if (link.clogs === 0) continue
      link.clogs = 0
      link.rare().unclogged++
      this.#releaseFrom(link)
    }
  }

  #releaseFrom(link: Link): void {
    const { extra } = link
    if (extra === undefined || link.clogs > 0) return
    if (extra.held.length > 0) this.#release.datagrams(link, extra.held.splice(0))
    if (link.partitions === 0 && extra.stream !== undefined) this.#release.stream(link)
  }
}

/** The layers over the base, the later over the earlier. */
function restack(link: Link): void {
  const { base, layers } = link.rare()
  let options = base
  for (const layer of layers) options = changed(options, layer)
  link.options = options
}
