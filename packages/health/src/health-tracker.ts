/**
 * The nodes that somebody judges. When many are to be evicted at once it is more likely that we are cut off than that
 * they are dead: then they are held, for a while.
 * Source: Kubernetes' node lifecycle, whose `unhealthy-zone-threshold` is 0.55.
 */
import { deepFreeze, HsError, parseOptions, type Clock } from '@hs/core'
import * as z from 'zod'
import { LinkList, unlink, type Link } from './link-list.js'
import {
  NodeHealth,
  nodeHealthShape,
  NodeHealthSettings,
  ratiosAscend,
  type NodeHealthOptions,
  type NodeOwner,
} from './node-health.js'
import { nodeStatuses, type NodeStatus } from './node-verdict.js'

export interface HealthTrackerOptions extends NodeHealthOptions {
  /** Nodes remembered, at least 1; a dead one makes room for a newcomer, or else the oldest. @default 10_000 */
  maxNodes?: number
  /** Share of the nodes, 0 to 1: if more are to be evicted, and at least two, they are held. @default 0.5 */
  holdFraction?: number
  /** For how long each is held at most, in milliseconds, 0 or more. @default 300_000 */
  holdMs?: number
}

export interface HealthTrackerSnapshot {
  readonly nodes: number
  readonly counts: Readonly<Record<NodeStatus, number>>
}

export interface Evictions {
  readonly evict: string[]
  /** To be evicted, if it were not so many. */
  readonly held: string[]
}

const schema = /* @__PURE__ */ (() =>
  z
    .strictObject({
      ...nodeHealthShape,
      maxNodes: z.int().min(1).default(10_000),
      holdFraction: z.number().min(0).max(1).default(0.5),
      holdMs: z.number().min(0).default(300_000),
    })
    .refine(ratiosAscend.check, ratiosAscend.issue))()

/** Those that live by their last sign of life, and apart from them those that missed too often. */
class Watchlists {
  readonly heard = new LinkList<TrackedNode>()
  readonly missing = new LinkList<TrackedNode>()
}

class TrackedNode implements Link, NodeOwner {
  readonly id: string
  readonly health: NodeHealth
  previous: Link = this
  next: Link = this
  heldSinceMs: number | undefined = undefined
  /** Undefined once it is forgotten. */
  #lists: Watchlists | undefined

  constructor(id: string, settings: NodeHealthSettings, lists: Watchlists) {
    this.id = id
    this.health = new NodeHealth(settings, this)
    this.#lists = lists
    this.heard()
  }

  heard(): void {
    this.#moveTo(this.#lists?.heard)
  }

  missedTooOften(): void {
    this.#moveTo(this.#lists?.missing)
  }

  recovered(): void {
    this.heldSinceMs = undefined
  }

  leave(): void {
    unlink(this)
    this.#lists = undefined
  }

  #moveTo(list: LinkList<TrackedNode> | undefined): void {
    unlink(this)
    list?.append(this)
  }
}

/** One record a node. */
export class HealthTracker {
  readonly #clock: Clock
  readonly #settings: NodeHealthSettings
  readonly #maxNodes: number
  readonly #holdFraction: number
  readonly #holdMs: number
  /** From the oldest on. */
  readonly #nodes = new Map<string, TrackedNode>()
  readonly #lists = new Watchlists()

  /** @throws ConfigError */
  constructor(options?: HealthTrackerOptions) {
    const { maxNodes, holdFraction, holdMs, ...own } = parseOptions(schema, options, 'HealthTracker')
    this.#clock = own.clock
    this.#settings = new NodeHealthSettings(own)
    this.#maxNodes = maxNodes
    this.#holdFraction = holdFraction
    this.#holdMs = holdMs
  }

  /**
   * The node of this name; one that is not known yet begins with the grace of `livenessMs`.
   * @throws HsError `'INVALID_ARGUMENT'` if the name is no text.
   */
  node(id: string): NodeHealth {
    const known = this.#nodes.get(id)
    if (known !== undefined) return known.health
    if (typeof id !== 'string') throw new HsError('INVALID_ARGUMENT', `A node is a string, found ${typeof id}`)
    if (this.#nodes.size >= this.#maxNodes) this.#makeRoom()
    const node = new TrackedNode(id, this.#settings, this.#lists)
    this.#nodes.set(id, node)
    return node.health
  }

  /** True if it was there. */
  forget(id: string): boolean {
    const node = this.#nodes.get(id)
    if (node === undefined) return false
    this.#remove(node)
    return true
  }

  /** Nodes that are remembered. */
  get size(): number {
    return this.#nodes.size
  }

  /** Who may be given work: first those to route to, then those to investigate. */
  routable(): string[] {
    const nowMs = this.#clock.now()
    const first: string[] = []
    const then: string[] = []
    for (const { id, health } of this.#nodes.values()) {
      const { advice } = health.verdictAt(nowMs)
      if (advice === 'route') first.push(id)
      else if (advice === 'investigate') then.push(id)
    }
    return [...first, ...then]
  }

  /** Whose work to take away now, and whose only if it stays like this. The caller forgets those that it evicts. */
  evictions(): Evictions {
    const nowMs = this.#clock.now()
    const failing: TrackedNode[] = []
    for (const node of this.#nodes.values()) {
      if (node.health.verdictAt(nowMs).advice === 'evict') failing.push(node)
      else node.heldSinceMs = undefined
    }
    const areHeld = failing.length >= 2 && failing.length > this.#holdFraction * this.#nodes.size
    if (areHeld) for (const node of failing) node.heldSinceMs ??= nowMs
    const isHeld = ({ heldSinceMs }: TrackedNode) =>
      areHeld && heldSinceMs !== undefined && nowMs - heldSinceMs < this.#holdMs
    return {
      evict: failing.filter((node) => !isHeld(node)).map(({ id }) => id),
      held: failing.filter(isHeld).map(({ id }) => id),
    }
  }

  /** Nodes by status. */
  counts(): Record<NodeStatus, number> {
    const nowMs = this.#clock.now()
    const counts = Object.fromEntries(nodeStatuses.map((status) => [status, 0])) as Record<NodeStatus, number>
    for (const { health } of this.#nodes.values()) counts[health.verdictAt(nowMs).status]++
    return counts
  }

  /** What a dashboard shows. */
  snapshot(): HealthTrackerSnapshot {
    return deepFreeze({ nodes: this.#nodes.size, counts: this.counts() })
  }

  /** One that missed too often is dead; else who was silent for longest may be. */
  #makeRoom(): void {
    const { missing, heard } = this.#lists
    const silent = heard.first
    const isDead = silent !== undefined && !silent.health.isLiveAt(this.#clock.now())
    const [oldest] = this.#nodes.values()
    const goes = missing.first ?? (isDead ? silent : oldest)
    if (goes !== undefined) this.#remove(goes)
  }

  #remove(node: TrackedNode): void {
    this.#nodes.delete(node.id)
    node.leave()
  }
}
