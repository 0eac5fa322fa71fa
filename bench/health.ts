/**
 * `@hs/health` against cockatiel, opossum and kalmanjs. Only ratios within one run mean anything.
 * Flags: `--smoke` (does it run at all), `--only text` (workloads whose name contains it), `--json file`.
 */
import { parseArgs } from 'node:util'
import { runBench } from './harness.js'
import { breakerWorkloads, printBreakers } from './health/breakers.js'
import { printDatacenters } from './health/datacenters.js'
import { filterWorkloads, printResources } from './health/resources.js'
import { Report } from './swim/report.js'

const { values: flags } = parseArgs({
  options: { smoke: { type: 'boolean' }, only: { type: 'string' }, json: { type: 'string' } },
  strict: true,
})
const isSmoke = flags.smoke === true

await runBench('@hs/health', [...breakerWorkloads, ...filterWorkloads])
if (flags.only === undefined) {
  const report = new Report(!isSmoke)
  printBreakers(report, isSmoke)
  await printResources(report, isSmoke)
  await printDatacenters(report, isSmoke)
  if (!isSmoke) console.log(report.missed === 0 ? 'every bound reached' : `${report.missed} bound(s) missed`)
}
