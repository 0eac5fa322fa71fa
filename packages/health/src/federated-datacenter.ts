/**
 * What is known of one datacenter: who leads it, which probes are under way, and what their answers and silences add up
 * to. No time of its own and no I/O: whoever owns it says what time it is and sends what it makes.
 */
import type { DatacenterHealth, Timer } from '@hs/core'
import { classifyDatacenter } from './classify-datacenter.js'
import type { DatacenterFacts } from './datacenter-facts.js'
import { probeCodec, type AckMessage } from './federated-messages.js'
import type { KnownLeader, LeaderHint } from './leader-hint.js'
import { MIN_NONCE, peekNonce, sameButNonce, writeNonce } from './nonce-field.js'
import { RoundTripEstimate } from './round-trip-estimate.js'

export type Reachability = 'reachable' | 'suspected' | 'unreachable'

export interface DatacenterStatus {
  readonly datacenter: string
  readonly reachability: Reachability
  /** The class of `facts`; it stays while nothing newer is heard. */
  readonly health: DatacenterHealth | 'unknown'
  readonly leader: LeaderHint
  /** Smoothed; null before the first answer. */
  readonly rttMs: number | null
  /** srtt + 4 rttvar: the bound that routing reckons with. */
  readonly rttUpperMs: number | null
  /** Time-outs in a row, of probes sent after the last one that was answered. */
  readonly misses: number
  /** How long ago the last answer came; null before the first. */
  readonly ackAgeMs: number | null
  /** What the last answer said. */
  readonly facts: DatacenterFacts | null
}

/** A probe that was sent and not answered. */
export interface Probe {
  readonly nonce: number
  readonly datacenter: FederatedDatacenter
  readonly sentMs: number
  readonly deadlineMs: number
  state: 'awaited' | 'overdue' | 'answered'
}

/** Probes that have timed out and whose answer would still count; the oldest go. */
const MAX_OVERDUE = 64
const none: readonly Probe[] = []
/** Managers whose life is remembered; the one that has been known longest goes. */
const MAX_NODES = 32

export class FederatedDatacenter {
  readonly name: string
  leader: KnownLeader
  reachability: Reachability = 'unreachable'
  health: DatacenterHealth | 'unknown' = 'unknown'
  suspectedAtMs: number | null = null
  /** Nobody wants to hear of it any more. */
  isRemoved = false
  nextProbeMs = 0
  /** Of whoever owns it, aimed at whatever happens here first; `ring` is what it calls. */
  timer: Timer | null = null
  readonly ring: () => void
  readonly roundTrip = new RoundTripEstimate()
  #facts: DatacenterFacts | null = null
  #misses = 0
  #ackedAtMs: number | null = null
  /** When the last of the probes that were answered was sent. */
  #answeredSentMs = -Infinity
  #awaited: Probe[] = []
  #overdue: Probe[] = []
  /** The highest incarnation by node. */
  readonly #incarnations = new Map<string, number>()
  readonly #probeBytes: Uint8Array
  #lastAck: { readonly ack: AckMessage; readonly bytes: Uint8Array } | null = null

  /**
   * @param from who asks
   * @param ring what its timer calls
   */
  constructor(name: string, leader: KnownLeader, from: string, ring: (record: FederatedDatacenter) => void) {
    this.name = name
    this.leader = leader
    this.ring = () => ring(this)
    this.#probeBytes = probeCodec.encode({ nonce: MIN_NONCE, datacenter: name, from })
  }

  get misses(): number {
    return this.#misses
  }

  /** Notes a probe that is sent now. */
  sent(nonce: number, nowMs: number, timeoutMs: number): Probe {
    const deadlineMs = nowMs + timeoutMs
    const probe: Probe = { nonce, datacenter: this, sentMs: nowMs, deadlineMs, state: 'awaited' }
    this.#awaited.push(probe)
    return probe
  }

  /** The bytes of a probe, good until the next one is asked for. */
  probeBytes(nonce: number): Uint8Array {
    writeNonce(this.#probeBytes, nonce)
    return this.#probeBytes
  }

  /** What the answer says, if it says what the last one said; else null: then it must be decoded. */
  repeatedAck(bytes: Uint8Array): AckMessage | null {
    return this.#lastAck !== null && sameButNonce(this.#lastAck.bytes, bytes) ? this.#lastAck.ack : null
  }

  /** Whether what it says is older than what is known. */
  isStale({ term, node, incarnation }: AckMessage): boolean {
    return term < this.leader.term || incarnation < (this.#incarnations.get(node) ?? 0)
  }

  /** Takes an answer that is valid, whose bytes may be kept. */
  acknowledged(probe: Probe, ack: AckMessage, bytes: Uint8Array, nowMs: number): void {
    if (probe.state === 'overdue') this.#overdue.splice(this.#overdue.indexOf(probe), 1)
    probe.state = 'answered'
    if (ack !== this.#lastAck?.ack) {
      this.#noteIncarnation(ack)
      this.#lastAck = Number.isNaN(peekNonce(bytes)) ? null : { ack, bytes }
    }
    this.roundTrip.update(nowMs - probe.sentMs)
    this.#misses = 0
    this.#ackedAtMs = nowMs
    this.suspectedAtMs = null
    this.reachability = 'reachable'
    if (probe.sentMs < this.#answeredSentMs) return // overtaken: a later probe has brought newer facts
    this.#answeredSentMs = probe.sentMs
    if (ack.facts === this.#facts) return
    this.#facts = Object.freeze(ack.facts)
    this.health = classifyDatacenter(ack.facts).health
  }

  /**
   * Counts the probes that have timed out by now. Returns the overdue ones whose answer no longer counts, for there are
   * too many.
   */
  expire(nowMs: number): readonly Probe[] {
    let kept = 0
    for (const probe of this.#awaited) {
      if (probe.state === 'answered') continue
      if (probe.deadlineMs > nowMs) {
        this.#awaited[kept++] = probe
        continue
      }
      probe.state = 'overdue'
      if (probe.sentMs > this.#answeredSentMs) this.#misses++ // else one that was sent later has been answered
      this.#overdue.push(probe)
    }
    // Not by the length: an array that is cut to nothing gives its memory back, and takes some anew with the next probe.
    while (this.#awaited.length > kept) this.#awaited.pop()
    return this.#overdue.length > MAX_OVERDUE ? this.#overdue.splice(0, this.#overdue.length - MAX_OVERDUE) : none
  }

  /** When the first of those that are awaited times out. */
  get nextDeadlineMs(): number {
    let next = Infinity
    for (const { state, deadlineMs } of this.#awaited) if (state === 'awaited' && deadlineMs < next) next = deadlineMs
    return next
  }

  /** Forgets all probes and returns those that were not answered. */
  forgetProbes(): readonly Probe[] {
    const forgotten = [...this.#awaited.filter(({ state }) => state === 'awaited'), ...this.#overdue]
    this.#awaited = []
    this.#overdue = []
    return forgotten
  }

  status(nowMs: number): DatacenterStatus {
    return Object.freeze({
      datacenter: this.name,
      reachability: this.reachability,
      health: this.health,
      leader: this.leader,
      rttMs: this.roundTrip.srttMs,
      rttUpperMs: this.roundTrip.upperMs,
      misses: this.#misses,
      ackAgeMs: this.#ackedAtMs === null ? null : nowMs - this.#ackedAtMs,
      facts: this.#facts,
    })
  }

  #noteIncarnation({ node, incarnation }: AckMessage): void {
    if (this.#incarnations.get(node) === incarnation) return
    if (this.#incarnations.size >= MAX_NODES && !this.#incarnations.has(node)) {
      const [oldest] = this.#incarnations.keys()
      if (oldest !== undefined) this.#incarnations.delete(oldest)
    }
    this.#incarnations.set(node, incarnation)
  }
}
