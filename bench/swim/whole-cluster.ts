/** Whole clusters on virtual time in one process: how long they take to come together, and to play a second at rest. */
import { MemoryNetwork, SeededRandom, VirtualClock } from '@hs/core/testing'
import { Cluster } from '@hs/swim'

const SEEDS = ['n0:1', 'n1:1', 'n2:1']

export interface Whole {
  readonly n: number
  /** Virtual seconds until everyone sees everyone. */
  readonly togetherS: number
  /** The most packets a second until then, of `2 n log₂ n` allowed. */
  readonly mostPackets: number
  readonly packetsPerMemberPeriod: number
  readonly clusterSecondsPerSecond: number
}

export async function wholeCluster(n: number, restS: number): Promise<Whole> {
  const clock = new VirtualClock()
  const net = new MemoryNetwork({ clock, latencyMs: 1 })
  const dice = new SeededRandom(7)
  const all = Array.from(
    { length: n },
    (_, i) =>
      new Cluster({
        name: `n${i}`,
        clock,
        random: dice.fork(`n${i}`),
        datagram: net.datagram(`n${i}:1`),
        rpc: net.rpc(`n${i}:1`),
        seeds: SEEDS,
      }),
  )
  const packets = () => all.reduce((sum, cluster) => sum + cluster.snapshot().counters.packetsOut, 0)
  for (const cluster of all) await cluster.start()
  let togetherS = 0
  let mostPackets = 0
  while (!all.every((cluster) => cluster.size === n)) {
    const before = packets()
    await clock.advanceAsync(1_000)
    mostPackets = Math.max(mostPackets, packets() - before)
    togetherS++
  }
  await clock.advanceAsync(30_000)

  const before = packets()
  const start = performance.now()
  await clock.advanceAsync(restS * 1_000)
  const seconds = (performance.now() - start) / 1_000
  const packetsPerMemberPeriod = (packets() - before) / n / restS
  for (const cluster of all) await cluster.stop()
  return { n, togetherS, mostPackets, packetsPerMemberPeriod, clusterSecondsPerSecond: restS / seconds }
}
