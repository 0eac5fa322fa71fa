/** Runs a scenario for many seeds in this process: the way in for a test. */

import { runCampaign, runSeeds } from './campaign.js'
import { campaignSettings, type CampaignOptions } from './campaign-options.js'
import type { CampaignReport } from './campaign-report.js'
import { checkScenario, type Scenario } from './scenario.js'

/**
 * Resolves when every seed holds and everything of `mustReach` was reached in one of them.
 * Rejects with `'SIMULATION_FAILED'` (`details.failure` tells the seed, the few faults that it takes and how to see it
 * again), `'NEVER_REACHED'`, or `ConfigError` for a scenario or options that are none.
 */
export async function simulate(scenario: Scenario, options: CampaignOptions = {}): Promise<CampaignReport> {
  checkScenario(scenario)
  const settings = campaignSettings(options)
  return runCampaign(scenario, settings, runSeeds(scenario, settings))
}
