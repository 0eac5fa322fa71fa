/** Clusters of a size that the seed draws, what their members tell, and what must hold of them in the end. */
import type { NodeEnv, Simulation } from '@hs/sim'
import { Cluster } from '@hs/swim'

/** All views are one again within twice this time after the last fault. */
export const RECONNECT_MS = 30_000
export const FAULTS_MS = 60_000
export const SETTLE_MS = 2 * RECONNECT_MS

export interface Death {
  readonly of: string
  readonly by: string
  readonly cause: string
  readonly atMs: number
}

/** What the whole run has seen. */
export interface Seen {
  readonly deaths: Death[]
}

/** Mostly small clusters, which show the same in less time, and some as large as may be. */
export function drawSize(sim: Simulation, min: number, max: number): number {
  return Math.round(min * (max / min) ** (sim.random.fork('size').next() ** 2))
}

export const namesOf = (size: number): string[] => Array.from({ length: size }, (_, i) => `m${i}`)

/** Boots a member at the node of its name, or at another one. */
export function addMember(sim: Simulation, seen: Seen, name: string, seeds: readonly string[], at = name): void {
  sim.node(at, async ({ clock, random, logger, datagram, rpc }: NodeEnv) => {
    const cluster = new Cluster({
      name,
      clock,
      random,
      logger,
      datagram,
      rpc,
      seeds,
      reconnectIntervalMs: RECONNECT_MS,
    })
    cluster.events.on('memberDead', (dead, cause) => {
      seen.deaths.push({ of: dead.name, by: name, cause, atMs: sim.now })
      sim.sometimes('a death')
      sim.sometimes('a restart', cause === 'restarted')
    })
    cluster.events.on('memberRecovered', () => sim.sometimes('a suspect that recovered'))
    cluster.events.on('superseded', () => sim.sometimes('a superseded duplicate'))
    cluster.events.on('renewed', () => sim.sometimes('a renewed generation'))
    await cluster.start()
    return cluster
  })
}

/** What of another view is not `whole`, as a text; empty: nothing. */
function differenceOf(app: Cluster, whole: ReadonlySet<string>): string {
  const odd: string[] = []
  for (const { name, status } of app.members())
    if (status !== 'alive' || !whole.has(name)) odd.push(`${name} ${status}`)
  const missing = [...whole].filter((name) => {
    const status = app.member(name)?.status
    return status !== 'alive' && status !== 'suspect'
  })
  return [...odd, ...missing.map((name) => `${name} ${app.member(name)?.status ?? 'unknown'}`)].join(', ')
}

export function expectOneView(sim: Simulation, names: readonly string[]): void {
  const whole = new Set(names)
  sim.eventually('every member sees every other one alive, and nobody else', () => {
    for (const app of sim.apps<Cluster>()) {
      sim.sometimes('a refutation', app.snapshot().counters.refutations > 0)
      const difference = differenceOf(app, whole)
      if (difference !== '') return `${app.local.name}, of ${names.length}: ${difference}`
    }
    return true
  })
}

/** A process that never ended has no successor. */
export function expectTrueRestarts(sim: Simulation, seen: Seen): void {
  let checked = 0
  sim.always('a restart is told of those alone that did restart', () => {
    for (; checked < seen.deaths.length; checked++) {
      const { of, by, cause, atMs } = seen.deaths[checked] as Death
      if (cause === 'restarted' && sim.nodes.get(of)?.incarnation === 1) return `${by} told one of ${of} at ${atMs} ms`
    }
    return true
  })
}
