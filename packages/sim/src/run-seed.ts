/**
 * One run of a scenario: set up, draw a plan, run under it, heal, judge. What is left of it is plain data, so a
 * campaign of many seeds holds one world at a time.
 */

import { HsError } from '@hs/core'
import { drawFaults } from './draw-faults.js'
import { failureOf, messageOf } from './failure.js'
import type { Fault } from './fault.js'
import type { Scenario } from './scenario.js'
import { Simulation } from './simulation.js'
import type { TraceEntry } from './trace.js'

export interface SeedFailure {
  readonly code: string
  readonly invariant?: string
  readonly message: string
  readonly atMs: number
  readonly traceTail: readonly TraceEntry[]
  readonly otherTraceTail?: readonly TraceEntry[]
  /** False where another run of the same seed and plan need not fail again. */
  readonly repeatable: boolean
}

export interface SeedOutcome {
  readonly seed: number
  readonly plan: readonly Fault[]
  readonly events: number
  readonly virtualMs: number
  readonly coverage: Readonly<Record<string, number>>
  readonly traceHash: string
  readonly traceLength: number
  readonly failure?: SeedFailure
}

/** A run whose trace can still be read. */
export interface SeedRun {
  readonly outcome: SeedOutcome
  readonly trace: Simulation['trace']
}

/**
 * @param faults the plan; undefined: draw one
 * @throws ConfigError where the scenario is wrong rather than what it tests
 */
export async function runSeed(
  scenario: Scenario,
  seed: number,
  faults?: readonly Fault[],
  traceTail?: number,
): Promise<SeedRun> {
  const sim = new Simulation({ ...scenario.options, ...(traceTail === undefined ? {} : { traceTail }), seed })
  const { plan, error } = await play(sim, scenario, seed, faults)
  const failure = error === undefined ? {} : { failure: describe(error, sim) }
  const outcome: SeedOutcome = {
    seed,
    plan,
    events: sim.events,
    virtualMs: sim.now,
    coverage: sim.coverage,
    traceHash: sim.trace.hash,
    traceLength: sim.trace.length,
    ...failure,
  }
  return { outcome, trace: sim.trace }
}

interface Played {
  readonly plan: readonly Fault[]
  readonly error?: HsError
}

async function play(
  sim: Simulation,
  scenario: Scenario,
  seed: number,
  faults: readonly Fault[] | undefined,
): Promise<Played> {
  let plan: readonly Fault[] = faults ?? []
  const failed = (error: HsError): Played => ({ plan, error })
  try {
    await scenario.setup(sim)
  } catch (error) {
    if (HsError.is(error, 'CONFIG_INVALID')) throw error
    return failed(sim.failure ?? setupFailure(error, seed, sim))
  }
  plan = faults ?? drawPlan(sim, scenario)
  try {
    sim.schedule(plan)
    await sim.runFor(scenario.durationMs)
    await sim.finish(scenario.settleMs === undefined ? {} : { settleMs: scenario.settleMs })
  } catch (error) {
    // What the world did not declare to be its end is a defect of the campaign or a misuse of it.
    if (sim.failure === undefined) throw error
  }
  return sim.failure === undefined ? { plan } : failed(sim.failure)
}

function drawPlan(sim: Simulation, { nemesis, durationMs }: Scenario): readonly Fault[] {
  if (nemesis === false) return []
  return drawFaults(sim.random.fork('faults'), { ...nemesis, nodes: [...sim.nodes.keys()], durationMs })
}

function setupFailure(cause: unknown, seed: number, sim: Simulation): HsError {
  const named = { given: seed, hex: sim.seed }
  return failureOf('WORKLOAD_ERROR', `setup threw: ${messageOf(cause)}`, named, sim.now, { cause })
}

function describe(error: HsError, sim: Simulation): SeedFailure {
  const { atMs, invariant } = error.details
  return {
    code: error.code,
    ...(typeof invariant === 'string' ? { invariant } : {}),
    message: error.message,
    atMs: typeof atMs === 'number' ? atMs : sim.now,
    traceTail: sim.trace.tail(),
    repeatable: true,
  }
}
