/** The parts of `bench/swim.ts` that are no contest of operations per second: each measures, prints and judges. */
import { setTimeout as wait } from 'node:timers/promises'
import { constantLoad } from './constant-load.js'
import { copiesBound, FIRST_PROBE_BOUND, measureFormulas, PACKETS_BOUND, roundsBound, type Mean } from './formulas.js'
import { memoryPerMember } from './memory.js'
import { isNpmSwimHere } from './npm-swim.js'
import { printTable, type Report } from './report.js'
import { goVersions, memberlist, memberlistMissing, nodeMembers, type AtRest, type UdpPlan } from './udp.js'
import { wholeCluster } from './whole-cluster.js'

export interface Section {
  readonly name: string
  run(report: Report): Promise<void>
}

export function sections(smoke: boolean): readonly Section[] {
  const sizes: readonly Whole[] = smoke
    ? [{ n: 10, goal: 0, restS: 5 }]
    : [
        { n: 100, goal: 400, restS: 300 },
        { n: 1_000, goal: 40, restS: 20 },
        { n: 2_000, goal: 15, restS: 5 },
      ]
  return [
    { name: 'heap a known member', run: (report) => heap(report, smoke) },
    ...sizes.map((whole) => ({
      name: `whole cluster of ${whole.n}`,
      run: (report: Report) => wholeSection(report, whole),
    })),
    { name: 'constant load', run: (report) => load(report, smoke) },
    { name: 'formulas of SWIM', run: (report) => formulas(report, smoke) },
    { name: 'udp at rest', run: (report) => udp(report, smoke) },
  ]
}

async function heap(report: Report, smoke: boolean): Promise<void> {
  // Once for the code itself, which the heap holds too.
  await memoryPerMember(50)
  const { members, bytesKnown, bytesContacted, syncBytes } = await memoryPerMember(smoke ? 50 : 1_000)
  const of = (what: string, figure: number, atMost: number) =>
    console.log(`  ${what}: ${figure.toFixed(0)} B, goal ${atMost} B: ${report.verdict({ what, figure, atMost })}`)
  console.log(`heap a known member, ${members} members (memberlist's: with "udp at rest")`)
  of('none contacted', bytesKnown, 350)
  of('all contacted', bytesContacted, 600)
  of('two equal views compared', syncBytes, 1_024)
}

interface Whole {
  readonly n: number
  readonly goal: number
  readonly restS: number
}

async function wholeSection(report: Report, { n, goal, restS }: Whole): Promise<void> {
  const { clusterSecondsPerSecond, togetherS, mostPackets, packetsPerMemberPeriod } = await wholeCluster(n, restS)
  const what = `whole cluster of ${n}`
  const speed = report.verdict({ what, figure: clusterSecondsPerSecond, atLeast: goal })
  console.log(`${what} on virtual time`)
  console.log(`  at rest: ${clusterSecondsPerSecond.toFixed(1)} cluster-seconds a second, goal ${goal}: ${speed}`)
  console.log(`  packets a member and period at rest: ${packetsPerMemberPeriod.toFixed(2)}`)
  // What a mass start may cost is a promise for 1,000.
  const isPromised = n === 1_000
  const together = isPromised
    ? `, goal 15 s: ${report.verdict({ what: `${what}: together`, figure: togetherS, atMost: 15 })}`
    : ''
  console.log(`  all started at once: together after ${togetherS} virtual s${together}`)
  const limit = Math.round(2 * n * Math.log2(n))
  const packets = isPromised
    ? `, goal ${limit}: ${report.verdict({ what: `${what}: packets`, figure: mostPackets, atMost: limit })}`
    : ''
  console.log(`  packets a second meanwhile: at most ${mostPackets}${packets}`)
}

async function load(report: Report, smoke: boolean): Promise<void> {
  const loads = smoke ? await constantLoad([10, 20], 1, 50) : await constantLoad([100, 1_000, 5_000], 5, 5_000)
  const [first] = loads
  console.log('constant load: one real member, the others stubs; processor time a virtual second')
  for (const { members, cpuUsPerSecond } of loads) {
    const ratio = cpuUsPerSecond / (first?.cpuUsPerSecond ?? Number.NaN)
    const what = `constant load, ${members} members, of that among ${first?.members}`
    // The yardstick is not judged by itself.
    const judged = members === first?.members ? '' : `, goal 0.8 to 1.2: ${report.verdict(between(what, ratio))}`
    console.log(`  ${members} members: ${cpuUsPerSecond.toFixed(1)} us, ratio ${ratio.toFixed(2)}${judged}`)
  }
}

const between = (what: string, figure: number) => ({ what, figure, atLeast: 0.8, atMost: 1.2 })

async function formulas(report: Report, smoke: boolean): Promise<void> {
  const sizes = smoke ? [8, 16] : [8, 16, 32, 64, 128, 256, 512, 1_024, 2_048]
  const rows: string[][] = []
  for (const n of sizes) {
    const plan = smoke ? { crashes: 2, news: 1 } : { crashes: n > 256 ? 64 : 256, news: n > 512 ? 4 : 16 }
    const measured = await measureFormulas({ n, seed: n, ...plan })
    const { firstProbe, packets, rounds, mostRounds, mostCopies, firstDetection, fullDetection } = measured
    const judge = (what: string, shown: string, figure: number, atMost: number) =>
      `${shown}: ${report.verdict({ what: `${what}, n = ${n}`, figure, atMost })}`
    rows.push([
      `${n}`,
      judge(
        'first probe',
        `${interval(firstProbe)} / ${FIRST_PROBE_BOUND.toFixed(2)}`,
        firstProbe.mean,
        FIRST_PROBE_BOUND,
      ),
      // A packet may fall just beyond the edge of what is counted.
      judge('packets at rest', `${packets.toFixed(2)} / ${PACKETS_BOUND}`, packets, 1.01 * PACKETS_BOUND),
      judge(
        'rounds to all',
        `${rounds.mean.toFixed(1)}, ${mostRounds.toFixed(1)} / ${roundsBound(n).toFixed(0)}`,
        mostRounds,
        roundsBound(n),
      ),
      judge('copies a member', `${mostCopies} / ${copiesBound(n)}`, mostCopies, copiesBound(n)),
      interval(firstDetection),
      interval(fullDetection),
    ])
  }
  console.log(
    'formulas of SWIM, measured / bound: of the first probe the mean (with its 95 % interval) must stay below it, of the rest the worst case',
  )
  printTable(
    [
      'n',
      'periods until the dead is probed',
      'packets a member and period',
      'gossip rounds to all: mean, worst',
      'copies a member',
      'crash to first report, s',
      'to last, s',
    ],
    rows,
  )
}

const interval = ({ mean, halfWidth }: Mean) => `${mean.toFixed(2)} ± ${halfWidth.toFixed(2)}`

async function udp(report: Report, smoke: boolean): Promise<void> {
  const plan = smoke
    ? { members: 5, warmS: 0.1, windows: 1, windowS: 0.2, quietS: 0.1 }
    : { members: 100, warmS: 8, windows: 7, windowS: 5, quietS: 45 }
  const figures = new Map<string, AtRest>()
  const npmSwim = await isNpmSwimHere()
  const hasty: Contender[] = [
    ['floor 200', (own) => nodeMembers('floor', 200, own)],
    ['ours 200', (own) => nodeMembers('ours', 200, own)],
    ...(npmSwim ? [['peer 200', (own: UdpPlan) => nodeMembers('peer', 200, own)] as const] : []),
  ]
  for (const [key, at] of await together(hasty, plan)) figures.set(key, at)
  if (!smoke) {
    const missing = memberlistMissing()
    if (missing !== undefined) console.log(`memberlist is not compared: ${missing}`)
    const calm: Contender[] = [
      ['floor', (own) => nodeMembers('floor', 1_000, own)],
      ['ours', (own) => nodeMembers('ours', 1_000, own)],
      ...(missing === undefined ? [['memberlist', memberlist] as const] : []),
    ]
    for (const [key, at] of await together(calm, plan)) figures.set(key, at)
  }

  console.log(
    `${plan.members} members on loopback UDP at rest, a process each, all at the same time; the median of ${plan.windows} windows`,
  )
  printTable(
    ['', 'CPU ms/member/s', 'packets/member/s'],
    [...figures.values()].map(({ name, cpuMsPerMemberSecond, packetsPerMemberSecond }) => [
      name,
      cpuMsPerMemberSecond.toFixed(3),
      packetsPerMemberSecond?.toFixed(2) ?? '-',
    ]),
  )
  share(report, figures.get('ours 200'), figures.get('peer 200'), 1 / 6)
  share(report, figures.get('ours'), figures.get('memberlist'), 1 / 4)
  const go = figures.get('memberlist')
  if (go === undefined) return
  console.log(`  ${goVersions()}`)
  console.log(`  its heap a known member: ${go.heapPerKnownMember?.toFixed(0)} B (heap/n², n = ${plan.members})`)
  console.log(`  its comparison of views: ${go.syncBytes?.toFixed(0)} B (mean; n = ${plan.members})`)
}

type Contender = readonly [key: string, measure: (plan: UdpPlan) => Promise<AtRest>]

/**
 * They begin one after the other, because that takes a processor whole, and are measured at the same time, because what
 * a wake-up costs on a machine that does little is another thing from minute to minute.
 */
async function together(contenders: readonly Contender[], plan: UdpPlan): Promise<(readonly [string, AtRest])[]> {
  const beginS = plan.warmS + plan.quietS / 2
  const measuring = contenders.map(async ([key, measure], i) => {
    await wait(1_000 * beginS * i)
    const left = contenders.length - 1 - i
    return [key, await measure({ ...plan, quietS: plan.quietS + beginS * left })] as const
  })
  return Promise.all(measuring)
}

function share(report: Report, ours: AtRest | undefined, theirs: AtRest | undefined, atMost: number): void {
  if (ours === undefined || theirs === undefined) return
  const figure = ours.cpuMsPerMemberSecond / theirs.cpuMsPerMemberSecond
  const what = `CPU of ${ours.name} / ${theirs.name}`
  console.log(`  ${what}: ${figure.toFixed(3)}, goal ${atMost.toFixed(3)}: ${report.verdict({ what, figure, atMost })}`)
}
