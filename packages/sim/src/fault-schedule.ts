/**
 * Has faults happen, and undoes each when its time is over. What overlaps adds up: partitions and clogs are counted,
 * clocks summed, links and disks changed in layers, and a node is down or paused as long as any fault says so;
 * a pause is of a process, and ends with it.
 */

import { assertNever, ConfigError } from '@hs/core'
import { parseFaults, type Fault } from './fault.js'
import type { Links } from './links.js'
import type { WorldNetwork } from './sim-network.js'
import { TimerEvent } from './timer-event.js'
import { traceKinds } from './trace.js'
import type { World } from './world.js'
import type { WorldNode } from './world-node.js'

interface Crashes {
  /** Faults that say that the node is down. */
  count: number
  /** One of them took the disk. */
  losesDisk: boolean
}

export class FaultSchedule {
  readonly #world: World
  readonly #nodes: ReadonlyMap<string, WorldNode>
  readonly #network: WorldNetwork
  readonly #links: Links
  readonly #waiting = new Set<TimerEvent>()
  /** What ends the faults that are on. */
  readonly #active = new Set<() => void>()
  readonly #crashes = new Map<WorldNode, Crashes>()

  constructor(world: World, nodes: ReadonlyMap<string, WorldNode>, network: WorldNetwork, links: Links) {
    this.#world = world
    this.#nodes = nodes
    this.#network = network
    this.#links = links
  }

  /**
   * A fault that should have begun already begins now, and ends when it should; one that should have ended is over.
   * @throws ConfigError if any is no fault, or of a node that is none; then none is scheduled
   */
  add(faults: readonly Fault[]): void {
    const owner = 'Simulation.schedule'
    const plan = parseFaults(faults, owner)
    const issues = plan.flatMap((fault, index) => this.#issuesOf(fault, `faults.${index}`))
    if (issues.length > 0) throw new ConfigError(owner, issues)
    const { now } = this.#world
    for (const fault of plan) {
      if (fault.atMs < now && fault.atMs + fault.forMs <= now) continue
      const timer = this.#at(Math.max(fault.atMs, now), () => {
        this.#waiting.delete(timer)
        this.#begin(fault)
      })
      this.#waiting.add(timer)
    }
  }

  /** Ends the faults that are on, and calls off those to come. */
  end(): void {
    for (const timer of this.#waiting) timer.cancel()
    this.#waiting.clear()
    for (const end of [...this.#active]) end()
  }

  #issuesOf(fault: Fault, path: string) {
    const side = (at: 'from' | 'to', names: readonly string[]) => names.map((name, i) => [`${at}.${i}`, name] as const)
    const names =
      'node' in fault ? [['node', fault.node] as const] : [...side('from', fault.from), ...side('to', fault.to)]
    return names
      .filter(([, name]) => !this.#nodes.has(name))
      .map(([at, value]) => ({
        path: `${path}.${at}`,
        message: 'expected the name of a node of this simulation',
        value,
      }))
  }

  #begin(fault: Fault): void {
    this.#world.trace.text(this.#world.workload, traceKinds.fault, JSON.stringify(fault))
    const undo = this.#apply(fault)
    const end = () => {
      if (!this.#active.delete(end)) return
      timer.cancel()
      undo()
    }
    this.#active.add(end)
    const timer = this.#at(fault.atMs + fault.forMs, end)
  }

  #at(atMs: number, fn: () => void): TimerEvent {
    const timer = new TimerEvent(this.#world, this.#world.workload, fn)
    this.#world.schedule(atMs, this.#world.workload, timer)
    return timer
  }

  #apply(fault: Fault): () => void {
    switch (fault.kind) {
      case 'crash':
        return this.#crash(this.#node(fault.node), fault.disk === 'lose')
      case 'pause':
        return this.#node(fault.node).pauseForNow()
      case 'partition':
        return this.#links.partition(this.#linksOf(fault, fault.oneWay))
      case 'clog':
        return this.#links.clog(this.#linksOf(fault, fault.oneWay))
      case 'link':
        return this.#links.changeForNow(this.#linksOf(fault, false), fault.change)
      case 'clock':
        return this.#changeClock(this.#node(fault.node), fault)
      case 'disk':
        return this.#changeDisk(this.#node(fault.node), fault)
      default:
        return assertNever(fault)
    }
  }

  /** The node is up again when the last such fault ends, unless it was down before the first. */
  #crash(node: WorldNode, losesDisk: boolean): () => void {
    let crashes = this.#crashes.get(node)
    if (crashes === undefined) {
      if (node.state === 'down') return () => undefined
      crashes = { count: 0, losesDisk: false }
      this.#crashes.set(node, crashes)
    }
    const all = crashes
    all.count++
    all.losesDisk ||= losesDisk
    node.crash()
    return () => {
      if (--all.count > 0) return
      this.#crashes.delete(node)
      if (node.state === 'down') node.restart({ disk: all.losesDisk ? 'lose' : 'keep' })
    }
  }

  #changeClock(node: WorldNode, { skewMs = 0, driftPpm = 0 }: Extract<Fault, { kind: 'clock' }>): () => void {
    const change = { skewMs, driftPpm }
    node.clockFaults.add(change)
    node.applyClock()
    return () => {
      node.clockFaults.delete(change)
      node.applyClock()
    }
  }

  #changeDisk(node: WorldNode, fault: Extract<Fault, { kind: 'disk' }>): () => void {
    const change = { ...fault.change }
    node.diskFaults.add(change)
    node.applyDisk()
    return () => {
      node.diskFaults.delete(change)
      node.applyDisk()
    }
  }

  #linksOf(fault: { readonly from: string[]; readonly to: string[] }, oneWay: boolean | undefined) {
    const nodes = (names: readonly string[]) => names.map((name) => this.#node(name))
    return this.#network.linksBetween(nodes(fault.from), nodes(fault.to), oneWay ?? false)
  }

  #node(name: string): WorldNode {
    const node = this.#nodes.get(name)
    if (node === undefined) throw new Error(`${name} was a node when the fault was scheduled`)
    return node
  }
}
