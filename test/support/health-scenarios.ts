/** What happens to gates, links, datacenters and leaders, and what the gates must make of it. */
import type { Scenario, Simulation } from '@hs/sim'
import { bootWorld, DATACENTERS, expectRecovery, GATES, managerOf, REGIONS, type GateApp } from './health-federation.js'

/** A wide area: tens of milliseconds, and their spread. */
const WIDE = { latency: { kind: 'exponential', minMs: 20, meanMs: 40 } } as const
const MINUTE_MS = 60_000
const managers = DATACENTERS.map((dc) => managerOf(dc, 1))

/** Holds at a time, not from then on. */
function expectAt(sim: Simulation, atMs: number, name: string, check: () => boolean | string): void {
  let result: boolean | string = true
  sim.at(atMs, () => {
    result = check()
  })
  sim.always(name, () => result)
}

const same = (found: readonly string[], expected: readonly string[]) =>
  found.join() === expected.join() || `found ${found.join(', ')}, expected ${expected.join(', ')}`

/** A link is cut, a datacenter dies, another one is slow: three things that look alike to who only counts failures. */
export const toldApart: Scenario = {
  name: 'a cut link, a dead datacenter and a slow one',
  durationMs: 4 * MINUTE_MS,
  settleMs: 2 * MINUTE_MS,
  nemesis: false,
  options: { link: WIDE },
  setup: (sim) => {
    const world = bootWorld(sim)
    const dice = sim.random.fork('choice')
    const cut = dice.pick(DATACENTERS)
    // Elsewhere: two of one region would be that region's trouble.
    const dead = dice.pick(DATACENTERS.filter((dc) => REGIONS[dc] !== REGIONS[cut]))
    const slow = dice.pick(DATACENTERS.filter((dc) => dc !== cut && dc !== dead))
    sim.at(MINUTE_MS, () => {
      sim.network.partition('gate-1', managerOf(cut, 1))
      sim.nodes.get(managerOf(dead, 1))?.crash()
      for (const gate of GATES)
        sim.network.link(gate, managerOf(slow, 1), { latency: { kind: 'uniform', minMs: 1_500, maxMs: 2_000 } })
    })
    const atMs = 3 * MINUTE_MS
    const inOrder = (...dcs: string[]) => DATACENTERS.filter((dc) => dcs.includes(dc))
    expectAt(sim, atMs, 'the gate with the cut link misses two', () =>
      same(world.app(0).unreachable(), inOrder(cut, dead)),
    )
    expectAt(sim, atMs, 'the other one misses the dead one alone', () => same(world.app(1).unreachable(), [dead]))
    expectAt(sim, atMs, 'the slow one is reachable, and seen to be slow', () =>
      GATES.every((_, gate) => {
        const status = world.app(gate).health.status(slow)
        return status?.reachability === 'reachable' && (status.rttMs ?? 0) > 2_000 && status.facts !== null
      }),
    )
    expectAt(sim, atMs, 'whoever misses one alone evicts it, whoever misses two of five holds', () => {
      const evicted = same(world.app(1).evicted, [dead])
      return world.app(0).evicted.length === 0 ? evicted : `gate-1 evicted ${world.app(0).evicted.join(', ')}`
    })
    sim.at(3.5 * MINUTE_MS, () => {
      sim.network.heal()
      sim.nodes.get(managerOf(dead, 1))?.restart()
    })
    expectRecovery(sim, world)
  },
}

/** It is not they who are dead. */
export const cutOff: Scenario = {
  name: 'one gate cut off from all',
  durationMs: 5 * MINUTE_MS,
  settleMs: 2 * MINUTE_MS,
  nemesis: false,
  options: { link: WIDE },
  mustReach: ['high', 'all unreachable', 'healed'],
  setup: (sim) => {
    const world = bootWorld(sim)
    const dice = sim.random.fork('cut')
    const fromMs = 20_000 + dice.int(MINUTE_MS)
    const forMs = 70_000 + dice.int(2 * MINUTE_MS)
    sim.at(fromMs, () => sim.network.partition('gate-1', managers))
    sim.at(fromMs + forMs, () => sim.network.heal())
    sim.always('the gate that is cut off evicts nobody', () => {
      const { evicted, detector } = world.app(0)
      const all = world.app(0).unreachable().length === DATACENTERS.length && world.app(0).suspects > 0
      sim.sometimes('high', detector.assess().severity === 'high')
      sim.sometimes('all unreachable', all)
      sim.sometimes('healed', world.app(0).episodes.includes('healed'))
      if (all && !detector.assess().holdEvictions) return 'all are unreachable, and evictions are not held'
      return evicted.length === 0 || `evicted ${evicted.join(', ')}`
    })
    sim.always('the other gate sees nothing', () => world.app(1).suspects === 0 && world.app(1).episodes.length === 0)
    sim.eventually('one detection, one healing, and what its listener threw is in the log', () => {
      const reported = world.gates[0]?.logs
        .at('error')
        .filter(({ fields }) => fields['source'] === 'CorrelationDetector.partitionDetected')
      if (reported?.length !== 1) return `${reported?.length} reports`
      return same(world.app(0).episodes, ['detected', 'healed'])
    })
    expectRecovery(sim, world)
  },
}

/** Two datacenters of one region fail together: that is the region, not us. */
export const darkRegion: Scenario = {
  name: 'one region dark',
  durationMs: 4 * MINUTE_MS,
  settleMs: 2 * MINUTE_MS,
  nemesis: false,
  options: { link: WIDE },
  mustReach: ['regional'],
  setup: (sim) => {
    const world = bootWorld(sim)
    const region = sim.random.fork('region').pick(['eu', 'us'])
    const dark = DATACENTERS.filter((dc) => dc.startsWith(region))
    const darkManagers = dark.map((dc) => managerOf(dc, 1))
    sim.at(30_000, () => sim.network.partition(darkManagers, GATES))
    sim.at(3 * MINUTE_MS, () => sim.network.heal())
    const together = (app: GateApp) => dark.every((dc) => app.detector.state(dc) === 'failed')
    sim.always('a dark region is regional, at most low, and holds no evictions', () => {
      for (const { app } of world.gates) {
        if (app === undefined || !together(app)) continue
        const { severity, regional, holdEvictions } = app.detector.assess()
        sim.sometimes('regional', regional)
        if (severity !== 'low' || !regional || holdEvictions)
          return `${severity}, regional ${regional}, hold ${holdEvictions}`
      }
      return true
    })
    sim.always('and no partition', () => world.gates.every(({ app }) => app === undefined || app.episodes.length === 0))
    expectAt(sim, 2 * MINUTE_MS, 'they are evicted', () => same(world.app(0).evicted.toSorted(), dark))
    expectRecovery(sim, world)
  },
}

/** What a bad line is on every day. */
export const lossyDay: Scenario = {
  name: '5 % loss and 300 ms for a day',
  durationMs: 86_400_000,
  settleMs: MINUTE_MS,
  nemesis: false,
  options: { link: { loss: 0.05, latency: { kind: 'exponential', minMs: 100, meanMs: 150 } }, maxEvents: 50_000_000 },
  setup: (sim) => {
    const world = bootWorld(sim)
    sim.every(10_000, () => {
      for (const gate of GATES.keys())
        if (world.app(gate).suspects > 0) throw new Error(JSON.stringify(world.app(gate).changes))
    })
    sim.eventually('every datacenter was probed all day', () =>
      GATES.every((_, gate) => world.app(gate).health.snapshot().acks > DATACENTERS.length * 38_000),
    )
    expectRecovery(sim, world)
  },
}

/** A leader that changes while probes are under way is no bad news. */
export const newLeaders: Scenario = {
  name: 'leaders that change while probes are under way',
  durationMs: 2 * MINUTE_MS,
  settleMs: 30_000,
  nemesis: false,
  options: { link: { latency: { kind: 'exponential', minMs: 100, meanMs: 400 } } },
  mustReach: ['told by another manager', 'told by an election'],
  setup: (sim) => {
    const world = bootWorld(sim, { managers: 3 })
    const dice = sim.random.fork('elections')
    const terms = new Map<string, number>()
    const told = new Map<string, number>()
    sim.every(1_500, () => {
      if (sim.now > 110_000) return
      const dc = dice.pick(DATACENTERS)
      world.leaders.set(dc, managerOf(dc, 1 + dice.int(3)))
      const { node, term } = world.leaders.of(dc)
      if (dice.next() < 0.5) return // found out from whoever is asked next
      for (const gate of world.gates) {
        const isNews = gate.call(({ health }) => health.updateLeader(dc, { address: `${node}:1`, term }))
        if (isNews) told.set(gate.name, (told.get(gate.name) ?? 0) + 1)
        sim.sometimes('told by an election', isNews)
      }
    })
    sim.always('nobody is suspected, and no term falls', () => {
      for (const { app, name } of world.gates) {
        if (app === undefined) continue
        sim.sometimes('told by another manager', app.moves > (told.get(name) ?? 0))
        if (app.suspects > 0) return `${name}: ${JSON.stringify(app.changes)}`
        for (const dc of DATACENTERS) {
          const term = app.health.status(dc)?.leader.term ?? 0
          if (term < (terms.get(name + dc) ?? 0)) return `${name}: ${dc} fell to term ${term}`
          terms.set(name + dc, term)
        }
      }
      return true
    })
    sim.eventually('every gate asks the leader', () =>
      world.gates.every(({ app }) =>
        DATACENTERS.every((dc) => {
          const { node, term } = world.leaders.of(dc)
          const known = app?.health.status(dc)?.leader
          return known?.address === `${node}:1` && known.term === term
        }),
      ),
    )
    expectRecovery(sim, world)
  },
}

/** Wall clocks that differ by minutes, and step: nothing here compares them. */
export const skewedClocks: Scenario = {
  name: 'clocks that are minutes apart',
  durationMs: 3 * MINUTE_MS,
  settleMs: MINUTE_MS,
  nemesis: false,
  options: { link: WIDE },
  setup: (sim) => {
    const dice = sim.random.fork('skew')
    const skewMs = () => (dice.next() - 0.5) * 20 * MINUTE_MS
    const world = bootWorld(sim, { skewMs })
    sim.every(7_000, () => {
      const node = dice.pick([...sim.nodes.values()])
      node.setClock({ skewMs: skewMs(), driftPpm: (dice.next() - 0.5) * 1_000 })
    })
    sim.always('nothing is noticed of it', () => {
      for (const { app, name } of world.gates) {
        if (app === undefined) continue
        if (app.suspects > 0 || app.episodes.length > 0) return `${name}: ${JSON.stringify(app.changes)}`
        for (const dc of DATACENTERS) {
          const { ackAgeMs, rttMs } = app.health.status(dc) ?? {}
          if ((ackAgeMs ?? 0) < 0 || (ackAgeMs ?? 0) > 20_000 || (rttMs ?? 40) < 39.9)
            return `${name}: ${dc} ${ackAgeMs}, ${rttMs}`
        }
      }
      return true
    })
    expectRecovery(sim, world)
  },
}

/** Whatever may happen to the network and to processes. */
export const allFaults: Scenario = {
  name: 'gates and datacenters under all faults',
  durationMs: 2 * MINUTE_MS,
  settleMs: 3 * MINUTE_MS,
  nemesis: { kinds: ['crash', 'pause', 'partition', 'clog', 'link', 'clock'], maxForMs: 40_000 },
  options: { link: WIDE },
  mustReach: ['a suspect', 'an unreachable datacenter', 'a late answer', 'a partition'],
  setup: (sim) => {
    const world = bootWorld(sim)
    sim.every(1_000, () => {
      for (const { app } of world.gates) {
        if (app === undefined) continue
        sim.sometimes('a suspect', app.suspects > 0)
        sim.sometimes(
          'an unreachable datacenter',
          app.changes.some(({ now }) => now === 'unreachable'),
        )
        sim.sometimes('a late answer', app.health.snapshot().late > 0)
        sim.sometimes('a partition', app.detector.partitioned)
      }
    })
    expectRecovery(sim, world)
  },
}
