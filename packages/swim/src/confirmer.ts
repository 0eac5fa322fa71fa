/**
 * Members known by hearsay only: probed out of turn a few times, and dropped without any death if they never say a word
 * themselves.
 */
import type { ClusterState } from './cluster-state.js'
import type { MemberRecord } from './member-record.js'
import type { Membership } from './membership.js'
import { policyOf } from './options.js'
import type { Outbox } from './outbox.js'
import type { OutstandingPings } from './outstanding.js'
import { UNCONFIRMED } from './record.js'

/** An unwell node waits longer for a first word, up to this many times. */
const MAX_STRETCH = 3

export class Confirmer {
  readonly #state: ClusterState
  readonly #membership: Membership
  readonly #outbox: Outbox
  readonly #pings: OutstandingPings

  constructor(state: ClusterState, membership: Membership, outbox: Outbox, pings: OutstandingPings) {
    this.#state = state
    this.#membership = membership
    this.#outbox = outbox
    this.#pings = pings
  }

  /** Begins to ask it for a word. */
  begin(record: MemberRecord): void {
    const { passing } = record
    if (passing === undefined) return
    passing.timer = this.#state.schedule(0, () => this.#step(record))
  }

  #step(record: MemberRecord): void {
    const { clock, settings, health } = this.#state
    const { passing } = record
    if (passing === undefined || record.status !== UNCONFIRMED) return
    const policy = policyOf(settings.roles, record.role)
    const endMs = passing.sinceMs + policy.unconfirmedTimeoutMs * Math.min(MAX_STRETCH, health.score + 1)
    const leftMs = endMs - clock.now()
    if (leftMs <= 0) return this.#membership.forget(record)
    if (passing.attempts >= policy.confirmationAttempts) return this.#state.reschedule(passing.timer, leftMs)
    passing.attempts++
    this.#ask(record)
    this.#state.reschedule(passing.timer, Math.min(leftMs, settings.probeIntervalMs))
  }

  /** Its answer is a message of itself, which is all that is asked for. */
  #ask(record: MemberRecord): void {
    const { clock, settings } = this.#state
    const sequence = this.#pings.add({
      target: record.name,
      sentMs: clock.now(),
      answered: () => {
        this.#pings.delete(sequence)
        timer?.cancel()
      },
    })
    const timer = this.#state.schedule(settings.probeIntervalMs, () => this.#pings.delete(sequence))
    this.#outbox.ping(record.address, sequence, record.name, record)
  }
}
