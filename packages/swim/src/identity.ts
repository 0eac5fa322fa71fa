/**
 * This process among others: refutes what is said about it, takes a new generation where its own is behind, and gives
 * way where another process holds its name. Two live duplicates end as one; they never duel with incarnations.
 */
import { newNodeId, parseNodeId } from '@hs/core'
import type { ClusterState } from './cluster-state.js'
import type { Entries } from './entries.js'
import { nodeIdOf } from './member-record.js'
import type { Meta } from './member.js'
import type { Outbox } from './outbox.js'
import type { OutstandingPings } from './outstanding.js'
import type { News } from './packet-reader.js'
import { encodeAlive, encodeVerdict } from './packet-writer.js'
import { ALIVE, LEFT, SUSPECT } from './record.js'
import { MAX_GENERATION, MAX_INCARNATION } from './wire.js'

export class Identity {
  readonly #state: ClusterState
  readonly #entries: Entries
  readonly #outbox: Outbox
  readonly #pings: OutstandingPings
  readonly #onSuperseded: () => void
  /** Another process that may hold the name is being asked. */
  #isAsking = false

  constructor(
    state: ClusterState,
    entries: Entries,
    outbox: Outbox,
    pings: OutstandingPings,
    onSuperseded: () => void,
  ) {
    this.#state = state
    this.#entries = entries
    this.#outbox = outbox
    this.#pings = pings
    this.#onSuperseded = onSuperseded
  }

  /** Someone speaks of this name. */
  meet(news: News): void {
    const { self, status } = this.#state
    if (status !== 'running' || news.generation < self.generation) return
    if (news.generation === self.generation) this.#meetSelf(news)
    else if (news.description !== undefined) this.meetOther(news.generation, news.description.address)
    // An accusation may be of a living process, which speaks for itself; who is dead or gone is none.
    else if (news.rank !== SUSPECT) this.#renew(news.generation)
  }

  /** A process of this name and of a later generation is said to be at `address`. */
  meetOther(generation: number, address: string): void {
    const { self, status } = this.#state
    if (status !== 'running' || generation <= self.generation) return
    if (address === self.address) this.#renew(generation)
    else if (!this.#isAsking) this.#ask(generation, address)
  }

  setMeta(meta: Readonly<Meta>): void {
    const { self, table } = this.#state
    // Who says goodbye has no more to say: an alive record would take it back.
    const isGoing = self.status === LEFT
    table.change(self, () => {
      self.meta = meta
      if (!isGoing) self.incarnation++
    })
    if (!isGoing) this.#speak()
  }

  /** Says goodbye; `onGone` when it has been said often enough. */
  leave(onGone: () => void): void {
    const { self, table, queue } = this.#state
    table.change(self, () => {
      self.incarnation++
      self.status = LEFT
    })
    this.#state.identify()
    queue.addRecord(encodeVerdict(LEFT, self.name, self.generation, self.incarnation, self.name), self, onGone)
  }

  /** The own record as it is told. */
  encode(): Uint8Array {
    const { self } = this.#state
    return encodeAlive(self.name, self.generation, self.incarnation, self)
  }

  /** How long the own record would be with other metadata, at the most. */
  encodedBytes(meta: Readonly<Meta>): number {
    const { name, address, rpcAddress, role } = this.#state.self
    return encodeAlive(name, MAX_GENERATION, MAX_INCARNATION, { address, rpcAddress, role, meta }).length
  }

  #meetSelf(news: News): void {
    const { self } = this.#state
    const isAccusation = news.rank !== ALIVE
    if (isAccusation ? news.incarnation < self.incarnation : news.incarnation <= self.incarnation) return
    if (news.incarnation >= MAX_INCARNATION) {
      this.#renew(self.generation)
      return
    }
    this.#state.table.change(self, () => {
      self.incarnation = news.incarnation + 1
    })
    if (isAccusation) {
      this.#state.counters.refutations++
      this.#state.record('refuted', self, { by: news.accuser })
      this.#state.judge(1)
    }
    this.#speak()
  }

  /** Takes a generation above that one, and begins anew under it. */
  #renew(after: number): void {
    const { self, table, clock, random, events } = this.#state
    const { generation } = parseNodeId(newNodeId(self.name, { clock, random, after }))
    table.change(self, () => {
      self.generation = generation
      self.incarnation = 0
    })
    this.#speak()
    this.#entries.renew()
    events.emit('renewed', self.id)
  }

  #speak(): void {
    this.#state.identify()
    if (this.#state.isActive) this.#state.queue.addRecord(this.encode(), this.#state.self)
  }

  /** Pings the name there: an answer is a living duplicate, silence a ghost of this process's own past. */
  #ask(generation: number, address: string): void {
    const { self, clock, settings } = this.#state
    this.#isAsking = true
    const finish = () => {
      this.#isAsking = false
      this.#pings.delete(sequence)
      timer?.cancel()
    }
    const sequence = this.#pings.add({
      target: self.name,
      sentMs: clock.now(),
      answered: (answering) => {
        finish()
        if (answering > self.generation) this.#giveWay(answering, address)
      },
    })
    const timer = this.#state.schedule(2 * settings.probeTimeoutMs, () => {
      finish()
      if (this.#state.status === 'running') this.#renew(generation)
    })
    this.#outbox.ping(address, sequence, self.name, undefined)
  }

  #giveWay(generation: number, address: string): void {
    const { self, events } = this.#state
    if (this.#state.status !== 'running') return
    this.#onSuperseded()
    events.emit('superseded', { id: nodeIdOf(self.name, generation), address })
  }
}
