/**
 * Raft's election without a log: pre-vote, terms, one saved vote a term, a lease by quorum, promises that outlast it.
 * A synchronous state machine: a message, a timer or a finished save comes in; messages, saves, timers and news go
 * out through its port. What it tells is queued until its own step is over, so a listener may call it again.
 *
 * Guarantee: at most one node holds a lease at any instant, while clocks differ in rate by less than the tolerance,
 * saves that resolve are kept, and any two quorums share a name.
 * Sources: Ongaro, "Consensus: Bridging Theory and Practice" (2014), §3.4, §4.2.3, §6.4, §9.6; Schultz, Dardik,
 * Tripakis (OPODIS 2021) for lists of voters that change.
 */
import { assertNever, HsError, type Timer } from '@hs/core'
import { FlapDamper } from './election-flapping.js'
import { ElectionJournal } from './election-journal.js'
import { ElectionLease } from './election-lease.js'
import { listFields, listOf, MAX_TERM, type ElectionMessage } from './election-message.js'
import type { ElectionState } from './election-store.js'
import {
  compareLists,
  hasQuorum,
  quorumOf,
  sameList,
  votersAfter,
  type VoterChange,
  type VoterList,
} from './election-voters.js'

export type LossReason = 'quorum-lost' | 'resigned' | 'superseded' | 'stopped'

export interface ElectionPort {
  readonly self: string
  now(): number
  /** In [0, 1). */
  random(): number
  setTimer(delayMs: number, fn: () => void): Timer
  send(to: string, message: ElectionMessage): void
  save(state: ElectionState): Promise<void>
  /** This node's own score of ill health, 0: well. */
  localHealth(): number
  /** Names of this election's role that are alive, suspect or dead, itself included if it is one. */
  names(): readonly string[]
  /** The score of a member that is alive, else undefined. */
  healthOf(name: string): number | undefined
  tell: {
    leaderElected(name: string, term: number): void
    acquired(term: number): void
    lost(term: number, reason: LossReason): void
    votersChanged(voters: readonly string[]): void
    flapping(changes: number, cooldownMs: number): void
    error(error: unknown): void
  }
}

export interface ElectionSettings {
  /** How many names there are, or which at the first start. */
  readonly electorate: { readonly size: number } | { readonly voters: readonly string[] }
  readonly heartbeatMs: number
  readonly missedHeartbeats: number
  readonly clockDriftTolerance: number
  readonly maxLeaderHealth: number
}

interface Leading {
  readonly role: 'leader'
  readonly lease: ElectionLease
  /** When to give up if no quorum answers at all. */
  readonly giveUpAtMs: number
  /** Whether it ever held the lease. */
  acquired: boolean
  unwellBeats: number
  change: PendingChange | undefined
}

interface PendingChange {
  readonly before: VoterList
  readonly holders: Set<string>
  readonly done: (error?: unknown) => void
}

type Phase =
  | { readonly role: 'follower' }
  | { readonly role: 'pre-candidate'; readonly granted: Set<string> }
  | { readonly role: 'candidate'; readonly granted: Set<string> }
  | Leading

interface Promised {
  untilMs: number
  readonly to: string
  readonly term: number
}

export class ElectionMachine {
  readonly #port: ElectionPort
  readonly #settings: ElectionSettings
  readonly #journal: ElectionJournal
  readonly #flaps: FlapDamper
  readonly leaseMs: number
  #running = false
  #term = 0
  #votedFor: string | null = null
  #list: VoterList | undefined
  #phase: Phase = { role: 'follower' }
  #promise: Promised = { untilMs: -Infinity, to: '', term: 0 }
  /** Until then it says nothing, for what it promised before it was started. */
  #abstainUntilMs = -Infinity
  /** Who resigned stands no sooner. */
  #notBeforeMs = -Infinity
  /** Whose lease there is reason to believe in, until when. */
  #belief: { readonly name: string; readonly untilMs: number } | undefined
  /** Who has led or tried to lead in which term, as far as this node heard. */
  #seenLeader = { term: 0, name: '' }
  /** The last that was told. */
  #toldLeader = { term: 0, name: '' }
  /** The newest term whose leader has resigned: its heartbeats that are still under way promise nothing. */
  #releasedTerm = 0
  #standAtMs = 0
  #exceeded = false
  #standTimer: Timer | undefined
  #beatTimer: Timer | undefined
  #leaseTimer: Timer | undefined
  #depth = 0
  readonly #news: (() => void)[] = []

  constructor(port: ElectionPort, settings: ElectionSettings) {
    this.#port = port
    this.#settings = settings
    this.leaseMs = settings.heartbeatMs * settings.missedHeartbeats
    this.#flaps = new FlapDamper(this.leaseMs)
    this.#journal = new ElectionJournal(
      () => this.#state(),
      (state) => port.save(state),
      (error) => this.#step(() => this.#news.push(() => port.tell.error(error))),
    )
    if ('voters' in settings.electorate) this.#list = { voters: [...settings.electorate.voters], term: 0, version: 0 }
  }

  get term(): number {
    return this.#term
  }

  get role(): 'follower' | 'candidate' | 'leader' {
    const { role } = this.#phase
    if (role === 'pre-candidate') return 'candidate'
    return role === 'leader' && !this.#phase.acquired ? 'candidate' : role
  }

  get voters(): readonly string[] | undefined {
    return this.#list?.voters
  }

  get quorum(): number {
    const { electorate } = this.#settings
    return quorumOf(this.#list?.voters.length ?? ('size' in electorate ? electorate.size : electorate.voters.length))
  }

  /** What is left of the own lease at this very call; 0: none. */
  get leaseRemainingMs(): number {
    if (this.#phase.role !== 'leader' || !this.#phase.acquired) return 0
    return Math.max(0, this.#phase.lease.untilMs - this.#port.now())
  }

  get leader(): string | undefined {
    if (this.#phase.role === 'leader') return this.leaseRemainingMs > 0 ? this.#port.self : undefined
    return this.#belief !== undefined && this.#port.now() < this.#belief.untilMs ? this.#belief.name : undefined
  }

  get cooldownMs(): number {
    return this.#flaps.cooldownMs(this.#port.now())
  }

  /**
   * @param state what the store has; undefined: nothing was ever saved
   * @param durable whether "nothing was ever saved" means that this node has never promised anything
   */
  start(state: ElectionState | undefined, durable: boolean): void {
    this.#step(() => {
      this.#running = true
      if (state !== undefined) this.#restore(state)
      // Promises die with a process: what may have been promised is kept by saying nothing.
      if (state !== undefined || !durable) this.#abstainUntilMs = this.#port.now() + this.#promiseMs()
      this.#standLater()
    })
  }

  stop(): void {
    this.#step(() => {
      this.#stepDown('stopped')
      this.#halt()
    })
  }

  /** Resolves when no save runs. */
  idle(): Promise<void> {
    return this.#journal.idle()
  }

  resign(): void {
    this.#step(() => this.#stepDown('resigned'))
  }

  /** `done` is called once a quorum of both lists has the new one, or with what ended that. @throws HsError */
  changeVoters(change: VoterChange, done: (error?: unknown) => void): void {
    this.#step(() => {
      const phase = this.#phase
      if (phase.role !== 'leader' || this.leaseRemainingMs === 0) {
        throw new HsError('NOT_LEADER', 'Only the leader changes the voters')
      }
      const before = this.#list
      if (before === undefined) {
        throw new HsError('INVALID_ARGUMENT', 'An electorate of fixed size has no list of voters to change')
      }
      if (phase.change !== undefined) {
        throw new HsError('CHANGE_IN_PROGRESS', 'The change of voters before this one is not acknowledged yet')
      }
      const voters = votersAfter(before.voters, change, this.#port.self)
      phase.change = { before, holders: new Set(), done }
      this.#setList({ voters, term: this.#term, version: before.version + 1 })
      this.#holdOwnList(phase)
      this.#beat(phase)
    })
  }

  receive(from: string, message: ElectionMessage): void {
    this.#step(() => {
      if (!this.#running || from === this.#port.self) return
      this.#endStaleLease()
      if (message.t > this.#term) this.#adoptTerm(message.t)
      this.#handle(from, message)
    })
  }

  #handle(from: string, message: ElectionMessage): void {
    switch (message.k) {
      case 'pre':
        this.#onPreVote(from, message.t, listOf(message))
        return
      case 'pre-answer':
        this.#learnList(listOf(message))
        if (message.g && message.f === this.#term + 1) this.#countPreVote(from)
        return
      case 'vote':
        this.#onVote(from, message.t, listOf(message))
        return
      case 'vote-answer':
        this.#learnList(listOf(message))
        if (message.g && message.t === this.#term) this.#countVote(from)
        return
      case 'beat':
        this.#onBeat(from, message.t, message.s, message.r, listOf(message))
        return
      case 'ack':
        if (message.t === this.#term) this.#onAck(from, message.s, message.y, message.x)
        return
      case 'refuse':
        this.#learnList(listOf(message))
        return
      case 'resign':
        this.#onResign(from, message.t, message.n)
        return
      case 'query':
        if (this.#phase.role === 'leader' && this.#phase.acquired) this.#sendBeat(from, this.#phase.lease)
        return
      default:
        assertNever(message)
    }
  }

  // ---- standing

  /** Arms the timer for the next attempt: when no promise binds any more, and a random while later. */
  #standLater(): void {
    const now = this.#port.now()
    if (!this.#isVoter(this.#port.self)) {
      this.#standAt(now + this.#settings.heartbeatMs)
      return
    }
    const free = Math.max(now, this.#boundUntilMs(), this.#notBeforeMs)
    this.#standAt(free + this.#spreadMs() + this.#flaps.cooldownMs(now))
  }

  /** Another round, when this one has had time for its answers. */
  #standAgain(): void {
    this.#standAt(this.#port.now() + this.#settings.heartbeatMs + this.#spreadMs())
  }

  /** Ill nodes wait longer, but nobody is barred: an overloaded cluster still gets a leader. */
  #spreadMs(): number {
    return this.#port.random() * this.leaseMs * (1 + this.#port.localHealth() / 4)
  }

  #standAt(atMs: number): void {
    this.#standAtMs = atMs
    this.#standTimer?.cancel()
    this.#standTimer = undefined
    if (!this.#running) return
    this.#standTimer = this.#port.setTimer(atMs - this.#port.now(), () => this.#step(() => this.#onStandTimer()))
  }

  #onStandTimer(): void {
    if (!this.#running || this.#phase.role === 'leader') return
    if (this.#port.now() < this.#standAtMs) this.#standAt(this.#standAtMs)
    else if (this.#isVoter(this.#port.self) && this.#isBound()) this.#standLater()
    else this.#stand()
  }

  #stand(): void {
    if (!this.#isVoter(this.#port.self)) {
      this.#askWhoLeads()
      return
    }
    this.#standAgain()
    if (this.#isExceeded() || this.#term >= MAX_TERM) return
    this.#phase = { role: 'pre-candidate', granted: new Set() }
    this.#broadcast({ k: 'pre', t: this.#term, ...listFields(this.#list) })
    this.#countPreVote(this.#port.self)
  }

  /** Who does not vote follows: heartbeats go to voters, so the others ask. */
  #askWhoLeads(): void {
    this.#standAt(this.#port.now() + this.#settings.heartbeatMs)
    const { leader } = this
    if (leader !== undefined) this.#port.send(leader, { k: 'query', t: this.#term })
    else this.#broadcast({ k: 'query', t: this.#term })
  }

  #countPreVote(from: string): void {
    const phase = this.#phase
    if (phase.role !== 'pre-candidate' || !this.#isVoter(from)) return
    phase.granted.add(from)
    if (this.#isQuorum(phase.granted)) this.#askForVotes()
  }

  #askForVotes(): void {
    const phase: Phase = { role: 'candidate', granted: new Set() }
    this.#phase = phase
    this.#setTerm(this.#term + 1, this.#port.self)
    this.#standAgain()
    this.#journal.whenSaved('stand', () =>
      this.#step(() => {
        if (this.#phase !== phase) return
        this.#broadcast({ k: 'vote', t: this.#term, ...listFields(this.#list) })
        this.#countVote(this.#port.self)
      }),
    )
  }

  #countVote(from: string): void {
    const phase = this.#phase
    if (phase.role !== 'candidate' || !this.#isVoter(from)) return
    phase.granted.add(from)
    // Its own vote counts once it is saved, like all others.
    if (phase.granted.has(this.#port.self) && this.#isQuorum(phase.granted)) this.#win()
  }

  #win(): void {
    this.#standTimer?.cancel()
    this.#standTimer = undefined
    const now = this.#port.now()
    const phase: Leading = {
      role: 'leader',
      lease: new ElectionLease(this.leaseMs, this.#settings.missedHeartbeats + 2),
      giveUpAtMs: now + this.leaseMs,
      acquired: false,
      unwellBeats: 0,
      change: undefined,
    }
    this.#phase = phase
    this.#seenLeader = { term: this.#term, name: this.#port.self }
    this.#belief = undefined
    this.#armLease(phase)
    // A list under its own term, so that whatever an earlier leader left half done is decided.
    if (this.#list !== undefined) this.#setList({ ...this.#list, term: this.#term })
    this.#journal.whenSaved('lead', () => this.#step(() => this.#beat(phase)))
  }

  // ---- voting

  #onPreVote(from: string, term: number, theirs: VoterList | undefined): void {
    if (this.#isExceeded()) return
    this.#learnList(theirs)
    const granted =
      term === this.#term && this.#phase.role !== 'leader' && !this.#isBound() && this.#mayVoteFor(from, theirs)
    this.#port.send(from, { k: 'pre-answer', t: this.#term, f: term + 1, g: granted, ...this.#newsFor(theirs) })
  }

  #onVote(from: string, term: number, theirs: VoterList | undefined): void {
    if (this.#isExceeded()) return
    this.#learnList(theirs)
    const free = this.#votedFor === null || this.#votedFor === from
    const granted =
      term === this.#term && free && this.#phase.role !== 'leader' && !this.#isBound() && this.#mayVoteFor(from, theirs)
    if (!granted) {
      this.#port.send(from, { k: 'vote-answer', t: this.#term, g: false, ...this.#newsFor(theirs) })
      return
    }
    if (this.#votedFor === null) this.#setTerm(term, from)
    this.#phase = { role: 'follower' }
    this.#standAgain()
    this.#journal.whenSaved(`vote ${from}`, () =>
      this.#step(() => {
        // The save took time: another term, a promise to another leader or the end may have come meanwhile.
        if (!this.#running || this.#term !== term || this.#votedFor !== from || this.#isBound()) return
        this.#port.send(from, { k: 'vote-answer', t: term, g: true })
      }),
    )
  }

  #mayVoteFor(name: string, theirs: VoterList | undefined): boolean {
    if (!this.#isVoter(this.#port.self) || !this.#isVoter(name)) return false
    return this.#list === undefined || (theirs !== undefined && compareLists(theirs, this.#list) >= 0)
  }

  /** The own list for whom it is news. */
  #newsFor(theirs: VoterList | undefined): ReturnType<typeof listFields> {
    const ours = this.#list
    return ours !== undefined && theirs !== undefined && compareLists(ours, theirs) > 0 ? listFields(ours) : {}
  }

  #boundUntilMs(): number {
    return Math.max(this.#promise.untilMs, this.#abstainUntilMs)
  }

  #isBound(): boolean {
    return this.#port.now() < this.#boundUntilMs()
  }

  // ---- following

  #onBeat(from: string, term: number, seq: number, remainingMs: number, theirs: VoterList | undefined): void {
    if (term < this.#term) {
      this.#port.send(from, { k: 'refuse', t: this.#term, ...this.#newsFor(theirs) })
      return
    }
    this.#learnList(theirs)
    if (!this.#isVoter(from) || term <= this.#releasedTerm) return
    if (this.#isSecondLeader(from)) return
    const now = this.#port.now()
    this.#phase = { role: 'follower' }
    if (remainingMs > 0) this.#believe(from, term, now + Math.min(remainingMs, this.leaseMs))
    if (!this.#isVoter(this.#port.self)) {
      this.#standAt(now + this.#settings.heartbeatMs)
      return
    }
    this.#promise = { untilMs: now + this.#promiseMs(), to: from, term }
    this.#standLater()
    // What is acknowledged must outlive a restart: the list, and that there was something to forget.
    this.#journal.whenSaved(`ack ${from}`, () =>
      this.#step(() => {
        if (!this.#running || this.#term !== term || this.#promise.to !== from) return
        const list = this.#list
        const held = list === undefined ? {} : { y: list.term, x: list.version }
        this.#port.send(from, { k: 'ack', t: term, s: seq, ...held })
      }),
    )
  }

  /** Two leaders in one term cannot be. If they are, a rule was broken outside, and silence is safest. */
  #isSecondLeader(from: string): boolean {
    const { term, name } = this.#seenLeader
    if (term === this.#term && name !== from && term > 0) {
      this.#fail(
        new HsError(
          'ELECTION_CONFLICT',
          `${name} and ${from} both lead in term ${term}: a store has lost votes, or more names vote than the electorate ` +
            'has. This node takes no more part in the election; restart it when that is mended.',
          { details: { term, leaders: [name, from] } },
        ),
      )
      return true
    }
    this.#seenLeader = { term: this.#term, name: from }
    return false
  }

  #onResign(from: string, term: number, successor: string | null): void {
    if (term !== this.#term || !this.#isVoter(from) || this.#phase.role === 'leader') return
    this.#releasedTerm = Math.max(this.#releasedTerm, term)
    if (this.#belief?.name === from) this.#belief = undefined
    if (this.#promise.to === from && this.#promise.term === term) this.#promise.untilMs = this.#port.now()
    if (successor === this.#port.self && !this.#isBound() && this.#isVoter(successor)) this.#stand()
    else this.#standLater()
  }

  #believe(name: string, term: number, untilMs: number): void {
    this.#belief = { name, untilMs }
    if (this.#toldLeader.term === term && this.#toldLeader.name === name) return
    const first = this.#toldLeader.name === ''
    this.#toldLeader = { term, name }
    this.#news.push(() => this.#port.tell.leaderElected(name, term))
    const flapping = first ? undefined : this.#flaps.change(this.#port.now())
    if (flapping === undefined) return
    this.#news.push(() => this.#port.tell.flapping(flapping.changes, flapping.cooldownMs))
  }

  // ---- leading

  #beat(phase: Leading): void {
    if (this.#phase !== phase) return
    if (phase.acquired && this.#isTooUnwell(phase)) {
      this.#stepDown('resigned')
      return
    }
    phase.lease.send(this.#port.now())
    for (const to of this.#audience(phase)) this.#sendBeat(to, phase.lease)
    this.#beatTimer?.cancel()
    this.#beatTimer = this.#port.setTimer(this.#settings.heartbeatMs, () =>
      this.#step(() => {
        this.#endStaleLease()
        if (this.#phase !== phase) return
        this.#holdOwnList(phase)
        this.#beat(phase)
      }),
    )
    this.#onAck(this.#port.self, phase.lease.seq, this.#list?.term, this.#list?.version)
  }

  #sendBeat(to: string, lease: ElectionLease): void {
    const remaining = this.leaseRemainingMs
    this.#port.send(to, { k: 'beat', t: this.#term, s: lease.seq, r: remaining, ...listFields(this.#list) })
  }

  /** All voters but itself, and while a change is pending those of both lists. */
  #audience(phase: Leading): Set<string> {
    const names = new Set(this.#voterNames())
    for (const name of phase.change?.before.voters ?? []) names.add(name)
    names.delete(this.#port.self)
    return names
  }

  #onAck(from: string, seq: number, listTerm: number | undefined, listVersion: number | undefined): void {
    const phase = this.#phase
    if (phase.role !== 'leader' || !this.#mayAck(from, phase)) return
    const isSelf = from === this.#port.self
    if (!isSelf && listTerm !== undefined && listVersion !== undefined) {
      this.#holdList(phase, from, { voters: [], term: listTerm, version: listVersion })
    }
    if (!phase.lease.ack(from, seq)) return
    const { change } = phase
    if (this.#list === undefined) phase.lease.extendBySize(this.#size())
    else phase.lease.extendByLists([this.#list.voters, ...(change === undefined ? [] : [change.before.voters])])
    this.#armLease(phase)
    if (!phase.acquired && this.#port.now() < phase.lease.untilMs) this.#acquire(phase)
  }

  #mayAck(from: string, phase: Leading): boolean {
    return this.#isVoter(from) || phase.change?.before.voters.includes(from) === true
  }

  #acquire(phase: Leading): void {
    phase.acquired = true
    const term = this.#term
    this.#believe(this.#port.self, term, -Infinity)
    this.#belief = undefined
    this.#news.push(() => this.#port.tell.acquired(term))
    // The heartbeat that says so.
    this.#beat(phase)
  }

  #isTooUnwell(phase: Leading): boolean {
    phase.unwellBeats = this.#port.localHealth() > this.#settings.maxLeaderHealth ? phase.unwellBeats + 1 : 0
    return phase.unwellBeats >= this.#settings.missedHeartbeats
  }

  #armLease(phase: Leading): void {
    this.#leaseTimer?.cancel()
    const endMs = phase.acquired ? phase.lease.untilMs : Math.max(phase.giveUpAtMs, phase.lease.untilMs)
    this.#leaseTimer = this.#port.setTimer(endMs - this.#port.now(), () =>
      this.#step(() => {
        if (this.#phase !== phase) return
        if (this.#port.now() < endMs) this.#armLease(phase)
        else this.#stepDown('quorum-lost')
      }),
    )
  }

  /** Whoever saw the lease end must not see it go on, however late the timer is. */
  #endStaleLease(): void {
    if (this.#phase.role !== 'leader' || !this.#phase.acquired) return
    if (this.#phase.lease.untilMs <= this.#port.now()) this.#stepDown('quorum-lost')
  }

  /** Ends the leadership, if there is one, and what hangs on it. */
  #stepDown(reason: LossReason): void {
    const phase = this.#phase
    if (phase.role !== 'leader') return
    const term = this.#term
    const ends = reason === 'resigned' || reason === 'stopped'
    if (ends) {
      const successor = this.#healthiest(phase)
      for (const to of this.#audience(phase)) this.#port.send(to, { k: 'resign', t: term, n: successor })
      this.#releasedTerm = term
    }
    this.#phase = { role: 'follower' }
    this.#beatTimer?.cancel()
    this.#leaseTimer?.cancel()
    if (reason === 'resigned') this.#notBeforeMs = this.#port.now() + this.leaseMs
    this.#standLater()
    const { change } = phase
    if (phase.acquired) this.#news.push(() => this.#port.tell.lost(term, reason))
    if (change === undefined) return
    this.#news.push(() =>
      change.done(new HsError('LEADERSHIP_LOST', `Leadership was lost (${reason}) before the voters had changed`)),
    )
  }

  /** The voter that should stand next: alive, the healthiest, the one that answered last. */
  #healthiest(phase: Leading): string | null {
    const candidates = this.#voterNames()
      .filter((name) => name !== this.#port.self && phase.lease.ackedBy(name) > 0)
      .flatMap((name) => {
        const health = this.#port.healthOf(name)
        return health === undefined ? [] : [{ name, health, acked: phase.lease.ackedBy(name) }]
      })
    candidates.sort((a, b) => a.health - b.health || b.acked - a.acked)
    return candidates[0]?.name ?? null
  }

  // ---- lists of voters

  /** Takes a newer list from whoever has it; it is saved before anything is said under it. */
  #learnList(theirs: VoterList | undefined): void {
    const ours = this.#list
    if (theirs === undefined || ours === undefined || compareLists(theirs, ours) <= 0) return
    this.#setList(theirs)
    // Whoever asked for votes, or leads, under the older list has been overtaken.
    if (this.#phase.role === 'leader') this.#stepDown('superseded')
    else this.#phase = { role: 'follower' }
  }

  #setList(list: VoterList): void {
    const changed = list.voters.join() !== this.#list?.voters.join()
    this.#list = list
    this.#journal.touch()
    if (changed) this.#news.push(() => this.#port.tell.votersChanged(list.voters))
  }

  /** Counts the leader itself among the holders of its list once it is saved; tried again with each heartbeat. */
  #holdOwnList(phase: Leading): void {
    const list = this.#list
    if (list === undefined || phase.change === undefined) return
    this.#journal.whenSaved('list', () => this.#step(() => this.#holdList(phase, this.#port.self, list)))
  }

  #holdList(phase: Leading, name: string, held: VoterList): void {
    const { change } = phase
    if (this.#phase !== phase || change === undefined || this.#list === undefined || !sameList(held, this.#list)) return
    change.holders.add(name)
    if (!hasQuorum(this.#list, change.holders) || !hasQuorum(change.before, change.holders)) return
    phase.change = undefined
    this.#news.push(() => change.done())
  }

  // ---- the electorate

  #size(): number {
    const { electorate } = this.#settings
    return 'size' in electorate ? electorate.size : electorate.voters.length
  }

  #voterNames(): readonly string[] {
    return this.#list?.voters ?? this.#port.names()
  }

  #isVoter(name: string): boolean {
    return this.#voterNames().includes(name)
  }

  #isQuorum(names: ReadonlySet<string>): boolean {
    return this.#list === undefined ? names.size >= quorumOf(this.#size()) : hasQuorum(this.#list, names)
  }

  /** More names than the electorate has: two quorums need not meet any more, so nobody elects. */
  #isExceeded(): boolean {
    if (this.#list !== undefined) return false
    const names = this.#port.names()
    const exceeded = names.length > this.#size()
    if (exceeded && !this.#exceeded) {
      const error = new HsError(
        'ELECTORATE_EXCEEDED',
        `The electorate has ${this.#size()} members but ${names.length} are known: no votes until some are forgotten`,
        { details: { size: this.#size(), names: [...names] } },
      )
      this.#news.push(() => this.#port.tell.error(error))
    }
    this.#exceeded = exceeded
    return exceeded
  }

  #broadcast(message: ElectionMessage): void {
    for (const to of this.#voterNames()) if (to !== this.#port.self) this.#port.send(to, message)
  }

  // ---- terms and the state

  #adoptTerm(term: number): void {
    this.#stepDown('superseded')
    this.#setTerm(term, null)
    this.#phase = { role: 'follower' }
    this.#belief = undefined
    this.#standLater()
  }

  #setTerm(term: number, votedFor: string | null): void {
    this.#term = term
    this.#votedFor = votedFor
    this.#journal.touch()
  }

  #promiseMs(): number {
    return this.leaseMs * (1 + this.#settings.clockDriftTolerance)
  }

  #state(): ElectionState {
    const state = { term: this.#term, votedFor: this.#votedFor }
    const list = this.#list
    if (list === undefined) return state
    return { ...state, voters: [...list.voters], votersVersion: list.version, votersTerm: list.term }
  }

  #restore(state: ElectionState): void {
    this.#term = state.term
    this.#votedFor = state.votedFor
    if (this.#list === undefined || state.voters === undefined) return
    this.#list = { voters: state.voters, term: state.votersTerm ?? 0, version: state.votersVersion ?? 0 }
  }

  #fail(error: HsError): void {
    this.#news.push(() => this.#port.tell.error(error))
    this.#stepDown('stopped')
    this.#halt()
  }

  #halt(): void {
    this.#running = false
    this.#phase = { role: 'follower' }
    this.#belief = undefined
    for (const timer of [this.#standTimer, this.#beatTimer, this.#leaseTimer]) timer?.cancel()
  }

  /** Runs one input to its end, then tells what happened; what a listener starts is a step of its own. */
  #step(run: () => void): void {
    this.#depth++
    try {
      run()
    } finally {
      this.#depth--
      if (this.#depth === 0) this.#tell()
    }
  }

  #tell(): void {
    for (let news = this.#news.shift(); news !== undefined; news = this.#news.shift()) news()
  }
}
