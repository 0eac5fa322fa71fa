/** 5 to 200 members under every fault that reaches them: when the faults are over, all views are one again. */
import type { Scenario } from '@hs/sim'
import {
  addMember,
  drawSize,
  expectOneView,
  expectTrueRestarts,
  FAULTS_MS,
  namesOf,
  SETTLE_MS,
  type Seen,
} from './swim-members.js'

const scenario: Scenario = {
  name: 'members under all faults',
  durationMs: FAULTS_MS,
  settleMs: SETTLE_MS,
  nemesis: { kinds: ['crash', 'pause', 'partition', 'clog', 'link', 'clock'] },
  options: { maxEvents: 50_000_000 },
  mustReach: ['a death', 'a restart', 'a refutation', 'a suspect that recovered'],
  setup: (sim) => {
    const seen: Seen = { deaths: [] }
    const names = namesOf(drawSize(sim, 5, 200))
    for (const name of names) addMember(sim, seen, name, ['m0:1', 'm1:1', 'm2:1'])
    expectTrueRestarts(sim, seen)
    expectOneView(sim, names)
  },
}

export default scenario
