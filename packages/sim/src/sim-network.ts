/** The network as a test sees it: links between nodes by name, and what stands in their way. */

import * as z from 'zod'
import { ConfigError, parseOptions } from '@hs/core'
import type { Datagrams, SimNetworkStats } from './datagrams.js'
import type { LinkEnd } from './link-end.js'
import { linkChangeSchema, type LinkOptions } from './link-options.js'
import type { Link, LinkChange } from './link.js'
import type { Links } from './links.js'

export interface Direction {
  /** Only from the first to the second. @default false */
  oneWay?: boolean
}

export interface SimNetwork {
  /** Changes what the links between nodes are like. @throws ConfigError, as all of these, for what is no node or no option */
  link(a: string | string[], b: string | string[], options: Partial<LinkOptions>, how?: Direction): void
  /** Drops what is sent and what arrives, until it is healed. */
  partition(a: string | string[], b: string | string[], how?: Direction): void
  /** Ends all partitions between nodes, of whatever direction; without `b` those of `a` with anyone, without both all. */
  heal(a?: string | string[], b?: string | string[]): void
  /** Holds what would arrive, until it is unclogged; nothing is lost. */
  clog(a: string | string[], b: string | string[], how?: Direction): void
  unclog(a?: string | string[], b?: string | string[]): void
  /** Whether neither a partition nor a clog stands in this direction. */
  isConnected(from: string, to: string): boolean
  /** Of datagrams. */
  stats(): SimNetworkStats
}

type Names = string | readonly string[]

let cachedSchemas: ReturnType<typeof makeSchemas> | undefined
const schemas = () => (cachedSchemas ??= makeSchemas())
const makeSchemas = () => ({ how: z.strictObject({ oneWay: z.boolean().optional() }), change: linkChangeSchema() })

export class WorldNetwork implements SimNetwork {
  readonly #nodes: ReadonlyMap<string, LinkEnd>
  readonly #links: Links
  readonly #datagrams: Datagrams

  constructor(nodes: ReadonlyMap<string, LinkEnd>, links: Links, datagrams: Datagrams) {
    this.#nodes = nodes
    this.#links = links
    this.#datagrams = datagrams
  }

  link(a: Names, b: Names, options: Partial<LinkOptions>, how?: Direction): void {
    const change = parseOptions(schemas().change, options, 'SimNetwork.link') as LinkChange
    this.#links.change(this.#between('link', a, b, how), change)
  }

  partition(a: Names, b: Names, how?: Direction): void {
    this.#links.partition(this.#between('partition', a, b, how))
  }

  heal(a?: Names, b?: Names): void {
    this.#links.heal(this.#existing('heal', a, b))
  }

  clog(a: Names, b: Names, how?: Direction): void {
    this.#links.clog(this.#between('clog', a, b, how))
  }

  unclog(a?: Names, b?: Names): void {
    this.#links.unclog(this.#existing('unclog', a, b))
  }

  isConnected(from: string, to: string): boolean {
    const [source] = this.#nodesOf('isConnected', 'from', from)
    const [target] = this.#nodesOf('isConnected', 'to', to)
    const link = target === undefined ? undefined : source?.links?.get(target)
    return link === undefined || (link.partitions === 0 && link.clogs === 0)
  }

  stats(): SimNetworkStats {
    return this.#datagrams.stats()
  }

  /** Links from `a` to `b` and, unless it is one way, back. A node's link to itself is none. */
  #between(method: string, a: Names, b: Names, how: Direction | undefined): Link[] {
    const { oneWay = false } = parseOptions(schemas().how, how, `SimNetwork.${method}`)
    return this.linksBetween(this.#nodesOf(method, 'a', a), this.#nodesOf(method, 'b', b), oneWay)
  }

  linksBetween(from: readonly LinkEnd[], to: readonly LinkEnd[], oneWay: boolean): Link[] {
    const links = new Set<Link>()
    for (const a of from) {
      for (const b of to) {
        if (a === b) continue
        links.add(this.#links.between(a, b))
        if (!oneWay) links.add(this.#links.between(b, a))
      }
    }
    return [...links]
  }

  *#existing(method: string, a: Names | undefined, b: Names | undefined): Iterable<Link> {
    const left = a === undefined ? undefined : new Set(this.#nodesOf(method, 'a', a))
    const right = b === undefined ? undefined : new Set(this.#nodesOf(method, 'b', b))
    const joins = (from: LinkEnd, to: LinkEnd) => (left?.has(from) ?? true) && (right?.has(to) ?? true)
    for (const from of this.#nodes.values()) {
      for (const link of from.links?.values() ?? []) if (joins(from, link.to) || joins(link.to, from)) yield link
    }
  }

  #nodesOf(method: string, path: string, names: Names): LinkEnd[] {
    const list: readonly unknown[] = Array.isArray(names) ? names : [names]
    const unknown = list.filter((name) => !this.#nodes.has(name as string))
    if (unknown.length > 0) {
      const message = 'expected the name of a node of this simulation'
      throw new ConfigError(
        `SimNetwork.${method}`,
        unknown.map((value) => ({ path, message, value })),
      )
    }
    return list.flatMap((name) => this.#nodes.get(name as string) ?? [])
  }
}
