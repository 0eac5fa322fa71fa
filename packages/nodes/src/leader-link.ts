/**
 * A worker's bond with the leader of its datacenter. It finds the leader through any manager's address, registers with
 * all that it runs and holds (registration is the synchronisation of state), and begins again whenever the bond breaks.
 */
import type { Clock, Random, Timer } from '@hs/core'
import { fullJitterMs } from './backoff.js'
import { isLinkFailure } from './link-failure.js'
import { refusalError } from './node-errors.js'
import type { RpcPeer } from './rpc-peer.js'
import type { ExecutionRef, LeaderRef } from './wire/fields.js'
import { workerRegister } from './wire/manager-worker.js'
import type { Method } from './wire/method.js'

type RequestOf<M> = M extends Method<infer Q, object> ? Q : never
export type Registration = Omit<RequestOf<typeof workerRegister>, 'leader'>

export interface LeaderLinkOptions {
  readonly peer: RpcPeer
  readonly managers: readonly string[]
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
  /** What the worker is and holds, at this moment. */
  registration(): Registration
  /** Called in the same step in which the leader is known. */
  onFound(leader: LeaderRef, abort: readonly ExecutionRef[]): void
  onLost(leader: LeaderRef, why: unknown): void
  /** What no attempt could expect. */
  onError(error: unknown): void
}

const BACKOFF = Object.freeze({ baseMs: 100, maxMs: 5_000 })
const MAX_HINTS = 4
/** The backoff goes no further while managers answer, but have no leader: an election is soon over. */
const MAX_REFUSALS = 3

type Attempt = 'found' | 'refused' | 'failed'

export class LeaderLink {
  readonly #options: LeaderLinkOptions
  #leader: LeaderRef | null = null
  /** The last one followed, whose term no other leader may fall below. */
  #followed: LeaderRef | null = null
  #next = 0
  #failures = 0
  #searching = false
  #trying = false
  /** Somebody who says that it leads now: asked first. */
  #hint: string | null = null
  #timer: Timer | undefined

  constructor(options: LeaderLinkOptions) {
    this.#options = options
  }

  get leader(): LeaderRef | null {
    return this.#leader
  }

  /** The highest term that was followed. */
  get term(): number {
    return this.#followed?.term ?? 0
  }

  /** Looks for the leader until it is found, or `stop`. */
  search(): void {
    if (this.#searching || this.#options.signal.aborted) return
    this.#searching = true
    this.#attempt()
  }

  /** The leader does not answer, or says that it is none: the search begins anew. */
  lost(asked: LeaderRef, why: unknown): void {
    const leader = this.#leader
    if (leader?.id !== asked.id) return
    this.#leader = null
    this.#options.onLost(leader, why)
    this.search()
  }

  /** Another one leads now. */
  called(leader: LeaderRef): void {
    if (leader.term <= this.term || this.#options.signal.aborted) return
    this.#hint = leader.address
    if (this.#leader !== null) this.lost(this.#leader, 'another one leads')
    else if (this.#searching && !this.#trying) {
      this.#timer?.cancel()
      this.#attempt()
    }
  }

  /** An answer of the leader says under which term it leads now. */
  heard(leader: LeaderRef): void {
    if (this.#leader === null || leader.term < this.term) return
    this.#leader = this.#followed = leader
  }

  stop(): void {
    this.#timer?.cancel()
    this.#leader = null
  }

  #attempt(): void {
    this.#trying = true
    this.#tryManagers().then(
      (attempt) => {
        this.#trying = false
        if (this.#options.signal.aborted) return
        if (attempt === 'found') this.#searching = false
        else this.#retry(attempt)
      },
      (error) => {
        this.#trying = false
        if (this.#options.signal.aborted) return
        this.#options.onError(error)
        this.#retry('failed')
      },
    )
  }

  #retry(attempt: Attempt): void {
    this.#failures++
    if (attempt === 'refused') this.#failures = Math.min(this.#failures, MAX_REFUSALS)
    const { clock, random } = this.#options
    const waitMs = this.#hint === null ? fullJitterMs(BACKOFF, this.#failures, random) : 0
    this.#timer = clock.setTimer(waitMs, () => this.#attempt())
  }

  /** One manager, and whom it points to. */
  async #tryManagers(): Promise<Attempt> {
    const { managers, peer, signal, onFound } = this.#options
    let address = this.#hint ?? managers[this.#next % managers.length] ?? ''
    if (this.#hint === null) this.#next++
    this.#hint = null
    for (let hop = 0; hop <= MAX_HINTS; hop++) {
      const request = { ...this.#options.registration(), ...(this.#followed && { leader: this.#followed }) }
      const answer = await peer
        .ask(address, workerRegister, request, { signal, probe: true })
        .catch((error: unknown) => {
          if (!signal.aborted && !isLinkFailure(error)) this.#options.onError(error)
          return null
        })
      if (answer === null || signal.aborted) return 'failed'
      if (answer.ok) {
        if (answer.leader.term < this.term) return 'failed'
        this.#failures = 0
        this.#leader = this.#followed = answer.leader
        peer.met(answer.leader)
        onFound(answer.leader, answer.abort)
        return 'found'
      }
      if (answer.code !== 'NOT_LEADER' && answer.code !== 'NODE_STOPPED') this.#options.onError(refusalError(answer))
      if (answer.leader === undefined || answer.leader.address === address)
        return answer.code === 'NOT_LEADER' ? 'refused' : 'failed'
      address = answer.leader.address
    }
    return 'failed'
  }
}
