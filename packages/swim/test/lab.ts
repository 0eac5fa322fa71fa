/**
 * A cluster in one process on virtual time, with what a test does to it: cut links, stop members without a word, stop
 * their event loop and let it run on.
 */
import { TransportError, type Clock, type DatagramTransport, type RpcTransport, type Timer } from '@hs/core'
import { MemoryLogger, MemoryNetwork, SeededRandom, VirtualClock } from '@hs/core/testing'
import { Cluster, type ClusterEvents, type ClusterOptions } from '../src/index.js'

export const text = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? undefined : new TextDecoder().decode(bytes)
export const bytes = (written: string) => new TextEncoder().encode(written)

export type LabOptions = Partial<Omit<ClusterOptions, 'datagram' | 'rpc' | 'clock'>> & {
  address?: string
  clock?: Clock
}

/** An event loop that can be stopped: timers and packets that are due meanwhile come when it runs again, timers first. */
class EventLoop implements Clock {
  readonly #inner: VirtualClock
  #isPaused = false
  #timers: (() => void)[] = []
  #packets: (() => void)[] = []

  constructor(inner: VirtualClock) {
    this.#inner = inner
  }

  now = () => this.#inner.now()
  wallNow = () => this.#inner.wallNow()
  sleep = (ms: number, signal?: AbortSignal) => this.#inner.sleep(ms, signal)

  setTimer(delayMs: number, fn: () => void): Timer {
    let isCancelled = false
    const timer = this.#inner.setTimer(delayMs, () => {
      if (!this.#isPaused) fn()
      else
        this.#timers.push(() => {
          if (!isCancelled) fn()
        })
    })
    return {
      cancel() {
        isCancelled = true
        timer.cancel()
      },
    }
  }

  deliver(fn: () => void): void {
    if (this.#isPaused) this.#packets.push(fn)
    else fn()
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    const due = [...this.#timers, ...this.#packets]
    this.#timers = []
    this.#packets = []
    for (const fn of due) fn()
  }
}

export class Lab {
  readonly clock = new VirtualClock()
  readonly net = new MemoryNetwork({ clock: this.clock, latencyMs: 1, logger: new MemoryLogger() })
  readonly dice: SeededRandom
  readonly logger = new MemoryLogger()
  readonly clusters: Cluster[] = []
  /** Whether a datagram or a request goes through. */
  passes: (from: string, to: string, kind: 'datagram' | 'rpc') => boolean = () => true
  onRequest: (body: Uint8Array, answer: Uint8Array) => void = () => undefined
  /** How much longer than the others a datagram takes. */
  delayMs: (from: string, to: string) => number = () => 0
  /** Called for each datagram that is sent. */
  onSend: (from: string, to: string, packet: Uint8Array) => void = () => undefined
  readonly #loops = new Map<string, EventLoop>()

  constructor(seed: number | string = 1) {
    this.dice = new SeededRandom(seed)
  }

  /** A cluster at `address`, by default its name and port 1; not started. */
  make(name: string, options: LabOptions = {}): Cluster {
    const { address = `${name}:1`, ...rest } = options
    const loop = new EventLoop(this.clock)
    this.#loops.set(address, loop)
    const cluster = new Cluster({
      name,
      clock: loop,
      random: this.dice.fork(`${name}/${address}/${this.clusters.length}`),
      logger: this.logger,
      datagram: this.datagram(address, loop),
      rpc: this.rpc(address),
      ...rest,
    })
    this.clusters.push(cluster)
    return cluster
  }

  async start(name: string, options: LabOptions = {}): Promise<Cluster> {
    const cluster = this.make(name, options)
    await cluster.start()
    return cluster
  }

  /** `count` members n0, n1, … that joined through n0 and all see each other. */
  async together(count: number, options: LabOptions = {}): Promise<Cluster[]> {
    const names = Array.from({ length: count }, (_, i) => `n${i}`)
    const all = names.map((name) => this.make(name, { seeds: ['n0:1'], ...options }))
    for (const cluster of all) await cluster.start()
    await this.until(() => all.every(({ size }) => size === count))
    return all
  }

  /** Falls silent and frees its addresses, as a process that is killed. */
  async crash(cluster: Cluster): Promise<void> {
    const { address, rpcAddress } = cluster.local
    await cluster.stop()
    await this.#sockets.get(address)?.close()
    await this.#sockets.get(rpcAddress + '/rpc')?.close()
  }

  pause(cluster: Cluster): void {
    this.#loops.get(cluster.local.address)?.pause()
  }

  resume(cluster: Cluster): void {
    this.#loops.get(cluster.local.address)?.resume()
  }

  run(ms: number): Promise<void> {
    return this.clock.advanceAsync(ms)
  }

  until(condition: () => boolean, limitMs = 120_000): Promise<void> {
    return this.clock.runUntil(condition, { limitMs })
  }

  /** Nobody of one group hears anybody of the other. */
  split(...groups: readonly (readonly Cluster[])[]): void {
    const groupOf = new Map<string, number>()
    groups.forEach((group, i) => group.forEach(({ local }) => groupOf.set(local.address, i)))
    this.passes = (from, to) => groupOf.get(from) === groupOf.get(to)
  }

  heal(): void {
    this.passes = () => true
  }

  async stop(): Promise<void> {
    for (const cluster of this.clusters) await cluster.stop()
  }

  readonly #sockets = new Map<string, { close(): Promise<void> }>()

  datagram(address: string, loop?: EventLoop): DatagramTransport {
    const inner = this.net.datagram(address)
    this.#sockets.set(address, inner)
    return {
      address,
      maxMessageBytes: inner.maxMessageBytes,
      send: (to, packet) => {
        this.onSend(address, to, packet)
        if (!this.passes(address, to, 'datagram')) return
        const delayMs = this.delayMs(address, to)
        if (delayMs === 0) return inner.send(to, packet)
        const copy = packet.slice()
        this.clock.setTimer(delayMs, () => inner.send(to, copy))
      },
      onMessage: (fn) =>
        inner.onMessage((from, packet) =>
          loop === undefined ? fn(from, packet) : loop.deliver(() => fn(from, packet)),
        ),
      close: () => inner.close(),
    }
  }

  rpc(address: string): RpcTransport {
    const inner = this.net.rpc(address)
    this.#sockets.set(address + '/rpc', inner)
    return {
      address,
      request: async (to, method, body, options) => {
        if (!this.passes(address, to, 'rpc')) throw new TransportError('CONNECT_FAILED', 'the link is cut')
        const answer = await inner.request(to, method, body, options)
        this.onRequest(body, answer)
        return answer
      },
      notify: (to, method, body) => inner.notify(to, method, body),
      handle: (method, fn) => inner.handle(method, fn),
      close: () => inner.close(),
    }
  }
}

/** Everything a cluster tells, in order: `['memberJoined', 'b']`. */
export function watch(cluster: Cluster): [event: string, member: string, detail?: unknown][] {
  const seen: [string, string, unknown?][] = []
  const names = ['memberJoined', 'memberUpdated', 'memberRecovered', 'memberLeft'] as const
  for (const name of names) cluster.events.on(name, (member) => seen.push([name, member.name]))
  cluster.events.on('memberSuspected', (member, by) => seen.push(['memberSuspected', member.name, by]))
  cluster.events.on('memberDead', (member, cause) => seen.push(['memberDead', member.name, cause]))
  return seen
}

export function countOf(cluster: Cluster, name: keyof ClusterEvents): { readonly count: number } {
  const counter = { count: 0 }
  cluster.events.on(name, () => counter.count++)
  return counter
}
