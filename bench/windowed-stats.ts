/**
 * `@hs/windowed-stats` against npm tdigest, DDSketch and HdrHistogram: sketches alone, the collector beside a bare `Map`
 * of the peers' sketches, bytes, heap, and what jobs without news cost. Only ratios within one run mean anything.
 * Flags: `--smoke` (does it run at all), `--only text` (workloads whose name contains it), `--json file`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { runBench } from './harness.js'
import { Report } from './swim/report.js'
import { workloads as collectors } from './windowed-stats/collectors.js'
import { sections } from './windowed-stats/figures.js'
import { workloads as sketches } from './windowed-stats/sketches.js'

const { values: flags } = parseArgs({
  options: { smoke: { type: 'boolean' }, only: { type: 'string' }, json: { type: 'string' } },
  strict: true,
})
const isChosen = ({ name }: { name: string }) => flags.only === undefined || name.includes(flags.only)

const contests = [...sketches, ...collectors].filter(isChosen)
const chosen = sections(flags.smoke === true).filter(isChosen)
if (contests.length + chosen.length === 0) throw new Error(`nothing has "${flags.only}" in its name`)

console.log('peers: tdigest 0.1.3, @datadog/sketches-js 2.1.1 (1 %), hdr-histogram-js 3.0.1 (2 digits)')
if (contests.length > 0) await runBench('@hs/windowed-stats', contests)
const report = new Report(flags.smoke !== true)
for (const section of chosen) await section.run(report)

if (flags.json !== undefined) {
  const measured = contests.length > 0 ? (JSON.parse(readFileSync(flags.json, 'utf8')) as object) : {}
  writeFileSync(flags.json, `${JSON.stringify({ ...measured, figures: report.lines }, null, 2)}\n`)
}
if (flags.smoke !== true) console.log(report.missed === 0 ? 'every bound reached' : `${report.missed} bound(s) missed`)
