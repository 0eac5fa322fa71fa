/**
 * `@hs/overload` against rate-limiter-flexible, bottleneck, limiter, p-limit, p-queue and cockatiel. Only ratios within
 * one run mean anything.
 * Flags: `--smoke` (does it run at all), `--only text` (workloads whose name contains it; `goodput`: that experiment
 * alone), `--json file`; of the experiment `--minutes n` (virtual ones, of each run), `--html file` (its
 * curves) and `--svg file` (those of three times the capacity).
 */
import { parseArgs } from 'node:util'
import { runBench } from './harness.js'
import { printCalls } from './overload/calls.js'
import { executors } from './overload/executors.js'
import { goodputFlags, runGoodput } from './overload/goodput-report.js'
import { printHeap } from './overload/heap.js'
import { rates } from './overload/rates.js'
import { Report } from './swim/report.js'

const { values: flags } = parseArgs({
  options: { smoke: { type: 'boolean' }, only: { type: 'string' }, json: { type: 'string' }, ...goodputFlags },
  strict: true,
})
const isSmoke = flags.smoke === true

const isGoodput = flags.only === 'goodput'
const report = new Report(!isSmoke)

if (!isGoodput) await runBench('@hs/overload', [...rates, ...executors], goodputFlags)
if (flags.only === undefined) {
  printCalls(report, isSmoke)
  await printHeap(report, isSmoke)
}
if (isGoodput || flags.only === undefined) {
  runGoodput(flags, report)
  if (!isSmoke) console.log(report.missed === 0 ? 'every bound reached' : `${report.missed} bound(s) missed`)
}
