/** A name is taken again on the far side of a partition, where its holder is believed dead: one of the two is left. */
import type { Scenario } from '@hs/sim'
import type { Cluster } from '@hs/swim'
import { addMember, drawSize, FAULTS_MS, namesOf, SETTLE_MS, type Seen } from './swim-members.js'

const scenario: Scenario = {
  name: 'two processes of one name',
  durationMs: FAULTS_MS,
  settleMs: SETTLE_MS,
  nemesis: { kinds: ['pause', 'link', 'clock'], maxForMs: 5_000 },
  options: { maxEvents: 50_000_000 },
  mustReach: ['a superseded duplicate', 'two at once'],
  setup: (sim) => {
    const seen: Seen = { deaths: [] }
    const names = [...namesOf(drawSize(sim, 4, 60)), 'twin']
    const half = Math.floor(names.length / 2)
    const there = names.slice(0, half)
    const here = names.slice(half)
    const seeds = [`${there[0]}:1`, `${here[0]}:1`]
    for (const name of names) addMember(sim, seen, name, seeds)
    sim.at(10_000, () => sim.network.partition(here, there))
    sim.at(12_000, () => {
      addMember(sim, seen, 'twin', [`${there[0]}:1`, `${there[1]}:1`], 'other')
      sim.network.partition(here, 'other')
    })
    sim.at(45_000, () => sim.network.heal())
    const running = () => sim.apps<Cluster>().filter(({ status }) => status === 'running')
    const twins = () => running().filter(({ local }) => local.name === 'twin')
    sim.every(1_000, () => sim.sometimes('two at once', twins().length === 2))
    sim.eventually('one of the two is left, and all see it', () => {
      const [twin, ...more] = twins()
      if (twin === undefined || more.length > 0) return `${more.length + (twin === undefined ? 0 : 1)} of them run`
      const blind = running().find((app) => app.member('twin')?.id !== twin.local.id || app.size !== names.length)
      return blind === undefined || `${blind.local.name} sees ${blind.member('twin')?.id} and ${blind.size} members`
    })
  },
}

export default scenario
