/**
 * Small campaigns, each of which shows one defect of membership that others have shipped, if it is planted: the
 * scenarios know nothing of it, so the same seeds hold without.
 */
import type { NodeEnv, Scenario, Simulation } from '@hs/sim'
import { Cluster, suspicionBoundsMs, suspicionTimeoutMs } from '@hs/swim'

const PERIOD_MS = 1_000
const PING = 1

type OnPing = (from: string, to: string) => void

function boot(name: string, onPing: OnPing = () => undefined) {
  return async ({ clock, random, logger, datagram, rpc }: NodeEnv): Promise<Cluster> => {
    const cluster = new Cluster({
      ...{ name, clock, random, logger, rpc, seeds: ['m0:1', 'm1:1'] },
      datagram: {
        address: datagram.address,
        maxMessageBytes: datagram.maxMessageBytes,
        onMessage: (fn) => datagram.onMessage(fn),
        send: (to, bytes) => {
          if (bytes[1] === PING) onPing(name, to)
          datagram.send(to, bytes)
        },
        close: () => datagram.close(),
      },
    })
    await cluster.start()
    return cluster
  }
}

const namesOf = (size: number) => Array.from({ length: size }, (_, i) => `m${i}`)

/** One member crashes for good; returns which. */
function crashOne(sim: Simulation, names: readonly string[], atMs: number, untilMs: number): string {
  const victim = sim.random.fork('victim').pick(names)
  sim.schedule([{ kind: 'crash', node: victim, atMs, forMs: untilMs - atMs }])
  return victim
}

const others = (sim: Simulation, victim: string) =>
  sim.apps<Cluster>().filter(({ local, status }) => local.name !== victim && status === 'running')

const base = { settleMs: 0, nemesis: false } satisfies Partial<Scenario>

/** The probes of the dead fail at everyone, and that is no fault of theirs: whoever was asked to help says so. */
export const wellBesideTheDead: Scenario = {
  ...base,
  name: 'a member that is well beside a dead one',
  durationMs: 40_000,
  mustReach: ['a failed probe'],
  setup: (sim) => {
    const names = namesOf(5 + sim.random.fork('size').int(12))
    for (const name of names) sim.node(name, boot(name))
    const victim = crashOne(sim, names, 20_000, 40_000)
    sim.always('who is well stays well, whoever is dead', () => {
      const unwell = others(sim, victim).find(({ localHealth }) => localHealth > 0)
      return unwell === undefined || `${unwell.local.name} has a score of ${unwell.localHealth}`
    })
    sim.at(39_000, () =>
      sim.sometimes(
        'a failed probe',
        others(sim, victim).some((app) => app.snapshot().counters.probeFailures > 0),
      ),
    )
  },
}

/** What others remember of it keeps no crashed member alive. */
export const crashIsSeen: Scenario = {
  ...base,
  name: 'a crash that all see',
  durationMs: 60_000,
  mustReach: ['a death'],
  setup: (sim) => {
    const names = namesOf(5 + sim.random.fork('size').int(12))
    for (const name of names) sim.node(name, boot(name))
    const victim = crashOne(sim, names, 20_000, 60_000)
    // A probe by the second or so, then the longest suspicion: that of a single accuser.
    const limitMs = 20_000 + 5_000 + suspicionBoundsMs(names.length, suspicionOptions).maxMs
    sim.at(limitMs, () => sim.sometimes('a death', others(sim, victim)[0]?.member(victim)?.status === 'dead'))
    sim.always('who crashed is dead to all in the longest time that a suspicion lasts', () => {
      const blind = others(sim, victim).find((app) => app.member(victim)?.status !== 'dead')
      return sim.now <= limitMs || blind === undefined || `${blind.local.name} does not see it`
    })
  },
}

const suspicionOptions = { suspicionMultiplier: 4, suspicionMaxMultiplier: 6, probeIntervalMs: PERIOD_MS }
const CONFIRMATIONS = 3

/** 64 members probe the dead once a second together, so the three confirmations that count are soon there. */
export const confirmedSoonDead: Scenario = {
  ...base,
  name: 'a suspicion that others confirm',
  durationMs: 60_000,
  mustReach: ['a death'],
  setup: (sim) => {
    const names = namesOf(64)
    const { minMs, maxMs } = suspicionBoundsMs(names.length, suspicionOptions)
    // Two of three: the last of them comes too late in one of many runs, both of them in none.
    const limitMs = suspicionTimeoutMs(CONFIRMATIONS - 1, CONFIRMATIONS, minMs, maxMs) + 500
    /** Suspicions that are not over, by who holds them: since when. */
    const open = new Map<string, number>()
    for (const name of names) {
      sim.node(name, async (env) => {
        const cluster = await boot(name)(env)
        cluster.events.on('memberSuspected', () => open.set(name, sim.now))
        cluster.events.on('memberDead', () => {
          open.delete(name)
          sim.sometimes('a death')
        })
        return cluster
      })
    }
    let breach: string | undefined
    sim.every(100, () => {
      for (const [name, sinceMs] of open)
        if (sim.now - sinceMs > limitMs) breach ??= `${name} waits since ${sinceMs} ms`
    })
    crashOne(sim, names, 20_000, 60_000)
    sim.always('a suspicion that others confirm ends early', () => breach ?? true)
  },
}

/** Somebody comes or goes every other second. */
export const probedUnderChurn: Scenario = {
  ...base,
  name: 'probes under churn',
  durationMs: 90_000,
  mustReach: ['a round was over'],
  setup: (sim) => {
    const names = namesOf(6 + sim.random.fork('size').int(5))
    const isStable = new Set(names)
    const probedMs = new Map<string, number>()
    const joinsMs: number[] = []
    for (const name of names) {
      const onPing: OnPing = (from, to) => {
        const target = to.split(':')[0] as string
        if (!isStable.has(target)) return
        sim.sometimes('a round was over', probedMs.has(`${from} ${target}`))
        probedMs.set(`${from} ${target}`, sim.now)
      }
      sim.node(name, boot(name, onPing))
    }
    const dice = sim.random.fork('churn')
    const guests: string[] = []
    sim.every(2_000, () => {
      if (sim.now < 10_000) return
      const leaver = guests.length > 2 || (guests.length > 0 && dice.int(2) === 0) ? guests.shift() : undefined
      if (leaver !== undefined) {
        void sim.nodes.get(leaver)?.call((app) => (app as Cluster).leave())
        return
      }
      const guest = `guest${joinsMs.length}`
      guests.push(guest)
      joinsMs.push(sim.now)
      sim.node(guest, boot(guest))
    })
    sim.every(PERIOD_MS, () => {
      for (const from of names) {
        for (const to of names) {
          const sinceMs = Math.max(10_000, probedMs.get(`${from} ${to}`) ?? 0)
          // A newcomer has its place in the round; three guests are there at most.
          const came = joinsMs.filter((atMs) => atMs >= sinceMs).length
          const periods = 2 * (names.length + 3 - 1) + came + 2
          if (from !== to && sim.now - sinceMs > periods * PERIOD_MS) starved ??= `${to} by ${from}`
        }
      }
    })
    let starved: string | undefined
    sim.always('each probes each within 2(n - 1) periods, and one for each who came', () =>
      starved === undefined ? true : `not for long: ${starved}`,
    )
  },
}

/** Whose turn is last in every round is found dead last every time. */
export const anotherOrderEachRound: Scenario = {
  ...base,
  name: 'the order of probes',
  durationMs: 60_000,
  setup: (sim) => {
    const size = 7
    const round = size - 1
    const probed = new Map<string, string[]>()
    let fixed: string | undefined
    const onPing: OnPing = (from, to) => {
      const targets = probed.get(from) ?? []
      probed.set(from, targets)
      targets.push(to)
      const [first, second, third] = [3, 2, 1].map((k) =>
        targets
          .slice(-k * round)
          .slice(0, round)
          .join(),
      )
      if (targets.length >= 3 * round && first === second && second === third) fixed ??= `${from} probes ${first}`
    }
    for (const name of namesOf(size)) sim.node(name, boot(name, onPing))
    sim.always('nobody probes in the same order three rounds running', () => fixed ?? true)
  },
}
