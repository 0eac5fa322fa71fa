/**
 * Membership of a cluster: who is in it, who is alive, and how far away. SWIM with all of Lifeguard, as a synchronous
 * state machine over a clock, dice and two transports: a packet is handled to its end within the transport's callback, a
 * timer within its own, so the same seeds give the same history to the millisecond.
 * Sources: Das, Gupta, Motivala, "SWIM" (DSN 2002); Dadgar, Phillips, Currey, "Lifeguard" (arXiv 1707.00788).
 */
import { ClosedError, ConfigError, deferred, HsError, LimitError, type TypedEmitter } from '@hs/core'
import { ClusterState } from './cluster-state.js'
import { Confirmer } from './confirmer.js'
import type { Coordinate } from './coordinate.js'
import { Entries, type PublishOptions } from './entries.js'
import type { ClusterEvents, ClusterSnapshot, ClusterStatus } from './events.js'
import { Gossiper } from './gossiper.js'
import type { AuditEntry } from './history.js'
import { Identity } from './identity.js'
import { Inbox } from './inbox.js'
import { Joiner } from './joiner.js'
import { memberStatuses, type Member, type MemberStatus, type Meta } from './member.js'
import { Membership } from './membership.js'
import { resolveOptions, type ClusterOptions, type ClusterSettings } from './options.js'
import { Outbox } from './outbox.js'
import { OutstandingPings } from './outstanding.js'
import { encodedMetaBytes } from './packet-writer.js'
import { Prober } from './prober.js'
import { Proxy } from './proxy.js'
import { statusOf } from './record.js'
import { RpcPing } from './rpc-ping.js'
import { RoundTrips, type RttEstimate } from './rtt.js'
import { Seeds } from './seeds.js'
import { Syncer } from './syncer.js'
import { byteLength } from './text.js'
import { UserPings } from './user-pings.js'
import { Views } from './views.js'
import { MAX_META_BYTES, MAX_TOPIC_BYTES } from './wire.js'

/** What a message leaves for the header. */
const MESSAGE_OVERHEAD = 256
const ACTIVE: readonly MemberStatus[] = ['alive', 'suspect']

export interface MembersFilter {
  /** Only members of this role. @default all */
  role?: string
  /** Only members of these statuses. @default ['alive', 'suspect'] */
  statuses?: readonly MemberStatus[]
}

export interface JoinOptions {
  /** How long to wait for each address, in milliseconds, 0 to one day. @default joinTimeoutMs of the cluster */
  timeoutMs?: number
  /** Ends the waiting; `join` rejects with its reason. */
  signal?: AbortSignal
}

export class Cluster implements AsyncDisposable {
  readonly #state: ClusterState
  readonly #identity: Identity
  readonly #entries: Entries
  readonly #outbox: Outbox
  readonly #prober: Prober
  readonly #seeds: Seeds
  readonly #syncer: Syncer
  readonly #joiner: Joiner
  readonly #inbox: Inbox
  readonly #rpcPing: RpcPing
  readonly #roundTrips: RoundTrips
  readonly #userPings: UserPings
  readonly #topics = new Map<string, (payload: Uint8Array, from: Member) => void>()
  #leaving: Promise<void> | undefined

  /** Sends nothing and sets no handler yet. @throws ConfigError */
  constructor(options: ClusterOptions) {
    const state = new ClusterState(resolveOptions(options))
    const pings = new OutstandingPings(state.random)
    const entries = new Entries(state)
    const outbox = new Outbox(state, entries)
    const identity = new Identity(state, entries, outbox, pings, () => this.#end('superseded'))
    const membership = new Membership(state, entries, {
      onSelf: (news) => identity.meet(news),
      onUnconfirmed: (record) => confirmer.begin(record),
    })
    const confirmer = new Confirmer(state, membership, outbox, pings)
    const roundTrips = new RoundTrips(state)
    const gossiper = new Gossiper(state, outbox)
    state.onQueued = () => gossiper.arm()

    this.#state = state
    this.#identity = identity
    this.#entries = entries
    this.#outbox = outbox
    this.#roundTrips = roundTrips
    this.#rpcPing = new RpcPing(state)
    this.#prober = new Prober(state, membership, outbox, pings, roundTrips, this.#rpcPing)
    this.#userPings = new UserPings(state, outbox, pings)
    this.#seeds = new Seeds(state)
    this.#syncer = new Syncer(state, new Views(state, entries, membership), this.#prober)
    this.#joiner = new Joiner(state, this.#seeds, this.#syncer)
    const proxy = new Proxy(state, outbox, pings)
    const onMessage = (topic: string, payload: Uint8Array, from: Member) => this.#topics.get(topic)?.(payload, from)
    this.#inbox = new Inbox({ state, membership, identity, entries, outbox, pings, proxy, roundTrips, onMessage })
    this.#checkConfigured(state.settings)
  }

  get events(): TypedEmitter<ClusterEvents> {
    return this.#state.events
  }

  /** This node as it tells of itself. */
  get local(): Member {
    return this.#state.self.view
  }

  /** Members alive and suspect, itself included. */
  get size(): number {
    return this.#state.table.n
  }

  /** Lifeguard's score of this process: 0 is well, `maxLocalHealth` the worst. */
  get localHealth(): number {
    return this.#state.health.score
  }

  /** Where this node is in the network, as its round trips say; frozen. */
  get coordinate(): Coordinate {
    const { coordinate } = this.#state.position
    Object.freeze(coordinate.vec)
    return Object.freeze(coordinate)
  }

  get status(): ClusterStatus {
    return this.#state.status
  }

  /** Begins to listen, and to join its seeds in the background for as long as it takes. @throws ClosedError */
  async start(): Promise<void> {
    const state = this.#state
    if (state.status === 'stopped') throw new ClosedError('Cluster')
    if (state.status !== 'idle') return
    state.status = 'running'
    state.startedMs = state.clock.now()
    state.datagram.onMessage((from, bytes) => this.#inbox.receive(from, bytes))
    this.#rpcPing.listen()
    this.#syncer.start()
    this.#prober.start()
    this.#joiner.start()
  }

  /**
   * Contacts addresses once each and returns how many answered; they are seeds from now on. Starts if that was not done.
   * Rejects with HsError `'JOIN_FAILED'` if none answers, `'NAME_TAKEN'`, `'INVALID_ARGUMENT'`; LimitError above 1,024
   * seeds; the signal's reason; ClosedError.
   */
  async join(addresses: readonly string[], options: JoinOptions = {}): Promise<number> {
    const { timeoutMs = this.#state.settings.joinTimeoutMs, signal } = options
    checkAddresses(addresses)
    checkTimeout(timeoutMs)
    await this.start()
    this.#assertOpen()
    signal?.throwIfAborted()
    const group = new Set<AbortController>()
    const onAbort = () => group.forEach((controller) => controller.abort())
    signal?.addEventListener('abort', onAbort)
    try {
      return await this.#joiner.join(addresses, { timeoutMs, group })
    } catch (error) {
      signal?.throwIfAborted()
      this.#assertOpen()
      throw error
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /**
   * Tells the others, waits until that has gone out often enough or for `timeoutMs` (by default `leaveTimeoutMs` of the
   * cluster), then stops; again: the same promise.
   * Rejects with ClosedError if it was stopped before; HsError `'INVALID_ARGUMENT'`, and then nothing was done.
   */
  async leave(options: { timeoutMs?: number } = {}): Promise<void> {
    const { timeoutMs = this.#state.settings.leaveTimeoutMs } = options
    checkTimeout(timeoutMs)
    await (this.#leaving ??= this.#leave(timeoutMs))
  }

  /** Falls silent, as a crash looks to the others. Leaves no timer; closes no transport; idempotent. */
  async stop(): Promise<void> {
    this.#end('stopped')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** The members, itself first if it is among them. */
  members(filter: MembersFilter = {}): Member[] {
    const { role, statuses = ACTIVE } = filter
    const { table } = this.#state
    const members: Member[] = []
    for (const record of [table.self, ...table]) {
      if (role !== undefined && record.role !== role) continue
      if (statuses.includes(statusOf(record.status))) members.push(record.view)
    }
    return members
  }

  /** A member, whatever its status, until it is forgotten. */
  member(name: string): Member | undefined {
    const { self, table } = this.#state
    return name === self.name ? self.view : table.get(name)?.view
  }

  /**
   * Replaces the metadata of this node.
   * @throws LimitError above 512 bytes encoded; HsError `'INVALID_ARGUMENT'`; ClosedError
   */
  setMeta(meta: Meta): void {
    this.#assertOpen()
    checkMeta(meta)
    this.#checkFits(meta)
    this.#identity.setMeta(Object.freeze({ ...meta }))
  }

  /**
   * Publishes a value of this node under a key of at most 64 bytes.
   * @throws LimitError for a value over 1,024 bytes or a 1,025th key; HsError `'INVALID_ARGUMENT'`; ClosedError
   */
  publish(key: string, value: Uint8Array, options?: PublishOptions): void {
    this.#assertOpen()
    this.#entries.publish(key, value, options)
  }

  /** Takes back what was published. @throws HsError `'INVALID_ARGUMENT'`, LimitError, ClosedError */
  retract(key: string): void {
    this.#assertOpen()
    this.#entries.retract(key)
  }

  /** The value of a member's entry. */
  entry(member: string, key: string): Uint8Array | undefined {
    return this.#recordOf(member)?.entries?.get(key)?.value
  }

  /** All values of a member, as they are now. */
  entries(member: string): ReadonlyMap<string, Uint8Array> {
    const values = new Map<string, Uint8Array>()
    for (const { key, value } of this.#recordOf(member)?.entries ?? []) if (value !== undefined) values.set(key, value)
    return values
  }

  /**
   * Sends one datagram to a member, best effort, whatever its status. False: there is no such member.
   * @throws HsError `'MESSAGE_TOO_LARGE'` above `maxPacketBytes` - 256 bytes, `'INVALID_ARGUMENT'`; ClosedError
   */
  send(member: string, topic: string, payload: Uint8Array): boolean {
    this.#assertOpen()
    checkTopic(topic)
    const { settings, table, self } = this.#state
    if (!(payload instanceof Uint8Array))
      throw new HsError('INVALID_ARGUMENT', 'The payload of a message is a Uint8Array')
    const limit = settings.maxPacketBytes - MESSAGE_OVERHEAD
    if (payload.length > limit) {
      throw new HsError('MESSAGE_TOO_LARGE', `A message has at most ${limit} bytes, found ${payload.length}`, {
        details: { limit, actual: payload.length },
      })
    }
    const address = member === self.name ? self.address : table.get(member)?.address
    if (address === undefined || address === '') return false
    this.#outbox.message(address, topic, payload)
    return true
  }

  /**
   * Handles the messages of a topic; the last handler counts. Returns what takes it away.
   * @throws HsError `'INVALID_ARGUMENT'`; ClosedError
   */
  onMessage(topic: string, fn: (payload: Uint8Array, from: Member) => void): () => void {
    this.#assertOpen()
    checkTopic(topic)
    if (typeof fn !== 'function') throw new HsError('INVALID_ARGUMENT', 'onMessage: expected a function')
    const handler = this.#state.reporter.guard('Cluster.onMessage', fn, { topic })
    this.#topics.set(topic, handler)
    return () => {
      if (this.#topics.get(topic) === handler) this.#topics.delete(topic)
    }
  }

  /**
   * Measures one round trip, in milliseconds; 0 to itself. `timeoutMs` is 0 to one day, by default as long as a probe waits.
   * Rejects with HsError `'PROBE_TIMEOUT'`, `'UNKNOWN_MEMBER'`, `'INVALID_ARGUMENT'`; ClosedError.
   */
  async ping(member: string, options: { timeoutMs?: number } = {}): Promise<number> {
    this.#assertOpen()
    if (member === this.#state.self.name) return 0
    const record = this.#state.table.get(member)
    if (record === undefined || record.address === '')
      throw new HsError('UNKNOWN_MEMBER', `No member is named ${member}`, { details: { member } })
    const { timeoutMs = this.#prober.timeoutMs(record) } = options
    checkTimeout(timeoutMs)
    return this.#userPings.ping(record, timeoutMs)
  }

  /** How far away a member is; a guess of quality 0 if nothing is known. */
  rtt(member: string): RttEstimate {
    return this.#roundTrips.estimate(member)
  }

  /** What happened, oldest first, at most `historySize` entries. */
  history(): readonly AuditEntry[] {
    return this.#state.history.entries()
  }

  snapshot(): ClusterSnapshot {
    const { self, status, table, queue, counters, position, health } = this.#state
    const count = (name: MemberStatus) => [name, table.count(name)] as const
    const { vec, ...coordinate } = position.coordinate
    return Object.freeze({
      id: self.id,
      name: self.name,
      status,
      incarnation: self.incarnation,
      localHealth: health.score,
      members: Object.freeze(Object.fromEntries(memberStatuses.map(count)) as Record<MemberStatus, number>),
      queued: queue.size,
      seeds: Object.freeze(
        Array.from(this.#seeds, ({ address, confirmed, attempts }) => Object.freeze({ address, confirmed, attempts })),
      ),
      coordinate: Object.freeze({ ...coordinate, vec: Object.freeze([...vec]) }),
      counters: Object.freeze({ ...counters }),
    })
  }

  async #leave(timeoutMs: number): Promise<void> {
    this.#assertOpen()
    const isAlone = this.#state.table.ring.size === 0
    if (this.#state.status === 'running' && !isAlone) {
      const told = deferred<void>()
      this.#state.status = 'leaving'
      this.#identity.leave(() => told.resolve())
      const timer = this.#state.schedule(timeoutMs, () => told.resolve())
      await told.promise
      timer?.cancel()
    }
    await this.stop()
  }

  #end(status: 'stopped' | 'superseded'): void {
    if (this.#state.status === 'stopped') return
    this.#state.end(status)
    this.#userPings.end()
  }

  #recordOf(name: string) {
    const { self, table } = this.#state
    return name === self.name ? self : table.get(name)
  }

  #assertOpen(): void {
    const { status } = this.#state
    if (status === 'stopped' || status === 'superseded') throw new ClosedError('Cluster')
  }

  /** @throws LimitError if the own record would not fit into a packet */
  #checkFits(meta: Readonly<Meta>): void {
    const { self, maxItemBytes } = this.#state
    const bytes = this.#identity.encodedBytes(meta)
    if (bytes > maxItemBytes)
      throw new LimitError(`Bytes of the record of ${self.name} in one packet`, maxItemBytes, bytes)
  }

  /** The same of the options. @throws ConfigError */
  #checkConfigured({ meta, maxPacketBytes }: ClusterSettings): void {
    const overhead = maxPacketBytes - this.#state.maxItemBytes
    const bytes = this.#identity.encodedBytes(meta) + overhead
    if (bytes <= maxPacketBytes) return
    const message = `expected at least ${bytes}, for the own record with its name, addresses, role and metadata`
    throw new ConfigError('Cluster', [{ path: 'maxPacketBytes', message, value: maxPacketBytes }])
  }
}

function checkMeta(meta: Meta): void {
  const isRecord = typeof meta === 'object' && meta !== null && Object.values(meta).every((x) => typeof x === 'string')
  if (!isRecord) throw new HsError('INVALID_ARGUMENT', 'Metadata is an object of strings')
  const length = encodedMetaBytes(meta)
  if (length > MAX_META_BYTES) throw new LimitError('Bytes of metadata', MAX_META_BYTES, length)
}

function checkTopic(topic: string): void {
  const length = typeof topic === 'string' ? byteLength(topic) : 0
  if (length < 1 || length > MAX_TOPIC_BYTES)
    throw new HsError('INVALID_ARGUMENT', `A topic has 1 to ${MAX_TOPIC_BYTES} bytes of UTF-8, found ${length}`)
}

function checkAddresses(addresses: readonly string[]): void {
  const isRight =
    Array.isArray(addresses) && addresses.length > 0 && addresses.every((x) => /^\S{1,255}$/.test(String(x)))
  if (!isRight) throw new HsError('INVALID_ARGUMENT', 'join takes one address or more, each like host:port')
}

function checkTimeout(timeoutMs: number): void {
  if (!(typeof timeoutMs === 'number' && timeoutMs >= 0 && timeoutMs <= 86_400_000))
    throw new HsError('INVALID_ARGUMENT', `timeoutMs is 0 to 86400000, found ${timeoutMs}`)
}
