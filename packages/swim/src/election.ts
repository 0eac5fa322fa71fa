/**
 * Who coordinates: at most one node of the electorate at any instant, known by a term that only grows, for as long as
 * a quorum has answered its heartbeats. This is the shell of `ElectionMachine`: options, cluster, store, events, and
 * the work that runs while this node leads. Election is for who coordinates, not consensus about data.
 */
import {
  ClosedError,
  ErrorReporter,
  HsError,
  parseOptions,
  runtimeShape,
  TaskScope,
  TypedEmitter,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { ElectionMachine } from './election-machine.js'
import { decodeElectionMessage, encodeElectionMessage, type ElectionMessage } from './election-message.js'
import type { LossReason } from './election-port.js'
import { MemoryElectionStore, parseElectionState, type ElectionStore } from './election-store.js'
import { faultOfVoters, type VoterChange } from './election-voters.js'
import type { Member, MemberStatus } from './member.js'

/** What election needs of a `Cluster`. */
export interface ElectionCluster {
  readonly local: Member
  /** 0: well. */
  readonly localHealth: number
  members(filter?: { role?: string; statuses?: readonly MemberStatus[] }): Member[]
  send(member: string, topic: string, payload: Uint8Array): boolean
  onMessage(topic: string, fn: (payload: Uint8Array, from: Member) => void): () => void
}

/**
 * Fixed: `size` names at most ever exist, whoever they are. Changing: these voters at the first start, the same list
 * everywhere; later `changeVoters`, and what the store has.
 */
export type Electorate = { size: number } | { voters: readonly string[] }

export interface LeaderElectionOptions extends RuntimeOptions {
  cluster: ElectionCluster
  /** Elections of other groups do not touch this one. 1 to 90 printable ASCII characters. */
  group: string
  electorate: Electorate
  /** With `size`: only members of this role vote and stand. @default all */
  role?: string
  /** Where votes are kept. @default new MemoryElectionStore() */
  store?: ElectionStore
  /** How often a leader asks its voters to hold on, in milliseconds, above 0 to 1 h. @default 1_000 */
  heartbeatMs?: number
  /** How many heartbeats without a quorum end a leadership, 2 to 100: times `heartbeatMs` that is `leaseMs`. @default 3 */
  missedHeartbeats?: number
  /** By how much, as a fraction, clocks of two nodes may differ in rate; 0 to 1. @default 0.02 */
  clockDriftTolerance?: number
  /** A leader whose `localHealth` is above this for `missedHeartbeats` heartbeats resigns; at least 0. @default 4 */
  maxLeaderHealth?: number
}

export interface Leadership {
  readonly term: number
  /** Higher than that of every leader before: whoever guards something refuses lower ones. */
  readonly fencingToken: number
  /** Aborts when the leadership is lost, with a reason of code `'LEADERSHIP_LOST'`. */
  readonly signal: AbortSignal
}

export interface LeaderElectionEvents {
  /** This node has reason to believe in a leader that it has not told of. */
  leaderElected: [{ name: string; term: number }]
  leadershipAcquired: [Leadership]
  leadershipLost: [{ term: number; reason: LossReason }]
  /** The names of the list have changed as far as this node knows. */
  votersChanged: [string[]]
  /** Leadership changes hands too often: `cooldownMs` is added before anyone stands. */
  flapping: [{ changes: number; cooldownMs: number }]
  error: [HsError]
}

export interface LeaderElectionSnapshot {
  readonly group: string
  /** A candidate has asked for votes, or waits for the first quorum that answers its heartbeat. */
  readonly role: 'follower' | 'candidate' | 'leader'
  readonly term: number
  /** Whose lease this node has reason to believe in now. */
  readonly leader: string | null
  readonly quorum: number
  /** Null with an electorate of fixed size. */
  readonly voters: readonly string[] | null
  /** Of its own lease, in milliseconds; 0 unless it leads. */
  readonly leaseRemainingMs: number
  /** What flapping adds to the wait before it stands, in milliseconds. */
  readonly cooldownMs: number
}

interface Term {
  readonly leadership: Leadership
  readonly controller: AbortController
}

export class LeaderElection implements AsyncDisposable {
  readonly events: TypedEmitter<LeaderElectionEvents>
  /** How long a leadership lasts from the last heartbeat that a quorum has answered, in milliseconds. */
  readonly leaseMs: number
  readonly #options: z.output<ReturnType<typeof makeSchema>>
  readonly #store: ElectionStore
  readonly #reporter: ErrorReporter
  readonly #machine: ElectionMachine
  readonly #scope: TaskScope
  readonly #works: ((leadership: Leadership) => unknown)[] = []
  #leading: Term | undefined
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #offMessage: (() => void) | undefined

  /** @throws ConfigError */
  constructor(options: LeaderElectionOptions) {
    const o = parseOptions(optionsSchema(), options, 'LeaderElection')
    const { clock, random, logger } = o
    this.#options = o
    this.#store = o.store ?? new MemoryElectionStore()
    this.#reporter = new ErrorReporter({ clock, random, logger })
    this.#scope = new TaskScope('LeaderElection', { clock, random, logger, reporter: this.#reporter })
    this.events = new TypedEmitter('LeaderElection', this.#reporter, { describe: () => ({ group: o.group }) })
    this.#machine = this.#newMachine()
    this.leaseMs = this.#machine.leaseMs
  }

  /** Whose lease this node has reason to believe in now. */
  get leader(): string | undefined {
    return this.#machine.leader
  }

  /** Whether its own lease holds at this very call, whatever timers are late. */
  get isLeader(): boolean {
    return this.#machine.leaseRemainingMs > 0
  }

  /** The newest term that this node knows of; 0 before the first election. With a durable store no restart lowers it. */
  get term(): number {
    return this.#machine.term
  }

  /** How many voters must agree. */
  get quorum(): number {
    return this.#machine.quorum
  }

  /** The list as this node knows it; undefined with an electorate of fixed size. */
  get voters(): readonly string[] | undefined {
    return this.#machine.voters
  }

  /** The term. @throws HsError `'NOT_LEADER'` unless `isLeader` */
  get fencingToken(): number {
    if (!this.isLeader) throw new HsError('NOT_LEADER', `This node does not lead ${this.#options.group}`)
    return this.#machine.term
  }

  /**
   * Runs `work` each time this node wins the leadership, and now if it leads. What it throws is reported, unless its
   * signal has aborted.
   * @throws ClosedError after `stop`; HsError `'INVALID_ARGUMENT'`
   */
  lead(work: (leadership: Leadership) => unknown): void {
    this.#checkOpen()
    if (typeof work !== 'function') throw new HsError('INVALID_ARGUMENT', 'lead: expected a function')
    this.#works.push(work)
    if (this.#leading !== undefined && this.isLeader) this.#run(work, this.#leading.leadership)
  }

  /**
   * Loads what this node has promised, and takes part. Again: nothing.
   * @throws HsError `'ELECTION_STATE_CORRUPT'`; what the store throws; ClosedError after `stop`
   */
  async start(): Promise<void> {
    this.#checkOpen()
    this.#starting ??= this.#start()
    try {
      await this.#starting
    } catch (error) {
      this.#starting = undefined
      throw error
    }
  }

  /** Resigns, and takes no more part; waits for a save and for work that runs. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** Ends its own lease at once and asks the healthiest voter to stand; nothing if it does not lead. @throws ClosedError after `stop` */
  resign(): void {
    this.#checkOpen()
    this.#machine.resign()
  }

  /**
   * Adds or removes one voter. Resolves when a quorum of the list before and of the one after have it.
   * @throws HsError `'NOT_LEADER'`, `'CHANGE_IN_PROGRESS'`, `'INVALID_ARGUMENT'`; `'LEADERSHIP_LOST'` if it is not known
   *   whether the change will last; ClosedError after `stop`
   */
  async changeVoters(change: { add: string } | { remove: string }): Promise<void> {
    this.#checkOpen()
    await new Promise<void>((resolve, reject) => {
      this.#machine.changeVoters(change satisfies VoterChange, (error) => {
        if (error === undefined) resolve()
        else reject(error)
      })
    })
  }

  snapshot(): LeaderElectionSnapshot {
    const { role, term, leader, quorum, voters, leaseRemainingMs, cooldownMs } = this.#machine
    return Object.freeze({
      group: this.#options.group,
      role,
      term,
      leader: leader ?? null,
      quorum,
      voters: voters === undefined ? null : Object.freeze([...voters]),
      leaseRemainingMs,
      cooldownMs,
    })
  }

  #checkOpen(): void {
    if (this.#stopping !== undefined) throw new ClosedError('LeaderElection')
  }

  async #start(): Promise<void> {
    const loaded = await this.#store.load()
    if (this.#stopping !== undefined) throw new ClosedError('LeaderElection')
    const state = loaded === undefined ? undefined : parseElectionState(loaded, 'The election store')
    this.#offMessage = this.#options.cluster.onMessage(this.#topic, (payload, from) => {
      const message = decodeElectionMessage(payload)
      if (message !== undefined) this.#machine.receive(from.name, message)
    })
    this.#machine.start(state, this.#store.durable)
  }

  async #stop(): Promise<void> {
    this.#machine.stop()
    this.#offMessage?.()
    await this.#machine.idle()
    await this.#scope.stop()
  }

  get #topic(): string {
    return `election/${this.#options.group}`
  }

  #newMachine(): ElectionMachine {
    const { cluster, clock, random, role } = this.#options
    const filter = role === undefined ? { statuses: ELECTORS } : { role, statuses: ELECTORS }
    return new ElectionMachine(
      {
        self: cluster.local.name,
        now: () => clock.now(),
        random: () => random.next(),
        setTimer: (delayMs, fn) => clock.setTimer(delayMs, fn),
        send: (to, message) => this.#send(to, message),
        save: (state) => this.#store.save(state),
        localHealth: () => cluster.localHealth,
        names: () => cluster.members(filter).map(({ name }) => name),
        healthOf: (name) => cluster.members({ statuses: ['alive'] }).find((member) => member.name === name)?.health,
        tell: {
          leaderElected: (name, term) => this.events.emit('leaderElected', { name, term }),
          acquired: (term) => this.#acquired(term),
          lost: (term, reason) => this.#lost(term, reason),
          votersChanged: (voters) => this.events.emit('votersChanged', [...voters]),
          flapping: (changes, cooldownMs) => this.events.emit('flapping', { changes, cooldownMs }),
          error: (error) => this.#failed(error),
        },
      },
      this.#options,
    )
  }

  /** Best effort, as all datagrams: a cluster that was stopped before its election loses them. */
  #send(to: string, message: ElectionMessage): void {
    try {
      this.#options.cluster.send(to, this.#topic, encodeElectionMessage(message))
    } catch (error) {
      if (!HsError.is(error, 'CLOSED')) this.#reporter.report('LeaderElection.send', error, { to })
    }
  }

  #acquired(term: number): void {
    const controller = new AbortController()
    const leadership = Object.freeze({ term, fencingToken: term, signal: controller.signal })
    this.#leading = { leadership, controller }
    this.events.emit('leadershipAcquired', leadership)
    for (const work of [...this.#works]) {
      // A listener, or work before this one, may have resigned.
      if (!leadership.signal.aborted) this.#run(work, leadership)
    }
  }

  #lost(term: number, reason: LossReason): void {
    const leading = this.#leading
    this.#leading = undefined
    const why = new HsError(
      'LEADERSHIP_LOST',
      `Leadership of ${this.#options.group} in term ${term} is lost: ${reason}`,
      {
        details: { group: this.#options.group, term, reason },
      },
    )
    leading?.controller.abort(why)
    this.events.emit('leadershipLost', { term, reason })
  }

  #run(work: (leadership: Leadership) => unknown, leadership: Leadership): void {
    this.#scope.spawn('lead', async () => {
      try {
        await work(leadership)
      } catch (error) {
        if (!leadership.signal.aborted) throw error
      }
    })
  }

  #failed(error: unknown): void {
    const { group } = this.#options
    const known = HsError.is(error)
      ? error
      : new HsError('ELECTION_SAVE_FAILED', `A vote of ${group} could not be saved, so it is not given`, {
          cause: error,
        })
    if (!this.events.emit('error', known)) this.#reporter.report('LeaderElection', known, { group })
  }
}

/** Whose names count: a dead one may come back with a vote it has given. */
const ELECTORS: readonly MemberStatus[] = ['alive', 'suspect', 'dead']

const isCluster = (x: unknown): boolean => {
  if (typeof x !== 'object' || x === null) return false
  const { local, members, send, onMessage } = x as Record<string, unknown>
  return [members, send, onMessage].every((fn) => typeof fn === 'function') && typeof local === 'object'
}

const isStore = (x: unknown): boolean => {
  if (typeof x !== 'object' || x === null) return false
  const { durable, load, save } = x as Record<string, unknown>
  return typeof durable === 'boolean' && typeof load === 'function' && typeof save === 'function'
}

let cachedSchema: ReturnType<typeof makeSchema> | undefined
const optionsSchema = () => (cachedSchema ??= makeSchema())
const makeSchema = () =>
  z.strictObject({
    ...runtimeShape,
    cluster: z.custom<ElectionCluster>(isCluster, 'expected a Cluster'),
    group: z.string().regex(/^[ -~]{1,90}$/, 'expected 1 to 90 printable ASCII characters'),
    electorate: z.union([
      z.strictObject({ size: z.int().min(1).max(1_000) }),
      z.strictObject({
        voters: z.array(z.string()).superRefine((voters, context) => {
          const fault = faultOfVoters(voters)
          if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
        }),
      }),
    ]),
    role: z.string().min(1).optional(),
    store: z.custom<ElectionStore>(isStore, 'expected an ElectionStore').optional(),
    heartbeatMs: z.number().positive().max(3_600_000).default(1_000),
    missedHeartbeats: z.int().min(2).max(100).default(3),
    clockDriftTolerance: z.number().min(0).max(1).default(0.02),
    maxLeaderHealth: z.number().min(0).default(4),
  })
