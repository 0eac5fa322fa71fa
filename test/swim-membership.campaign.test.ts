/**
 * Whole clusters under crashes, stalls, partitions, loss and clocks that go wrong: when the faults are over all views
 * are one again, and nobody who was there and could be reached all the time was ever taken for dead.
 * `HS_SIM_SEEDS=1000` for a longer run; a failure names its seed and what repeats it.
 */
import { systemClock } from '@hs/core'
import { simulate, type NodeEnv, type Scenario, type Simulation } from '@hs/sim'
import { Cluster, presets } from '@hs/swim'
import { describe, expect, it } from 'vitest'

const SEEDS = Number(process.env['HS_SIM_SEEDS'] ?? 10)
/** Other seeds on every day, the same within one, so that a failure can be seen again. */
const FRESH_SEED = 2_000_000 + Math.floor(systemClock.wallNow() / 86_400_000)
const SIZES = [5, 6, 8, 12, 20]
const RECONNECT_MS = 5_000

interface Seen {
  /** Deaths that were told, by who told them. */
  readonly deaths: { readonly of: string; readonly by: string; readonly cause: string; readonly atMs: number }[]
}

function member(sim: Simulation, name: string, seeds: readonly string[], seen: Seen, nodeName = name): void {
  sim.node(nodeName, async ({ clock, random, logger, datagram, rpc }: NodeEnv) => {
    const cluster = new Cluster({
      ...presets.local,
      name,
      clock,
      random,
      logger,
      datagram,
      rpc,
      seeds,
      reconnectIntervalMs: RECONNECT_MS,
      syncIntervalMs: 5_000,
    })
    cluster.events.on('memberDead', (dead, cause) => {
      seen.deaths.push({ of: dead.name, by: name, cause, atMs: sim.now })
      sim.sometimes('a death was told')
      if (cause === 'restarted') sim.sometimes('a restart was told as such')
    })
    cluster.events.on('memberRecovered', () => sim.sometimes('a suspect recovered'))
    cluster.events.on('superseded', () => sim.sometimes('a duplicate fell silent'))
    await cluster.start()
    return cluster
  })
}

/** A cluster whose size is drawn from the seed. */
function cluster(sim: Simulation): { readonly names: readonly string[]; readonly seen: Seen } {
  const size = sim.random.fork('size').pick(SIZES)
  const names = Array.from({ length: size }, (_, i) => `m${i}`)
  const seen: Seen = { deaths: [] }
  for (const name of names) member(sim, name, ['m0:1', 'm1:1', 'm2:1'], seen)
  return { names, seen }
}

const viewOf = (app: Cluster) =>
  app
    .members()
    .map(({ name, status }) => `${name} ${status}`)
    .sort()
    .join()

function agree(sim: Simulation, names: readonly string[]): void {
  const whole = names
    .map((name) => `${name} alive`)
    .sort()
    .join()
  sim.eventually('every member sees every other one, and nothing else', () => {
    const other = sim.apps<Cluster>().find((app) => viewOf(app) !== whole)
    return other === undefined || `${other.local.name} sees ${viewOf(other)}`
  })
}

const everything: Scenario = {
  name: 'a cluster under all faults',
  durationMs: 60_000,
  settleMs: 60_000,
  nemesis: { kinds: ['crash', 'pause', 'partition', 'clog', 'link', 'clock'] },
  setup: (sim) => agree(sim, cluster(sim).names),
}

const crashes: Scenario = {
  name: 'a cluster whose members crash',
  durationMs: 60_000,
  settleMs: 60_000,
  options: { link: { loss: 0.01 } },
  nemesis: { kinds: ['crash', 'clock'], meanGapMs: 10_000 },
  setup: (sim) => {
    const { names, seen } = cluster(sim)
    agree(sim, names)
    // Restarts have higher incarnations: who is still in the first life was there all the time.
    sim.always('nobody is taken for dead who was there all the time', () => {
      const wrong = seen.deaths.find(({ of }) => {
        const node = sim.nodes.get(of)
        return node?.incarnation === 1 && node.state === 'up'
      })
      return wrong === undefined || `${wrong.by} took ${wrong.of} for dead at ${wrong.atMs} ms (${wrong.cause})`
    })
  },
}

/** A name is taken again on the far side of a partition, where its holder is believed dead. */
const duplicates: Scenario = {
  name: 'two processes of one name',
  durationMs: 60_000,
  settleMs: 60_000,
  nemesis: { kinds: ['pause', 'link', 'clock'], maxForMs: 5_000 },
  mustReach: ['a duplicate fell silent'],
  setup: (sim) => {
    const seen: Seen = { deaths: [] }
    const names = ['m0', 'm1', 'm2', 'm3', 'twin']
    for (const name of names) member(sim, name, ['m0:1', 'm2:1'], seen)
    const here = ['m0', 'm1', 'twin']
    sim.at(10_000, () => sim.network.partition(here, ['m2', 'm3']))
    sim.at(12_000, () => {
      member(sim, 'twin', ['m2:1', 'm3:1'], seen, 'other')
      sim.network.partition(here, 'other')
    })
    sim.at(45_000, () => sim.network.heal())
    sim.eventually('one of the two is left, and all see it', () => {
      const running = sim.apps<Cluster>().filter(({ status }) => status === 'running')
      const twins = running.filter(({ local }) => local.name === 'twin')
      if (twins.length !== 1) return `${twins.length} of them run`
      const [twin] = twins
      const blind = running.find((app) => app.member('twin')?.id !== twin?.local.id || app.size !== names.length)
      return blind === undefined || `${blind.local.name} sees ${viewOf(blind)}`
    })
  },
}

describe('membership in simulation', () => {
  it('is one view again after any faults', { timeout: 900_000 }, async () => {
    const mustReach = ['a death was told', 'a restart was told as such', 'a suspect recovered']
    expect((await simulate({ ...everything, mustReach }, { seeds: SEEDS })).failures).toEqual([])
  })

  it('is one view again after the faults of today', { timeout: 900_000 }, async () => {
    expect((await simulate(everything, { seeds: 3, firstSeed: FRESH_SEED })).failures).toEqual([])
  })

  it('takes nobody for dead who was there all the time', { timeout: 900_000 }, async () => {
    const mustReach = ['a death was told']
    expect((await simulate({ ...crashes, mustReach }, { seeds: SEEDS })).failures).toEqual([])
  })

  it('leaves one of two processes of one name', { timeout: 900_000 }, async () => {
    expect((await simulate(duplicates, { seeds: SEEDS })).failures).toEqual([])
  })
})
