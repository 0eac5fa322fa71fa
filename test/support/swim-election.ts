/**
 * Elections of 3 to 7 under partitions, loss, pauses, crashes, clocks that drift and disks that fail: at most one leader
 * at every instant, one vote a (name, term), tokens that grow, and a leader once the faults are over.
 */
import type { Scenario } from '@hs/sim'
import { elections } from './swim-elections.js'

const scenario: Scenario = {
  ...elections('elections'),
  mustReach: [
    'a leader after another',
    'leadership lost: quorum-lost',
    'leadership lost: resigned',
    'a vote that could not be saved',
  ],
}

export default scenario
