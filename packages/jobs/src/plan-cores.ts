/**
 * Who runs where, as a pure function: the same plan that the scheduler makes, from plain data.
 * Guarantee: no worker gets more than it has free; cores stay idle only when every admitted request is at its cap, or
 * may not run where they are; equal arguments give equal plans.
 */
import { apportion } from './apportion.js'
import { invalidArgument, requireInteger } from './arguments.js'
import { Candidate } from './candidate.js'
import { Fleet, FleetWorker, type WorkerSlot } from './fleet.js'
import { priorities, type Priority } from './job-spec.js'
import { place } from './placement.js'
import { Tenant } from './tenant.js'
import { WaitingQueue } from './waiting-queue.js'

export interface CoreRequest {
  readonly id: string
  readonly priority: Priority
  /** Virtual users, from 1. */
  readonly vus: number
  /** That many on one worker, or as many as there are, up to `vus`. */
  readonly cores: number | 'auto'
  /** Unit of fair sharing. @default all requests without one are one tenant */
  readonly tenant?: string
  /** The name workers must list. @default any worker will do */
  readonly workflow?: string
  /** @default 0 */
  readonly waitedMs?: number
  /** The most that `'auto'` cores may become. @default vus */
  readonly maxCores?: number
  /** Whether `'auto'` cores may be on several workers. @default true */
  readonly spread?: boolean
  /** Workers to use only if no other could ever run it. @default [] */
  readonly avoid?: readonly string[]
}

/** One shard: where it goes, with how many cores and virtual users. */
export interface Placement {
  readonly workerId: string
  readonly cores: number
  readonly vus: number
}

export interface PlanOptions {
  /** A request that has waited this long comes first, in milliseconds. @default 30_000 */
  agingMs?: number
  /** Something exclusive runs: nothing is planned. @default false */
  exclusiveRunning?: boolean
  /** Cores that tenants have already. */
  inUse?: ReadonlyMap<string, number>
}

export interface PlannedRequest {
  readonly id: string
  readonly shards: Placement[]
}

/**
 * What gets cores now, in order of admission; what is not listed waits.
 * @throws HsError `'INVALID_ARGUMENT'` for a number out of range.
 */
export function planCores(
  requests: readonly CoreRequest[],
  workers: readonly WorkerSlot[],
  options: PlanOptions = {},
): PlannedRequest[] {
  const { agingMs = 30_000, exclusiveRunning = false, inUse } = options
  const fleet = new Fleet()
  for (const slot of workers) fleet.add(checkedWorker(slot))
  const tenants = new Map<string, Tenant>()
  const tenantOf = (name: string): Tenant => {
    const known = tenants.get(name)
    if (known !== undefined) return known
    const tenant = new Tenant(name, inUse?.get(name) ?? 0)
    tenants.set(name, tenant)
    return tenant
  }
  const candidates = requests.map((request, order) => candidateOf(request, order, tenantOf(request.tenant ?? '')))
  const queue = new WaitingQueue<CoreRequest>()
  // A candidate that has waited began at a moment before 0, which is now.
  for (const candidate of candidates.sort((a, b) => a.queuedAtMs - b.queuedAtMs || a.order - b.order)) {
    queue.add(candidate)
  }
  return place(queue, fleet, { nowMs: 0, agingMs, exclusiveRunning }).map(({ candidate, parts }) => {
    const vus = apportion(
      candidate.vus,
      parts.map(({ cores }) => cores),
    )
    const shards = parts.map(({ worker, cores }, index) => ({ workerId: worker.workerId, cores, vus: vus[index] ?? 0 }))
    return { id: candidate.owner.id, shards }
  })
}

function candidateOf(request: CoreRequest, order: number, tenant: Tenant): Candidate<CoreRequest> {
  const { priority, vus, cores, workflow, waitedMs = 0, maxCores = Infinity, spread = true, avoid = [] } = request
  if (!priorities.includes(priority)) throw invalidArgument(`expected a priority, found ${priority}`)
  requireInteger('vus', vus, 1)
  if (cores !== 'auto') requireInteger('cores', cores, 1)
  if (maxCores !== Infinity) requireInteger('maxCores', maxCores, 1)
  if (Number.isNaN(waitedMs)) throw invalidArgument('waitedMs: expected a number')
  const queuedAtMs = -waitedMs
  return new Candidate({
    owner: request,
    priority,
    vus,
    cores,
    tenant,
    workflow,
    maxCores,
    spread,
    avoid,
    order,
    queuedAtMs,
  })
}

function checkedWorker(slot: WorkerSlot): FleetWorker {
  requireInteger('total', slot.total)
  requireInteger('free', slot.free)
  return new FleetWorker(slot)
}
