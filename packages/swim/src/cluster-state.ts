/** What the parts of a cluster share: its settings, its tables, its counters, and the way out to the network. */
import {
  ErrorReporter,
  newNodeId,
  parseNodeId,
  TimingWheel,
  TypedEmitter,
  type Clock,
  type DatagramTransport,
  type HsError,
  type Random,
  type RpcTransport,
  type WheelTimer,
} from '@hs/core'
import type { ClusterCounters, ClusterEvents, ClusterStatus } from './events.js'
import { GossipQueue } from './gossip-queue.js'
import { History, type AuditKind } from './history.js'
import { LocalHealth } from './local-health.js'
import { MemberRecord } from './member-record.js'
import { MemberTable } from './member-table.js'
import type { ClusterSettings } from './options.js'
import { PacketWriter } from './packet-writer.js'
import { defaultSpace, Position } from './position.js'
import { ALIVE } from './record.js'
import { Requests } from './requests.js'
import { Stalls } from './stalls.js'
import { labelOf } from './wire.js'

/** Deadlines are met to within this. */
const TICK_MS = 10
/** A header of the longest name, counts and nothing else. */
const MAX_HEADER_BYTES = 10 + 101 + 8 + 7 + 1 + 3
const WARNING_INTERVAL_MS = 60_000

export class ClusterState {
  readonly settings: ClusterSettings
  readonly clock: Clock
  readonly random: Random
  readonly datagram: DatagramTransport
  readonly rpc: RpcTransport
  readonly requests: Requests
  readonly reporter: ErrorReporter
  readonly events: TypedEmitter<ClusterEvents>
  readonly self: MemberRecord
  readonly table: MemberTable
  readonly queue: GossipQueue
  readonly writer: PacketWriter
  readonly position: Position
  readonly history: History
  readonly health: LocalHealth
  readonly stalls: Stalls
  readonly label: number
  readonly maxItemBytes: number
  readonly counters: ClusterCounters = {
    packetsIn: 0,
    packetsOut: 0,
    malformed: 0,
    foreign: 0,
    rateLimited: 0,
    probes: 0,
    probeFailures: 0,
    rpcProbes: 0,
    suspicions: 0,
    refutations: 0,
    membersRefused: 0,
    stalls: 0,
    lateAcks: 0,
  }
  status: ClusterStatus = 'idle'
  startedMs = 0
  /** Called when something waits to be gossiped. */
  onQueued: () => void = () => undefined
  readonly #wheel: TimingWheel
  #warnedMs = -Infinity
  #rpcFailures = 0

  constructor(settings: ClusterSettings) {
    const { clock, random, logger, name } = settings
    this.settings = settings
    this.clock = clock
    this.random = random
    this.datagram = settings.datagram
    this.rpc = settings.rpc
    this.requests = new Requests(settings.rpc)
    this.reporter = new ErrorReporter({
      clock,
      random,
      logger: logger.child({ cluster: settings.cluster, node: name }),
    })
    this.events = new TypedEmitter('Cluster', this.reporter)
    this.#wheel = new TimingWheel({
      clock,
      random,
      logger,
      tickMs: TICK_MS,
      onError: (error) => this.reporter.report('Cluster.timer', error),
    })
    const { generation } = parseNodeId(newNodeId(name, { clock, random }))
    this.self = new MemberRecord(name, generation, 0, {
      address: settings.datagram.address,
      rpcAddress: settings.rpc.address,
      role: settings.role,
      meta: settings.meta,
    })
    this.self.status = ALIVE
    this.self.confirmed = true
    this.table = new MemberTable(this.self, random, settings.maxMembers)
    this.label = labelOf(settings.cluster)
    this.writer = new PacketWriter(settings.maxPacketBytes, this.label)
    this.maxItemBytes = settings.maxPacketBytes - MAX_HEADER_BYTES
    this.queue = new GossipQueue({
      multiplier: settings.retransmitMultiplier,
      maxItemBytes: this.maxItemBytes,
      onQueued: () => this.onQueued(),
    })
    this.position = new Position(defaultSpace, random)
    this.history = new History(settings.historySize)
    this.health = new LocalHealth(settings.maxLocalHealth)
    this.stalls = new Stalls(settings.stallToleranceMs + TICK_MS, () => {
      this.counters.stalls++
      this.judge(1)
    })
    this.identify()
  }

  /** Takes part: sends, answers, judges. */
  get isActive(): boolean {
    return this.status === 'running' || this.status === 'leaving'
  }

  /** A timer of the wheel; none once this node is silent. */
  schedule(delayMs: number, fn: () => void): WheelTimer | undefined {
    return this.isActive ? this.#wheel.schedule(delayMs, fn) : undefined
  }

  reschedule(timer: WheelTimer | undefined, delayMs: number): void {
    if (this.isActive) timer?.reschedule(delayMs)
  }

  /** Moves the score of the local health. */
  judge(delta: number): void {
    const before = this.health.score
    const score = this.health.apply(delta)
    if (score === before) return
    this.self.health = score
    this.self.changed()
    this.identify()
    this.events.emit('localHealthChanged', score)
  }

  /** What the header says of this node has changed. */
  identify(): void {
    const { name, generation, incarnation, health } = this.self
    this.writer.identify(name, generation, incarnation, health)
  }

  transmit(to: string, bytes: Uint8Array): void {
    if (!this.isActive) return
    this.counters.packetsOut++
    try {
      this.datagram.send(to, bytes)
    } catch (error) {
      this.reporter.report('Cluster.send', error, { to })
    }
  }

  record(kind: AuditKind, member: MemberRecord, detail?: Readonly<Record<string, unknown>>): void {
    this.history.add(this.clock.now(), this.clock.wallNow(), kind, member.name, member.incarnation, detail)
  }

  /** The view is built only for those who listen. */
  announce(name: 'memberJoined' | 'memberUpdated' | 'memberRecovered' | 'memberLeft', member: MemberRecord): void {
    if (this.events.listenerCount(name) > 0) this.events.emit(name, member.view)
  }

  fail(error: HsError): void {
    if (!this.events.emit('error', error)) this.reporter.report('Cluster', error)
  }

  /** Not an error: that a member does not answer is what probes are for. */
  countRpcFailure(): void {
    this.#rpcFailures++
    this.settings.logger.debug('Cluster: an rpc ping was not answered', { failures: this.#rpcFailures })
  }

  refused(): void {
    this.counters.membersRefused++
    const now = this.clock.now()
    if (now - this.#warnedMs < WARNING_INTERVAL_MS) return
    this.#warnedMs = now
    const { maxMembers } = this.settings
    this.settings.logger.warn('Cluster: a newcomer was refused, raise maxMembers', {
      maxMembers,
      refused: this.counters.membersRefused,
    })
  }

  /** Falls silent for good: no timer is left, nothing is in flight. */
  end(status: 'stopped' | 'superseded'): void {
    this.status = status
    this.queue.clear()
    this.#wheel.stop()
    this.requests.abort()
  }
}
