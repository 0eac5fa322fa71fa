/**
 * Probes one member a period, in the order of the probe ring: a ping; if it is not answered in time, through others and
 * over RPC at once; if none of that is answered either, the member is suspected. All times follow the local health
 * and, for far members, the measured round trip, so that one configuration serves near and far.
 * Source: Das, Gupta, Motivala, "SWIM" (DSN 2002), section 3; Lifeguard's LHA-Probe.
 */
import type { WheelTimer } from '@hs/core'
import type { ClusterState } from './cluster-state.js'
import type { MemberRecord } from './member-record.js'
import type { Membership } from './membership.js'
import type { Outbox } from './outbox.js'
import type { OutstandingPings } from './outstanding.js'
import { Probe, type ProbeOwner } from './probe.js'
import { ALIVE } from './record.js'
import type { RpcPing } from './rpc-ping.js'
import type { RoundTrips } from './rtt.js'

/** A proxy says that it has no answer at this share of its time. */
const NACK_SHARE = 0.8
/** Members whose score is above it are asked last. */
const GOOD_HEALTH = 2

export class Prober implements ProbeOwner {
  readonly #state: ClusterState
  readonly #membership: Membership
  readonly #outbox: Outbox
  readonly #pings: OutstandingPings
  readonly #roundTrips: RoundTrips
  readonly #rpcPing: RpcPing
  readonly #intervalMs: number
  readonly #timeoutMs: number
  #tick: WheelTimer | undefined
  #tickDueMs = 0

  constructor(
    state: ClusterState,
    membership: Membership,
    outbox: Outbox,
    pings: OutstandingPings,
    roundTrips: RoundTrips,
    rpcPing: RpcPing,
  ) {
    this.#state = state
    this.#membership = membership
    this.#outbox = outbox
    this.#pings = pings
    this.#roundTrips = roundTrips
    this.#rpcPing = rpcPing
    this.#intervalMs = state.settings.probeIntervalMs
    this.#timeoutMs = state.settings.probeTimeoutMs
  }

  /** Begins at a random phase, so that members that start together do not probe together. */
  start(): void {
    this.#arm(this.#state.random.next() * this.#intervalMs)
  }

  /** It is probed next, whoever's turn it is. */
  hurry(record: MemberRecord): void {
    this.#state.table.ring.advance(record)
  }

  /** How long a direct answer of it may take. */
  timeoutMs(record: MemberRecord): number {
    return this.#state.health.scale(Math.max(this.#timeoutMs, this.#roundTrips.boundOf(record)))
  }

  /** No answer in time: others are asked, and RPC. Returns who was asked. */
  askOthers(probe: Probe, leftMs: number): MemberRecord[] {
    const { counters, settings } = this.#state
    const { member, sequence } = probe
    const proxies = this.#chooseProxies(member)
    for (const proxy of proxies) this.#outbox.pingRequest(proxy, sequence, member, NACK_SHARE * leftMs)
    if (settings.rpcProbe) {
      counters.rpcProbes++
      this.#rpcPing.ask(member, leftMs, () => probe.relayed())
    }
    return proxies
  }

  failed(probe: Probe, penalty: number): void {
    this.#state.counters.probeFailures++
    this.#state.judge(penalty)
    this.#membership.accuse(probe.member, probe.generation, probe.incarnation)
  }

  forget(probe: Probe): void {
    this.#pings.delete(probe.sequence)
  }

  #arm(delayMs: number): void {
    const { clock } = this.#state
    this.#tickDueMs = clock.now() + delayMs
    if (this.#tick === undefined) this.#tick = this.#state.schedule(delayMs, () => this.#period())
    else this.#state.reschedule(this.#tick, delayMs)
  }

  #period(): void {
    const { clock, stalls, health, table } = this.#state
    stalls.lateness(this.#tickDueMs, clock.now())
    const target = table.ring.next()
    if (target !== undefined) this.#probe(target)
    this.#arm(health.scale(this.#intervalMs))
  }

  #probe(member: MemberRecord): void {
    const { health, counters } = this.#state
    const timeoutMs = this.timeoutMs(member)
    const wholeMs = Math.max(health.scale(this.#intervalMs), 2 * timeoutMs)
    const probe = new Probe(this, this.#state, member)
    probe.sequence = this.#pings.add(probe)
    probe.begin(timeoutMs, wholeMs)
    counters.probes++
    this.#outbox.ping(member.address, probe.sequence, member.name, member)
  }

  /** Random alive members, those that are well first: the ring is in random order, so from a random place on. */
  #chooseProxies(target: MemberRecord): MemberRecord[] {
    const { table, random, settings } = this.#state
    const { ring } = table
    const well: MemberRecord[] = []
    const unwell: MemberRecord[] = []
    const start = ring.size === 0 ? 0 : random.int(ring.size)
    for (let i = 0; i < ring.size && well.length < settings.indirectProbes; i++) {
      const member = ring.at((start + i) % ring.size)
      if (member === undefined || member === target || member.status !== ALIVE) continue
      if (member.health <= GOOD_HEALTH) well.push(member)
      else if (unwell.length < settings.indirectProbes) unwell.push(member)
    }
    return [...well, ...unwell].slice(0, settings.indirectProbes)
  }
}
