/**
 * Whole clusters of 5 to 200 under crashes, stalls, partitions, loss and clocks that go wrong: when the faults are over
 * all views are one again, nobody who could be reached all the time was taken for dead by those who could reach it, and
 * of two processes of one name one is left. The same scenarios for as many seeds as you like:
 * `pnpm campaign:membership --seeds 1000 --workers 2`, and `campaign:bystanders`, `campaign:duplicates`. A failure names
 * its seed and what repeats it: `HS_SIM_SEED=417 npx vitest run test/swim-membership.campaign.test.ts`.
 */
import { systemClock } from '@hs/core'
import { simulate, type CampaignOptions, type Scenario } from '@hs/sim'
import { describe, expect, it } from 'vitest'
import bystanders from './support/swim-bystanders.js'
import duplicates from './support/swim-duplicates.js'
import membership from './support/swim-membership.js'

/** Other seeds on every day, the same within one, so that a failure can be seen again. */
const FRESH_SEED = 2_000_000 + 10 * Math.floor(systemClock.wallNow() / 86_400_000)
const seedsOf = (count: number) => Number(process.env['HS_SIM_SEEDS'] ?? count)

/** Without what must be reached: a few seeds need not get everywhere. */
async function holds({ mustReach: _, ...scenario }: Scenario, options: CampaignOptions): Promise<void> {
  expect((await simulate(scenario, { ...options, checkDeterminism: false })).failures).toEqual([])
}

describe('Membership in simulation (SWIM section 7)', { timeout: 900_000 }, () => {
  it('is one view within two intervals of reconnection after any faults', async () => {
    expect((await simulate(membership, { seeds: seedsOf(6) })).failures).toEqual([])
  })

  it('takes nobody for dead who can be reached all the time', async () => {
    expect((await simulate(bystanders, { seeds: seedsOf(6) })).failures).toEqual([])
  })

  it('leaves one of two processes of one name', async () => {
    expect((await simulate(duplicates, { seeds: seedsOf(5) })).failures).toEqual([])
  })

  it('holds for what failed once', async () => {
    // A refutation that gossip had lost was not said again to who still accused.
    await holds(bystanders, { seeds: [224] })
  })

  it('and all that with other seeds every day', async () => {
    await holds(membership, { seeds: 3, firstSeed: FRESH_SEED })
    await holds(bystanders, { seeds: 2, firstSeed: FRESH_SEED })
    await holds(duplicates, { seeds: 2, firstSeed: FRESH_SEED })
  })
})
