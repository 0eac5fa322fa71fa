/**
 * `@hs/retry-budget` against cockatiel and p-retry. Only ratios within one run mean anything.
 * Flags: `--smoke` (does it run at all), `--only text` (workloads whose name contains it), `--json file`.
 */
import { parseArgs } from 'node:util'
import { runBench } from './harness.js'
import { printBudgets } from './retry-budget/budgets.js'
import { workloads } from './retry-budget/runs.js'
import { Report } from './swim/report.js'

const { values: flags } = parseArgs({
  options: { smoke: { type: 'boolean' }, only: { type: 'string' }, json: { type: 'string' } },
  strict: true,
})
const isSmoke = flags.smoke === true

await runBench('@hs/retry-budget', workloads)
if (flags.only === undefined) {
  const report = new Report(!isSmoke)
  printBudgets(report, isSmoke)
  if (!isSmoke) console.log(report.missed === 0 ? 'every bound reached' : `${report.missed} bound(s) missed`)
}
