/**
 * Raft's election without a log: pre-vote, terms, one saved vote a term, a lease by quorum, promises that outlast it.
 * A synchronous state machine: a message, a timer or a finished save comes in; messages, saves, timers and news go
 * out through its port. News is told when the step is over, so that a listener may call it again.
 *
 * Guarantee: at most one node holds a lease at any instant, while clocks differ in rate by less than the tolerance,
 * saves that resolve are kept, and any two quorums share a name.
 * Sources: Ongaro, "Consensus: Bridging Theory and Practice" (2014), §3.4, §4.2.3, §6.4, §9.6; Schultz, Dardik,
 * Tripakis (OPODIS 2021) for lists of voters that change.
 */
import { assertNever, HsError, type Timer } from '@hs/core'
import { ElectionBelief } from './election-belief.js'
import { VoterRoll } from './election-voter-roll.js'
import { FlapDamper } from './election-flapping.js'
import { ElectionJournal } from './election-journal.js'
import { ElectionLeader } from './election-leader.js'
import { listFields, listOf, MAX_TERM, type ElectionMessage } from './election-message.js'
import type { ElectionPort, ElectionSettings, LossReason } from './election-port.js'
import { ElectionPromise } from './election-promise.js'
import type { ElectionState } from './election-store.js'
import type { VoterChange, VoterList } from './election-voters.js'

type Phase =
  | { readonly role: 'follower' }
  | { readonly role: 'pre-candidate'; readonly granted: Set<string> }
  | { readonly role: 'candidate'; readonly granted: Set<string> }
  | { readonly role: 'leader'; readonly leader: ElectionLeader }

const FOLLOWER: Phase = Object.freeze({ role: 'follower' })

export class ElectionMachine {
  readonly leaseMs: number
  readonly #port: ElectionPort
  readonly #settings: ElectionSettings
  readonly #electorate: VoterRoll
  readonly #journal: ElectionJournal
  readonly #flaps: FlapDamper
  readonly #promise = new ElectionPromise()
  readonly #belief = new ElectionBelief()
  #running = false
  #term = 0
  #votedFor: string | null = null
  #phase: Phase = FOLLOWER
  #standAtMs = 0
  /** Who resigned stands no sooner. */
  #notBeforeMs = -Infinity
  #standTimer: Timer | undefined
  #depth = 0
  readonly #news: (() => void)[] = []

  constructor(port: ElectionPort, settings: ElectionSettings) {
    this.#port = port
    this.#settings = settings
    this.leaseMs = settings.heartbeatMs * settings.missedHeartbeats
    this.#flaps = new FlapDamper(this.leaseMs)
    this.#electorate = new VoterRoll(settings.electorate, () => port.names())
    this.#journal = new ElectionJournal(
      () => this.#state(),
      (state) => port.save(state),
      (error) => this.#step(() => this.#news.push(() => port.tell.error(error))),
    )
  }

  get term(): number {
    return this.#term
  }

  get role(): 'follower' | 'candidate' | 'leader' {
    const phase = this.#phase
    if (phase.role === 'leader') return phase.leader.hasAcquired ? 'leader' : 'candidate'
    return phase.role === 'follower' ? 'follower' : 'candidate'
  }

  get voters(): readonly string[] | undefined {
    return this.#electorate.list?.voters
  }

  get quorum(): number {
    return this.#electorate.quorum
  }

  /** What is left of the own lease at this very call; 0: none. */
  get leaseRemainingMs(): number {
    return this.#phase.role === 'leader' ? this.#phase.leader.remainingMs : 0
  }

  get leader(): string | undefined {
    if (this.#phase.role !== 'leader') return this.#belief.at(this.#port.now())
    return this.leaseRemainingMs > 0 ? this.#port.self : undefined
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
      // Promises die with a process: what may have been promised is kept by saying nothing. Terms begin with 1, and
      // one is saved before anything is said in it.
      const hasPromised = !durable || (state !== undefined && state.term > 0)
      if (hasPromised) this.#promise.abstain(this.#promiseEndMs())
      this.#standLater()
    })
  }

  stop(): void {
    this.#step(() => this.#halt())
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
      if (this.#phase.role !== 'leader' || this.leaseRemainingMs === 0) {
        throw new HsError('NOT_LEADER', 'Only the leader changes the voters')
      }
      this.#phase.leader.changeVoters(change, done)
    })
  }

  receive(from: string, message: ElectionMessage): void {
    this.#step(() => {
      if (!this.#running || from === this.#port.self) return
      if (this.#phase.role === 'leader' && this.#phase.leader.isStale) this.#stepDown('quorum-lost')
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
        if (message.t !== this.#term || this.#phase.role !== 'leader') return
        this.#phase.leader.onAck(from, message.s, message.y, message.x)
        return
      case 'refuse':
        this.#learnList(listOf(message))
        return
      case 'resign':
        this.#onResign(from, message.t, message.n)
        return
      case 'query':
        this.#onQuery(from, listOf(message))
        return
      default:
        assertNever(message)
    }
  }

  // ---- standing

  /** Arms the timer for the next attempt: when no promise binds any more, and a random while later. */
  #standLater(): void {
    const now = this.#port.now()
    if (!this.#isVoter()) {
      this.#standAt(now + this.#settings.heartbeatMs)
      return
    }
    const free = Math.max(now, this.#promise.untilMs, this.#notBeforeMs)
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
    else if (this.#isVoter() && this.#isBound()) this.#standLater()
    else this.#stand()
  }

  #stand(): void {
    if (!this.#isVoter()) {
      this.#askWhoLeads()
      return
    }
    this.#standAgain()
    if (this.#isExceeded() || this.#term >= MAX_TERM) return
    this.#phase = { role: 'pre-candidate', granted: new Set() }
    this.#broadcast({ k: 'pre', t: this.#term, ...listFields(this.#electorate.list) })
    this.#askAnyMember()
    this.#countPreVote(this.#port.self)
  }

  /** Who does not vote follows: heartbeats go to voters, so the others ask. */
  #askWhoLeads(): void {
    this.#standAt(this.#port.now() + this.#settings.heartbeatMs)
    const { leader } = this
    const query: ElectionMessage = { k: 'query', t: this.#term, ...listFields(this.#electorate.list) }
    if (leader !== undefined) {
      this.#port.send(leader, query)
      return
    }
    this.#broadcast(query)
    this.#askAnyMember()
  }

  /** The list may be so old that nobody on it votes, or lives, any more. */
  #askAnyMember(): void {
    const { list, names } = this.#electorate
    if (list === undefined) return
    const others = this.#port.names().filter((name) => !names.includes(name) && name !== this.#port.self)
    const asked = others[Math.floor(this.#port.random() * others.length)]
    if (asked !== undefined) this.#port.send(asked, { k: 'query', t: this.#term, ...listFields(list) })
  }

  #onQuery(from: string, theirs: VoterList | undefined): void {
    if (this.#phase.role === 'leader') this.#phase.leader.tellOf(from)
    else if (!this.#electorate.isCurrent(theirs)) {
      this.#port.send(from, { k: 'refuse', t: this.#term, ...listFields(this.#electorate.list) })
    }
  }

  #countPreVote(from: string): void {
    const phase = this.#phase
    if (phase.role !== 'pre-candidate' || !this.#electorate.has(from)) return
    phase.granted.add(from)
    if (this.#electorate.isQuorum(phase.granted)) this.#askForVotes()
  }

  #askForVotes(): void {
    const phase: Phase = { role: 'candidate', granted: new Set() }
    this.#phase = phase
    this.#setTerm(this.#term + 1, this.#port.self)
    this.#standAgain()
    this.#journal.whenSaved('stand', () =>
      this.#step(() => {
        if (this.#phase !== phase) return
        this.#broadcast({ k: 'vote', t: this.#term, ...listFields(this.#electorate.list) })
        this.#countVote(this.#port.self)
      }),
    )
  }

  #countVote(from: string): void {
    const phase = this.#phase
    if (phase.role !== 'candidate' || !this.#electorate.has(from)) return
    phase.granted.add(from)
    // Its own vote counts once it is saved, like all others.
    if (phase.granted.has(this.#port.self) && this.#electorate.isQuorum(phase.granted)) this.#win()
  }

  #win(): void {
    this.#standTimer?.cancel()
    this.#standTimer = undefined
    this.#belief.see(this.#port.self, this.#term)
    this.#belief.drop()
    const term = this.#term
    const leader = new ElectionLeader(term, this.leaseMs, {
      port: this.#port,
      settings: this.#settings,
      electorate: this.#electorate,
      journal: this.#journal,
      step: (run) => this.#step(run),
      setList: (list) => this.#setList(list),
      acquired: () => {
        this.#tellLeader(this.#port.self, term)
        this.#news.push(() => this.#port.tell.acquired(term))
      },
      end: (reason) => this.#stepDown(reason),
      later: (tell) => this.#news.push(tell),
    })
    this.#phase = { role: 'leader', leader }
    leader.begin()
  }

  #stepDown(reason: LossReason): void {
    if (this.#phase.role !== 'leader') return
    const { leader } = this.#phase
    this.#phase = FOLLOWER
    const { term } = leader
    if (leader.hasAcquired) this.#news.push(() => this.#port.tell.lost(term, reason))
    leader.close(reason)
    this.#promise.close(term)
    if (reason === 'resigned') this.#notBeforeMs = this.#port.now() + this.leaseMs
    this.#standLater()
  }

  // ---- voting

  #onPreVote(from: string, term: number, theirs: VoterList | undefined): void {
    if (this.#isExceeded()) return
    this.#learnList(theirs)
    const granted = term === this.#term && this.#mayVoteFor(from, theirs)
    this.#port.send(from, { k: 'pre-answer', t: this.#term, f: term + 1, g: granted, ...this.#newsFor(theirs) })
  }

  #onVote(from: string, term: number, theirs: VoterList | undefined): void {
    if (this.#isExceeded()) return
    this.#learnList(theirs)
    const isFree = this.#votedFor === null || this.#votedFor === from
    if (term !== this.#term || !isFree || !this.#mayVoteFor(from, theirs)) {
      this.#port.send(from, { k: 'vote-answer', t: this.#term, g: false, ...this.#newsFor(theirs) })
      return
    }
    if (this.#votedFor === null) this.#setTerm(term, from)
    this.#phase = FOLLOWER
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
    if (this.#phase.role === 'leader' || this.#isBound()) return false
    return this.#isVoter() && this.#electorate.has(name) && this.#electorate.isCurrent(theirs)
  }

  /** The own list for whom it is news. */
  #newsFor(theirs: VoterList | undefined): ReturnType<typeof listFields> {
    return theirs === undefined || this.#electorate.isCurrent(theirs) ? {} : listFields(this.#electorate.list)
  }

  // ---- following

  #onBeat(from: string, term: number, seq: number, remainingMs: number, theirs: VoterList | undefined): void {
    if (term < this.#term) {
      this.#port.send(from, { k: 'refuse', t: this.#term, ...this.#newsFor(theirs) })
      return
    }
    this.#learnList(theirs)
    if (!this.#electorate.has(from) || this.#promise.isClosed(term)) return
    const other = this.#belief.see(from, term)
    if (other !== undefined) {
      this.#failOnConflict(term, [other, from])
      return
    }
    this.#phase = FOLLOWER
    if (remainingMs > 0) {
      this.#belief.hold(from, this.#port.now() + Math.min(remainingMs, this.leaseMs))
      this.#tellLeader(from, term)
    }
    if (this.#isVoter()) this.#acknowledge(from, term, seq)
    else this.#standLater()
  }

  /** What is acknowledged must outlive a restart: the list, and that there is a promise to forget. */
  #acknowledge(from: string, term: number, seq: number): void {
    this.#promise.give(from, term, this.#promiseEndMs())
    this.#standLater()
    this.#journal.whenSaved(`ack ${from}`, () =>
      this.#step(() => {
        if (!this.#running || this.#term !== term || !this.#promise.isTo(from, term)) return
        const { list } = this.#electorate
        this.#port.send(from, { k: 'ack', t: term, s: seq, y: list?.term, x: list?.version })
      }),
    )
  }

  #onResign(from: string, term: number, successor: string | null): void {
    if (term !== this.#term || !this.#electorate.has(from) || this.#phase.role === 'leader') return
    this.#promise.release(from, term)
    this.#belief.drop(from)
    if (successor === this.#port.self && this.#isVoter() && !this.#isBound()) this.#stand()
    else this.#standLater()
  }

  #tellLeader(name: string, term: number): void {
    const heard = this.#belief.tell(name, term)
    if (heard === 'known') return
    this.#news.push(() => this.#port.tell.leaderElected(name, term))
    const flapping = heard === 'change' ? this.#flaps.change(this.#port.now()) : undefined
    if (flapping === undefined) return
    this.#news.push(() => this.#port.tell.flapping(flapping.changes, flapping.cooldownMs))
  }

  /** Two leaders in one term cannot be. If they are, a rule was broken outside, and silence is safest. */
  #failOnConflict(term: number, leaders: readonly string[]): void {
    const error = new HsError(
      'ELECTION_CONFLICT',
      `${leaders.join(' and ')} both lead in term ${term}: a store has lost votes, or more names vote than the ` +
        'electorate has. This node takes no more part in the election; restart it when that is mended.',
      { details: { term, leaders: [...leaders] } },
    )
    this.#news.push(() => this.#port.tell.error(error))
    this.#halt()
  }

  // ---- the electorate

  #isVoter(): boolean {
    return this.#electorate.has(this.#port.self)
  }

  #isExceeded(): boolean {
    return this.#electorate.isExceeded((error) => this.#news.push(() => this.#port.tell.error(error)))
  }

  #broadcast(message: ElectionMessage): void {
    for (const to of this.#electorate.names) if (to !== this.#port.self) this.#port.send(to, message)
  }

  /** Takes a newer list from whoever has it; it is saved before anything is said under it. */
  #learnList(theirs: VoterList | undefined): void {
    if (!this.#electorate.isBehind(theirs)) return
    this.#setList(theirs)
    // Whoever asked for votes, or leads, under the older list has been overtaken.
    this.#stepDown('superseded')
    this.#phase = FOLLOWER
  }

  #setList(list: VoterList): void {
    const hasChanged = this.#electorate.replace(list)
    this.#journal.touch()
    if (hasChanged) this.#news.push(() => this.#port.tell.votersChanged(list.voters))
  }

  // ---- terms, promises and the state

  #adoptTerm(term: number): void {
    this.#stepDown('superseded')
    this.#setTerm(term, null)
    this.#phase = FOLLOWER
    this.#belief.drop()
    this.#standLater()
  }

  #setTerm(term: number, votedFor: string | null): void {
    this.#term = term
    this.#votedFor = votedFor
    this.#journal.touch()
  }

  #isBound(): boolean {
    return this.#port.now() < this.#promise.untilMs
  }

  #promiseEndMs(): number {
    return this.#port.now() + this.leaseMs * (1 + this.#settings.clockDriftTolerance)
  }

  #state(): ElectionState {
    const state = { term: this.#term, votedFor: this.#votedFor }
    const { list } = this.#electorate
    if (list === undefined) return state
    return { ...state, voters: [...list.voters], votersVersion: list.version, votersTerm: list.term }
  }

  #restore({ term, votedFor, voters, votersTerm = 0, votersVersion = 0 }: ElectionState): void {
    this.#term = term
    this.#votedFor = votedFor
    if (voters !== undefined) this.#electorate.replace({ voters, term: votersTerm, version: votersVersion })
  }

  #halt(): void {
    this.#running = false
    this.#stepDown('stopped')
    this.#phase = FOLLOWER
    this.#belief.drop()
    this.#standTimer?.cancel()
  }

  // ---- steps

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
