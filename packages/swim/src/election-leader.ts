/**
 * One leadership of one term, from the votes to its end: heartbeats, the lease that their acknowledgements extend, and
 * the change of voters that may be under way. Before a first quorum has acknowledged it holds no lease.
 */
import { HsError, type Timer } from '@hs/core'
import type { VoterRoll } from './election-voter-roll.js'
import type { ElectionJournal } from './election-journal.js'
import { ElectionLease } from './election-lease.js'
import { listFields } from './election-message.js'
import type { ElectionPort, ElectionSettings, LossReason } from './election-port.js'
import { hasQuorum, sameList, votersAfter, type VoterChange, type VoterList } from './election-voters.js'

export interface LeaderContext {
  readonly port: ElectionPort
  readonly settings: ElectionSettings
  readonly electorate: VoterRoll
  readonly journal: ElectionJournal
  /** Runs what a timer or a save has started. */
  step(run: () => void): void
  setList(list: VoterList): void
  acquired(): void
  /** Ends this leadership. */
  end(reason: LossReason): void
  /** Told after the step. */
  later(tell: () => void): void
}

interface PendingChange {
  readonly before: VoterList
  /** Who has the new list on disk. */
  readonly holders: Set<string>
  readonly done: (error?: unknown) => void
}

export class ElectionLeader {
  readonly term: number
  readonly #context: LeaderContext
  readonly #lease: ElectionLease
  /** When to give up if no quorum answers at all. */
  readonly #giveUpAtMs: number
  #acquired = false
  #over = false
  #unwellBeats = 0
  #change: PendingChange | undefined
  #beatTimer: Timer | undefined
  #leaseTimer: Timer | undefined

  constructor(term: number, leaseMs: number, context: LeaderContext) {
    this.term = term
    this.#context = context
    this.#lease = new ElectionLease(leaseMs, context.settings.missedHeartbeats + 2)
    this.#giveUpAtMs = context.port.now() + leaseMs
  }

  /** Whether it ever held the lease. */
  get hasAcquired(): boolean {
    return this.#acquired
  }

  /** What is left of the lease at this very call; 0: none. */
  get remainingMs(): number {
    return this.#acquired && !this.#over ? Math.max(0, this.#lease.untilMs - this.#context.port.now()) : 0
  }

  /** Whether it held a lease and does no more. Whoever saw it end must not see it go on, however late the timer is. */
  get isStale(): boolean {
    return this.#acquired && this.remainingMs === 0
  }

  begin(): void {
    const { electorate, journal, step, setList } = this.#context
    this.#armLease()
    // A list under its own term, so that whatever an earlier leader left half done is decided.
    if (electorate.list !== undefined) setList({ ...electorate.list, term: this.term })
    journal.whenSaved('lead', () => step(() => this.#beat()))
  }

  /** Ends it. Whoever resigns frees the voters of their promises and names who should stand now. */
  close(reason: LossReason): void {
    this.#over = true
    this.#beatTimer?.cancel()
    this.#leaseTimer?.cancel()
    if (reason === 'resigned' || reason === 'stopped') {
      const successor = this.#healthiest()
      for (const to of this.#audience()) this.#context.port.send(to, { k: 'resign', t: this.term, n: successor })
    }
    const change = this.#change
    if (change === undefined) return
    const error = new HsError('LEADERSHIP_LOST', `Leadership was lost (${reason}) before the voters had changed`)
    this.#context.later(() => change.done(error))
  }

  /** The newest heartbeat once more, for one who asks. */
  tellOf(to: string): void {
    if (this.#acquired) this.#sendBeat(to)
  }

  /** A voter has heartbeat `seq`, and the list of this term and version. */
  onAck(from: string, seq: number, listTerm: number | undefined, listVersion: number | undefined): void {
    const { electorate, port } = this.#context
    const change = this.#change
    if (!electorate.has(from) && change?.before.voters.includes(from) !== true) return
    if (from !== port.self && listTerm !== undefined && listVersion !== undefined) {
      this.#holdList(from, { voters: [], term: listTerm, version: listVersion })
    }
    if (!this.#lease.ack(from, seq)) return
    const { list } = electorate
    if (list === undefined) this.#lease.extendBySize(electorate.size)
    else this.#lease.extendByLists(change === undefined ? [list.voters] : [list.voters, change.before.voters])
    this.#armLease()
    if (!this.#acquired && port.now() < this.#lease.untilMs) this.#acquire()
  }

  /** @throws HsError `'CHANGE_IN_PROGRESS'`, `'INVALID_ARGUMENT'` */
  changeVoters(change: VoterChange, done: (error?: unknown) => void): void {
    const before = this.#context.electorate.list
    if (before === undefined) {
      throw new HsError('INVALID_ARGUMENT', 'An electorate of fixed size has no list of voters to change')
    }
    if (this.#change !== undefined) {
      throw new HsError('CHANGE_IN_PROGRESS', 'The change of voters before this one is not acknowledged yet')
    }
    const voters = votersAfter(before.voters, change, this.#context.port.self)
    this.#change = { before, holders: new Set(), done }
    this.#context.setList({ voters, term: this.term, version: before.version + 1 })
    this.#holdOwnList()
    this.#beat()
  }

  #beat(): void {
    if (this.#over) return
    const { port, settings, electorate } = this.#context
    if (this.#acquired && this.#isTooUnwell()) {
      this.#context.end('resigned')
      return
    }
    const seq = this.#lease.send(port.now())
    for (const to of this.#audience()) this.#sendBeat(to)
    this.#beatTimer?.cancel()
    this.#beatTimer = port.setTimer(settings.heartbeatMs, () => this.#context.step(() => this.#onBeatTimer()))
    this.onAck(port.self, seq, electorate.list?.term, electorate.list?.version)
  }

  #onBeatTimer(): void {
    if (this.#over) return
    if (this.isStale) {
      this.#context.end('quorum-lost')
      return
    }
    this.#holdOwnList()
    this.#beat()
  }

  #sendBeat(to: string): void {
    const { port, electorate } = this.#context
    port.send(to, {
      k: 'beat',
      t: this.term,
      s: this.#lease.seq,
      r: this.remainingMs,
      ...listFields(electorate.list),
    })
  }

  /** All voters but itself, and while a change is pending those of both lists. */
  #audience(): Set<string> {
    const names = new Set(this.#context.electorate.names)
    for (const name of this.#change?.before.voters ?? []) names.add(name)
    names.delete(this.#context.port.self)
    return names
  }

  #acquire(): void {
    this.#acquired = true
    this.#context.acquired()
    // The heartbeat that says so.
    this.#beat()
  }

  #isTooUnwell(): boolean {
    const { port, settings } = this.#context
    this.#unwellBeats = port.localHealth() > settings.maxLeaderHealth ? this.#unwellBeats + 1 : 0
    return this.#unwellBeats >= settings.missedHeartbeats
  }

  #armLease(): void {
    const { port } = this.#context
    this.#leaseTimer?.cancel()
    const endMs = this.#acquired ? this.#lease.untilMs : Math.max(this.#giveUpAtMs, this.#lease.untilMs)
    this.#leaseTimer = port.setTimer(endMs - port.now(), () =>
      this.#context.step(() => {
        if (this.#over) return
        if (port.now() < endMs) this.#armLease()
        else this.#context.end('quorum-lost')
      }),
    )
  }

  /** The voter that should stand next: alive, the healthiest, the one that answered last. */
  #healthiest(): string | null {
    const { electorate, port } = this.#context
    const candidates = electorate.names.flatMap((name) => {
      const health = port.healthOf(name)
      const acked = this.#lease.ackedBy(name)
      return name === port.self || health === undefined || acked === 0 ? [] : [{ name, health, acked }]
    })
    candidates.sort((a, b) => a.health - b.health || b.acked - a.acked)
    return candidates[0]?.name ?? null
  }

  /** Counts itself among the holders of its list once it is saved; tried again with each heartbeat. */
  #holdOwnList(): void {
    const { electorate, journal, port, step } = this.#context
    const { list } = electorate
    if (list === undefined || this.#change === undefined) return
    journal.whenSaved('list', () => step(() => this.#holdList(port.self, list)))
  }

  #holdList(name: string, held: VoterList): void {
    const change = this.#change
    const { list } = this.#context.electorate
    if (this.#over || change === undefined || list === undefined || !sameList(held, list)) return
    change.holders.add(name)
    if (!hasQuorum(list, change.holders) || !hasQuorum(change.before, change.holders)) return
    this.#change = undefined
    this.#context.later(() => change.done())
  }
}
