/**
 * Asks an overloaded node directly whether it lives, and answers for this one straight from the receive callback, so
 * that a node too busy for everything else still says that it is busy.
 *
 * Nine bytes: the type (1 probe, 2 alive, 3 busy) and a random nonce of eight. Guarantee: an answer counts only with the
 * nonce of a probe under way, from the address that was probed. Answers are as long as probes and go to where the probe
 * came from, at a bounded rate: nothing is amplified, and nobody can have them sent to a third.
 */
import {
  ErrorReporter,
  parseOptions,
  runtimeShape,
  BoundedMap,
  unwatchAbort,
  watchAbort,
  type AbortWatcher,
  type Clock,
  type DatagramTransport,
  type Random,
  type RuntimeOptions,
  type Timer,
} from '@hs/core'
import * as z from 'zod'
import { transportField } from './datagram-option.js'
import { RateLimit } from './rate-limit.js'

export type ProbeResult =
  | {
      readonly status: 'alive' | 'busy'
      /** From the datagram to its answer, in milliseconds. */
      readonly rttMs: number
    }
  /** `'limited'`: nothing was sent, for there were too many probes lately; ask later. */
  | { readonly status: 'timeout' | 'limited' | 'aborted' | 'stopped' }

export interface ProbeChannelOptions extends RuntimeOptions {
  /** One of its own: a channel of core's `DatagramChannels` where several protocols share a socket. It is not closed. */
  transport: DatagramTransport
  /** Asked with each probe that is answered. @default never busy */
  isBusy?: () => boolean
  /** How long to wait for an answer, in milliseconds, above 0. @default 500 */
  timeoutMs?: number
  /** Datagrams sent in any second, 1 to 1,000,000; more probes are `'limited'`. @default 100 */
  maxProbesPerSecond?: number
  /** Answers in any second, 1 to 1,000,000; more probes are ignored. @default 1_000 */
  maxAnswersPerSecond?: number
  /** How long after a datagram the same target gets no other, in milliseconds, 0 or more. @default 10 */
  targetCooldownMs?: number
  /** Targets under way, at least 1; more probes are `'limited'`. @default 1_000 */
  maxTargets?: number
}

export interface ProbeOptions {
  /** @default that of the channel */
  timeoutMs?: number
  /** Ends the wait, as `'aborted'`. */
  signal?: AbortSignal
}

export interface ProbeChannelSnapshot {
  /** Probes sent, in datagrams. */
  readonly sent: number
  /** Probes of others that were answered. */
  readonly answered: number
  /** Those of them that were told that this node is busy. */
  readonly busyAnswered: number
  /** Calls of `probe` that ended so. */
  readonly timeouts: number
  readonly limited: number
  /** Datagrams that were neither an answer to a probe under way nor a probe that may be answered. */
  readonly ignored: number
  /** Datagrams under way. */
  readonly pending: number
  /** Targets that get no other datagram for a while. */
  readonly targets: number
}

const PROBE = 1
const ALIVE = 2
const BUSY = 3
const BYTES = 9
const WORD = 2 ** 32

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    transport: transportField(),
    isBusy: z.custom<() => boolean>((x) => typeof x === 'function', 'expected a function').optional(),
    timeoutMs: z.number().positive().default(500),
    maxProbesPerSecond: z.int().min(1).max(1e6).default(100),
    maxAnswersPerSecond: z.int().min(1).max(1e6).default(1_000),
    targetCooldownMs: z.number().min(0).default(10),
    maxTargets: z.int().min(1).default(1_000),
  }))()

/** A datagram under way, and all who wait for its answer. */
class Flight {
  readonly target: string
  readonly sentAtMs: number
  readonly bytes: Uint8Array
  readonly waiters = new Set<Waiter>()

  constructor(target: string, sentAtMs: number, random: Random) {
    this.target = target
    this.sentAtMs = sentAtMs
    this.bytes = new Uint8Array(BYTES)
    const view = new DataView(this.bytes.buffer)
    view.setUint8(0, PROBE)
    view.setUint32(1, random.int(WORD))
    view.setUint32(5, random.int(WORD))
  }

  isAnsweredBy(bytes: Uint8Array): boolean {
    for (let i = 1; i < BYTES; i++) if (bytes[i] !== this.bytes[i]) return false
    return true
  }
}

/** One call of `probe`: it ends once, and leaves no timer and no listener. */
class Waiter implements AbortWatcher {
  readonly #flight: Flight
  readonly #signal: AbortSignal | undefined
  readonly #timer: Timer
  readonly #onEnd: (result: ProbeResult) => void

  constructor(
    flight: Flight,
    clock: Clock,
    { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal | undefined },
    onEnd: (result: ProbeResult) => void,
  ) {
    this.#flight = flight
    this.#signal = signal
    this.#onEnd = onEnd
    this.#timer = clock.setTimer(timeoutMs, () => this.end({ status: 'timeout' }))
    if (signal !== undefined) watchAbort(signal, this)
    flight.waiters.add(this)
  }

  onAbort(): void {
    this.end({ status: 'aborted' })
  }

  end(result: ProbeResult): void {
    if (!this.#flight.waiters.delete(this)) return
    this.#timer.cancel()
    if (this.#signal !== undefined) unwatchAbort(this.#signal, this)
    this.#onEnd(result)
  }
}

/** Probes others and answers their probes. */
export class ProbeChannel {
  readonly #clock: Clock
  readonly #random: Random
  readonly #reporter: ErrorReporter
  readonly #transport: DatagramTransport
  readonly #isBusy: (() => boolean) | undefined
  readonly #timeoutMs: number
  readonly #maxTargets: number
  readonly #probes: RateLimit
  readonly #answers: RateLimit
  /** Targets that had a datagram just now; undefined if that does not matter. */
  readonly #cooling: BoundedMap<string, true> | undefined
  readonly #flights = new Map<string, Flight>()
  #isStopped = false
  #sent = 0
  #answered = 0
  #busyAnswered = 0
  #timeouts = 0
  #limited = 0
  #ignored = 0

  /** @throws ConfigError */
  constructor(options: ProbeChannelOptions) {
    const settings = parseOptions(schema, options, 'ProbeChannel')
    const { clock, random, logger, transport, targetCooldownMs, maxTargets } = settings
    const runtime = { clock, random, logger }
    this.#clock = clock
    this.#random = random
    this.#reporter = new ErrorReporter(runtime)
    this.#transport = transport
    this.#isBusy = settings.isBusy
    this.#timeoutMs = settings.timeoutMs
    this.#maxTargets = maxTargets
    this.#probes = new RateLimit(settings.maxProbesPerSecond)
    this.#answers = new RateLimit(settings.maxAnswersPerSecond)
    if (targetCooldownMs > 0)
      this.#cooling = new BoundedMap({ ...runtime, maxEntries: maxTargets, ttlMs: targetCooldownMs })
    transport.onMessage((from, bytes) => this.#receive(from, bytes))
  }

  /**
   * Asks `target`. Who asks while a datagram to it is under way waits for the same answer. Never rejects: what cannot be
   * sent is reported, and times out like what was lost. A time limit that is no number is the channel's.
   */
  probe(target: string, options: ProbeOptions = {}): Promise<ProbeResult> {
    const { timeoutMs, signal } = options
    if (this.#isStopped) return Promise.resolve({ status: 'stopped' })
    if (signal?.aborted) return Promise.resolve({ status: 'aborted' })
    const underWay = this.#flights.get(target)
    const flight = underWay ?? this.#prepare(target)
    if (flight === null) {
      this.#limited++
      return Promise.resolve({ status: 'limited' })
    }
    const limitMs = Number.isFinite(timeoutMs) ? (timeoutMs as number) : this.#timeoutMs
    return new Promise((resolve) => {
      new Waiter(flight, this.#clock, { timeoutMs: limitMs, signal }, (result) => {
        if (flight.waiters.size === 0) this.#flights.delete(target)
        if (result.status === 'timeout') this.#timeouts++
        resolve(result)
      })
      // Last, for the answer may come within the call.
      if (underWay === undefined && this.#trySend(target, flight.bytes)) this.#sent++
    })
  }

  /** Ends all that is under way as `'stopped'`; from then on it asks nobody and answers nobody. Idempotent. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const flight of [...this.#flights.values()]) endAll(flight, { status: 'stopped' })
  }

  /** `stop()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** What a dashboard shows. */
  snapshot(): ProbeChannelSnapshot {
    return Object.freeze({
      sent: this.#sent,
      answered: this.#answered,
      busyAnswered: this.#busyAnswered,
      timeouts: this.#timeouts,
      limited: this.#limited,
      ignored: this.#ignored,
      pending: this.#flights.size,
      targets: this.#cooling?.size ?? 0,
    })
  }

  /** Null if it may not be sent now. */
  #prepare(target: string): Flight | null {
    if (this.#flights.size >= this.#maxTargets || this.#cooling?.has(target)) return null
    const nowMs = this.#clock.now()
    if (!this.#probes.tryTake(nowMs)) return null
    const flight = new Flight(target, nowMs, this.#random)
    this.#flights.set(target, flight)
    this.#cooling?.set(target, true)
    return flight
  }

  #trySend(to: string, bytes: Uint8Array): boolean {
    try {
      this.#transport.send(to, bytes)
      return true
    } catch (error) {
      this.#reporter.report('ProbeChannel.send', error, { to })
      return false
    }
  }

  #receive(from: string, bytes: Uint8Array): void {
    const [type] = bytes
    if (this.#isStopped || bytes.length !== BYTES) this.#ignored++
    else if (type === PROBE) this.#answer(from, bytes)
    else if (type === ALIVE || type === BUSY) this.#settle(from, bytes, type)
    else this.#ignored++
  }

  /** In the bytes that came: they are ours, and nothing is built for whoever sends many. */
  #answer(from: string, bytes: Uint8Array): void {
    if (!this.#answers.tryTake(this.#clock.now())) {
      this.#ignored++
      return
    }
    const isBusy = this.#askBusy()
    bytes[0] = isBusy ? BUSY : ALIVE
    if (!this.#trySend(from, bytes)) return
    this.#answered++
    if (isBusy) this.#busyAnswered++
  }

  #settle(from: string, bytes: Uint8Array, type: number): void {
    const flight = this.#flights.get(from)
    if (flight === undefined || !flight.isAnsweredBy(bytes)) {
      this.#ignored++
      return
    }
    endAll(flight, { status: type === BUSY ? 'busy' : 'alive', rttMs: this.#clock.now() - flight.sentAtMs })
  }

  /** Whoever cannot say how busy it is lives all the same. */
  #askBusy(): boolean {
    try {
      return this.#isBusy?.() === true
    } catch (error) {
      this.#reporter.report('ProbeChannel.isBusy', error)
      return false
    }
  }
}

function endAll({ waiters }: Flight, result: ProbeResult): void {
  for (const waiter of [...waiters]) waiter.end(Object.freeze({ ...result }))
}
