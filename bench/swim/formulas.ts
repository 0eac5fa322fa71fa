/**
 * What the SWIM paper promises of any number of members, measured on virtual time: how soon somebody probes the dead,
 * how many packets a cluster at rest costs, how many rounds a news needs and how many copies of it are sent. One crash
 * and one news at a time for each `MEMBERS_A_CRASH` members, in clusters that have come to rest before.
 * Source: Das, Gupta, Motivala, "SWIM" (DSN 2002), sections 3, 4.1, 5.
 */
import { MemoryLogger, MemoryNetwork, SeededRandom, VirtualClock } from '@hs/core/testing'
import { Cluster, presets, retransmitLimit } from '@hs/swim'
import { PacketReader } from '../../packages/swim/src/packet-reader.js'
import { labelOf, PING } from '../../packages/swim/src/wire.js'

export interface FormulasPlan {
  readonly n: number
  /** At least so many. */
  readonly crashes: number
  readonly news: number
  readonly seed: number
}

export interface Formulas {
  readonly n: number
  /** Periods from a crash until the first ping to the dead. */
  readonly firstProbe: Mean
  readonly firstProbes: readonly number[]
  /** Packets a member and period at rest. */
  readonly packets: number
  /** Gossip rounds until everyone has a news: on average, and for the last member of the slowest news. */
  readonly rounds: Mean
  readonly mostRounds: number
  /** The most that a member sent of one news. */
  readonly mostCopies: number
  /** Virtual seconds from a crash until the first one reports it, and until everyone has. */
  readonly firstDetection: Mean
  readonly fullDetection: Mean
  /** Gossip rounds from the first report of a death to the last: of the slowest. */
  readonly mostDeathRounds: number
}

export interface Mean {
  readonly mean: number
  /** Half of the 95 % confidence interval. */
  readonly halfWidth: number
  readonly samples: number
}

export const FIRST_PROBE_BOUND = Math.E / (Math.E - 1)
export const roundsBound = (n: number) => 3 * Math.log2(n)
export const copiesBound = (n: number) => retransmitLimit(presets.lan.retransmitMultiplier, n)
export const PACKETS_BOUND = 2

const PERIOD_MS = presets.lan.probeIntervalMs
const ROUND_MS = presets.lan.gossipIntervalMs
/** So few at a time that they hardly delay each other: fewer probe, so what is measured is no less than the truth. */
const MEMBERS_A_CRASH = 16
const REST_PERIODS = 10
const LABEL = labelOf('default')

export async function measureFormulas({ n, crashes, news, seed }: FormulasPlan): Promise<Formulas> {
  const scene = new Scene(n, seed)
  await scene.begin()
  const packets = await scene.rest(REST_PERIODS)

  const told: Told[] = []
  for (let i = 0; i < news; i++) told.push(await scene.tell())
  const crashed: Crashed[] = []
  while (crashed.length < crashes) crashed.push(...(await scene.crash(Math.ceil(n / MEMBERS_A_CRASH))))
  await scene.end()

  const firstProbes = crashed.map(({ probedMs }) => probedMs / PERIOD_MS)
  return {
    n,
    firstProbe: meanOf(firstProbes),
    firstProbes,
    packets,
    rounds: meanOf(told.map(({ tookMs }) => tookMs / ROUND_MS)),
    mostRounds: greatest(told.map(({ tookMs }) => tookMs / ROUND_MS)),
    mostCopies: greatest(told.map(({ mostCopies }) => mostCopies)),
    firstDetection: meanOf(crashed.map(({ firstMs }) => firstMs / 1_000)),
    fullDetection: meanOf(crashed.map(({ lastMs }) => lastMs / 1_000)),
    mostDeathRounds: greatest(crashed.map(({ firstMs, lastMs }) => (lastMs - firstMs) / ROUND_MS)),
  }
}

interface Told {
  readonly tookMs: number
  readonly mostCopies: number
}

/** Milliseconds after the crash. */
interface Crashed {
  readonly probedMs: number
  readonly firstMs: number
  readonly lastMs: number
}

/** One crash, while it is watched. */
interface Watch {
  readonly victim: number
  crashedMs: number
  probedMs: number
  firstMs: number
  lastMs: number
  reports: number
}

class Scene {
  readonly #n: number
  readonly #clock = new VirtualClock()
  readonly #net: MemoryNetwork
  readonly #dice: SeededRandom
  readonly #members: Cluster[] = []
  readonly #reader = new PacketReader()
  /** Seeds crash too, which is worth a warning elsewhere. */
  readonly #logger = new MemoryLogger()
  readonly #watches = new Map<string, Watch>()
  readonly #places: Place[]
  /** Members that have the news that spreads now, and how often each has sent it. */
  #news: { readonly name: string; readonly heard: Set<number>; readonly copies: number[]; lastMs: number } | undefined
  #lives = 0
  #packets = 0

  constructor(n: number, seed: number) {
    this.#n = n
    this.#net = new MemoryNetwork({ clock: this.#clock, latencyMs: 1 })
    this.#dice = new SeededRandom(seed)
    this.#places = Array.from({ length: n }, (_, i) => this.#place(i))
  }

  /** Everyone comes, and has told all that it had to tell. */
  async begin(): Promise<void> {
    for (let i = 0; i < this.#n; i++) await this.#live(i)
    await this.#quiet()
  }

  async rest(periods: number): Promise<number> {
    const before = this.#packets
    await this.#clock.advanceAsync(periods * PERIOD_MS)
    return (this.#packets - before) / this.#n / periods
  }

  /** One member changes its metadata. */
  async tell(): Promise<Told> {
    await this.#clock.advanceAsync(this.#dice.next() * PERIOD_MS)
    const teller = this.#dice.int(this.#n)
    const began = this.#clock.now()
    const copies = new Array<number>(this.#n).fill(0)
    this.#news = { name: nameOf(teller), heard: new Set([teller]), copies, lastMs: began }
    this.#cluster(teller).setMeta({ news: `${began}` })
    await this.#quiet()
    const { heard, lastMs } = this.#news
    this.#news = undefined
    if (heard.size < this.#n) throw new Error(`a news reached ${heard.size} of ${this.#n} members only`)
    return { tookMs: lastMs - began, mostCopies: greatest(copies) }
  }

  /** So many crash within one period; when all is told they come back as new processes. */
  async crash(count: number): Promise<Crashed[]> {
    const victims = this.#dice.shuffle(Array.from({ length: this.#n }, (_, i) => i)).slice(0, count)
    const unseen = { probedMs: Number.NaN, firstMs: Number.NaN, lastMs: Number.NaN, reports: 0 }
    const watches = victims.map((victim): Watch => ({ victim, crashedMs: Number.NaN, ...unseen }))
    for (const watch of watches) {
      this.#clock.setTimer(this.#dice.next() * PERIOD_MS, () => {
        watch.crashedMs = this.#clock.now()
        this.#watches.set(nameOf(watch.victim), watch)
        void this.#cluster(watch.victim).stop()
      })
    }
    const survivors = this.#n - count
    do await this.#clock.advanceAsync(PERIOD_MS)
    while (watches.some(({ reports }) => reports < survivors))
    this.#watches.clear()
    for (const victim of victims) await this.#live(victim)
    await this.#quiet()
    return watches.map(({ crashedMs, probedMs, firstMs, lastMs }) => ({
      probedMs: probedMs - crashedMs,
      firstMs: firstMs - crashedMs,
      lastMs: lastMs - crashedMs,
    }))
  }

  async end(): Promise<void> {
    for (const cluster of this.#members) await cluster.stop()
  }

  async #live(i: number): Promise<void> {
    const { datagram, rpc } = this.#places[i] as Place
    const name = nameOf(i)
    const cluster = new Cluster({
      ...presets.lan,
      name,
      clock: this.#clock,
      random: this.#dice.fork(`${name} ${this.#lives++}`),
      logger: this.#logger,
      datagram,
      rpc,
      // Itself not among them: who comes back finds another one.
      seeds: [0, 1, 2].filter((seed) => seed !== i).map(addressOf),
      // What a whole cluster has to say may come at once while it gathers.
      inboundBurst: 1_000,
    })
    cluster.events.on('memberUpdated', (member) => this.#onUpdated(i, member.name))
    cluster.events.on('memberDead', (member) => this.#onDead(member.name))
    this.#members[i] = cluster
    await cluster.start()
  }

  /** Everyone sees everyone, in its present life, well, and nobody has anything to tell. */
  async #quiet(): Promise<void> {
    const isQuiet = () =>
      this.#members.every((cluster) => cluster.size === this.#n && cluster.localHealth === 0) &&
      this.#members.every((cluster) => cluster.snapshot().queued === 0)
    do await this.#clock.advanceAsync(PERIOD_MS)
    while (!isQuiet())
  }

  #place(i: number): Place {
    const datagram = this.#net.datagram(addressOf(i))
    const send = (to: string, bytes: Uint8Array) => {
      this.#onSend(i, to, bytes)
      datagram.send(to, bytes)
    }
    return { datagram: { ...wrapped(datagram), send }, rpc: this.#net.rpc(addressOf(i)) }
  }

  #onSend(from: number, to: string, bytes: Uint8Array): void {
    this.#packets++
    if (this.#watches.size > 0 && bytes[1] === PING) {
      const watch = this.#watches.get(nameAt(to))
      if (watch !== undefined && Number.isNaN(watch.probedMs)) watch.probedMs = this.#clock.now()
    }
    if (this.#news !== undefined) this.#count(from, bytes, this.#news)
  }

  #count(from: number, bytes: Uint8Array, news: { readonly name: string; readonly copies: number[] }): void {
    const reader = this.#reader
    if (reader.open(bytes, LABEL) !== 'ok') throw new Error('a member sent what is no packet')
    for (let k = 0; k < reader.recordCount; k++)
      if (reader.news(k).name === news.name) news.copies[from] = (news.copies[from] ?? 0) + 1
  }

  #onUpdated(at: number, name: string): void {
    if (this.#news?.name !== name) return
    this.#news.heard.add(at)
    this.#news.lastMs = this.#clock.now()
  }

  #onDead(name: string): void {
    const watch = this.#watches.get(name)
    if (watch === undefined) return
    if (watch.reports++ === 0) watch.firstMs = this.#clock.now()
    watch.lastMs = this.#clock.now()
  }

  #cluster(i: number): Cluster {
    return this.#members[i] as Cluster
  }
}

type Datagram = ReturnType<MemoryNetwork['datagram']>

interface Place {
  readonly datagram: Datagram
  readonly rpc: ReturnType<MemoryNetwork['rpc']>
}

const wrapped = (datagram: Datagram): Datagram => ({
  address: datagram.address,
  maxMessageBytes: datagram.maxMessageBytes,
  send: (to, bytes) => datagram.send(to, bytes),
  onMessage: (fn) => datagram.onMessage(fn),
  close: () => datagram.close(),
})

const nameOf = (i: number) => `n${i}`
const addressOf = (i: number) => `n${i}:1`
const nameAt = (address: string) => address.slice(0, -2)
const greatest = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b), -Infinity)

export function meanOf(values: readonly number[]): Mean {
  const samples = values.length
  const mean = values.reduce((sum, x) => sum + x, 0) / samples
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / Math.max(1, samples - 1)
  return { mean, halfWidth: 1.96 * Math.sqrt(variance / samples), samples }
}
