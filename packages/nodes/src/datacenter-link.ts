/**
 * A datacenter as a gate sees it: who leads it, under which term, how it is, and what it can run. Its leader is asked
 * every `heartbeatMs`, and probed besides; one that was silent for `staleNodeMs` is not used, until it answers again.
 */
import type { Clock, DatacenterHealth } from '@hs/core'
import { classifyDatacenter, type LeaderHint, type Reachability } from '@hs/health'
import { isLinkFailure } from './link-failure.js'
import type { RpcPeer } from './rpc-peer.js'
import type { NodeTiming } from './timing.js'
import type { LeaderRef } from './wire/fields.js'
import { managerStatus } from './wire/gate-manager.js'

export interface DatacenterLinkOptions {
  readonly name: string
  readonly managers: readonly string[]
  readonly peer: RpcPeer
  readonly clock: Clock
  readonly timing: Readonly<NodeTiming>
  readonly signal: AbortSignal
  /** This gate, as managers are to know it. */
  readonly gate: { readonly id: string; readonly address: string }
  /** Another leader, or the same one under another term. */
  onLeader(leader: LeaderRef): void
  onStatus(status: LinkStatus): void
  onError(error: unknown): void
}

/** How a datacenter is; what cannot be reached is not used. */
export type LinkStatus = DatacenterHealth | 'unreachable'

export interface DatacenterSnapshot {
  readonly status: LinkStatus
  readonly leader: string | null
  readonly managers: number
  readonly totalCores: number
  readonly freeCores: number
}

const MAX_HINTS = 4

export class DatacenterLink {
  readonly name: string
  readonly #options: DatacenterLinkOptions
  readonly #madeAt: number
  #leader: LeaderRef | null = null
  #heardAt: number | null = null
  #capacity = { managers: 0, totalCores: 0, freeCores: 0 }
  #next = 0
  /** The leader did not answer, or is none any more: the others are asked in turn. */
  #isSearching = false
  #status: LinkStatus = 'degraded'
  #health: DatacenterHealth = 'degraded'
  #reachability: Reachability | null = null
  /** Who leads, by the word of another manager: asked first. */
  #hint: string | null = null

  constructor(options: DatacenterLinkOptions) {
    this.#options = options
    this.name = options.name
    this.#madeAt = options.clock.now()
  }

  /** The leader of the highest term that was heard of. */
  get leader(): LeaderRef | null {
    return this.#leader
  }

  /** Whether its leader has ever answered. */
  get answered(): boolean {
    return this.#heardAt !== null
  }

  /** Not yet heard of is `'degraded'`. Probes alone make no one unreachable whose leader still answers requests. */
  get status(): LinkStatus {
    const { clock, timing } = this.#options
    const silentMs = clock.now() - (this.#heardAt ?? this.#madeAt)
    const patienceMs = this.#reachability === 'unreachable' ? timing.staleNodeMs / 2 : timing.staleNodeMs
    return silentMs >= patienceMs ? 'unreachable' : this.#health
  }

  /** Whether its probes go unanswered. */
  get suspected(): boolean {
    return this.#reachability === 'suspected' || this.#reachability === 'unreachable'
  }

  /** By its own word, whichever way that came. */
  judged(health: DatacenterHealth): void {
    this.#health = health
    this.#tellStatus()
  }

  reached(reachability: Reachability): void {
    this.#reachability = reachability
    this.#tellStatus()
  }

  /** Another manager says who leads: it is asked for itself. */
  hinted({ address, term = 0 }: LeaderHint): void {
    if (address !== this.#leader?.address && term >= (this.#leader?.term ?? 0)) this.#hint = address
  }

  /** Whether a report is of the highest term heard of, or a higher one. */
  heard(leader: LeaderRef): boolean {
    const known = this.#leader
    if (known !== null && leader.term < known.term) return false
    this.#leader = leader
    if (known?.id !== leader.id) this.#options.peer.met(leader)
    if (known?.id !== leader.id || known.term !== leader.term) this.#options.onLeader(leader)
    return true
  }

  facts(): DatacenterSnapshot {
    return { status: this.status, leader: this.#leader?.address ?? null, ...this.#capacity }
  }

  /** One round: the leader, or another manager if it does not answer. Never rejects. */
  async poll(): Promise<void> {
    const { managers, peer, signal, gate, clock, onError } = this.#options
    const known = this.#isSearching ? undefined : this.#leader?.address
    let address = this.#hint ?? known ?? managers[this.#next % managers.length] ?? ''
    this.#hint = null
    try {
      for (let hop = 0; hop <= MAX_HINTS; hop++) {
        const leader = this.#leader
        const answer = await peer.ask(
          address,
          managerStatus,
          { gateId: gate.id, address: gate.address, ...(leader && { leader }) },
          { signal, probe: true },
        )
        if (answer.ok) {
          if (!this.heard(answer.leader)) break
          this.#heardAt = clock.now()
          const { managers: count, totalCores, freeCores, facts } = answer
          this.#health = classifyDatacenter(facts).health
          this.#capacity = { managers: count, totalCores, freeCores }
          this.#isSearching = false
          this.#tellStatus()
          return
        }
        if (answer.leader === undefined || answer.leader.address === address) break
        address = answer.leader.address
      }
    } catch (error) {
      if (signal.aborted) return
      if (!isLinkFailure(error)) onError(error)
    }
    this.#isSearching = true
    this.#next++
    this.#tellStatus()
  }

  #tellStatus(): void {
    const { status } = this
    if (status === this.#status) return
    this.#status = status
    this.#options.onStatus(status)
  }
}
