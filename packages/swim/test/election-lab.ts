/**
 * A cluster as election sees it, in one process on virtual time: a bus that loses, delays, repeats and parts; clocks
 * that run at different rates; processes that pause, crash and restart; stores that are slow or fail. After every
 * event the lab checks what must always hold, and throws with what it found.
 */
import type { Clock, NodeId, Random, Timer } from '@hs/core'
import { sleepOn } from '@hs/core'
import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import {
  LeaderElection,
  type ElectionCluster,
  type ElectionState,
  type ElectionStore,
  type Electorate,
  type LeaderElectionOptions,
  type Member,
  type MemberStatus,
} from '@hs/swim'
import { decodeElectionMessage } from '../src/election-message.js'

export interface LabOptions {
  names?: readonly string[]
  electorate?: Electorate
  durable?: boolean
  seed?: number
  /** Least and most, in milliseconds. */
  latencyMs?: readonly [number, number]
  loss?: number
  repeat?: number
  /** Least and most, in milliseconds; [0, 0]: within microtasks. */
  saveMs?: readonly [number, number]
  election?: Partial<LeaderElectionOptions>
}

export class ElectionLab {
  readonly clock = new VirtualClock()
  readonly random: Random
  readonly nodes = new Map<string, LabNode>()
  readonly #log: (() => string)[] = []
  /** Directed links that are cut, `from>to`. */
  readonly cut = new Set<string>()
  readonly options: Required<Omit<LabOptions, 'seed'>>
  latencyMs: readonly [number, number]
  loss: number
  /** term → who acquired it; token order. */
  readonly acquisitions: { term: number; name: string }[] = []
  readonly #votes = new Map<string, string>()
  sent = 0
  breach: string | undefined
  /** Nodes whose incoming messages are slow. */
  readonly slow = new Map<string, readonly [number, number]>()

  constructor(options: LabOptions = {}) {
    const names = options.names ?? ['a', 'b', 'c']
    this.options = {
      names,
      electorate: options.electorate ?? { size: names.length },
      durable: options.durable ?? true,
      latencyMs: options.latencyMs ?? [1, 5],
      loss: options.loss ?? 0,
      repeat: options.repeat ?? 0,
      saveMs: options.saveMs ?? [0, 0],
      election: options.election ?? {},
    }
    this.random = new SeededRandom(options.seed ?? 1)
    this.latencyMs = this.options.latencyMs
    this.loss = this.options.loss
    for (const name of names) this.add(name)
  }

  add(name: string, o: { role?: string; driftPpm?: number } = {}): LabNode {
    const node = new LabNode(this, name, o)
    this.nodes.set(name, node)
    return node
  }

  node(name: string): LabNode {
    const node = this.nodes.get(name)
    if (node === undefined) throw new Error(`no node ${name}`)
    return node
  }

  async start(): Promise<void> {
    for (const node of this.nodes.values()) await node.start()
  }

  async stop(): Promise<void> {
    for (const node of this.nodes.values()) await this.clock.run(node.election.stop())
  }

  advance(ms: number): Promise<void> {
    return this.clock.advanceAsync(ms)
  }

  leaders(): string[] {
    return [...this.nodes.values()].filter((node) => node.up && node.election.isLeader).map(({ name }) => name)
  }

  /** Advances until someone leads, and returns who. */
  async elect(limitMs = 60_000): Promise<LabNode> {
    await this.clock.runUntil(() => this.leaders().length > 0, { limitMs })
    return this.node(this.leaders()[0] as string)
  }

  /** Cuts all links between `names` and the others, in both directions or only outward or inward. */
  part(names: readonly string[], direction: 'both' | 'out' | 'in' = 'both'): void {
    for (const a of names) {
      for (const b of this.nodes.keys()) {
        if (names.includes(b)) continue
        if (direction !== 'in') this.cut.add(`${a}>${b}`)
        if (direction !== 'out') this.cut.add(`${b}>${a}`)
      }
    }
  }

  heal(): void {
    this.cut.clear()
  }

  /** Whether `to` is up and can be told something. */
  canReach(from: string, to: string): boolean {
    return from === to || (this.node(to).up && !this.cut.has(`${from}>${to}`))
  }

  between([least, most]: readonly [number, number]): number {
    return least + this.random.next() * (most - least)
  }

  send(from: string, to: string, bytes: Uint8Array): void {
    this.sent++
    this.#observe(from, to, bytes)
    if (this.cut.has(`${from}>${to}`) || this.random.next() < this.loss) return
    const copies = this.random.next() < this.options.repeat ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      const latencyMs = this.slow.get(to) ?? this.latencyMs
      this.clock.setTimer(this.between(latencyMs), () => this.nodes.get(to)?.deliver(from, bytes))
    }
  }

  /** At most one leader at this instant. */
  check(): void {
    let count = 0
    for (const node of this.nodes.values()) if (node.up && node.election.isLeader) count++
    if (count > 1) {
      const leaders = this.leaders()
      const terms = leaders.map((name) => `${name} in term ${this.node(name).election.term}`)
      this.fail(`at ${this.clock.now()} ms both lead: ${terms.join(', ')}`)
    }
  }

  acquired(name: string, term: number): void {
    const last = this.acquisitions.at(-1)
    // A store that forgets may lose votes and terms at a restart; leases hold all the same.
    if (this.options.durable && last !== undefined && term <= last.term) {
      this.fail(`token ${term} of ${name} does not grow after ${last.term} of ${last.name}`)
    }
    this.acquisitions.push({ term, name })
  }

  /** Keeps the first breach: thrown, it might end in somebody's guard. */
  fail(what: string): void {
    this.breach ??= `${what}\n${this.log}`
  }

  note(text: string | (() => string)): void {
    const at = this.clock.now()
    this.#log.push(() => `${at.toFixed(1)} ${typeof text === 'string' ? text : text()}`)
    if (this.#log.length > 400) this.#log.splice(0, 200)
  }

  /** The end of what happened, for the message of a failure. */
  get log(): string {
    return this.#log
      .slice(-100)
      .map((line) => line())
      .join('\n')
  }

  #observe(from: string, to: string, bytes: Uint8Array): void {
    const message = decodeElectionMessage(bytes)
    if (message === undefined) {
      this.fail(`${from} sends what cannot be read`)
      return
    }
    this.note(() => `${from}>${to} ${JSON.stringify(message)}`)
    if (message.k === 'vote') this.#vote(from, message.t, from)
    if (message.k === 'vote-answer' && message.g) this.#vote(from, message.t, to)
  }

  #vote(voter: string, term: number, candidate: string): void {
    const before = this.#votes.get(`${voter}/${term}`)
    if (this.options.durable && before !== undefined && before !== candidate) {
      this.fail(`${voter} voted for ${before} and ${candidate} in term ${term}`)
    }
    this.#votes.set(`${voter}/${term}`, candidate)
  }
}

export class LabNode {
  readonly name: string
  readonly role: string
  readonly events: string[] = []
  readonly store: LabStore
  readonly logger = new MemoryLogger()
  up = false
  status: MemberStatus = 'alive'
  health = 0
  election!: LeaderElection
  /** Knows only whom it can reach, and takes them for the whole electorate when it restarts. */
  countsTheLiving = false
  readonly #lab: ElectionLab
  readonly #base: Clock
  #life = 0
  #paused = false
  #backlog: (() => void)[] = []
  #handler: ((payload: Uint8Array, from: Member) => void) | undefined

  constructor(lab: ElectionLab, name: string, { role = 'member', driftPpm = 0 } = {}) {
    this.#lab = lab
    this.name = name
    this.role = role
    this.#base = driftPpm === 0 ? lab.clock : lab.clock.skewed({ driftPpm })
    this.store = new LabStore(lab, this)
    this.create()
  }

  get life(): number {
    return this.#life
  }

  /** A new process; its store survives if it is durable. */
  create(election: Partial<LeaderElectionOptions> = {}): void {
    const life = ++this.#life
    const lab = this.#lab
    const cluster: ElectionCluster = {
      local: this.member(),
      members: (filter) => this.#members(filter),
      send: (to, _topic, payload) => {
        if (this.#life === life) lab.send(this.name, to, payload)
        return lab.nodes.has(to)
      },
      onMessage: (_topic, fn) => {
        this.#handler = fn
        return () => {
          this.#handler = undefined
        }
      },
      get localHealth() {
        return lab.node(local).health
      },
    }
    const local = this.name
    this.election = new LeaderElection({
      cluster,
      group: 'g',
      electorate: lab.options.electorate,
      store: this.store.forLife(life),
      clock: this.#clock(life),
      random: new SeededRandom(`${lab.random.int(2 ** 32)}/${this.name}/${life}`),
      logger: this.logger,
      ...lab.options.election,
      ...election,
    })
    this.#listen(life)
  }

  async start(): Promise<void> {
    this.up = true
    await this.election.start()
  }

  crash(): void {
    this.#lab.note(`${this.name} crashes`)
    this.up = false
    this.#life++
    this.#handler = undefined
    this.#backlog = []
    this.#paused = false
  }

  async restart(election: Partial<LeaderElectionOptions> = {}): Promise<void> {
    this.#lab.note(`${this.name} restarts`)
    this.create(this.countsTheLiving ? { ...election, electorate: { size: this.#members().length } } : election)
    await this.start()
  }

  pause(): void {
    this.#lab.note(`${this.name} pauses`)
    this.#paused = true
  }

  resume(): void {
    this.#lab.note(`${this.name} resumes`)
    this.#paused = false
    // Overdue timers and what lay in the socket, in the order of their times.
    for (const run of this.#backlog.splice(0)) run()
    this.#lab.check()
  }

  deliver(from: string, bytes: Uint8Array): void {
    this.run(this.#life, () => this.#handler?.(bytes, this.#lab.node(from).member()))
  }

  /** As the process of this life, if it runs; later if it is paused. */
  run(life: number, fn: () => void): void {
    if (this.#life !== life) return
    if (this.#paused) this.#backlog.push(() => this.run(life, fn))
    else {
      fn()
      this.#lab.check()
    }
  }

  member(): Member {
    const { name, role, status, health } = this
    return Object.freeze({
      id: `${name}@${this.#life}` as NodeId,
      name,
      generation: this.#life,
      incarnation: 0,
      address: `${name}:1`,
      rpcAddress: `${name}:1`,
      role,
      meta: {},
      status,
      confirmed: true,
      health,
    })
  }

  #members(filter: { role?: string; statuses?: readonly MemberStatus[] } = {}): Member[] {
    const { role, statuses = ['alive', 'suspect'] } = filter
    return [...this.#lab.nodes.values()]
      .filter((node) => statuses.includes(node.status) && (role === undefined || node.role === role))
      .filter((node) => !this.countsTheLiving || this.#lab.canReach(this.name, node.name))
      .map((node) => node.member())
  }

  #clock(life: number): Clock {
    const base = this.#base
    const clock: Clock = {
      now: () => base.now(),
      wallNow: () => base.wallNow(),
      setTimer: (delayMs, fn): Timer => base.setTimer(delayMs, () => this.run(life, fn)),
      sleep: (ms, signal) => sleepOn(clock, ms, signal),
    }
    return clock
  }

  #listen(life: number): void {
    const { events } = this.election
    const note = (text: string) => {
      if (life !== this.#life) return
      this.events.push(text)
      this.#lab.note(`${this.name} ${text}`)
    }
    events.on('leaderElected', ({ name, term }) => note(`elected ${name} ${term}`))
    events.on('leadershipAcquired', ({ term }) => {
      note(`acquired ${term}`)
      if (life === this.#life) this.#lab.acquired(this.name, term)
    })
    events.on('leadershipLost', ({ term, reason }) => note(`lost ${term} ${reason}`))
    events.on('votersChanged', (voters) => note(`voters ${voters.join()}`))
    events.on('flapping', ({ changes, cooldownMs }) => note(`flapping ${changes} ${cooldownMs}`))
    events.on('error', (error) => note(`error ${error.code}`))
  }
}

/** The disk of a node under its processes. */
export class LabStore {
  /** What the disk holds. */
  state: ElectionState | undefined
  failing = false
  /** Says that it has saved, and has not. */
  lying = false
  /** Fails after the write as often as before it: the writer cannot know. */
  failureRate = 0
  saves = 0
  readonly #lab: ElectionLab
  readonly #node: LabNode

  constructor(lab: ElectionLab, node: LabNode) {
    this.#lab = lab
    this.#node = node
  }

  forLife(life: number): ElectionStore {
    const { durable, saveMs } = this.#lab.options
    if (!durable) this.state = undefined
    return {
      durable,
      load: async () => (this.state === undefined ? undefined : structuredClone(this.state)),
      save: async (state) => {
        this.saves++
        if (this.lying) return
        const kept = structuredClone(state)
        if (saveMs[1] > 0) await this.#lab.clock.sleep(this.#lab.between(saveMs))
        const crashed = this.#node.life !== life
        if (crashed && (!durable || this.#node.up || this.#lab.random.next() < 0.5)) return
        if (this.failing) throw new Error('EIO')
        if (this.#lab.random.next() < this.failureRate) {
          if (this.#lab.random.next() < 0.5) this.state = kept
          throw new Error('EIO')
        }
        this.state = kept
      },
    }
  }
}
