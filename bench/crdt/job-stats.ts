/** Stats of a job in five datacenters, against the same fields as four types of the peer. */
import { JobStats } from '@hs/crdt'
import deltaCrdts from 'delta-crdts'
import type { Workload } from '../harness.js'

const PEER = 'four delta-crdts types'
const datacenters = Array.from({ length: 5 }, (_, i) => `dc-${i}`)

function observed(time: number): JobStats {
  const stats = new JobStats('job-1')
  for (const name of datacenters) observe(stats, name, time)
  return stats
}

function observe(stats: JobStats, name: string, time: number): void {
  stats.observe(name, { completed: 10 * time, failed: time, rate: time / 2, status: 'running', time })
}

/** Completed and failed as counters, rate and status as registers of all datacenters' values. */
class FourTypes {
  readonly completed = deltaCrdts('gcounter')('dc-0')
  readonly failed = deltaCrdts('gcounter')('dc-0')
  readonly rate = deltaCrdts('lwwreg')('dc-0')
  readonly status = deltaCrdts('lwwreg')('dc-0')

  constructor(time: number) {
    this.completed.apply(new Map(datacenters.map((name) => [name, 10 * time])))
    this.failed.apply(new Map(datacenters.map((name) => [name, time])))
    this.write(time)
  }

  write(time: number): void {
    this.rate.write(time, new Map(datacenters.map((name) => [name, time / 2])))
    this.status.write(time, new Map(datacenters.map((name) => [name, 'running'])))
  }

  merge(other: FourTypes): void {
    this.completed.apply(other.completed.state())
    this.failed.apply(other.failed.state())
    this.rate.apply(other.rate.state())
    this.status.apply(other.status.state())
  }
}

const merge: Workload = {
  name: 'JobStats: merge, 5 datacenters',
  contenders: [
    {
      name: 'JobStats',
      ours: true,
      run(n) {
        const [stats, other] = [observed(1), observed(2)]
        for (let i = 0; i < n; i++) stats.merge(other)
        return stats.totalCompleted
      },
    },
    {
      name: PEER,
      run(n) {
        const [stats, other] = [new FourTypes(1), new FourTypes(2)]
        for (let i = 0; i < n; i++) stats.merge(other)
        return stats.completed.value()
      },
    },
  ],
  goals: [{ peer: PEER, ratio: 5 }],
}

const observing: Workload = {
  name: 'JobStats: observe; observe, delta and merge of one datacenter',
  contenders: [
    {
      name: 'observe',
      ours: true,
      run(n) {
        const stats = observed(1)
        for (let i = 0; i < n; i++) observe(stats, datacenters[i % 5] ?? '', i + 2)
        return stats.totalCompleted
      },
    },
    {
      name: 'observe, delta, merge',
      run(n) {
        const [stats, peer] = [observed(1), observed(1)]
        stats.takeDelta()
        for (let i = 0; i < n; i++) {
          observe(stats, datacenters[i % 5] ?? '', i + 2)
          const delta = stats.takeDelta()
          if (delta !== null) peer.merge(delta)
        }
        return peer.totalCompleted
      },
    },
  ],
}

export const workloads: readonly Workload[] = [merge, observing]
