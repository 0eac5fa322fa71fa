/**
 * The goodput experiment: a server is offered several times what it can do, by callers that give up. What counts is the
 * work that was done for somebody who still waited. On virtual time: figures depend on the seed alone.
 *
 * Arrivals are Poisson and open-loop: nobody slows down because others wait. A refusal costs the server nothing here;
 * the caller is gone with it.
 */
import type { MessagePriority } from '@hs/core'
import { SeededRandom, VirtualClock } from '@hs/core/testing'
import type { PriorityExecutorSnapshot } from '@hs/overload'
import { exponential, QueueingServer } from '../../test/support/overload-server.js'
import type { NamedPolicy, Policy, Ticket } from './goodput-policies.js'

export interface Load {
  readonly seed: number
  readonly cores: number
  /** Mean work of a call. */
  readonly serviceMs: number
  /** By what the work takes longer, by the minute of the run. @default 1 at all times */
  readonly slowdown?: (minute: number) => number
  /** What is offered, in times of the capacity without slowdown. */
  readonly offered: number
  readonly giveUpMs: number
  /** Shares of the calls; they add up to 1. */
  readonly mix: Readonly<Record<MessagePriority, number>>
}

/** A minute of a run. Latencies are of admitted calls that ended in it, late ones included; NaN where there are none. */
export interface Minute {
  readonly minute: number
  /** Calls done in time, of what the server can do in a minute. */
  readonly goodput: number
  /** Calls done for nobody, of the same. */
  readonly late: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** The median of its seconds: a limit may look around for a second now and then. */
  readonly limit: number
  readonly critical: { readonly offered: number; readonly refused: number; readonly p99Ms: number }
}

/** 40 cores, 20 ms of work, callers that wait for a second. */
export const defaultLoad: Omit<Load, 'offered'> = {
  seed: 1,
  cores: 40,
  serviceMs: 20,
  giveUpMs: 1_000,
  mix: { critical: 0.02, high: 0.18, normal: 0.5, low: 0.3 },
}

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS

export class GoodputRun {
  readonly clock = new VirtualClock()
  readonly #load: Load
  readonly #policy: Policy
  readonly #server: QueueingServer<Ticket>
  readonly #dice: SeededRandom
  readonly #meanGapMs: number
  readonly #latencies = new Samples()
  readonly #criticalLatencies = new Samples()
  readonly #limits = new Samples()
  #good = 0
  #late = 0
  #criticalOffered = 0
  #criticalRefused = 0
  #minute = 0

  constructor(load: Load, policy: NamedPolicy) {
    const { clock } = this
    const { seed, cores, serviceMs, offered } = load
    const dice = new SeededRandom(seed)
    this.#load = load
    this.#policy = policy.make(clock)
    this.#dice = dice.fork('arrivals')
    this.#meanGapMs = serviceMs / cores / offered
    this.#server = new QueueingServer<Ticket>(
      { clock, random: dice.fork('service'), cores, serviceMs: () => serviceMs * this.#slowdown() },
      (arrivedMs, ticket) => this.#served(arrivedMs, ticket),
    )
    const arrive = () => {
      this.#arrive()
      clock.setTimer(exponential(this.#dice, this.#meanGapMs), arrive)
    }
    arrive()
    const look = () => {
      this.#limits.add(this.#policy.limit)
      clock.setTimer(SECOND_MS, look)
    }
    clock.setTimer(SECOND_MS, look)
  }

  /** Of the policy's executor, if it has one. */
  executorSnapshot(): PriorityExecutorSnapshot | undefined {
    return this.#policy.executor?.snapshot()
  }

  /** Runs on for a minute. */
  next(): Minute {
    const capacity = (this.#load.cores * MINUTE_MS) / (this.#load.serviceMs * this.#slowdown())
    this.#good = this.#late = this.#criticalOffered = this.#criticalRefused = 0
    this.clock.advance(MINUTE_MS)
    const [p50Ms, p99Ms] = this.#latencies.take(0.5, 0.99)
    const [criticalP99Ms] = this.#criticalLatencies.take(0.99)
    const [limit] = this.#limits.take(0.5)
    return {
      minute: ++this.#minute,
      goodput: this.#good / capacity,
      late: this.#late / capacity,
      p50Ms: p50Ms ?? NaN,
      p99Ms: p99Ms ?? NaN,
      limit: limit ?? NaN,
      critical: { offered: this.#criticalOffered, refused: this.#criticalRefused, p99Ms: criticalP99Ms ?? NaN },
    }
  }

  #slowdown(): number {
    return this.#load.slowdown?.(this.#minute) ?? 1
  }

  #arrive(): void {
    const priority = this.#priority(this.#dice.next())
    const ticket = this.#policy.admit(priority)
    if (priority === 'critical') {
      this.#criticalOffered++
      if (ticket === null) this.#criticalRefused++
    }
    if (ticket !== null) this.#server.submit(this.clock.now(), ticket)
  }

  #served(arrivedMs: number, ticket: Ticket): void {
    const latencyMs = this.clock.now() - arrivedMs
    const isLate = latencyMs > this.#load.giveUpMs
    if (isLate) this.#late++
    else this.#good++
    this.#latencies.add(latencyMs)
    if (ticket.priority === 'critical') this.#criticalLatencies.add(latencyMs)
    ticket.end(latencyMs, isLate)
  }

  #priority(die: number): MessagePriority {
    const { critical, high, normal } = this.#load.mix
    if (die < critical) return 'critical'
    if (die < critical + high) return 'high'
    return die < critical + high + normal ? 'normal' : 'low'
  }
}

/** Minute by minute. */
export function measureGoodput(load: Load, policy: NamedPolicy, minutes: number): Minute[] {
  const run = new GoodputRun(load, policy)
  return Array.from({ length: minutes }, () => run.next())
}

/** Exact quantiles of what was added since the last time. */
class Samples {
  #values = new Float64Array(1_024)
  #count = 0

  add(value: number): void {
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(2 * this.#count)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.#count++] = value
  }

  take(...quantiles: number[]): (number | undefined)[] {
    const sorted = this.#values.subarray(0, this.#count).sort()
    this.#count = 0
    return quantiles.map((quantile) => sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))])
  }
}
