/**
 * A fleet of clients that retry, and a server that can fail: on virtual time. The server answers at once while it is
 * dead, as a connection that is refused; what it has let in it does, also for callers that gave up.
 */
import { HsError, type MessagePriority } from '@hs/core'
import { SeededRandom, type VirtualClock } from '@hs/core/testing'
import { AdmissionError, type Admission } from '@hs/overload'
import { RetryPolicy, type RetryBudget, type RetryOptions } from '@hs/retry-budget'
import { exponential, QueueingServer } from './overload-server.js'

const CORES = 10
const SERVICE_MS = 20
export const CAPACITY_PER_SECOND = (CORES * 1_000) / SERVICE_MS
const GIVE_UP_MS = 250

export interface FleetOptions {
  readonly seed: number
  readonly clock: VirtualClock
  readonly budget?: RetryBudget
  readonly admission?: Admission
  readonly retry?: RetryOptions
  /** Shares of the requests; they add up to 1. @default all of them normal */
  readonly mix?: Readonly<Record<MessagePriority, number>>
}

export interface Second {
  requests: number
  attempts: number
  succeeded: number
  failed: number
}

/** An attempt that the server refused, or did in time. */
export interface Answer {
  readonly atMs: number
  readonly priority: MessagePriority
  /** Undefined if it was refused. */
  readonly latencyMs?: number
  readonly retryAfterMs?: number
}

interface Job {
  done(): void
}

export class Fleet {
  /** Requests a second of all clients together. */
  perSecond = 350
  /** Share of the attempts that fail at once. */
  failing = 0
  readonly seconds: Second[] = []
  /** Kept only if a test asks for them. */
  readonly answers: Answer[] = []
  keepsAnswers = false
  readonly #clock: VirtualClock
  readonly #dice: SeededRandom
  readonly #server: QueueingServer<Job>
  readonly #admission: Admission | undefined
  readonly #policy: RetryPolicy
  readonly #mix: Readonly<Record<MessagePriority, number>>
  #isOpen = true

  constructor({ seed, clock, budget, admission, retry, mix }: FleetOptions) {
    const dice = new SeededRandom(seed)
    this.#clock = clock
    this.#dice = dice.fork('fleet')
    this.#admission = admission
    this.#mix = mix ?? { critical: 0, high: 0, normal: 1, low: 0 }
    this.#server = new QueueingServer<Job>(
      { clock, random: dice.fork('service'), cores: CORES, serviceMs: () => SERVICE_MS },
      (_, job) => job.done(),
    )
    this.#policy = new RetryPolicy({
      ...{ clock, random: dice.fork('retries'), maxAttempts: 4, baseMs: 500, maxMs: 4_000 },
      attemptTimeoutMs: GIVE_UP_MS,
      ...(budget === undefined ? {} : { budget }),
      ...retry,
    })
    this.#arrive()
  }

  /** Calls that wait at the server or run. */
  get inside(): number {
    return this.#server.inside
  }

  async run(ms: number): Promise<void> {
    await this.#clock.advanceAsync(ms)
  }

  /** No more requests. */
  close(): void {
    this.#isOpen = false
  }

  #second(): Second {
    const second = Math.floor(this.#clock.now() / 1_000)
    return (this.seconds[second] ??= { requests: 0, attempts: 0, succeeded: 0, failed: 0 })
  }

  #arrive(): void {
    this.#clock.setTimer(exponential(this.#dice, 1_000 / this.perSecond), () => {
      if (!this.#isOpen) return
      this.#request(this.#priority(this.#dice.next()))
      this.#arrive()
    })
  }

  #request(priority: MessagePriority): void {
    this.#second().requests++
    this.#policy
      .run(() => this.#attempt(priority))
      .then(
        () => this.#second().succeeded++,
        () => this.#second().failed++,
      )
  }

  #attempt(priority: MessagePriority): Promise<void> {
    this.#second().attempts++
    if (this.#dice.next() < this.failing) throw new HsError('CONNECT_FAILED', 'The server is down')
    const decision = this.#admission?.admit({ priority })
    if (decision?.admitted === false) {
      const { retryAfterMs, reason } = decision
      if (this.keepsAnswers) this.answers.push({ atMs: this.#clock.now(), priority, retryAfterMs })
      throw new AdmissionError('QUEUE_FULL', `Refused: ${reason}`, { retryAfterMs })
    }
    const arrivedMs = this.#clock.now()
    return new Promise((resolve) => {
      const done = () => {
        const latencyMs = this.#clock.now() - arrivedMs
        if (latencyMs > GIVE_UP_MS) decision?.permit.failure()
        else decision?.permit.success()
        if (this.keepsAnswers) this.answers.push({ atMs: this.#clock.now(), priority, latencyMs })
        resolve()
      }
      this.#server.submit(arrivedMs, { done })
    })
  }

  #priority(die: number): MessagePriority {
    const { critical, high, normal } = this.#mix
    if (die < critical) return 'critical'
    if (die < critical + high) return 'high'
    return die < critical + high + normal ? 'normal' : 'low'
  }
}
