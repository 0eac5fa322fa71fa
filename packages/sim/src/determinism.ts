/**
 * Runs a seed twice and compares. Where the two differ, something reads a clock, a die or a memory that the simulation
 * does not give it, and no failure of the scenario could be trusted to come again.
 */

import type { Fault } from './fault.js'
import { runSeed, type SeedFailure, type SeedOutcome, type SeedRun } from './run-seed.js'
import type { Scenario } from './scenario.js'
import type { TraceEntry } from './trace.js'

/** Entries of a trace that are compared; what is older is not kept. */
const COMPARED_ENTRIES = 1_000_000
/** Entries that are shown before and after the first that differs. */
const SHOWN_ENTRIES = 25

/** The outcome of the first of two runs, or `'NONDETERMINISM'`. */
export async function runSeedTwice(
  scenario: Scenario,
  seed: number,
  faults: readonly Fault[] | undefined,
): Promise<SeedOutcome> {
  const first = await runSeed(scenario, seed, faults)
  const second = await runSeed(scenario, seed, faults)
  if (isSame(first.outcome, second.outcome)) return first.outcome
  // Once more with everything kept, to see where they part; if those happen to be alike, the first pair must do.
  const third = await runSeed(scenario, seed, faults, COMPARED_ENTRIES)
  const fourth = await runSeed(scenario, seed, faults, COMPARED_ENTRIES)
  const failure = isSame(third.outcome, fourth.outcome) ? difference(first, second) : difference(third, fourth)
  return { ...first.outcome, failure }
}

function isSame(a: SeedOutcome, b: SeedOutcome): boolean {
  return a.traceHash === b.traceHash && a.traceLength === b.traceLength && a.failure?.message === b.failure?.message
}

function difference(first: SeedRun, second: SeedRun): SeedFailure {
  const a = new KeptTrace(first)
  const b = new KeptTrace(second)
  let at = Math.max(a.from, b.from)
  const end = Math.max(a.to, b.to)
  while (at < end && isSameEntry(a.at(at), b.at(at))) at++
  const entry = a.at(at) ?? b.at(at)
  const atMs = entry?.atMs ?? 0
  const where = `first at trace entry ${at}: ${shown(a.at(at))} and ${shown(b.at(at))}`
  return {
    code: 'NONDETERMINISM',
    message: `two runs of the seed differ, ${where} (seed ${first.outcome.seed}, at ${atMs} ms)`,
    atMs,
    traceTail: a.around(at),
    otherTraceTail: b.around(at),
    repeatable: false,
  }
}

/** The entries of a trace that were kept, by their place in the whole of it. */
class KeptTrace {
  readonly from: number
  readonly to: number
  readonly #entries: readonly TraceEntry[]

  constructor({ outcome, trace }: SeedRun) {
    this.#entries = trace.tail(COMPARED_ENTRIES)
    this.to = outcome.traceLength
    this.from = this.to - this.#entries.length
  }

  at(place: number): TraceEntry | undefined {
    return this.#entries[place - this.from]
  }

  around(place: number): readonly TraceEntry[] {
    const middle = place - this.from
    return this.#entries.slice(Math.max(0, middle - SHOWN_ENTRIES), middle + SHOWN_ENTRIES)
  }
}

function isSameEntry(a: TraceEntry | undefined, b: TraceEntry | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function shown(entry: TraceEntry | undefined): string {
  if (entry === undefined) return 'the end'
  const { atMs, node, kind, detail } = entry
  return `${JSON.stringify([node, kind, detail].filter((part) => part !== '').join(' '))} at ${atMs} ms`
}
