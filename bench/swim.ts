/**
 * `@hs/swim` against its peers: packets in process, whole clusters on virtual time, heap a known member, bytes of a
 * comparison of views. Only ratios within one run mean anything.
 * Flags: `--smoke` (does it run at all), `--only text` (workloads whose name contains it), `--json file`.
 */
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { Vivaldi } from '@hs/swim'
import { runBench, type Workload } from './harness.js'
import { memoryPerMember } from './swim/memory.js'
import { packetWorkloads } from './swim/packets.js'
import { wholeCluster } from './swim/whole-cluster.js'

const { values: flags } = parseArgs({
  options: { smoke: { type: 'boolean' }, only: { type: 'string' }, json: { type: 'string' } },
  strict: true,
})
const smoke = flags.smoke === true
const isChosen = (name: string) => flags.only === undefined || name.includes(flags.only)
const verdict = (isReached: boolean) => (smoke ? 'not judged at this size' : isReached ? 'reached' : 'MISSED')

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

const workloads = [...(await packetWorkloads()), coordinates()].filter(({ name }) => isChosen(name))
if (workloads.length > 0) await runBench('@hs/swim', workloads)

if (isChosen('heap')) {
  // Once for the code itself, which the heap holds too.
  await memoryPerMember(50)
  const { members, bytesKnown, bytesContacted, syncBytes } = await memoryPerMember(smoke ? 50 : 1_000)
  console.log(`heap a known member, ${members} members`)
  console.log(`  none contacted: ${bytesKnown.toFixed(0)} B, goal 350 B: ${verdict(bytesKnown <= 350)}`)
  console.log(`  all contacted: ${bytesContacted.toFixed(0)} B, goal 600 B: ${verdict(bytesContacted <= 600)}`)
  console.log(`  two equal views compared: ${syncBytes} B, goal 1,024 B: ${verdict(syncBytes <= 1_024)}`)
}

const sizes: readonly (readonly [n: number, goal: number, restS: number])[] = smoke
  ? [[10, 0, 5]]
  : [
      [100, 400, 300],
      [1_000, 40, 20],
      [2_000, 15, 5],
    ]
for (const [n, goal, restS] of sizes) {
  if (!isChosen(`whole cluster of ${n}`)) continue
  const whole = await wholeCluster(n, restS)
  const { clusterSecondsPerSecond, togetherS, mostPackets, packetsPerMemberPeriod } = whole
  const limit = Math.round(2 * n * Math.log2(n))
  console.log(`whole cluster of ${n} on virtual time`)
  console.log(
    `  at rest: ${clusterSecondsPerSecond.toFixed(1)} cluster-seconds a second, goal ${goal}: ${verdict(clusterSecondsPerSecond >= goal)}`,
  )
  console.log(`  packets a member and period at rest: ${packetsPerMemberPeriod.toFixed(2)}`)
  console.log(`  all started at once: together after ${togetherS} virtual s, goal 15 s: ${verdict(togetherS <= 15)}`)
  console.log(`  packets a second meanwhile: at most ${mostPackets} of ${limit}: ${verdict(mostPackets <= limit)}`)
}

if (!smoke && isChosen('memberlist')) {
  const hasGo = spawnSync('go', ['version']).status === 0
  console.log(
    hasGo
      ? 'memberlist is compared by bench/swim/memberlist, where golang-github-hashicorp-memberlist-dev is installed'
      : 'memberlist is not compared: `go` is not installed',
  )
}
