/**
 * How the workers of a datacenter are, by what they report: a bucket for the scheduler, counts for the datacenter's own
 * class, and alerts. A worker whose cores are all taken is busy and nothing worse.
 */
import { datacenterHealths, type DatacenterHealth, type OverloadState, type RuntimeOptions } from '@hs/core'
import { HealthAlerts, HealthTracker, type NodeStatus } from '@hs/health'
import type { WorkerHealth } from './wire/manager-worker.js'

export interface WorkersHealthOptions {
  readonly runtime: Required<RuntimeOptions>
  /** A worker that nothing was heard of for this long is suspect. */
  readonly silenceMs: number
  readonly maxWorkers: number
}

const ofOverload: Readonly<Record<OverloadState, DatacenterHealth>> = Object.freeze({
  healthy: 'healthy',
  busy: 'busy',
  stressed: 'degraded',
  overloaded: 'unhealthy',
})

const ofStatus: Readonly<Record<NodeStatus, DatacenterHealth>> = Object.freeze({
  healthy: 'healthy',
  busy: 'busy',
  slow: 'degraded',
  degraded: 'degraded',
  stuck: 'unhealthy',
  suspect: 'unhealthy',
})

export interface Standing {
  /** Where it stands for the scheduler. */
  readonly bucket: DatacenterHealth
  /** It gets on with nothing, or is silent; overload alone does not make a worker one that does not count. */
  readonly isFailing: boolean
  readonly isOverloaded: boolean
}

/** The worse of the two. */
export function bucketOf(overload: OverloadState, status: NodeStatus): DatacenterHealth {
  const both = [ofOverload[overload], ofStatus[status]]
  return datacenterHealths.findLast((bucket) => both.includes(bucket)) ?? 'unhealthy'
}

export class WorkersHealth {
  readonly alerts: HealthAlerts
  readonly #tracker: HealthTracker

  constructor({ runtime, silenceMs, maxWorkers }: WorkersHealthOptions) {
    this.#tracker = new HealthTracker({ ...runtime, livenessMs: silenceMs, maxNodes: maxWorkers })
    this.alerts = new HealthAlerts({ ...runtime, maxPeers: maxWorkers })
  }

  /** An older report than one that was heard says nothing. */
  report(workerId: string, incarnation: number, version: number, health: WorkerHealth): void {
    if (this.#tracker.node(workerId).report({ incarnation, seq: version, ...health }))
      this.alerts.update(workerId, health.overload)
  }

  standing(workerId: string): Standing {
    const { overload, status } = this.#tracker.node(workerId).verdict()
    return {
      bucket: bucketOf(overload, status),
      isFailing: ofStatus[status] === 'unhealthy',
      isOverloaded: overload === 'overloaded',
    }
  }

  /**
   * Workers that have got on with nothing for so long that their work is to go elsewhere. None while nobody else could
   * take it, or while so many fail at once that the fault is more likely here.
   */
  stuck(): string[] {
    const { evict } = this.#tracker.evictions()
    const stuck = evict.filter((id) => this.#tracker.node(id).verdict().status === 'stuck')
    return stuck.length > 0 && this.#tracker.routable().length > 0 ? stuck : []
  }

  forget(workerId: string): void {
    this.#tracker.forget(workerId)
    this.alerts.forget(workerId)
  }
}
