/**
 * `@hs/overload` against rate-limiter-flexible, bottleneck, limiter, p-limit, p-queue and cockatiel. Only ratios within
 * one run mean anything.
 * Flags: `--smoke` (does it run at all), `--only text` (workloads whose name contains it), `--json file`.
 */
import { parseArgs } from 'node:util'
import { runBench } from './harness.js'
import { printCalls } from './overload/calls.js'
import { executors } from './overload/executors.js'
import { printHeap } from './overload/heap.js'
import { rates } from './overload/rates.js'
import { Report } from './swim/report.js'

const { values: flags } = parseArgs({
  options: { smoke: { type: 'boolean' }, only: { type: 'string' }, json: { type: 'string' } },
  strict: true,
})
const isSmoke = flags.smoke === true

await runBench('@hs/overload', [...rates, ...executors])
if (flags.only === undefined) {
  const report = new Report(!isSmoke)
  printCalls(report, isSmoke)
  await printHeap(report, isSmoke)
  if (!isSmoke) console.log(report.missed === 0 ? 'every bound reached' : `${report.missed} bound(s) missed`)
}
