/** What a worker can be asked to do, as plain data. */
import { configurations } from './configurations.js'
import { exhaust, type Accusations, type Distress } from './exhaustion.js'
import { runCell, type Cell, type Outcome } from './interval.js'
import { crashLatencies, type Latencies, type LatencyCase } from './latency.js'

export interface IntervalJob {
  readonly kind: 'interval'
  readonly configuration: string
  readonly cell: Cell
}

export interface LatencyJob {
  readonly kind: 'latency'
  readonly configuration: string
  readonly crashes: LatencyCase
}

export interface ExhaustionJob {
  readonly kind: 'exhaustion'
  readonly configuration: string
  readonly distress: Distress
}

export type Job = IntervalJob | LatencyJob | ExhaustionJob
export type ResultOf<J extends Job> = { interval: Outcome; latency: Latencies; exhaustion: Accusations }[J['kind']]

export async function perform(job: Job): Promise<ResultOf<Job>> {
  const configuration = configurations.find(({ name }) => name === job.configuration)
  if (configuration === undefined) throw new Error(`There is no configuration ${job.configuration}`)
  switch (job.kind) {
    case 'interval':
      return runCell(job.cell, configuration)
    case 'latency':
      return crashLatencies(job.crashes, configuration)
    case 'exhaustion':
      return exhaust(job.distress, configuration)
  }
}
