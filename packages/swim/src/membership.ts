/**
 * Takes in what is said about members, from packets, syncs and this node's own probes, and lets the rest know: the table
 * changes, an event tells the application, the queue passes the news on. All in one synchronous step.
 * Source: Das, Gupta, Motivala, "SWIM" (DSN 2002), section 4; Lifeguard for suspicions.
 */
import type { ClusterState } from './cluster-state.js'
import type { Entries } from './entries.js'
import type { DeathCause } from './events.js'
import { MemberRecord, type Description, type Passing } from './member-record.js'
import { policyOf } from './options.js'
import type { News, PacketReader } from './packet-reader.js'
import { encodeAlive, encodeVerdict } from './packet-writer.js'
import {
  ALIVE,
  DEAD,
  isActive,
  isLater,
  LEFT,
  statusOf,
  SUSPECT,
  transitions,
  UNCONFIRMED,
  type ToldRank,
  type Transition,
} from './record.js'
import { Suspicion, suspicionBoundsMs } from './suspicion.js'
import { isAscii } from './text.js'

/**
 * Where a record comes from: its subject itself; gossip; the answer to a join, which is all there is to know; or a later
 * sync, which may hold history of the long forgotten.
 */
export type Origin = 'self' | 'gossip' | 'join' | 'sync'

export interface MembershipHooks {
  /** Someone speaks of this node itself. */
  onSelf(news: News): void
  /** Known by hearsay only: it is to be probed. */
  onUnconfirmed(record: MemberRecord): void
}

const NOWHERE: Description = { address: '', rpcAddress: '', role: '', meta: {} }

export class Membership {
  readonly #state: ClusterState
  readonly #entries: Entries
  readonly #hooks: MembershipHooks

  constructor(state: ClusterState, entries: Entries, hooks: MembershipHooks) {
    this.#state = state
    this.#entries = entries
    this.#hooks = hooks
  }

  /** Takes record `i` of a packet. Nothing is built unless it is news. */
  takeFromPacket(reader: PacketReader, i: number, origin: Origin): void {
    const { table, self } = this.#state
    const nameAt = reader.recordNameAt(i)
    const nameLength = reader.recordNameLength(i)
    const rank = reader.recordRank[i] as ToldRank
    const generation = reader.recordGeneration[i] as number
    const incarnation = reader.recordIncarnation[i] as number
    const record = table.getBytes(reader.bytes, nameAt, nameLength)
    if (record !== undefined && !isNewsTo(record, generation, incarnation, rank)) {
      if (rank !== SUSPECT || !isSameSuspicion(record, generation, incarnation)) return
    } else if (record === undefined && isAscii(reader.bytes, nameAt, nameLength, self.name)) {
      if (isLater(generation, incarnation, rank, self.generation, self.incarnation, self.status))
        this.#hooks.onSelf(reader.news(i))
      return
    }
    this.take(reader.news(i), origin, reader.recordBytes(i))
  }

  /**
   * Takes one record.
   * @param bytes the record as it is passed on; without, it is encoded
   * @param ageMs how long someone dead or gone has been so
   */
  take(news: News, origin: Origin, bytes?: Uint8Array, ageMs = 0): void {
    const { table, self } = this.#state
    if (news.name === self.name) {
      this.#hooks.onSelf(news)
      return
    }
    const record = table.get(news.name)
    if (news.description !== undefined) this.#alive(record, news, news.description, origin, bytes)
    else if (news.rank === SUSPECT) this.#accused(record, news, origin === 'gossip' ? news.accuser : self.name, bytes)
    else if (news.rank === LEFT || origin === 'gossip' || record === undefined || !isActive(record.status))
      this.#gone(record, news, origin, bytes, ageMs)
    else this.#accused(record, news, self.name, undefined)
  }

  /** A message from the member itself has come, its header naming this generation. */
  heardFrom(record: MemberRecord, health: number): void {
    if (record.confirmed && record.health === health) return
    record.confirmed = true
    record.health = health
    record.changed()
    if (record.status !== UNCONFIRMED) return
    this.#settle(record)
    this.#state.table.change(record, () => {
      record.status = ALIVE
    })
    this.#tell('joined', record)
    this.#passOn(record, undefined)
  }

  /** This node's own probe of it failed. */
  accuse(record: MemberRecord, generation: number, incarnation: number): void {
    const { name } = this.#state.self
    const news: News = {
      rank: SUSPECT,
      name: record.name,
      generation,
      incarnation,
      description: undefined,
      accuser: name,
    }
    this.#accused(record, news, name, undefined)
  }

  /** Forgets all about it. */
  forget(record: MemberRecord): void {
    this.#settle(record)
    this.#state.queue.dropRecord(record)
    this.#state.table.remove(record)
    if (record.status !== UNCONFIRMED) this.#state.record('forgotten', record)
  }

  #alive(
    record: MemberRecord | undefined,
    news: News,
    description: Description,
    origin: Origin,
    bytes: Uint8Array | undefined,
  ): void {
    const isHearsay = origin === 'sync'
    if (record === undefined) {
      this.#meet(news, description, origin, bytes)
      return
    }
    if (record.status === UNCONFIRMED && isHearsay) {
      if (isNewsTo(record, news.generation, news.incarnation, ALIVE))
        this.#rewrite(record, news, description, UNCONFIRMED)
      return
    }
    if (!isNewsTo(record, news.generation, news.incarnation, ALIVE)) return
    if (news.generation > record.generation) this.#restarted(record)
    const before = statusOf(record.status)
    const isNewProcess = news.generation > record.generation
    const hasNewMeta = !sameMeta(record.meta, description.meta)
    this.#settle(record)
    this.#rewrite(record, news, description, ALIVE)
    if (origin === 'self') record.confirmed = true
    const transition = isNewProcess ? 'joined' : transitions[before].alive
    this.#tell(transition, record)
    if (transition !== 'joined' && hasNewMeta) {
      this.#state.record('updated', record)
      this.#state.announce('memberUpdated', record)
    }
    this.#passOn(record, bytes)
  }

  /** A name that is not known. */
  #meet(news: News, description: Description, origin: Origin, bytes: Uint8Array | undefined): void {
    const record = this.#newRecord(news, description)
    if (record === undefined) return
    const { table } = this.#state
    if (origin === 'sync') {
      table.add(record)
      this.#begin(record)
      this.#hooks.onUnconfirmed(record)
      return
    }
    record.status = ALIVE
    record.confirmed = origin === 'self'
    table.add(record)
    this.#tell('joined', record)
    // Who answered a join has told the others already, or learnt it from them.
    if (origin !== 'join') this.#passOn(record, bytes)
  }

  /** The process that was held has a successor. */
  #restarted(record: MemberRecord): void {
    if (isActive(record.status)) this.#die(record, record.incarnation, 'restarted', 0)
    this.#state.table.change(record, () => {
      record.confirmed = false
      record.health = 0
      record.contact = undefined
    })
  }

  #accused(record: MemberRecord | undefined, news: News, accuser: string, bytes: Uint8Array | undefined): void {
    // Only the generation that was accused; and none that is hearsay.
    if (record === undefined || record.generation !== news.generation || record.status === UNCONFIRMED) return
    const { generation, incarnation } = news
    if (isSameSuspicion(record, generation, incarnation)) {
      this.#confirm(record, accuser, bytes)
      return
    }
    if (!isLater(generation, incarnation, SUSPECT, record.generation, record.incarnation, record.status)) return
    this.#suspect(record, incarnation, accuser, bytes)
  }

  #suspect(record: MemberRecord, incarnation: number, accuser: string, bytes: Uint8Array | undefined): void {
    const { table, settings, clock, counters, queue } = this.#state
    const before = record.status
    this.#settle(record)
    queue.dropRecord(record)
    table.change(record, () => {
      record.status = SUSPECT
      record.incarnation = incarnation
    })
    // It refuted its death, and that was not heard here.
    if (!isActive(before)) this.#tell('joined', record)
    const { minMs, maxMs } = suspicionBoundsMs(table.n, settings)
    const { suspicionMultiplier } = policyOf(settings.roles, record.role)
    const bounds = { minMs: minMs * suspicionMultiplier, maxMs: maxMs * suspicionMultiplier }
    const expected = Math.min(settings.suspicionConfirmations, table.n - 2)
    const suspicion = new Suspicion(accuser, clock.now(), expected, bounds)
    const passing = this.#begin(record)
    passing.suspicion = suspicion
    passing.timer = this.#state.schedule(suspicion.dueMs - clock.now(), () => this.#expire(record, suspicion))
    counters.suspicions++
    this.#state.record('suspected', record, { by: accuser })
    this.#passOnAccusation(record, suspicion, accuser, bytes)
    if (this.#state.events.listenerCount('memberSuspected') > 0)
      this.#state.events.emit('memberSuspected', record.view, accuser)
  }

  #confirm(record: MemberRecord, accuser: string, bytes: Uint8Array | undefined): void {
    const { passing } = record
    const suspicion = passing?.suspicion
    if (suspicion === undefined) return
    const { clock, settings } = this.#state
    const now = clock.now()
    if (!suspicion.confirm(accuser, now, settings.probeTimeoutMs)) return
    // It may be due already, and its timer about to fire: the wheel's ticks are coarser than the clock.
    this.#state.reschedule(passing?.timer, Math.max(0, suspicion.dueMs - now))
    this.#passOnAccusation(record, suspicion, accuser, bytes)
  }

  #expire(record: MemberRecord, suspicion: Suspicion): void {
    const { clock, stalls, settings, self } = this.#state
    const { passing } = record
    if (passing?.suspicion !== suspicion) return
    const now = clock.now()
    const lateMs = stalls.lateness(suspicion.dueMs, now)
    if (lateMs > 0) {
      // The refutation may lie unread.
      const delayMs = Math.min(lateMs, settings.probeTimeoutMs)
      suspicion.putOff(now + delayMs)
      this.#state.reschedule(passing.timer, delayMs)
      return
    }
    const bytes = encodeVerdict(DEAD, record.name, record.generation, record.incarnation, self.name)
    this.#die(record, record.incarnation, 'timeout', 0, { accusers: [...suspicion.accusers] })
    this.#state.queue.addRecord(bytes, record)
  }

  /** Someone says that it is dead, or that it left. */
  #gone(
    record: MemberRecord | undefined,
    news: News,
    origin: Origin,
    bytes: Uint8Array | undefined,
    ageMs: number,
  ): void {
    const { generation, incarnation, rank } = news
    if (record === undefined) {
      // History, unless it is told as news or to one who has none.
      if (origin !== 'sync') this.#bury(news, bytes, origin, ageMs)
      return
    }
    if (!isNewsTo(record, generation, incarnation, rank)) return
    if (generation > record.generation) this.#restarted(record)
    const isNewProcess = generation > record.generation
    const transition = isNewProcess ? 'silent' : transitions[statusOf(record.status)][rank === LEFT ? 'left' : 'dead']
    if (transition === 'dead') this.#die(record, incarnation, 'gossip', ageMs, { by: news.accuser })
    else this.#entomb(record, rank, generation, incarnation, ageMs)
    if (transition === 'left') this.#tell('left', record)
    this.#state.queue.addRecord(bytes ?? encodeVerdict(rank, news.name, generation, incarnation, news.accuser), record)
  }

  /** A tombstone of someone who was never met here, so that stale news cannot raise it. */
  #bury(news: News, bytes: Uint8Array | undefined, origin: Origin, ageMs: number): void {
    const record = this.#newRecord(news, NOWHERE)
    if (record === undefined) return
    record.status = news.rank
    this.#state.table.add(record)
    this.#remember(record, ageMs)
    if (origin === 'gossip' && bytes !== undefined) this.#state.queue.addRecord(bytes, record)
  }

  #die(
    record: MemberRecord,
    incarnation: number,
    cause: DeathCause,
    ageMs: number,
    detail?: Record<string, unknown>,
  ): void {
    this.#entomb(record, DEAD, record.generation, incarnation, ageMs)
    this.#state.record('dead', record, { cause, ...detail })
    if (this.#state.events.listenerCount('memberDead') > 0) this.#state.events.emit('memberDead', record.view, cause)
  }

  #entomb(record: MemberRecord, rank: ToldRank, generation: number, incarnation: number, ageMs: number): void {
    this.#settle(record)
    this.#state.queue.dropRecord(record)
    this.#state.table.change(record, () => {
      this.#entries.drop(record)
      record.contact = undefined
      record.status = rank
      record.generation = generation
      record.incarnation = incarnation
    })
    this.#remember(record, ageMs)
  }

  #remember(record: MemberRecord, ageMs: number): void {
    const { settings } = this.#state
    const passing = this.#begin(record)
    passing.sinceMs -= ageMs
    passing.timer = this.#state.schedule(Math.max(0, settings.forgetDeadAfterMs - ageMs), () => this.forget(record))
  }

  #newRecord(news: News, description: Description): MemberRecord | undefined {
    const { table } = this.#state
    if (table.isFull) {
      const oldest = table.oldestTombstone
      // What is remembered of the dead is no reason to forget others.
      if (news.rank !== ALIVE) return undefined
      if (oldest === undefined) {
        this.#state.refused()
        return undefined
      }
      this.forget(oldest)
    }
    return new MemberRecord(news.name, news.generation, news.incarnation, this.#shared(description))
  }

  /** Most members have this node's role: one string is enough. */
  #shared(description: Description): Description {
    const { role } = this.#state.self
    return description.role === role ? { ...description, role } : description
  }

  #rewrite(record: MemberRecord, news: News, description: Description, rank: typeof ALIVE | typeof UNCONFIRMED): void {
    this.#state.table.change(record, () => {
      record.generation = news.generation
      record.incarnation = news.incarnation
      record.status = rank
      record.describe(this.#shared(description))
    })
  }

  #begin(record: MemberRecord): Passing {
    const passing: Passing = {
      sinceMs: this.#state.clock.now(),
      timer: undefined,
      suspicion: undefined,
      attempts: 0,
    }
    record.passing = passing
    return passing
  }

  /** Ends what its status brought with it. */
  #settle(record: MemberRecord): void {
    const { passing } = record
    if (passing === undefined) return
    passing.timer?.cancel()
    for (const accusation of passing.suspicion?.accusations ?? []) this.#state.queue.dropRecord(accusation)
    record.passing = undefined
  }

  #tell(transition: Transition, record: MemberRecord): void {
    switch (transition) {
      case 'joined':
        this.#state.record('joined', record)
        return this.#state.announce('memberJoined', record)
      case 'recovered':
        this.#state.record('recovered', record)
        return this.#state.announce('memberRecovered', record)
      case 'left':
        this.#state.record('left', record)
        return this.#state.announce('memberLeft', record)
      case 'suspected':
      case 'dead':
      case 'silent':
    }
  }

  #passOn(record: MemberRecord, bytes: Uint8Array | undefined): void {
    const { name, generation, incarnation } = record
    this.#state.queue.addRecord(bytes ?? encodeAlive(name, generation, incarnation, record), record)
  }

  #passOnAccusation(record: MemberRecord, suspicion: Suspicion, accuser: string, bytes: Uint8Array | undefined): void {
    const { name, generation, incarnation } = record
    const accusation = { item: undefined }
    suspicion.accusations.push(accusation)
    this.#state.queue.addRecord(bytes ?? encodeVerdict(SUSPECT, name, generation, incarnation, accuser), accusation)
  }
}

function isNewsTo(record: MemberRecord, generation: number, incarnation: number, rank: ToldRank): boolean {
  return isLater(generation, incarnation, rank, record.generation, record.incarnation, record.status)
}

function isSameSuspicion(record: MemberRecord, generation: number, incarnation: number): boolean {
  return record.status === SUSPECT && record.incarnation === incarnation && record.generation === generation
}

function sameMeta(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key])
}
