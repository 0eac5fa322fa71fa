/** The datacenters of a gate: who leads each, and which ones a job goes to. */
import { DatacenterLink, type DatacenterSnapshot, type LinkStatus } from './datacenter-link.js'
import { DatacenterProbes } from './datacenter-probes.js'
import type { NodeLife } from './node-life.js'
import type { Submission } from './wire/client-gate.js'
import { refuse, type Refusal } from './wire/fields.js'

export interface DatacenterLinksOptions {
  readonly life: NodeLife
  /** By name, the addresses of some of its managers. */
  readonly datacenters: Readonly<Record<string, readonly string[]>>
  onLeader(datacenter: string): void
  onStatus(datacenter: string, status: LinkStatus): void
}

const RANK: Readonly<Record<LinkStatus, number>> = { healthy: 0, busy: 1, degraded: 2, unhealthy: 3, unreachable: 4 }

export class DatacenterLinks {
  readonly #life: NodeLife
  readonly #links = new Map<string, DatacenterLink>()
  readonly #probes: DatacenterProbes
  readonly #startedAt: number

  /** Asks each of them from now on. */
  constructor({ life, datacenters, onLeader, onStatus }: DatacenterLinksOptions) {
    const { runtime, timing, scope, reporter, label, peer } = life
    this.#life = life
    this.#startedAt = runtime.clock.now()
    this.#probes = new DatacenterProbes({
      life,
      onHealth: (name, health) => this.get(name)?.judged(health),
      onReachability: (name, reachability) => this.get(name)?.reached(reachability),
      onLeader: (name, leader) => this.get(name)?.hinted(leader),
    })
    for (const [name, managers] of Object.entries(datacenters)) {
      const link = new DatacenterLink({
        name,
        managers,
        peer,
        clock: runtime.clock,
        timing,
        signal: scope.signal,
        gate: { id: life.id, address: life.address },
        onLeader: (leader) => {
          this.#probes.follow(name, leader)
          onLeader(name)
        },
        onStatus: (status) => onStatus(name, status),
        onError: (error) => reporter.report(`${label}.datacenter`, error, { datacenter: name }),
      })
      this.#links.set(name, link)
      this.#probes.add(name, managers[0] ?? '')
      scope.every(
        `datacenter ${name}`,
        timing.heartbeatMs,
        async () => {
          await link.poll()
          life.changed.notify()
        },
        { immediate: true },
      )
    }
    this.#probes.start()
  }

  get(name: string): DatacenterLink | undefined {
    return this.#links.get(name)
  }

  values(): IterableIterator<DatacenterLink> {
    return this.#links.values()
  }

  /** The leader of every datacenter has answered; after `staleNodeMs` that of one is enough. */
  get ready(): boolean {
    const links = [...this.#links.values()]
    if (links.every((link) => link.answered)) return true
    const { runtime, timing } = this.#life
    return runtime.clock.now() - this.#startedAt >= timing.staleNodeMs && links.some((link) => link.answered)
  }

  get counters(): Readonly<Record<string, number>> {
    return this.#probes.counters
  }

  stop(): Promise<void> {
    return this.#probes.stop()
  }

  facts(): Record<string, DatacenterSnapshot> {
    return Object.fromEntries(Array.from(this.#links, ([name, link]) => [name, link.facts()]))
  }

  /** Those to send a job to, or why there are none. */
  choose(wanted: Submission['datacenters']): readonly string[] | Refusal {
    const { id } = this.#life
    if (Array.isArray(wanted)) {
      const unknown = wanted.find((name) => !this.#links.has(name))
      if (unknown !== undefined) return refuse('NO_DATACENTER', `${id} knows no datacenter ${unknown}`)
      const names = [...new Set(wanted)]
      if (names.some((name) => this.#isUsable(name))) return names
      return refuse('NO_DATACENTER', `none of ${names.join(', ')} answers`)
    }
    const candidates = [...this.#links.values()]
      .filter((link) => this.#isUsable(link.name))
      .map((link) => ({ name: link.name, suspected: Number(link.suspected), ...link.facts() }))
      .sort((a, b) => a.suspected - b.suspected || RANK[a.status] - RANK[b.status] || b.freeCores - a.freeCores)
      .map(({ name }) => name)
    const count = wanted === 'all' ? candidates.length : wanted
    if (count === 0 || candidates.length < count)
      return refuse('NO_DATACENTER', `${candidates.length} datacenters answer, ${String(wanted)} were asked for`)
    return candidates.slice(0, count)
  }

  #isUsable(name: string): boolean {
    const link = this.#links.get(name)
    return link !== undefined && link.status !== 'unreachable'
  }
}
