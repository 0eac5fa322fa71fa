/**
 * Windowed statistics in simulation, from fifty workers over two managers and a gate to a client: what the client adds
 * up and what was refused is what the workers sent, exactly, and the percentiles are those of the records within the
 * sketch's bound. As many seeds as you like: `HS_SIM_SEEDS=100`. A failure names its seed and what repeats it:
 * `HS_SIM_SEED=417 npx vitest run test/windowed-stats.sim.test.ts`.
 */
import { systemClock } from '@hs/core'
import { simulate } from '@hs/sim'
import { describe, expect, it } from 'vitest'
import scenario from './support/windowed-stats.js'

const SEEDS = Number(process.env['HS_SIM_SEEDS'] ?? 8)

describe('Windowed statistics in simulation (WSTAT section 7)', { timeout: 3_600_000 }, () => {
  it('lose nothing and count nothing twice on their way from the workers to a client', async () => {
    expect((await simulate(scenario, { seeds: SEEDS })).failures).toEqual([])
  })

  it('and so with other seeds every day', async () => {
    const { mustReach: _, ...withoutGoals } = scenario
    const firstSeed = 1_000 * Math.floor(systemClock.wallNow() / 86_400_000)
    const options = { seeds: 3, firstSeed, checkDeterminism: false }
    expect((await simulate(withoutGoals, options)).failures).toEqual([])
  })
})
