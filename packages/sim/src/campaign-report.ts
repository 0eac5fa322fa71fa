/** What a campaign tells: what was run, what was reached, what failed and how to see it again. Plain JSON. */

import type { Fault } from './fault.js'
import type { TraceEntry } from './trace.js'

export interface CampaignReport {
  readonly scenario: string
  /** Seeds that were run, in order. A second run for the determinism check and runs of the shrinking do not count. */
  readonly runs: number
  readonly events: number
  readonly virtualMs: number
  readonly failures: readonly SimFailure[]
  /** How often each `sometimes` was true, in all runs together. */
  readonly coverage: Readonly<Record<string, number>>
  /** How many faults of each kind were planned, in all runs together. */
  readonly faults: Readonly<Record<Fault['kind'], number>>
  /** Names of `mustReach` that were never true. */
  readonly missing: readonly string[]
}

export interface SimFailure {
  readonly seed: number
  readonly code: string
  /** The invariant that was violated, where that is what failed. */
  readonly invariant?: string
  readonly message: string
  readonly atMs: number
  /** The whole plan of the seed. */
  readonly faults: Fault[]
  /** A part of it, with shorter durations, that fails in the same way. */
  readonly minimalFaults: Fault[]
  readonly shrinkRuns: number
  /** Of the run under the whole plan. */
  readonly traceHash: string
  readonly traceTail: readonly TraceEntry[]
  /** Of two runs that differ, the other one's entries at the same places. */
  readonly otherTraceTail?: readonly TraceEntry[]
  /** What to put before the command that ran the campaign. */
  readonly replay: string
}
