/**
 * The Lifeguard paper, reproduced on virtual time: its tables beside ours. The figures depend on the seeds alone, not
 * on the machine; three seeds of everything take hours of a processor. Ctrl-C ends it early and prints what there is;
 * with `--json` the same command goes on from there.
 * Source: Dadgar, Phillips, Currey, "Lifeguard" (arXiv 1707.00788).
 */
import { availableParallelism } from 'node:os'
import { Command, InvalidArgumentError } from 'commander'
import {
  distressedCounts,
  exhaustionConfigurations,
  exhaustionTable,
  type Exhausted,
} from './lifeguard/exhaustion-table.js'
import { intervalJobs } from './lifeguard/interval-plan.js'
import { intervalTable, summarise, type Measured } from './lifeguard/interval-table.js'
import type { ExhaustionJob, Job, LatencyJob, ResultOf } from './lifeguard/jobs.js'
import { latencyConfigurations, latencyRows, latencyTable } from './lifeguard/latency-table.js'
import type { Latencies } from './lifeguard/latency.js'
import { runJobs } from './lifeguard/pool.js'
import { Progress } from './lifeguard/progress.js'
import { Records } from './lifeguard/records.js'

const count = (text: string) => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('expected an integer of at least 1')
  return value
}
const flags = new Command('lifeguard')
  .option('--smoke', 'does it run at all: few members, little of everything', false)
  .option('--seeds <n>', 'runs of each cell', count, 3)
  .option('--only <text>', 'experiments whose name contains it: interval, latency, exhaustion', '')
  .option('--json <file>', 'where all figures are kept; what it holds already is not run again')
  .option('--workers <n>', 'processes', count, availableParallelism())
  .parse()
  .opts<{ smoke: boolean; seeds: number; only: string; json?: string; workers: number }>()

const { smoke } = flags
const seeds = Array.from({ length: smoke ? 1 : flags.seeds }, (_, i) => i + 1)
const interrupted = new AbortController()
process.once('SIGINT', () => interrupted.abort())
const records = new Records(flags.json)

/** Returns how much of it was done. */
async function work<J extends Job>(
  title: string,
  jobs: readonly J[],
  onDone: (job: J, result: ResultOf<J>) => void,
): Promise<string> {
  const left = jobs.filter((job) => {
    const result = records.get(job)
    if (result !== undefined) onDone(job, result)
    return result === undefined
  })
  const progress = new Progress(title, left.length)
  let done = jobs.length - left.length
  await runJobs({
    jobs: left,
    workers: flags.workers,
    signal: interrupted.signal,
    onDone: (job, result) => {
      records.keep(job, result)
      onDone(job, result)
      done++
      progress.step()
    },
  })
  progress.end()
  return `${seeds.length} seed(s), ${done} of ${jobs.length} runs`
}

async function interval(): Promise<void> {
  const measured: Measured[] = []
  const extent = await work('interval', intervalJobs(seeds, smoke), ({ cell, configuration }, outcome) => {
    measured.push({ cell, configuration, outcome })
  })
  console.log(`Interval experiment: FP are deaths reported of members that were never held, FP- those reported by such members; % of SWIM; ${extent}`) // prettier-ignore
  console.log(intervalTable(summarise(measured)))
}

async function latency(): Promise<void> {
  const measured = new Map<string, Latencies>()
  const jobs = seeds.flatMap((seed) =>
    latencyConfigurations.map(({ name }): LatencyJob => {
      const crashes = smoke ? { members: 8, crashes: 4, seed } : { members: 128, crashes: 1_000, seed }
      return { kind: 'latency', configuration: name, crashes }
    }),
  )
  const extent = await work('latency', jobs, ({ configuration }, { first, full }) => {
    const before = measured.get(configuration) ?? { first: [], full: [] }
    measured.set(configuration, { first: [...before.first, ...first], full: [...before.full, ...full] })
  })
  console.log(`Latency of true crashes: until one survivor reports it, until all have; ${extent}`)
  console.log(latencyTable(latencyRows(measured)))
}

async function exhaustion(): Promise<void> {
  const measured: Exhausted[] = []
  const jobs = seeds.flatMap((seed) =>
    (['paused', 'held'] as const).flatMap((manner) =>
      (smoke ? [4] : distressedCounts).flatMap((distressed) =>
        exhaustionConfigurations.map(({ name }): ExhaustionJob => {
          const [members, distressMs] = smoke ? [16, 30_000] : [100, 300_000]
          return {
            kind: 'exhaustion',
            configuration: name,
            distress: { members, distressed, distressMs, seed, manner },
          }
        }),
      ),
    ),
  )
  const extent = await work('exhaustion', jobs, ({ configuration, distress }, accusations) => {
    measured.push({ configuration, distress, accusations })
  })
  console.log(`No processor: deaths reported of members that always had one, mean of a run; ${extent}`)
  console.log(exhaustionTable(measured))
}

const experiments = { interval, latency, exhaustion }
for (const [name, run] of Object.entries(experiments)) {
  if (name.includes(flags.only)) await run()
}
if (smoke) console.log('a smoke run: at this size "reached" and "MISSED" mean nothing')
