/** What `hs-sim` does: load, run, tell. Exit 0: all seeds hold. 1: a seed failed, or a state was never reached. 2: misuse. */

import { readFile } from 'node:fs/promises'
import { runCampaign, runSeeds } from '../campaign.js'
import { campaignSettings, type CampaignSettings } from '../campaign-options.js'
import type { CampaignReport } from '../campaign-report.js'
import { messageOf } from '../failure.js'
import { parseFaults, type Fault } from '../fault.js'
import { parseArguments, type Arguments } from './arguments.js'
import { loadScenario } from './load-scenario.js'
import { isMisuse } from './misuse.js'
import { Progress } from './progress.js'
import { reportText } from './report-text.js'
import { UsageError } from './usage-error.js'
import { runOnWorkers } from './worker-pool.js'

export interface Terminal {
  out(text: string): void
  err(text: string): void
}

/** @param entry the module that a worker thread runs */
export async function main(argv: readonly string[], terminal: Terminal, entry: URL): Promise<0 | 1 | 2> {
  try {
    const given = parseArguments(argv, (text) => terminal.out(text))
    if (given === undefined) return 0
    const report = await run(given, terminal, entry)
    terminal.out(given.json ? `${JSON.stringify(report)}\n` : reportText(report))
    return report.failures.length === 0 && report.missing.length === 0 ? 0 : 1
  } catch (error) {
    terminal.err(`hs-sim: ${isMisuse(error) ? error.message : stackOf(error)}\n`)
    return 2
  }
}

async function run(given: Arguments, terminal: Terminal, entry: URL): Promise<CampaignReport> {
  const { file, workers } = given
  const scenario = await loadScenario(file)
  const progress = given.json ? undefined : new Progress((text) => terminal.err(text))
  try {
    const settings: CampaignSettings = {
      ...campaignSettings(await optionsOf(given)),
      onProgress: (latest) => progress?.update(latest),
    }
    const { faults } = settings
    const outcomes =
      workers === 1 ? runSeeds(scenario, settings) : runOnWorkers(settings, { entry, workers, file, faults })
    return await runCampaign(scenario, settings, outcomes)
  } finally {
    progress?.stop()
  }
}

async function optionsOf({ seeds, seed, first, faults }: Arguments) {
  const chosen = seed === undefined ? seeds : [seed]
  return {
    throwOnFailure: false,
    ...(chosen === undefined ? {} : { seeds: chosen }),
    ...(first === undefined ? {} : { firstSeed: first }),
    ...(faults === undefined ? {} : { faults: await readFaults(faults) }),
  }
}

async function readFaults(file: string): Promise<Fault[]> {
  let plan: unknown
  try {
    plan = JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    throw new UsageError(`${file} holds no plan of faults: ${messageOf(cause)}`, { cause })
  }
  return parseFaults(plan, '--faults')
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
