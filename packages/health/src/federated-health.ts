/**
 * Judges whole datacenters over slow links, from probes that their leading managers answer. Silence is what counts: an
 * answer that does not come in time is a miss, enough of them in a row make a suspect, and only a suspicion that nobody
 * lifts makes a datacenter unreachable. A new leader is no bad news: it moves the probes and touches nothing else.
 * Guarantee: an answer counts once, for the probe that it answers, and never if it is older than what is known.
 * Source: RFC 6298 for the time-outs; Consul's WAN federation for the timings.
 */
import {
  ClosedError,
  DecodeError,
  ErrorReporter,
  HsError,
  LimitError,
  parseOptions,
  runtimeShape,
  TypedEmitter,
  type Clock,
  type DatacenterHealth,
  type DatagramTransport,
  type Random,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { transportField } from './datagram-option.js'
import { FederatedDatacenter, type DatacenterStatus, type Probe, type Reachability } from './federated-datacenter.js'
import { ackCodec, type AckMessage } from './federated-messages.js'
import { knownLeader, type KnownLeader, type LeaderHint } from './leader-hint.js'
import { MIN_NONCE, peekNonce } from './nonce-field.js'

export interface FederatedHealthOptions extends RuntimeOptions {
  /** This protocol's alone; closed by its owner. */
  transport: DatagramTransport
  /** Who asks: stands in the probes, for people. */
  self: string
  /** How often each datacenter is probed, in milliseconds, above 0. @default 2_000 */
  probeIntervalMs?: number
  /** How long a probe waits at the least, in milliseconds, above 0; longer where the link needs it. @default 5_000 */
  probeTimeoutMs?: number
  /** Time-outs in a row that make a suspect, at least 1. @default 5 */
  suspectAfterMisses?: number
  /** How long a suspect has before it counts as unreachable, in milliseconds, 0 or more. @default 30_000 */
  suspicionMs?: number
  /** Each interval is drawn from probeIntervalMs x [1 - jitter, 1 + jitter], 0 to 1. @default 0.1 */
  jitter?: number
  /** At least 1. @default 1_000 */
  maxDatacenters?: number
}

export interface FederatedHealthEvents {
  reachability: [datacenter: string, now: Reachability, was: Reachability]
  health: [datacenter: string, now: DatacenterHealth, was: DatacenterHealth | 'unknown']
  /** The round trip of one answer. */
  rtt: [datacenter: string, ms: number]
  /** The probes go to another leader, or to one of a higher term. */
  leader: [datacenter: string, leader: LeaderHint]
}

export interface FederatedHealthSnapshot {
  /** Sent so far. */
  readonly probes: number
  /** Answers that counted. */
  readonly acks: number
  /** Those among them that came after their time-out. */
  readonly late: number
  /** Answers older than what is known: of a lower term, or of an earlier life of their node. */
  readonly stale: number
  /** Datagrams that were no answer to a probe under way. */
  readonly ignored: number
  readonly datacenters: Readonly<Record<string, DatacenterStatus>>
}

/** In the order in which work is sent there; the others get none. */
const routableReachabilities: readonly Reachability[] = ['reachable', 'suspected']
const routableHealths: readonly DatacenterHealth[] = ['healthy', 'busy', 'degraded']

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    transport: transportField(),
    self: z.string().min(1),
    probeIntervalMs: z.number().positive().default(2_000),
    probeTimeoutMs: z.number().positive().default(5_000),
    suspectAfterMisses: z.int().min(1).default(5),
    suspicionMs: z.number().min(0).default(30_000),
    jitter: z.number().min(0).max(1).default(0.1),
    maxDatacenters: z.int().min(1).default(1_000),
  }))()

type Settings = Omit<z.output<typeof schema>, 'clock' | 'random' | 'logger' | 'transport'>

/** On every gate: probes the leader of each datacenter. */
export class FederatedHealth implements AsyncDisposable {
  readonly events: TypedEmitter<FederatedHealthEvents>
  readonly #clock: Clock
  readonly #random: Random
  readonly #transport: DatagramTransport
  readonly #settings: Settings
  readonly #reporter: ErrorReporter
  readonly #datacenters = new Map<string, FederatedDatacenter>()
  /** By nonce: those under way, and those whose answer would be late. */
  readonly #probes = new Map<number, Probe>()
  #state: 'idle' | 'running' | 'stopped' = 'idle'
  #sent = 0
  #acks = 0
  #late = 0
  #stale = 0
  #ignored = 0

  /** @throws ConfigError */
  constructor(options: FederatedHealthOptions) {
    const { clock, random, logger, transport, ...settings } = parseOptions(schema, options, 'FederatedHealth')
    this.#clock = clock
    this.#random = random
    this.#transport = transport
    this.#settings = settings
    this.#reporter = new ErrorReporter({ clock, random, logger })
    this.events = new TypedEmitter('FederatedHealth', this.#reporter, {
      describe: (_name, [datacenter]) => ({ datacenter }),
    })
  }

  /**
   * Takes in a datacenter, unreachable until it answers. One that is known already gets the leader as by `updateLeader`.
   * @throws HsError `'INVALID_ARGUMENT'`; LimitError at `maxDatacenters`
   */
  add(datacenter: string, leader: LeaderHint): void {
    if (typeof datacenter !== 'string' || datacenter === '')
      throw new HsError('INVALID_ARGUMENT', `A datacenter is text, found ${JSON.stringify(datacenter)}`)
    if (this.#datacenters.has(datacenter)) {
      this.updateLeader(datacenter, leader)
      return
    }
    const known = knownLeader(leader)
    const { maxDatacenters, self } = this.#settings
    if (this.#datacenters.size >= maxDatacenters)
      throw new LimitError('Datacenters of FederatedHealth', maxDatacenters, this.#datacenters.size + 1)
    const record = new FederatedDatacenter(datacenter, known, self, this.#wake)
    this.#datacenters.set(datacenter, record)
    if (this.#state === 'running') this.#begin(record)
  }

  /**
   * Moves the probes to a leader of a higher term, at once. False, and nothing changes, if the term is no higher or the
   * datacenter is not known.
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  updateLeader(datacenter: string, leader: LeaderHint): boolean {
    const known = knownLeader(leader)
    const record = this.#datacenters.get(datacenter)
    if (record === undefined || known.term <= record.leader.term) return false
    this.#move(record, known)
    this.#tell(record, 'leader', datacenter, known)
    return true
  }

  /** Ends its probes; what was known is gone. True if it was there. */
  remove(datacenter: string): boolean {
    const record = this.#datacenters.get(datacenter)
    if (record === undefined) return false
    this.#datacenters.delete(datacenter)
    record.isRemoved = true
    this.#end(record)
    return true
  }

  /** What is known of it; undefined if it was never added. */
  status(datacenter: string): DatacenterStatus | undefined {
    return this.#datacenters.get(datacenter)?.status(this.#clock.now())
  }

  /** Where work can be sent, the best first: reachable before suspected, then healthy, busy, degraded. */
  routable(): string[] {
    const places: string[][] = routableReachabilities.flatMap(() => routableHealths.map(() => []))
    for (const { name, reachability, health } of this.#datacenters.values()) {
      const row = routableReachabilities.indexOf(reachability)
      const column = health === 'unknown' ? -1 : routableHealths.indexOf(health)
      if (row >= 0 && column >= 0) places[row * routableHealths.length + column]?.push(name)
    }
    return places.flat()
  }

  /**
   * Listens and begins to probe, each datacenter at a random moment of the first interval.
   * Rejects with ClosedError after `stop`.
   */
  async start(): Promise<void> {
    if (this.#state === 'stopped') throw new ClosedError('FederatedHealth')
    if (this.#state === 'running') return
    this.#state = 'running'
    this.#transport.onMessage((from, bytes) => this.#receive(from, bytes))
    for (const record of this.#datacenters.values()) this.#begin(record)
  }

  /** Ends all probes and leaves no timer; what was known can still be read. The transport stays its owner's. */
  async stop(): Promise<void> {
    this.#state = 'stopped'
    for (const record of this.#datacenters.values()) this.#end(record)
  }

  /** `stop()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** What a dashboard shows. */
  snapshot(): FederatedHealthSnapshot {
    const now = this.#clock.now()
    const datacenters = Array.from(this.#datacenters, ([name, record]) => [name, record.status(now)] as const)
    return Object.freeze({
      probes: this.#sent,
      acks: this.#acks,
      late: this.#late,
      stale: this.#stale,
      ignored: this.#ignored,
      datacenters: Object.freeze(Object.fromEntries(datacenters)),
    })
  }

  #begin(record: FederatedDatacenter): void {
    record.nextProbeMs = this.#clock.now() + this.#random.next() * this.#settings.probeIntervalMs
    this.#arm(record)
  }

  #end(record: FederatedDatacenter): void {
    record.timer?.cancel()
    record.timer = null
    this.#forget(record.forgetProbes())
  }

  #forget(probes: readonly Probe[]): void {
    for (const { nonce } of probes) this.#probes.delete(nonce)
  }

  /**
   * Aims the timer anew. It may ring early, for a probe that is answered meanwhile, but never late. A listener of an
   * answer that came within `send` may have ended it all.
   */
  #arm(record: FederatedDatacenter): void {
    record.timer?.cancel()
    record.timer = null
    if (this.#state !== 'running' || record.isRemoved) return
    const { suspectedAtMs, nextProbeMs, nextDeadlineMs } = record
    const suspicionEndsMs = suspectedAtMs === null ? Infinity : suspectedAtMs + this.#settings.suspicionMs
    const delayMs = Math.min(nextProbeMs, nextDeadlineMs, suspicionEndsMs) - this.#clock.now()
    record.timer = this.#clock.setTimer(delayMs, record.ring)
  }

  /** Does whatever is due, and tells of it when everything is in its place. */
  readonly #wake = (record: FederatedDatacenter): void => {
    const now = this.#clock.now()
    const was = record.reachability
    this.#forget(record.expire(now))
    this.#judgeSilence(record, now)
    if (now >= record.nextProbeMs) this.#probe(record, now)
    this.#arm(record)
    if (record.reachability !== was) this.#tell(record, 'reachability', record.name, record.reachability, was)
  }

  #judgeSilence(record: FederatedDatacenter, now: number): void {
    const { suspectAfterMisses, suspicionMs } = this.#settings
    if (record.reachability === 'reachable' && record.misses >= suspectAfterMisses) {
      record.reachability = 'suspected'
      record.suspectedAtMs = now
    }
    if (record.suspectedAtMs !== null && now >= record.suspectedAtMs + suspicionMs) {
      record.reachability = 'unreachable'
      record.suspectedAtMs = null
    }
  }

  #probe(record: FederatedDatacenter, now: number): void {
    const { probeIntervalMs, probeTimeoutMs, jitter } = this.#settings
    record.nextProbeMs = now + probeIntervalMs * (1 - jitter + 2 * jitter * this.#random.next())
    const nonce = this.#drawNonce()
    this.#probes.set(nonce, record.sent(nonce, now, Math.max(probeTimeoutMs, record.roundTrip.upperMs ?? 0)))
    this.#sent++
    try {
      this.#transport.send(record.leader.address, record.probeBytes(nonce))
    } catch (error) {
      // The probe will time out, like one that the network lost.
      const { address } = record.leader
      this.#reporter.report('FederatedHealth.probe', error, { datacenter: record.name, address })
    }
  }

  /** One that no probe has. */
  #drawNonce(): number {
    let offset = Math.floor(this.#random.next() * MIN_NONCE)
    while (this.#probes.has(MIN_NONCE + offset)) offset = (offset + 1) % MIN_NONCE
    return MIN_NONCE + offset
  }

  #receive(_from: string, bytes: Uint8Array): void {
    let probe = this.#state === 'running' ? this.#probes.get(peekNonce(bytes)) : undefined
    let ack = probe?.datacenter.repeatedAck(bytes) ?? null
    if (ack === null && this.#state === 'running') {
      ack = decodeAck(bytes)
      probe = ack === null ? undefined : this.#probes.get(ack.nonce)
    }
    if (ack === null || probe === undefined || probe.datacenter.name !== ack.datacenter) this.#ignored++
    else if (probe.datacenter.isStale(ack)) this.#stale++
    else this.#acknowledge(probe, ack, bytes)
  }

  #acknowledge(probe: Probe, ack: AckMessage, bytes: Uint8Array): void {
    const record = probe.datacenter
    const now = this.#clock.now()
    const { reachability: reachabilityWas, health: healthWas } = record
    this.#probes.delete(probe.nonce)
    this.#acks++
    if (probe.state === 'overdue') this.#late++
    record.acknowledged(probe, ack, bytes, now)
    const newLeader = this.#followLeader(record, ack)

    const { name, reachability, health } = record
    this.#tell(record, 'rtt', name, now - probe.sentMs)
    if (reachability !== reachabilityWas) this.#tell(record, 'reachability', name, reachability, reachabilityWas)
    if (health !== healthWas && health !== 'unknown') this.#tell(record, 'health', name, health, healthWas)
    if (newLeader !== null) this.#tell(record, 'leader', name, newLeader)
  }

  /** A leader says which term it is; another manager may say who leads, and is believed if that is news. */
  #followLeader(record: FederatedDatacenter, { leader, term, leaderAddress }: AckMessage): KnownLeader | null {
    if (term <= record.leader.term) return null
    if (leader) record.leader = Object.freeze({ ...record.leader, term })
    if (leader || leaderAddress === undefined) return null
    this.#move(record, knownLeader({ address: leaderAddress, term }))
    return record.leader
  }

  /** The silence of a former leader says nothing about the new one, so its probes are forgotten. */
  #move(record: FederatedDatacenter, leader: KnownLeader): void {
    record.leader = leader
    this.#forget(record.forgetProbes())
    if (this.#state !== 'running') return
    this.#probe(record, this.#clock.now())
    this.#arm(record)
  }

  /** Not of a datacenter that a listener has just removed. */
  #tell<K extends keyof FederatedHealthEvents>(
    record: FederatedDatacenter,
    event: K,
    ...args: FederatedHealthEvents[K]
  ): void {
    if (!record.isRemoved) this.events.emit(event, ...args)
  }
}

function decodeAck(bytes: Uint8Array): AckMessage | null {
  try {
    return ackCodec.decode(bytes)
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}
