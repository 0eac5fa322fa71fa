/**
 * Elections of 3 to 7 real clusters under partitions, loss, pauses, crashes, clocks that drift and disks that fail:
 * at every instant at most one leader, one vote a (name, term), tokens that grow, and a leader once the faults are
 * over. The same for as many seeds as you like: `pnpm campaign:election --seeds 1000 --workers 2`, and
 * `campaign:voters`. A failure names its seed and what repeats it: `HS_SIM_SEED=417 npx vitest run
 * test/swim-election.campaign.test.ts`.
 */
import { systemClock } from '@hs/core'
import { simulate, type CampaignOptions, type Scenario } from '@hs/sim'
import { describe, expect, it } from 'vitest'
import election from './support/swim-election.js'
import voters from './support/swim-voters.js'

/** Other seeds on every day, the same within one, so that a failure can be seen again. */
const FRESH_SEED = 1_000_000 + 10 * Math.floor(systemClock.wallNow() / 86_400_000)
/** Rare where all faults are drawn. */
const UNSAVED = 'a vote that could not be saved'
const seedsOf = (count: number) => Number(process.env['HS_SIM_SEEDS'] ?? count)

/** Without what must be reached: a few seeds need not get everywhere. */
async function holds({ mustReach: _, ...scenario }: Scenario, options: CampaignOptions): Promise<void> {
  expect((await simulate(scenario, { ...options, checkDeterminism: false })).failures).toEqual([])
}

describe('Elections under faults, in the simulator (SWIM-46..57)', { timeout: 900_000 }, () => {
  it('have one leader at most, and one in the end', async () => {
    const mustReach = election.mustReach?.filter((name) => name !== UNSAVED) ?? []
    expect((await simulate({ ...election, mustReach }, { seeds: seedsOf(12) })).failures).toEqual([])
  })

  it('give no vote that could not be saved', async () => {
    const nemesis = { kinds: ['disk', 'partition'], meanGapMs: 1_000, maxForMs: 10_000, swarm: false } as const
    const report = await simulate({ ...election, nemesis, mustReach: [UNSAVED] }, { seeds: 4 })
    expect(report.failures).toEqual([])
  })

  it('and so while voters come and go', async () => {
    expect((await simulate(voters, { seeds: seedsOf(8) })).failures).toEqual([])
  })

  it('holds for what failed once', async () => {
    // Who misses a heartbeat names nobody for a moment: the scenario asked for too much.
    await holds(voters, { seeds: [337] })
  })

  it('and so with other seeds every day', async () => {
    await holds(election, { seeds: 4, firstSeed: FRESH_SEED })
    await holds(voters, { seeds: 2, firstSeed: FRESH_SEED })
  })
})
