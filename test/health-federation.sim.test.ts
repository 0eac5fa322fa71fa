/**
 * Gates and datacenters in simulation: a cut link, a dead datacenter and a slow one are told apart, a gate that is cut
 * off evicts nobody, a dark region is seen as one, a bad line is no suspect for a day, and leaders and clocks may change
 * as they like. As many seeds as you like: `HS_SIM_SEEDS=1000`. A failure names its seed and what repeats it:
 * `HS_SIM_SEED=417 npx vitest run test/health-federation.sim.test.ts`.
 */
import { systemClock } from '@hs/core'
import { simulate, type CampaignOptions, type Scenario } from '@hs/sim'
import { describe, expect, it } from 'vitest'
import {
  allFaults,
  cutOff,
  darkRegion,
  lossyDay,
  newLeaders,
  skewedClocks,
  toldApart,
} from './support/health-scenarios.js'

/** Other seeds on every day, the same within one, so that a failure can be seen again. */
const FRESH_SEED = 3_000_000 + 10 * Math.floor(systemClock.wallNow() / 86_400_000)
const seedsOf = (count: number) => Number(process.env['HS_SIM_SEEDS'] ?? count)

async function holds(scenario: Scenario, options: CampaignOptions): Promise<void> {
  expect((await simulate(scenario, options)).failures).toEqual([])
}

describe('Federated health in simulation (HL-25..30)', { timeout: 900_000 }, () => {
  it('tells a cut link, a dead datacenter and a slow one apart', () => holds(toldApart, { seeds: seedsOf(25) }))

  it('evicts nobody while it is cut off from all, and heals', () => holds(cutOff, { seeds: seedsOf(25) }))

  it('sees a dark region as one', () => holds(darkRegion, { seeds: seedsOf(80) }))

  it('suspects nobody for a day of 5 % loss and 300 ms', () => holds(lossyDay, { seeds: 1, checkDeterminism: false }))

  it('follows leaders that change while probes are under way', () => holds(newLeaders, { seeds: seedsOf(80) }))

  it('takes no notice of clocks that are minutes apart', () => holds(skewedClocks, { seeds: seedsOf(25) }))

  it('recovers from whatever happened', () => holds(allFaults, { seeds: seedsOf(25) }))

  it('and all that with other seeds every day', async () => {
    for (const { mustReach: _, ...scenario } of [toldApart, cutOff, darkRegion, newLeaders, skewedClocks, allFaults])
      await holds(scenario, { seeds: 3, firstSeed: FRESH_SEED, checkDeterminism: false })
  })
})
