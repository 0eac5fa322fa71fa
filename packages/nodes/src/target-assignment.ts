/**
 * Keeps one datacenter informed of one job until its final result is here: the assignment, repeated until it is
 * accepted and again to every new leader, and the cancellation, if there is one. What is wanted is stated whole and
 * again, so a lost message is a late one.
 */
import { Condition, type Clock, type Random } from '@hs/core'
import { fullJitterMs } from './backoff.js'
import type { DatacenterLink } from './datacenter-link.js'
import { isLinkFailure } from './link-failure.js'
import type { RpcPeer } from './rpc-peer.js'
import type { NodeTiming } from './timing.js'
import { jobCancel } from './wire/client-gate.js'
import type { JobOwner, LeaderRef } from './wire/fields.js'
import { jobAssign } from './wire/gate-manager.js'
import { cut } from './wire/parts.js'

export interface TargetAssignmentOptions {
  readonly jobId: string
  readonly link: DatacenterLink
  readonly peer: RpcPeer
  readonly clock: Clock
  readonly random: Random
  readonly timing: Readonly<NodeTiming>
  owner(): JobOwner
  /** The assignment as it is now, encoded. */
  encode(): Uint8Array
  /** The leader refuses the job itself, for good. */
  onRejected(code: string, message: string): void
  onError(error: unknown): void
}

interface Cancellation {
  readonly workflowId?: string
  readonly reason?: string
}

const MAX_BACKOFF_MS = 5_000

export class TargetAssignment {
  readonly #options: TargetAssignmentOptions
  readonly #wake: Condition
  #acceptedBy: LeaderRef | null = null
  /** Who has got all of the assignment last: it may have accepted it, though its answer was lost. */
  #offeredTo: string | null = null
  #recovered = false
  /** All that is wanted; how many of them the leader that has the job was told. */
  readonly #cancellations: Cancellation[] = []
  #told = 0
  #over = false
  #failures = 0

  constructor(options: TargetAssignmentOptions) {
    this.#options = options
    this.#wake = new Condition({ clock: options.clock })
  }

  /** Who has accepted the job, if anyone. */
  get acceptedBy(): LeaderRef | null {
    return this.#acceptedBy
  }

  cancel(cancellation: Cancellation): void {
    this.#cancellations.push(cancellation)
    this.#wake.notify()
  }

  /** The leader has changed. */
  reconsider(): void {
    this.#wake.notify()
  }

  /** The final result is here, or nobody wants it any more. */
  end(): void {
    this.#over = true
    this.#wake.notify()
  }

  async run(signal: AbortSignal): Promise<void> {
    const { link, clock, random, timing } = this.#options
    while (!this.#over && !signal.aborted) {
      const leader = link.leader
      const told = leader !== null && (await this.#tell(leader, signal))
      if (this.#over || signal.aborted) return
      if (told) this.#failures = 0
      else this.#failures++
      const waitMs = told
        ? timing.reassignMs
        : fullJitterMs({ baseMs: timing.reportMs, maxMs: MAX_BACKOFF_MS }, this.#failures, random)
      await this.#wait(waitMs, () => this.#over || this.#hasNews(leader, told), clock, signal)
    }
  }

  /** Another leader than the one that was asked, or something to tell to the one that has the job. */
  #hasNews(asked: LeaderRef | null, told: boolean): boolean {
    const now = this.#options.link.leader
    if (now === null) return false
    if (now.id !== asked?.id || now.term !== asked.term) return true
    return told && this.#told < this.#cancellations.length
  }

  async #wait(waitMs: number, until: () => boolean, clock: Clock, signal: AbortSignal): Promise<void> {
    let due = false
    const timer = clock.setTimer(waitMs, () => {
      due = true
      this.#wake.notify()
    })
    try {
      await this.#wake.until(() => due || until(), { signal })
    } finally {
      timer.cancel()
    }
  }

  /** Whether the leader has all that it should. */
  async #tell(leader: LeaderRef, signal: AbortSignal): Promise<boolean> {
    try {
      return (await this.#assign(leader, signal)) && (await this.#passCancellationsOn(leader, signal))
    } catch (error) {
      if (!isLinkFailure(error) && !signal.aborted) this.#options.onError(error)
      return false
    }
  }

  async #assign(leader: LeaderRef, signal: AbortSignal): Promise<boolean> {
    const { jobId, peer, owner, link } = this.#options
    this.#recovered ||= this.#offeredTo !== null && this.#offeredTo !== leader.id
    const recovered = this.#recovered
    const seen = link.leader
    const request = { jobId, owner: owner(), recovered, ...(seen && { leader: seen }) }
    if (this.#acceptedBy !== null) {
      const answer = await peer.ask(leader.address, jobAssign, request, { signal })
      if (!answer.ok) return this.#refused(answer.code, answer.message, answer.leader)
      if (answer.known) return this.#accepted(answer.leader)
    }
    this.#offeredTo = leader.id
    for (const part of cut(this.#options.encode())) {
      if (this.#over) return true
      const answer = await peer.ask(leader.address, jobAssign, { ...request, part }, { signal })
      if (!answer.ok) return this.#refused(answer.code, answer.message, answer.leader)
      if (answer.known) return this.#accepted(answer.leader)
    }
    return false
  }

  #accepted(leader: LeaderRef): boolean {
    // Another life knows nothing of what the one before was told.
    if (this.#acceptedBy?.id !== leader.id) this.#told = 0
    this.#acceptedBy = leader
    return this.#options.link.heard(leader)
  }

  #refused(code: string, message: string, leader: LeaderRef | undefined): boolean {
    if (leader !== undefined) this.#options.link.heard(leader)
    if (code === 'INVALID_JOB') this.#options.onRejected(code, message)
    return false
  }

  async #passCancellationsOn(leader: LeaderRef, signal: AbortSignal): Promise<boolean> {
    const { jobId, peer, owner } = this.#options
    for (;;) {
      const next = this.#cancellations[this.#told]
      if (next === undefined) return true
      const answer = await peer.ask(leader.address, jobCancel, { jobId, fence: owner().fence, ...next }, { signal })
      if (!answer.ok && answer.code !== 'INVALID_JOB') return false
      this.#told++
    }
  }
}
