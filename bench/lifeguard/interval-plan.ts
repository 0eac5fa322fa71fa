/** Which cells are run, and in which order: one that leaves a fair sample wherever it is cut short. */
import { SeededRandom } from '@hs/core/testing'
import { configurations } from './configurations.js'
import { cellsOf, type Cell } from './interval.js'
import type { IntervalJob } from './jobs.js'

const SMOKE_CELL: Cell = { members: 16, held: 4, heldMs: 16_384, releasedMs: 4, seed: 1 }

/**
 * All cells of a seed before those of the next, in random order, and of each cell all configurations of a column before
 * the next cell: so that whatever was run can be compared.
 */
export function intervalJobs(seeds: readonly number[], smoke: boolean): IntervalJob[] {
  if (smoke) return jobsOf([SMOKE_CELL], 0, Infinity)
  const jobs: IntervalJob[] = []
  for (const seed of seeds) {
    const shuffled = new SeededRandom(seed).shuffle(cellsOf(128, seed))
    // The paper's five, then the tunings.
    jobs.push(...jobsOf(shuffled, 0, 5), ...jobsOf(shuffled, 5, Infinity))
  }
  return jobs
}

function jobsOf(cells: readonly Cell[], from: number, to: number): IntervalJob[] {
  return cells.flatMap((cell) =>
    configurations.slice(from, to).map(({ name }): IntervalJob => ({ kind: 'interval', cell, configuration: name })),
  )
}
