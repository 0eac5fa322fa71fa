/** A request for cores that waits: a workflow that has no plan yet, or a shard that must run again. */
import type { HeapItem } from './indexed-heap.js'
import { priorities, type Priority } from './job-spec.js'
import type { AgedGroup, Shape } from './shape.js'
import type { Tenant } from './tenant.js'
import type { TenantQueue } from './tenant-levels.js'

export const EXCLUSIVE_RANK = 0
export const AUTO_RANK = priorities.length - 1

export interface CandidateOptions<T> {
  readonly owner: T
  readonly priority: Priority
  readonly vus: number
  readonly cores: number | 'auto'
  readonly tenant: Tenant
  readonly workflow: string | undefined
  /** The most that `'auto'` cores may become, however many virtual users there are. */
  readonly maxCores: number
  /** Whether `'auto'` cores may be on several workers. */
  readonly spread: boolean
  /** Workers to use only if no other could ever run it. */
  readonly avoid: readonly string[]
  /** Place in the given order. */
  readonly order: number
  readonly queuedAtMs: number
}

export class Candidate<T> implements HeapItem {
  readonly owner: T
  readonly rank: number
  readonly vus: number
  /** Cores it must have on one worker; 0: as many as there are, up to `cap`. */
  readonly fixed: number
  /** The most it can use. */
  readonly cap: number
  readonly tenant: Tenant
  readonly workflow: string | undefined
  readonly spread: boolean
  readonly avoid: readonly string[]
  readonly order: number
  readonly queuedAtMs: number
  heapIndex = -1
  /** Its place in the row of its line, -1 while it has none. */
  rowIndex = -1
  /** Where it stands; null while in no queue. */
  shape: Shape<T> | null = null
  tenantQueue: TenantQueue<T> | null = null
  /** Set once it has waited too long. */
  agedGroup: AgedGroup<T> | null = null
  /** Neighbours among those that have not waited too long, in order of arrival. */
  older: Candidate<T> | null = null
  newer: Candidate<T> | null = null

  constructor(options: CandidateOptions<T>) {
    this.owner = options.owner
    this.rank = priorities.indexOf(options.priority)
    this.vus = options.vus
    this.fixed = options.cores === 'auto' ? 0 : options.cores
    this.cap = this.fixed > 0 ? this.fixed : Math.min(options.vus, options.maxCores)
    this.tenant = options.tenant
    this.workflow = options.workflow
    this.spread = options.spread
    this.avoid = options.avoid
    this.order = options.order
    this.queuedAtMs = options.queuedAtMs
  }
}

/** Within one tenant and rank: more virtual users, then the given order. */
export function comesFirst<T>(a: Candidate<T>, b: Candidate<T>): boolean {
  return a.vus === b.vus ? a.order < b.order : a.vus > b.vus
}

/** Within one rank: the tenant with the fewest cores in use, then `comesFirst`. */
export function isFairer<T>(a: Candidate<T>, b: Candidate<T>): boolean {
  const difference = a.tenant.inUse - b.tenant.inUse
  return difference === 0 ? comesFirst(a, b) : difference < 0
}
