/**
 * One word for a whole datacenter, from what it says of itself, and why. The rules stand in order and the first that
 * holds decides. Being full is never worse than busy: work waits for cores, it does not fail for want of them.
 */
import { HsError, type DatacenterHealth } from '@hs/core'
import { factCounts, type DatacenterFacts } from './datacenter-facts.js'

export interface DatacenterClass {
  readonly health: DatacenterHealth
  /** For people: which rule decided. */
  readonly reason: string
}

/** Overloaded among those who are there: half of them is as bad as losing them, a third is felt. */
const DEGRADED_SHARE = 0.5
const BUSY_SHARE = 0.3

/**
 * Fewer healthy workers, fewer managers alive, fewer cores or more overload never make it better.
 * @throws HsError `'INVALID_ARGUMENT'` if a count is missing, negative or not finite
 */
export function classifyDatacenter(facts: DatacenterFacts): DatacenterClass {
  checkCounts(facts)
  return Object.freeze(classify(facts))
}

function classify(facts: DatacenterFacts): DatacenterClass {
  const { managers, managersAlive, workers, workersHealthy, managersOverloaded = 0, workersOverloaded = 0 } = facts

  if (managersAlive === 0) return unhealthy('no manager is alive')
  if (workers === 0) return unhealthy('there is no worker')
  if (workersHealthy === 0) return unhealthy('no worker is healthy')

  if (workersHealthy < majorityOf(workers))
    return degraded(`${workersHealthy} of ${workers} workers are healthy, a majority is ${majorityOf(workers)}`)
  if (managersAlive < majorityOf(managers))
    return degraded(`${managersAlive} of ${managers} managers are alive, a majority is ${majorityOf(managers)}`)
  if (facts.leaderOverload === 'overloaded') return degraded('the leader is overloaded')
  if (managersOverloaded / managersAlive >= DEGRADED_SHARE)
    return degraded(`${managersOverloaded} of ${managersAlive} managers alive are overloaded`)
  if (workersOverloaded / workersHealthy >= DEGRADED_SHARE)
    return degraded(`${workersOverloaded} of ${workersHealthy} healthy workers are overloaded`)
  if (facts.slo === 'degraded' || facts.slo === 'unhealthy') return degraded(`latency targets: ${facts.slo}`)

  if (facts.coresAvailable === 0) return busy('no core is available')
  if (workersOverloaded / workersHealthy >= BUSY_SHARE)
    return busy(`${workersOverloaded} of ${workersHealthy} healthy workers are overloaded`)
  if (facts.slo === 'busy') return busy('latency targets: busy')

  return { health: 'healthy', reason: 'nothing is wrong' }
}

const unhealthy = (reason: string): DatacenterClass => ({ health: 'unhealthy', reason })
const degraded = (reason: string): DatacenterClass => ({ health: 'degraded', reason })
const busy = (reason: string): DatacenterClass => ({ health: 'busy', reason })

function majorityOf(n: number): number {
  return Math.floor(n / 2) + 1
}

function checkCounts(facts: DatacenterFacts): void {
  for (const name of factCounts) {
    const value: unknown = facts[name]
    if (typeof value === 'number' && value >= 0 && value < Infinity) continue
    if (value === undefined && (name === 'managersOverloaded' || name === 'workersOverloaded')) continue
    throw new HsError(
      'INVALID_ARGUMENT',
      `Facts of a datacenter: ${name} is a number of at least 0, found ${String(value)}`,
    )
  }
}
