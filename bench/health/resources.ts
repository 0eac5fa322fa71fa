/** What estimates, verdicts and totals cost. */
import { VirtualClock } from '@hs/core/testing'
import { HealthTracker, KalmanFilter, ResourceMonitor, ResourceViews } from '@hs/health'
import { nodeResourceSource } from '@hs/health/node'
import PeerFilter from 'kalmanjs'
import type { Workload } from '../harness.js'
import type { Report } from '../swim/report.js'
import { cpuMsOf } from './cpu-time.js'

const PEER = 'kalmanjs 1.1, scalar, no sigma'
const noisy = Array.from({ length: 1_024 }, (_, i) => 40 + 10 * Math.sin(i * 12.9898) * Math.sin(i * 78.233))

const adaptive = new KalmanFilter({ adapt: 0.05 })
const scalar = new KalmanFilter()
const peer = new PeerFilter({ R: 10, Q: 25 })

const filtering = (name: string, update: (z: number) => number, ours = false) => ({
  name,
  ours,
  run: (n: number) => {
    let sum = 0
    for (let i = 0; i < n; i++) sum += update(noisy[i & 1_023] as number)
    return sum
  },
})

export const filterWorkloads: Workload[] = [
  {
    name: 'update of a Kalman filter',
    contenders: [
      filtering('KalmanFilter, adaptive', (z) => adaptive.update(z), true),
      filtering('KalmanFilter, scalar', (z) => scalar.update(z)),
      filtering(PEER, (z) => peer.filter(z)),
    ],
    goals: [{ peer: PEER, ratio: 1 / 3 }],
  },
]

function verdictsMs(nodes: number): number {
  const clock = new VirtualClock()
  const tracker = new HealthTracker({ clock })
  const said = {
    incarnation: 1,
    ready: true,
    capacity: 4,
    overload: 'healthy',
    assigned: 3,
    expectedPerSecond: 10,
  } as const
  const all = Array.from({ length: nodes }, (_, i) => tracker.node(`node-${i}`))
  for (let seq = 1; seq <= 20; seq++) {
    clock.advance(2_000)
    for (const node of all) node.report({ ...said, seq, done: seq * 20 })
  }
  return cpuMsOf(31, () => all.filter((node) => node.verdict().advice === 'route').length)
}

function clusterMs(peers: number): number {
  const views = new ResourceViews({ self: 'm0', datacenter: 'eu' })
  const totals = { coresUsed: 3, coresTotal: 8, memoryUsed: 10, memoryTotal: 32, incarnation: 1, seq: 1 }
  for (let i = 1; i <= peers; i++) views.applyPeer({ ...totals, manager: `m${i}`, datacenter: 'eu', workers: 50 })
  const calls = 200
  const work = () => {
    for (let i = 0; i < calls; i++) views.cluster()
  }
  return cpuMsOf(31, work) / calls
}

/** CPU time of a sample, and so of a second at the default interval. */
async function sampleMs(samples: number): Promise<number> {
  const source = nodeResourceSource()
  const monitor = new ResourceMonitor({ source })
  for (let i = 0; i < 10; i++) await monitor.sample()
  const before = process.cpuUsage()
  for (let i = 0; i < samples; i++) await monitor.sample()
  const { user, system } = process.cpuUsage(before)
  source.close()
  return (user + system) / 1_000 / samples
}

export async function printResources(report: Report, isSmoke: boolean): Promise<void> {
  const [nodes, peers, samples] = isSmoke ? [100, 10, 10] : [10_000, 100, 2_000]
  const figures = [
    { what: 'verdicts of 10,000 nodes: ms', figure: verdictsMs(nodes), atMost: 3 },
    { what: 'ResourceViews.cluster of 100 peers: us', figure: clusterMs(peers) * 1_000, atMost: 20 },
    { what: 'ResourceMonitor at 1 s: % of a core', figure: (await sampleMs(samples)) / 10, atMost: 0.1 },
  ]
  for (const judged of figures)
    console.log(`${judged.what}: ${judged.figure.toFixed(3)}, at most ${judged.atMost}: ${report.verdict(judged)}`)
}
