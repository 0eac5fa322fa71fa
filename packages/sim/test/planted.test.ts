/** Mended twins run for 100 seeds each; with `HS_SIM_SEEDS=500` in the environment for as many. */

import { describe, expect, it } from 'vitest'
import { simulate } from '@hs/sim'
import { allPlanted } from './planted/index.js'

const SEEDS = 500

describe('A campaign finds planted bugs (SIM-23)', () => {
  for (const { flaw, minimal, flawed, mended } of allPlanted) {
    it(`${flaw}: found, and shrunk to [${minimal.join(', ')}]`, async () => {
      const report = await simulate(flawed, { seeds: SEEDS, throwOnFailure: false })
      const [failure] = report.failures
      expect(failure?.code).toBe('INVARIANT_VIOLATED')
      expect(failure?.minimalFaults.map((fault) => fault.kind)).toEqual(minimal)
      const again = { seeds: [failure?.seed ?? NaN], faults: failure?.minimalFaults ?? [], throwOnFailure: false }
      expect((await simulate(flawed, again)).failures[0]?.invariant).toBe(failure?.invariant)
    })

    it(`${flaw}: its mended twin holds`, { timeout: 120_000 }, async () => {
      expect((await simulate(mended)).failures).toEqual([])
    })
  }
})
