/**
 * Tells people when peers are overloaded, one by one and together: each change once, the most telling of the aggregate
 * alerts at a time, and none again so soon that it becomes noise. An alert that was held back for that reason is told
 * with the first update after the cool-down, if it still stands. It sets no timers.
 */
import {
  BoundedMap,
  ErrorReporter,
  HsError,
  overloadStates,
  parseOptions,
  runtimeShape,
  TypedEmitter,
  type Clock,
  type OverloadState,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { aggregateOf, alertSeverities, type AggregateCode, type AlertCode, type AlertSeverity } from './alert-rules.js'

export interface HealthAlertsOptions extends RuntimeOptions {
  /** Share of overloaded peers that is a majority, above 0, at most 1. @default 0.5 */
  majority?: number
  /** Share of peers that are not healthy that is high stress, above 0, at most 1. @default 0.8 */
  stress?: number
  /** How long the same alert is not raised again, in milliseconds, 0 or more. @default 60_000 */
  cooldownMs?: number
  /** At least 1; beyond it the peer whose last update is the longest ago is forgotten. @default 10_000 */
  maxPeers?: number
}

export type OverloadCounts = Readonly<Record<OverloadState, number>>

export interface HealthAlert {
  readonly code: AlertCode
  readonly severity: AlertSeverity
  /** Peers by their state, after what led to it. */
  readonly counts: OverloadCounts
  /** Whom it is about, if it is about one. */
  readonly peer?: string
}

export interface HealthAlertsEvents {
  alert: [HealthAlert]
  /** An aggregate alert no longer stands. */
  clear: [{ readonly code: AlertCode; readonly counts: OverloadCounts }]
}

export interface HealthAlertsSnapshot {
  readonly active: AlertCode | null
  readonly counts: OverloadCounts
}

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    majority: z.number().positive().max(1).default(0.5),
    stress: z.number().positive().max(1).default(0.8),
    cooldownMs: z.number().min(0).default(60_000),
    maxPeers: z.int().min(1).default(10_000),
  }))()

/** One alert that can be raised: whether it was, and when. */
interface Bell {
  /** While it stands: whether it was told. */
  isTold: boolean
  toldAtMs: number
}

interface PeerRecord {
  state: OverloadState
  readonly bell: Bell
}

const newBell = (): Bell => ({ isTold: false, toldAtMs: -Infinity })

/** Over the managers of a datacenter, or over its workers. */
export class HealthAlerts {
  readonly events: TypedEmitter<HealthAlertsEvents>
  readonly #clock: Clock
  readonly #settings: { readonly majority: number; readonly stress: number; readonly cooldownMs: number }
  readonly #peers: BoundedMap<string, PeerRecord>
  readonly #counts: Record<OverloadState, number> = { healthy: 0, busy: 0, stressed: 0, overloaded: 0 }
  readonly #bells: Readonly<Record<AggregateCode, Bell>> = {
    'high-stress': newBell(),
    'majority-overloaded': newBell(),
    'leader-overloaded': newBell(),
    'all-unhealthy': newBell(),
  }
  #leader: string | null = null
  #active: AggregateCode | null = null

  /** @throws ConfigError */
  constructor(options?: HealthAlertsOptions) {
    const { clock, random, logger, maxPeers, ...settings } = parseOptions(schema, options, 'HealthAlerts')
    this.#clock = clock
    this.#settings = settings
    this.#peers = new BoundedMap({
      clock,
      random,
      logger,
      maxEntries: maxPeers,
      onEvict: (peer, record: PeerRecord) => this.#noteGone(peer, record),
    })
    this.events = new TypedEmitter('HealthAlerts', new ErrorReporter({ clock, random, logger }), {
      describe: (_name, [about]) => ({ ...about }),
    })
  }

  /**
   * The state of a peer, whenever it is heard.
   * @param o `leader`: whether it leads the others; left out, that stays as it was. There is one leader at a time.
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  update(peer: string, state: OverloadState, o: { leader?: boolean } = {}): void {
    if (typeof peer !== 'string') throw new HsError('INVALID_ARGUMENT', `A peer is a string, found ${typeof peer}`)
    if (!overloadStates.includes(state))
      throw new HsError(
        'INVALID_ARGUMENT',
        `The state of a peer is one of ${overloadStates.join(', ')}, found ${String(state)}`,
      )
    const { record, was } = this.#note(peer, state)
    if (o.leader === true) this.#leader = peer
    else if (o.leader === false && this.#leader === peer) this.#leader = null
    this.#tellOfPeer(peer, record, was)
    this.#tellOfAll()
  }

  /** Forgets a peer that is gone, which is no recovery of it. True if it was there. */
  forget(peer: string): boolean {
    const record = this.#peers.peek(peer)
    if (record === undefined) return false
    this.#peers.delete(peer)
    this.#noteGone(peer, record)
    this.#tellOfAll()
    return true
  }

  /** Peers by their state. */
  counts(): OverloadCounts {
    return Object.freeze({ ...this.#counts })
  }

  /** The aggregate alert that stands, told or held back. */
  get active(): AlertCode | null {
    return this.#active
  }

  /** What a dashboard shows. */
  snapshot(): HealthAlertsSnapshot {
    return Object.freeze({ active: this.#active, counts: this.counts() })
  }

  #note(peer: string, state: OverloadState): { record: PeerRecord; was: OverloadState | null } {
    const known = this.#peers.get(peer)
    this.#counts[state]++
    if (known === undefined) {
      const record: PeerRecord = { state, bell: newBell() }
      this.#peers.set(peer, record)
      return { record, was: null }
    }
    const was = known.state
    this.#counts[was]--
    known.state = state
    return { record: known, was }
  }

  #noteGone(peer: string, { state }: PeerRecord): void {
    this.#counts[state]--
    if (this.#leader === peer) this.#leader = null
  }

  #tellOfPeer(peer: string, { state, bell }: PeerRecord, was: OverloadState | null): void {
    if (state === 'overloaded') {
      this.#ring(bell, 'peer-overloaded', peer)
      return
    }
    bell.isTold = false
    if (was === 'overloaded') this.#alert('peer-recovered', peer)
  }

  #tellOfAll(): void {
    const was = this.#active
    const isLeaderOverloaded = this.#leader !== null && this.#peers.peek(this.#leader)?.state === 'overloaded'
    const now = aggregateOf(this.#counts, isLeaderOverloaded, this.#settings)
    this.#active = now
    if (was !== null && was !== now) {
      this.#bells[was].isTold = false
      this.events.emit('clear', Object.freeze({ code: was, counts: this.counts() }))
    }
    // A listener of `clear` may have updated a peer, and told already what stands now.
    if (now !== null && now === this.#active) this.#ring(this.#bells[now], now)
  }

  /** Raises an alert that stands, unless it was told or is not to be raised again yet. */
  #ring(bell: Bell, code: AlertCode, peer?: string): void {
    const now = this.#clock.now()
    if (bell.isTold || now - bell.toldAtMs < this.#settings.cooldownMs) return
    bell.isTold = true
    bell.toldAtMs = now
    this.#alert(code, peer)
  }

  #alert(code: AlertCode, peer?: string): void {
    const alert = { code, severity: alertSeverities[code], counts: this.counts() }
    this.events.emit('alert', Object.freeze(peer === undefined ? alert : { ...alert, peer }))
  }
}
