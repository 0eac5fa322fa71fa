/**
 * Many seeds of one scenario: adds up what they did, makes the plans of those that fail smaller, and ends after enough
 * failures. Outcomes come in seed order, wherever they were run, so the report depends on nothing else.
 */

import { deepFreeze, ErrorReporter, HsError } from '@hs/core'
import type { CampaignReport, SimFailure } from './campaign-report.js'
import type { CampaignSettings } from './campaign-options.js'
import { runSeedTwice } from './determinism.js'
import { faultKinds, type Fault } from './fault.js'
import { allowGlobals, forbidGlobals } from './forbidden-globals.js'
import { runSeed, type SeedFailure, type SeedOutcome } from './run-seed.js'
import type { Scenario } from './scenario.js'
import { shrink, type Shrunk } from './shrink.js'

/** The outcomes of a campaign whose seeds are run one after the other, here. */
export async function* runSeeds(scenario: Scenario, settings: CampaignSettings): AsyncGenerator<SeedOutcome> {
  let isFirst = true
  for (const seed of settings.seeds) {
    yield await runOne(scenario, seed, settings.faults, isFirst && settings.checkDeterminism)
    isFirst = false
  }
}

export async function runOne(
  scenario: Scenario,
  seed: number,
  faults: readonly Fault[] | undefined,
  twice: boolean,
): Promise<SeedOutcome> {
  if (twice) return runSeedTwice(scenario, seed, faults)
  return (await runSeed(scenario, seed, faults)).outcome
}

/** @throws HsError `'SIMULATION_FAILED'`, `'NEVER_REACHED'`, unless `throwOnFailure` is false */
export async function runCampaign(
  scenario: Scenario,
  settings: CampaignSettings,
  outcomes: AsyncIterable<SeedOutcome>,
): Promise<CampaignReport> {
  const sums = new Sums()
  const failures: SimFailure[] = []
  const tell = new ErrorReporter().guard('simulate.onProgress', settings.onProgress ?? (() => {}))
  // Each run forbids them for itself; done once for all it costs a short seed half as much.
  forbidGlobals()
  try {
    for await (const outcome of outcomes) {
      sums.add(outcome)
      if (outcome.failure !== undefined) failures.push(await explain(scenario, settings, outcome, outcome.failure))
      const { runs, events, virtualMs } = sums
      tell({ runs, failures: failures.length, events, virtualMs })
      if (failures.length >= settings.maxFailures) break
    }
  } finally {
    allowGlobals()
  }
  const report = deepFreeze(sums.report(scenario, failures))
  if (settings.throwOnFailure) throwIfFailed(report)
  return report
}

class Sums {
  runs = 0
  events = 0
  virtualMs = 0
  readonly #coverage = new Map<string, number>()
  readonly #faults = new Map<Fault['kind'], number>(faultKinds.map((kind) => [kind, 0]))

  add(outcome: SeedOutcome): void {
    this.runs++
    this.events += outcome.events
    this.virtualMs += outcome.virtualMs
    for (const [name, count] of Object.entries(outcome.coverage)) increase(this.#coverage, name, count)
    for (const { kind } of outcome.plan) increase(this.#faults, kind, 1)
  }

  report(scenario: Scenario, failures: readonly SimFailure[]): CampaignReport {
    return {
      scenario: scenario.name,
      runs: this.runs,
      events: this.events,
      virtualMs: this.virtualMs,
      failures,
      coverage: Object.fromEntries(this.#coverage),
      faults: Object.fromEntries(this.#faults) as Record<Fault['kind'], number>,
      missing: (scenario.mustReach ?? []).filter((name) => (this.#coverage.get(name) ?? 0) === 0),
    }
  }
}

function increase<K>(counts: Map<K, number>, key: K, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by)
}

async function explain(
  scenario: Scenario,
  settings: CampaignSettings,
  { seed, plan, traceHash }: SeedOutcome,
  { repeatable, ...failure }: SeedFailure,
): Promise<SimFailure> {
  const fails = async (candidate: readonly Fault[]) => {
    const { outcome } = await runSeed(scenario, seed, candidate)
    return outcome.failure?.code === failure.code && outcome.failure.invariant === failure.invariant
  }
  const whole: Shrunk = { faults: [...plan], runs: 0 }
  const shrunk = settings.shrink && repeatable ? await shrink(plan, fails, settings.maxShrinkRuns) : whole
  const { traceTail, otherTraceTail, ...what } = failure
  return {
    seed,
    ...what,
    faults: [...plan],
    minimalFaults: shrunk.faults,
    shrinkRuns: shrunk.runs,
    traceHash,
    traceTail,
    ...(otherTraceTail === undefined ? {} : { otherTraceTail }),
    replay: `HS_SIM_SEED=${seed}`,
  }
}

function throwIfFailed(report: CampaignReport): void {
  const [failure] = report.failures
  if (failure !== undefined) {
    const { seed, atMs } = failure
    throw new HsError('SIMULATION_FAILED', failureText(report, failure), { details: { seed, atMs, failure, report } })
  }
  if (report.missing.length === 0) return
  throw new HsError('NEVER_REACHED', neverReachedText(report), { details: { missing: report.missing, report } })
}

/** All that is needed to see the first failure again. */
export function failureText(report: CampaignReport, failure: SimFailure): string {
  const others = report.failures.filter((other) => other !== failure).map((other) => other.seed)
  return [
    `${report.scenario}: seed ${failure.seed}: ${failure.message}`,
    `minimal faults: ${JSON.stringify(failure.minimalFaults)}`,
    `replay: ${failure.replay}`,
    ...(others.length === 0 ? [] : [`failing too: seeds ${others.join(', ')}`]),
  ].join('\n')
}

export function neverReachedText({ scenario, runs, missing }: CampaignReport): string {
  const names = missing.map((name) => JSON.stringify(name)).join(', ')
  return `${scenario}: ${runs} runs never reached ${names}: give more seeds, time or faults, or mend the scenario`
}
