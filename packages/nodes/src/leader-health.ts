/**
 * What the leader of a datacenter makes of all that is reported to it: which workers to trust with work, whom to warn of,
 * and the facts by which gates judge the datacenter (AD-16, AD-19, AD-42, AD-50).
 */
import type { DatacenterHealth } from '@hs/core'
import type { AlertCode, AlertSeverity, DatacenterFacts, HealthAlerts } from '@hs/health'
import type { WorkerPoolSnapshot } from '@hs/jobs'
import { DispatchLatency } from './dispatch-latency.js'
import { ManagersHealth } from './managers-health.js'
import type { NodeLife } from './node-life.js'
import type { WorkerRecord } from './worker-record.js'
import { WorkersHealth } from './workers-health.js'

export interface ManagerAlert {
  code: AlertCode
  /** `'cleared'`: what was told stands no more. */
  severity: AlertSeverity | 'cleared'
  /** The worker or manager that it is about, if it is about one. */
  peer?: string
}

export interface LeaderHealthOptions {
  readonly life: NodeLife
  readonly maxWorkers: number
  workers(): Iterable<WorkerRecord>
  pool(): WorkerPoolSnapshot
  managers(): ManagerCount
  /** Addresses of the managers that are there now. */
  peers(): readonly string[]
  onAlert(alert: ManagerAlert): void
}

export interface ManagerCount {
  readonly managers: number
  readonly managersAlive: number
}

export class LeaderHealth {
  readonly latency: DispatchLatency
  readonly workers: WorkersHealth
  readonly managers: ManagersHealth
  readonly #options: LeaderHealthOptions

  constructor(options: LeaderHealthOptions) {
    const { life, maxWorkers, onAlert } = options
    const { runtime, timing } = life
    this.#options = options
    this.latency = new DispatchLatency(runtime)
    this.workers = new WorkersHealth({ runtime, silenceMs: timing.workerSilenceMs, maxWorkers })
    this.managers = new ManagersHealth(runtime, life.id)
    for (const { alerts } of [this.workers, this.managers]) relay(alerts, onAlert)
  }

  /** Where a worker stands for the scheduler. What takes no work gets none. */
  bucket({ workerId, monitor, stopping }: WorkerRecord): DatacenterHealth {
    return stopping || monitor.suspected ? 'unhealthy' : this.workers.standing(workerId).bucket
  }

  /** What time alone changes. Returns the workers whose work is to go elsewhere. */
  look(): string[] {
    const { life, peers } = this.#options
    this.managers.keep(peers())
    this.managers.leads(life.load.state)
    this.latency.judge()
    return this.workers.stuck()
  }

  facts(): DatacenterFacts {
    const { life, workers, pool, managers } = this.#options
    const { totalCores, freeCores } = pool()
    let known = 0
    let healthy = 0
    let overloaded = 0
    for (const { workerId, monitor } of workers()) {
      known++
      const { isFailing, isOverloaded } = this.workers.standing(workerId)
      if (monitor.suspected || isFailing) continue
      healthy++
      if (isOverloaded) overloaded++
    }
    return {
      ...managers(),
      workers: known,
      workersHealthy: healthy,
      coresAvailable: freeCores,
      coresTotal: totalCores,
      managersOverloaded: this.managers.overloaded,
      workersOverloaded: overloaded,
      leaderOverload: life.load.state,
      slo: this.latency.health,
    }
  }
}

function relay(alerts: HealthAlerts, onAlert: (alert: ManagerAlert) => void): void {
  alerts.events.on('alert', ({ code, severity, peer }) =>
    onAlert({ code, severity, ...(peer !== undefined && { peer }) }),
  )
  alerts.events.on('clear', ({ code }) => onAlert({ code, severity: 'cleared' }))
}
