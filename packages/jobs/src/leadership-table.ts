/**
 * Who leads which job, as far as this node has heard: claims with fences. The higher fence wins, at the same fence the
 * smaller leader id, so all nodes that heard the same claims agree, in whatever order they heard them.
 */
import { LimitError, parseOptions } from '@hs/core'
import * as z from 'zod'
import { invalidArgument, requireInteger } from './arguments.js'

export interface LeadershipTableOptions {
  /** This node, for `isLeader`. */
  nodeId: string
  /** Claims held; a claim for one job more is a LimitError. @default 100_000 */
  maxJobs?: number
}

export interface LeadershipClaim {
  readonly jobId: string
  readonly leaderId: string
  readonly address: string
  /** Grows with every change of leader. */
  readonly fence: number
}

const optionsSchema = z.strictObject({
  nodeId: z.string().min(1),
  maxJobs: z.int().min(1).default(100_000),
})

export class LeadershipTable {
  readonly #nodeId: string
  readonly #maxJobs: number
  readonly #claims = new Map<string, LeadershipClaim>()

  /** @throws ConfigError */
  constructor(options: LeadershipTableOptions) {
    const { nodeId, maxJobs } = parseOptions(optionsSchema, options, 'LeadershipTable')
    this.#nodeId = nodeId
    this.#maxJobs = maxJobs
  }

  get size(): number {
    return this.#claims.size
  }

  /**
   * `'accepted'`: it now stands; `'same'`: it stood already; `'stale'`: a better one stands.
   * @throws HsError `'INVALID_ARGUMENT'` for a malformed claim. @throws LimitError for a new job beyond `maxJobs`.
   */
  claim(claim: LeadershipClaim): 'accepted' | 'same' | 'stale' {
    checkClaim(claim)
    const known = this.#claims.get(claim.jobId)
    if (known !== undefined) {
      const order = compare(claim, known)
      if (order === 0) return 'same'
      if (order < 0) return 'stale'
    } else if (this.#claims.size >= this.#maxJobs) {
      throw new LimitError('leadership claims', this.#maxJobs)
    }
    const { jobId, leaderId, address, fence } = claim
    this.#claims.set(jobId, Object.freeze({ jobId, leaderId, address, fence }))
    return 'accepted'
  }

  leaderOf(jobId: string): LeadershipClaim | undefined {
    return this.#claims.get(jobId)
  }

  /** Whether this node leads it. */
  isLeader(jobId: string): boolean {
    return this.#claims.get(jobId)?.leaderId === this.#nodeId
  }

  /** Ids of the jobs that `nodeId` leads: what is to be adopted when it is dead. */
  ledBy(nodeId: string): string[] {
    const led: string[] = []
    for (const { jobId, leaderId } of this.#claims.values()) if (leaderId === nodeId) led.push(jobId)
    return led
  }

  /** Forgets the claim of a job that is over. */
  release(jobId: string): boolean {
    return this.#claims.delete(jobId)
  }

  /**
   * Claims each; how many were accepted. All are checked before the first is taken.
   * @throws HsError `'INVALID_ARGUMENT'` for a malformed claim. @throws LimitError when `maxJobs` is reached.
   */
  merge(claims: readonly LeadershipClaim[]): number {
    for (const claim of claims) checkClaim(claim)
    let accepted = 0
    for (const claim of claims) if (this.claim(claim) === 'accepted') accepted++
    return accepted
  }

  toWire(): LeadershipClaim[] {
    return [...this.#claims.values()]
  }
}

/**
 * Above 0 if `a` beats `b`. The address comes last, only so that two claims of one leader under one fence that differ
 * in nothing else do not make the outcome depend on their order.
 */
function compare(a: LeadershipClaim, b: LeadershipClaim): number {
  if (a.fence !== b.fence) return a.fence - b.fence
  return compareText(b.leaderId, a.leaderId) || compareText(b.address, a.address)
}

function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function checkClaim({ jobId, leaderId, address, fence }: LeadershipClaim): void {
  requireInteger('fence', fence)
  if (typeof jobId !== 'string' || jobId === '') throw invalidArgument('a claim needs a job id', { jobId })
  if (typeof leaderId !== 'string' || leaderId === '') throw invalidArgument('a claim needs a leader id', { leaderId })
  if (typeof address !== 'string') throw invalidArgument('a claim needs an address', { address })
}
