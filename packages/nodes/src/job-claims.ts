/**
 * Who owns which job, among the gates: every gate tells every other one what it owns, until that one has heard it, so
 * that whoever is asked about a job can say who has it. The higher fence wins, at the same fence the smaller name.
 */
import type { Timer } from '@hs/core'
import { LeadershipTable, type LeadershipClaim } from '@hs/jobs'
import type { Member } from '@hs/swim'
import { isLinkFailure } from './link-failure.js'
import type { NodeLife } from './node-life.js'
import { tryThrice } from './tries.js'
import type { JobOwner } from './wire/fields.js'
import { gateSync, jobLeader, type Claim } from './wire/gate-gate.js'
import type { RequestOf } from './wire/method.js'

export interface JobClaimsOptions {
  readonly life: NodeLife
  readonly maxClaims: number
  /** The other gates that are there. */
  others(): readonly Member[]
  /** Another gate owns a job by a better claim than this one had. */
  onBeaten(jobId: string, by: JobOwner): void
}

/** What one other gate was not told yet. */
interface Untold {
  readonly claims: Set<string>
  readonly released: Set<string>
  telling: boolean
}

/** Of one message. */
const MAX_CLAIMS = 10_000

export class JobClaims {
  readonly #options: JobClaimsOptions
  readonly #table: LeadershipTable
  /** By name of the gate. */
  readonly #untold = new Map<string, Untold>()
  /** Gates that are gone, by name: when they have been so for `forgetNodeMs`, what they owned is forgotten. */
  readonly #gone = new Map<string, Timer>()
  #timer: Timer | undefined

  constructor(options: JobClaimsOptions) {
    this.#options = options
    this.#table = new LeadershipTable({ nodeId: options.life.id, maxJobs: options.maxClaims })
  }

  ownerOf(jobId: string): JobOwner | undefined {
    const claim = this.#table.leaderOf(jobId)
    return claim === undefined ? undefined : ownerIn(claim)
  }

  /** This gate owns it. */
  claim(jobId: string, { gateId, address, fence }: JobOwner): void {
    if (this.#isFull(jobId)) return
    this.#table.claim({ jobId, leaderId: gateId, address, fence })
    for (const untold of this.#untold.values()) {
      untold.claims.add(jobId)
      untold.released.delete(jobId)
    }
    this.#tellSoon()
  }

  /** This gate has forgotten it. */
  release(jobId: string): void {
    if (!this.#table.isLeader(jobId)) return
    this.#table.release(jobId)
    for (const untold of this.#untold.values()) {
      untold.claims.delete(jobId)
      untold.released.add(jobId)
    }
    this.#tellSoon()
  }

  /** A gate that was not there is to be told everything; what was known of an earlier life of it is void. */
  joined(name: string): void {
    this.#back(name)
    this.#untold.set(name, {
      claims: new Set(this.#table.ledBy(this.#options.life.id)),
      released: new Set(),
      telling: false,
    })
    this.#tellSoon()
  }

  /** It may come back, and own what it owned. */
  left(name: string): void {
    const { clock } = this.#options.life.runtime
    this.#untold.delete(name)
    this.#back(name)
    if (this.#options.life.over) return
    this.#gone.set(
      name,
      clock.setTimer(this.#options.life.timing.forgetNodeMs, () => this.forget(name)),
    )
  }

  /** Nobody will ever answer for the jobs of this gate. */
  forget(name: string): void {
    this.#back(name)
    for (const jobId of this.#table.ledBy(name)) this.#table.release(jobId)
  }

  heard({ claims, released }: RequestOf<typeof jobLeader>) {
    for (const { jobId, owner } of claims) this.#hear(jobId, owner)
    for (const jobId of released) if (!this.#table.isLeader(jobId)) this.#table.release(jobId)
    return { ok: true as const, known: this.#table.size }
  }

  /** What a joining gate is told, from `cursor` on. */
  page({ cursor }: RequestOf<typeof gateSync>) {
    const all = this.#table.toWire()
    const claims = all
      .slice(cursor, cursor + MAX_CLAIMS)
      .map((claim) => ({ jobId: claim.jobId, owner: ownerIn(claim) }))
    const next = cursor + claims.length
    return { ok: true as const, claims, ...(next < all.length && { cursor: next }) }
  }

  /** Learns what there is from one other gate, which may not be there. */
  async pull(address: string, signal: AbortSignal): Promise<void> {
    const { life } = this.#options
    await tryThrice(life, 'sync', signal, async () => {
      for (let cursor: number | undefined = 0; cursor !== undefined;) {
        const answer: Awaited<
          ReturnType<typeof life.peer.ask<{ cursor: number }, { claims: Claim[]; cursor?: number }>>
        > = await life.peer.ask(address, gateSync, { cursor }, { signal })
        if (!answer.ok) return false
        // What an earlier life of this gate owned is lost with it.
        for (const { jobId, owner } of answer.claims) if (owner.gateId !== life.id) this.#hear(jobId, owner)
        cursor = answer.cursor
      }
      return true
    })
  }

  stop(): void {
    this.#timer?.cancel()
    for (const timer of this.#gone.values()) timer.cancel()
    this.#gone.clear()
  }

  #back(name: string): void {
    this.#gone.get(name)?.cancel()
    this.#gone.delete(name)
  }

  #hear(jobId: string, owner: JobOwner): void {
    const wasMine = this.#table.isLeader(jobId)
    const { gateId: leaderId, address, fence } = owner
    if (this.#isFull(jobId)) return
    if (
      this.#table.claim({ jobId, leaderId, address, fence }) === 'accepted' &&
      wasMine &&
      !this.#table.isLeader(jobId)
    )
      this.#options.onBeaten(jobId, owner)
  }

  /** Beyond it a job is found by asking one gate after the other. */
  #isFull(jobId: string): boolean {
    return this.#table.size >= this.#options.maxClaims && this.#table.leaderOf(jobId) === undefined
  }

  #tellSoon(delayMs = this.#options.life.timing.reportMs): void {
    const { life } = this.#options
    if (this.#timer !== undefined || life.over || this.#untold.size === 0) return
    this.#timer = life.runtime.clock.setTimer(delayMs, () => {
      this.#timer = undefined
      this.#tell()
    })
  }

  #tell(): void {
    for (const { name, rpcAddress } of this.#options.others()) {
      const untold = this.#untold.get(name)
      if (untold === undefined || untold.telling || untold.claims.size + untold.released.size === 0) continue
      untold.telling = true
      this.#send(rpcAddress, untold).then(
        (isTold) => {
          untold.telling = false
          if (untold.claims.size + untold.released.size > 0)
            this.#tellSoon(isTold ? undefined : this.#options.life.timing.heartbeatMs)
        },
        (error) => this.#options.life.reporter.report(`${this.#options.life.label}.claims`, error),
      )
    }
  }

  async #send(to: string, { claims, released }: Untold): Promise<boolean> {
    const { life } = this.#options
    const told = { claims: [...claims].slice(0, MAX_CLAIMS), released: [...released].slice(0, MAX_CLAIMS) }
    const message = told.claims.flatMap((jobId) => {
      const owner = this.ownerOf(jobId)
      return owner === undefined ? [] : [{ jobId, owner }]
    })
    try {
      const answer = await life.peer.ask(
        to,
        jobLeader,
        { claims: message, released: told.released },
        { signal: life.scope.signal },
      )
      if (!answer.ok) return false
    } catch (error) {
      if (!isLinkFailure(error) && !life.over) life.reporter.report(`${life.label}.claims`, error)
      return false
    }
    for (const jobId of told.claims) claims.delete(jobId)
    for (const jobId of told.released) released.delete(jobId)
    return true
  }
}

function ownerIn({ leaderId, address, fence }: LeadershipClaim): JobOwner {
  return { gateId: leaderId, address, fence }
}
