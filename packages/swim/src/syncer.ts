/**
 * Anti-entropy: compares this node's view with another's over the reliable transport, so that what gossip lost is found.
 * Digests first, so two equal views cost less than a kibibyte whatever their size.
 */
import { ClosedError, HsError } from '@hs/core'
import type { ClusterState } from './cluster-state.js'
import type { MemberRecord } from './member-record.js'
import type { Origin } from './membership.js'
import type { News } from './packet-reader.js'
import { BUCKETS } from './digests.js'
import type { Prober } from './prober.js'
import { ALIVE, isActive } from './record.js'
import type { RequestTerms } from './requests.js'
import { syncCodecs } from './sync-messages.js'
import type { Views } from './views.js'

/** The first comparison comes this soon, then after twice the time, up to the interval: a mass start converges. */
const FIRST_MS = 1_000
const JITTER = 0.1
/** A process younger than this has no history to defend. */
const YOUNG_MS = 60_000

/** How often views are compared: `baseMs` up to 32 members, then slower, as each costs more and is needed less. */
export function scaledSyncIntervalMs(baseMs: number, n: number): number {
  return n <= 32 ? baseMs : baseMs * (Math.ceil(Math.log2(n / 32)) + 1)
}

/** What an exchange of views found. */
export type Exchanged = 'answered' | 'itself'

export class Syncer {
  readonly #state: ClusterState
  readonly #views: Views
  readonly #prober: Prober
  readonly #methods: { readonly sync: string; readonly push: string }
  #delayMs = FIRST_MS

  constructor(state: ClusterState, views: Views, prober: Prober) {
    this.#state = state
    this.#views = views
    this.#prober = prober
    const { cluster } = state.settings
    this.#methods = { sync: `swim/${cluster}/sync`, push: `swim/${cluster}/push` }
  }

  /** Answers others from now on, and begins to ask them. */
  start(): void {
    this.#state.rpc.handle(this.#methods.sync, (body) => this.#serveSync(body))
    this.#state.rpc.handle(this.#methods.push, (body) => this.#servePush(body))
    this.#arm()
  }

  /**
   * Exchanges views with whoever answers at an address; `done` is called once, with an error if it did not.
   * and told who it was if it did.
   * @param isJoin what it says of others is all there is to know
   */
  exchange(
    address: string,
    isJoin: boolean,
    terms: RequestTerms,
    done: (outcome: Exchanged | HsError, member?: string) => void,
  ): void {
    const { digests } = this.#state.table
    const { request } = syncCodecs()
    const body = request.encode({ self: this.#views.self(), digests: digests.toBytes() })
    this.#state.requests
      .send(address, this.#methods.sync, body, terms)
      .then((bytes) => this.#merge(address, bytes, isJoin, terms))
      .then(
        ([outcome, member]) => done(outcome, member),
        (error: unknown) => done(asHsError(error)),
      )
  }

  #arm(): void {
    const { random, settings, table } = this.#state
    const delayMs = this.#delayMs * (1 - JITTER + 2 * JITTER * random.next())
    this.#state.schedule(delayMs, () => this.#turn())
    this.#delayMs = Math.min(2 * this.#delayMs, scaledSyncIntervalMs(settings.syncIntervalMs, table.n))
  }

  #turn(): void {
    const { settings } = this.#state
    const member = this.#pick()
    if (member !== undefined) {
      this.exchange(member.rpcAddress, false, { timeoutMs: settings.joinTimeoutMs }, (outcome) => {
        if (outcome instanceof HsError) this.#missed(member, outcome)
      })
    }
    this.#arm()
  }

  /** A random member that is alive. */
  #pick(): MemberRecord | undefined {
    for (let i = 0; i < 8; i++) {
      const member = this.#state.table.ring.pick()
      if (member?.status === ALIVE) return member
    }
    return undefined
  }

  /** Silence is for the probes to judge; a refusal is told. */
  #missed(member: MemberRecord, error: HsError): void {
    if (error.code === 'NAME_TAKEN') return this.#state.fail(error)
    this.#state.settings.logger.debug('Cluster: a sync failed', { member: member.name, code: error.code })
  }

  /** What this process learns from a sync is history only if it has one of its own. */
  #origin(isJoin: boolean): Origin {
    const { clock, startedMs } = this.#state
    return isJoin || clock.now() - startedMs < YOUNG_MS ? 'join' : 'sync'
  }

  #merge(
    address: string,
    bytes: Uint8Array,
    isJoin: boolean,
    terms: RequestTerms,
  ): [outcome: Exchanged, member: string | undefined] {
    const { self, isActive, table } = this.#state
    if (!isActive) throw new ClosedError('Cluster')
    const answer = syncCodecs().answer.decode(bytes)
    const theirs = this.#views.peek(answer.self)
    if (theirs?.name === self.name && theirs.generation === self.generation) return ['itself', undefined]
    // All of it is checked before any of it is taken.
    const said = this.#views.take(answer.records, this.#origin(isJoin))
    this.#views.takeSelf(answer.self)
    const buckets = answer.buckets.filter((bucket) => bucket < BUCKETS)
    const { records } = this.#views.ofBuckets(buckets, (record) => isSaid(record, said.get(record.name)))
    if (records.length > 0 && table.n > 1) this.#push(address, records, terms)
    return ['answered', theirs?.name]
  }

  #push(address: string, records: Uint8Array, terms: RequestTerms): void {
    const { push, pushed } = syncCodecs()
    const body = push.encode({ self: this.#views.self(), records })
    this.#state.requests
      .send(address, this.#methods.push, body, terms)
      .then((bytes) => {
        if (this.#state.isActive) this.#views.takeSelf(pushed.decode(bytes).self)
      })
      .catch((error: unknown) => {
        this.#state.settings.logger.debug('Cluster: a push failed', { address, code: asHsError(error).code })
      })
  }

  #serveSync(body: Uint8Array): Uint8Array {
    const { table, isActive } = this.#state
    if (!isActive) throw new ClosedError('Cluster')
    const { request, answer } = syncCodecs()
    const { self, digests } = request.decode(body)
    const theirs = this.#views.peek(self)
    if (theirs !== undefined) this.#admit(theirs)
    this.#views.takeSelf(self)
    const differing = table.digests.differences(digests)
    const { buckets, records } = this.#views.ofBuckets(differing, (record) => isSaid(record, theirs))
    return answer.encode({ self: this.#views.self(), buckets, records })
  }

  #servePush(body: Uint8Array): Uint8Array {
    if (!this.#state.isActive) throw new ClosedError('Cluster')
    const { push, pushed } = syncCodecs()
    const { self, records } = push.decode(body)
    const theirs = this.#views.peek(self)
    if (theirs !== undefined) this.#admit(theirs)
    // All of it is checked before any of it is taken.
    this.#views.take(records, this.#origin(false))
    this.#views.takeSelf(self)
    return pushed.encode({ self: this.#views.self() })
  }

  /** @throws HsError `'NAME_TAKEN'` while another process at another address holds the name */
  #admit(theirs: News): void {
    const { self, table } = this.#state
    const { name, generation, description } = theirs
    if (description === undefined) return
    const holder = name === self.name ? self : table.get(name)
    if (holder === undefined || !isActive(holder.status)) return
    if (holder.generation === generation || holder.address === description.address) return
    if (holder !== self) this.#prober.hurry(holder)
    throw new HsError(
      'NAME_TAKEN',
      `${name} is ${holder.id} at ${holder.address}: wait until that is dead, or take another name`,
      {
        details: { name, holder: holder.id, address: holder.address },
      },
    )
  }
}

/** Whether the other side knows of a member what is held here. Of its entries that is not known. */
function isSaid(record: MemberRecord, said: News | undefined): boolean {
  if (said === undefined || said.name !== record.name || record.entries !== undefined) return false
  if (said.generation !== record.generation || said.incarnation !== record.incarnation) return false
  // As in the digests, a suspect counts as alive.
  return said.rank === record.status || (isActive(said.rank) && isActive(record.status))
}

function asHsError(error: unknown): HsError {
  const { remoteCode } = error as { remoteCode?: unknown }
  if (remoteCode === 'NAME_TAKEN') return new HsError('NAME_TAKEN', (error as Error).message, { cause: error })
  return HsError.is(error) ? error : new HsError('SYNC_FAILED', String(error), { cause: error })
}
