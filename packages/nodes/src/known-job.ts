/**
 * A job as every manager of its datacenter knows it: what it is, who owns it, and what its gate has taken over. Facts
 * are only ever added, and each raises the version, so that changes can be told without the rest.
 */
import type { DcJobSnapshot } from '@hs/jobs'
import type { JobOwner } from './wire/fields.js'
import type { Assignment } from './wire/gate-manager.js'
import type { JobEntry } from './wire/manager-manager.js'
import type { ShardResultWire } from './wire/shard-result.js'

/** Known, but not by the counting of the leader of now. */
const FOREIGN = 0

export class KnownJob {
  readonly jobId: string
  readonly #spec: Assignment['spec']
  #deadlineMs: number | null
  readonly #settled = new Map<string, ShardResultWire>()
  readonly #plans = new Map<string, readonly number[]>()
  #owner: JobOwner
  #version = 1
  /** Whose plans were not looked at yet: listing them costs more than a snapshot. */
  #snapshot: DcJobSnapshot | null = null
  /** What peers were told: so many, in the order in which they came. */
  #told = { version: 0, settled: 0, plans: 0 }

  constructor({ spec, settled, plans }: Assignment, owner: JobOwner, nowMs: number) {
    this.jobId = spec.jobId
    this.#spec = spec
    this.#deadlineMs = spec.timeoutMs === undefined ? null : nowMs + spec.timeoutMs
    this.#owner = owner
    this.plan(plans)
    for (const result of settled) this.settle(result)
  }

  get owner(): JobOwner {
    return this.#owner
  }

  get version(): number {
    return this.#version
  }

  /** As a leader submits it, with what is left of its time. */
  assignment(nowMs: number): Assignment {
    const left = this.#deadlineMs === null ? {} : { timeoutMs: Math.max(1, this.#deadlineMs - nowMs) }
    const spec = { ...this.#spec, ...left }
    return { spec, settled: [...this.#settled.values()], plans: Object.fromEntries(this.#plans) }
  }

  /** A result that its gate has; what only clients read of it stays out. */
  settle({ value: _value, stats: _stats, ...result }: ShardResultWire): boolean {
    if (this.#settled.has(result.key)) return false
    this.#settled.set(result.key, result)
    this.#version++
    return true
  }

  progress(snapshot: DcJobSnapshot): void {
    this.#snapshot = snapshot
  }

  /** What is left of its time, by its owner's word: more than is known if it was granted more. */
  prolong({ timeoutMs }: Assignment['spec'], nowMs: number): void {
    if (timeoutMs !== undefined && this.#deadlineMs !== null)
      this.#deadlineMs = Math.max(this.#deadlineMs, nowMs + timeoutMs)
  }

  plan(plans: Assignment['plans']): void {
    for (const [workflowId, plan] of Object.entries(plans)) {
      if (this.#plans.has(workflowId)) continue
      this.#plans.set(workflowId, plan)
      this.#version++
    }
  }

  own(owner: JobOwner): boolean {
    const { fence, address, gateId } = this.#owner
    if (owner.fence < fence || (owner.fence === fence && owner.address === address && owner.gateId === gateId))
      return false
    this.#owner = owner
    this.#version++
    return true
  }

  /** That there is such a version of it. */
  mention(): JobEntry {
    const { jobId, owner, version } = this
    return { jobId, owner, version, since: version, settled: [], plans: {} }
  }

  whole(nowMs: number): JobEntry {
    this.#lookAtPlans()
    const { jobId, owner, version } = this
    return { jobId, owner, version, since: FOREIGN, ...this.assignment(nowMs) }
  }

  /** What peers were not told yet, which they are told by this. Null if there is nothing. */
  news(nowMs: number): JobEntry | null {
    this.#lookAtPlans()
    const told = this.#told
    if (told.version === this.#version) return null
    this.tell()
    if (told.version === FOREIGN) return this.whole(nowMs)
    return {
      ...this.mention(),
      since: told.version,
      settled: [...this.#settled.values()].slice(told.settled),
      plans: Object.fromEntries([...this.#plans].slice(told.plans)),
    }
  }

  /** Peers know all of it, or will ask. */
  tell(): void {
    this.#told = { version: this.#version, settled: this.#settled.size, plans: this.#plans.size }
  }

  /** Another leader counts from now on. */
  forgetVersion(): void {
    this.#version = FOREIGN
  }

  /** What the leader tells. False: a change before it was missed, so the whole is needed. */
  merge({ since, version, spec, owner, settled, plans }: JobEntry): boolean {
    if (spec === undefined && (this.#version === FOREIGN || this.#version < since)) return false
    if (version < this.#version) return true
    this.own(owner)
    this.plan(plans)
    for (const result of settled) this.settle(result)
    this.#version = version
    return true
  }

  /** What a peer knows besides. */
  join({ owner, settled, plans }: JobEntry): void {
    this.own(owner)
    this.plan(plans)
    for (const result of settled) this.settle(result)
  }

  #lookAtPlans(): void {
    if (this.#snapshot === null) return
    this.plan(this.#snapshot.plans)
    this.#snapshot = null
  }
}
