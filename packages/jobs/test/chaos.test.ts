/**
 * Seeded chaos over `JobScheduler` and `ShardTable`s: workers that die, leaders that follow one another, a link that
 * loses, repeats and reorders, cancellations in between. What is checked stands in support/chaos-world.ts.
 * A failing seed is replayed alone by `HS_SEED=<seed> npx vitest run packages/jobs/test/chaos.test.ts`.
 */
import { describe, expect, it } from 'vitest'
import { ChaosWorld, type ChaosSummary } from './support/chaos-world.js'

const replayed = process.env['HS_SEED']
const seeds = replayed === undefined ? Array.from({ length: 200 }, (_, index) => index + 1) : [Number(replayed)]
const PER_TEST = 20

function runSeed(seed: number): ChaosSummary {
  const world = new ChaosWorld(seed)
  try {
    return world.run()
  } catch (error) {
    const command = `HS_SEED=${seed} npx vitest run packages/jobs/test/chaos.test.ts`
    const tail = world.trace.slice(-40).join('\n')
    throw new Error(`seed ${seed} failed; replay it with ${command}\n${tail}`, { cause: error })
  }
}

describe('JobScheduler under chaos (JOBS-3, 13..15, 18..22, 24, 28..31)', () => {
  const total = { jobs: 0, requeued: 0, leaders: 0, kills: 0, adopted: 0 }

  for (let from = 0; from < seeds.length; from += PER_TEST) {
    const some = seeds.slice(from, from + PER_TEST)
    it(`ends every job with exact accounting, seeds ${some[0]} to ${some.at(-1)}`, { timeout: 120_000 }, () => {
      for (const seed of some) {
        const summary = runSeed(seed)
        for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += summary[key]
      }
    })
  }

  it.runIf(replayed === undefined)('was chaos: work was lost, taken over and done again', () => {
    expect(total.jobs).toBeGreaterThan(1_000)
    expect(total.kills).toBeGreaterThan(200)
    expect(total.leaders).toBeGreaterThan(300)
    expect(total.requeued).toBeGreaterThan(1_000)
    expect(total.adopted).toBeGreaterThan(100)
  })

  it.runIf(replayed === undefined)('takes the same course for the same seed', () => {
    const first = new ChaosWorld(7)
    const second = new ChaosWorld(7)
    expect(first.run()).toEqual(second.run())
    expect(first.trace).toEqual(second.trace)
  })
})
