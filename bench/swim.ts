/**
 * `@hs/swim` against its peers: packets in process, heap a known member, bytes of a comparison of views, whole clusters
 * on virtual time, load by the size of the cluster, the paper's formulas, processor time on sockets. Only ratios within
 * one run mean anything; processor time on sockets needs a machine that is otherwise idle.
 * Flags: `--smoke` (does it run at all), `--only text` (workloads whose name contains it), `--json file`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Vivaldi } from '@hs/swim'
import { runBench, type Workload } from './harness.js'
import { packetWorkloads } from './swim/packets.js'
import { Report } from './swim/report.js'
import { sections } from './swim/sections.js'

const { values: flags } = parseArgs({
  options: { smoke: { type: 'boolean' }, only: { type: 'string' }, json: { type: 'string' } },
  strict: true,
})
const smoke = flags.smoke === true
const isChosen = (name: string) => flags.only === undefined || name.includes(flags.only)

function coordinates(): Workload {
  const vivaldi = new Vivaldi()
  const theirs = Array.from({ length: 64 }, (_, i) => ({
    vec: Array.from({ length: 8 }, (_, k) => ((i * 7 + k * 3) % 20) - 10),
    heightMs: 1,
    adjustmentMs: 0,
    error: 0.3,
  }))
  const peers = theirs.map((_, i) => `peer-${i}`)
  return {
    name: 'Vivaldi.observe, 8 dimensions',
    contenders: [
      {
        name: '@hs/swim',
        ours: true,
        run: (n) => {
          let last = 0
          for (let i = 0; i < n; i++)
            last = vivaldi.observe(
              peers[i % 64] as string,
              theirs[i % 64] as (typeof theirs)[0],
              10 + (i % 17),
            ).heightMs
          return last
        },
      },
    ],
  }
}

console.log(
  'peers: swim 0.6.0 (npm; msgpack and farmhash replaced by msgpackr and farmhash-modern, which build on Node 20)',
)
const workloads = [...(await packetWorkloads()), coordinates()].filter(({ name }) => isChosen(name))
if (workloads.length > 0) await runBench('@hs/swim', workloads)

const report = new Report(!smoke)
for (const section of sections(smoke)) if (isChosen(section.name)) await section.run(report)

if (flags.json !== undefined) {
  const contests = workloads.length > 0 ? (JSON.parse(readFileSync(flags.json, 'utf8')) as object) : {}
  writeFileSync(flags.json, `${JSON.stringify({ ...contests, figures: report.lines }, null, 2)}\n`)
}
if (!smoke) console.log(report.missed === 0 ? 'every bound reached' : `${report.missed} bound(s) missed`)
