/** Of 3 to 7 nodes the first three vote at first; whoever leads adds and removes voters one at a time, under all faults. */
import type { HsError } from '@hs/core'
import type { Scenario } from '@hs/sim'
import { bootElector, elections, FAULTS_MS, NAMES, Observer, type ElectionApp } from './swim-elections.js'

const scenario: Scenario = {
  ...elections('changing voters'),
  mustReach: ['voters changed', 'a leader after another', 'leadership lost: quorum-lost'],
  setup: (sim) => {
    const observer = new Observer(sim)
    observer.expectLeader()
    const dice = sim.random.fork('changes')
    const names = NAMES.slice(0, 3 + dice.int(5))
    for (const name of names) sim.node(name, bootElector(observer, { voters: NAMES.slice(0, 3) }))
    sim.every(4_000, () => {
      if (sim.now > FAULTS_MS) return
      const name = dice.pick(names)
      for (const node of sim.nodes.values()) {
        const app = node.app as ElectionApp | undefined
        if (node.state !== 'up' || app?.election.isLeader !== true) continue
        const isVoter = app.election.voters?.includes(name) === true
        const change = isVoter ? { remove: name } : { add: name }
        void node.call(() =>
          app.election.changeVoters(change).then(
            () => sim.sometimes('voters changed'),
            (error: unknown) => sim.sometimes(`voters not changed: ${(error as HsError).code}`),
          ),
        )
      }
    })
  },
}

export default scenario
