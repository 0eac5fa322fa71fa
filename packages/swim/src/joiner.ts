/**
 * Finds the cluster, and finds it again: all seeds at once until one has answered; then, now and then, one of the seeds
 * that are no member and of the members that are dead, so that a partition of any length heals by itself.
 */
import { HsError } from '@hs/core'
import type { ClusterState } from './cluster-state.js'
import type { MemberRecord } from './member-record.js'
import { DEAD, isActive } from './record.js'
import type { RequestTerms } from './requests.js'
import type { Seed, Seeds } from './seeds.js'
import type { Exchanged, Syncer } from './syncer.js'

const MIN_BACKOFF_MS = 1_000
const MAX_BACKOFF_MS = 30_000
/** A name is free as soon as its holder is found dead, which takes seconds. */
const TAKEN_BACKOFF_MS = 2_000

export class Joiner {
  readonly #state: ClusterState
  readonly #seeds: Seeds
  readonly #syncer: Syncer
  #backoffMs = MIN_BACKOFF_MS
  #hasJoined = false
  #isTakenTold = false

  constructor(state: ClusterState, seeds: Seeds, syncer: Syncer) {
    this.#state = state
    this.#seeds = seeds
    this.#syncer = syncer
  }

  start(): void {
    this.#joinInBackground()
    this.#armReconnect()
  }

  /** Contacts addresses once each; how many answered. */
  async join(addresses: readonly string[], terms: RequestTerms): Promise<number> {
    const seeds = [...new Set(addresses)].map((address) => this.#seeds.add(address))
    const outcomes = await Promise.all(seeds.map((seed) => this.#ask(seed, terms)))
    const answered = outcomes.filter((outcome) => !(outcome instanceof HsError)).length
    if (answered > 0) return answered
    const errors = outcomes.filter((outcome): outcome is HsError => outcome instanceof HsError)
    const taken = errors.find(({ code }) => code === 'NAME_TAKEN')
    if (taken !== undefined) throw taken
    throw new HsError('JOIN_FAILED', `None of ${addresses.join(', ')} answered: ${errors[0]?.message ?? 'no reason'}`, {
      cause: errors[0],
      details: { addresses: [...addresses] },
    })
  }

  #ask(seed: Seed, terms: RequestTerms): Promise<Exchanged | HsError> {
    return new Promise((resolve) => this.#contact(seed, true, terms, resolve))
  }

  #joinInBackground(): void {
    const { settings } = this.#state
    const seeds = this.#seeds.others()
    if (this.#hasJoined || seeds.length === 0) return
    let waiting = seeds.length
    let isTaken = false
    for (const seed of seeds) {
      this.#contact(seed, true, { timeoutMs: settings.joinTimeoutMs }, (outcome) => {
        isTaken ||= outcome instanceof HsError && outcome.code === 'NAME_TAKEN'
        if (isTaken && outcome instanceof HsError) this.#tellTaken(outcome)
        if (--waiting === 0) this.#retry(isTaken)
      })
    }
  }

  #retry(isTaken: boolean): void {
    if (this.#hasJoined) return
    const limitMs = isTaken ? Math.min(TAKEN_BACKOFF_MS, this.#backoffMs) : this.#backoffMs
    this.#backoffMs = Math.min(MAX_BACKOFF_MS, 2 * this.#backoffMs)
    this.#state.schedule(limitMs * this.#state.random.next(), () => this.#joinInBackground())
  }

  #tellTaken(error: HsError): void {
    if (error.code !== 'NAME_TAKEN' || this.#isTakenTold) return
    this.#isTakenTold = true
    this.#state.fail(error)
  }

  #contact(seed: Seed, isJoin: boolean, terms: RequestTerms, done: (outcome: Exchanged | HsError) => void): void {
    this.#seeds.attempted(seed)
    this.#syncer.exchange(seed.address, isJoin, terms, (outcome, member) => {
      if (outcome === 'itself') this.#seeds.drop(seed)
      else if (outcome === 'answered') this.#joined(seed, member)
      done(outcome)
    })
  }

  #joined(seed: Seed, member: string | undefined): void {
    seed.member = member
    this.#seeds.answered(seed)
    this.#hasJoined = true
    this.#isTakenTold = false
  }

  #armReconnect(): void {
    this.#state.schedule(this.#state.settings.reconnectIntervalMs, () => {
      this.#reconnect()
      this.#armReconnect()
    })
  }

  #reconnect(): void {
    const { table, random, settings } = this.#state
    const lost: (Seed | MemberRecord)[] = this.#seeds.others().filter((seed) => !this.#isMember(seed))
    for (const record of table.tombstones) {
      if (record.status === DEAD && record.rpcAddress !== '') lost.push(record)
    }
    if (lost.length === 0) return
    const terms = { timeoutMs: settings.joinTimeoutMs }
    const target = random.pick(lost)
    if (!('rpcAddress' in target)) return this.#contact(target, false, terms, (outcome) => this.#reconnected(outcome))
    this.#syncer.exchange(target.rpcAddress, false, terms, (outcome) => this.#reconnected(outcome))
  }

  /** Whether who answered at a seed is an active member there. */
  #isMember({ member, address }: Seed): boolean {
    const record = member === undefined ? undefined : this.#state.table.get(member)
    return record !== undefined && isActive(record.status) && record.rpcAddress === address
  }

  #reconnected(outcome: Exchanged | HsError): void {
    if (outcome instanceof HsError) this.#tellTaken(outcome)
  }
}
