/** What stands in front of the server of the goodput experiment. */
import type { Clock, MessagePriority } from '@hs/core'
import { Admission, GradientLimit, PriorityExecutor } from '@hs/overload'
import { Gradient2, type Gradient2Options } from './gradient2.js'

/** A call that was let in. */
export interface Ticket {
  readonly priority: MessagePriority
  /** Its work is done; `isLate`: for nothing, as the caller gave up. */
  end(latencyMs: number, isLate: boolean): void
}

export interface Policy {
  /** Null: refused. */
  admit(priority: MessagePriority): Ticket | null
  /** Calls that may be inside at a time. */
  readonly limit: number
  readonly executor?: PriorityExecutor
}

export interface NamedPolicy {
  readonly name: string
  readonly make: (clock: Clock) => Policy
}

/** Lets everything in. */
class Unprotected implements Policy {
  readonly limit = Infinity
  readonly #tickets = new Map<MessagePriority, Ticket>()

  /** One ticket for all of a priority: nothing has to be remembered. */
  admit(priority: MessagePriority): Ticket {
    const known = this.#tickets.get(priority)
    if (known !== undefined) return known
    const ticket = { priority, end: () => undefined }
    this.#tickets.set(priority, ticket)
    return ticket
  }
}

/** Knows no priorities. */
class Gradient2Policy implements Policy {
  readonly #clock: Clock
  readonly #limit: Gradient2
  #inFlight = 0

  constructor(clock: Clock, options: Gradient2Options) {
    this.#clock = clock
    this.#limit = new Gradient2(clock.now(), options)
  }

  get limit(): number {
    return this.#limit.limit
  }

  admit(priority: MessagePriority): Ticket | null {
    if (this.#inFlight >= this.#limit.limit) return null
    const inFlight = ++this.#inFlight
    return {
      priority,
      end: (latencyMs) => {
        this.#inFlight--
        this.#limit.sample(this.#clock.now(), latencyMs, inFlight)
      },
    }
  }
}

class AdmissionPolicy implements Policy {
  readonly executor: PriorityExecutor
  readonly #admission: Admission

  constructor(clock: Clock) {
    this.executor = new PriorityExecutor({ clock, limit: new GradientLimit({ clock }) })
    this.#admission = new Admission({ clock, executor: this.executor })
  }

  get limit(): number {
    return this.executor.limit
  }

  admit(priority: MessagePriority): Ticket | null {
    const decision = this.#admission.admit({ priority })
    if (!decision.admitted) return null
    const { permit } = decision
    return { priority, end: (_, isLate) => (isLate ? permit.failure() : permit.success()) }
  }
}

export const unprotected: NamedPolicy = { name: 'unprotected', make: () => new Unprotected() }

/** With as many calls at most as its author's default, and with as many as ours. */
export const gradient2: NamedPolicy = {
  name: 'Gradient2, max 200',
  make: (clock) => new Gradient2Policy(clock, { max: 200 }),
}
export const gradient2Wide: NamedPolicy = {
  name: 'Gradient2, max 1,000',
  make: (clock) => new Gradient2Policy(clock, { max: 1_000 }),
}

/** All by default. */
export const admission: NamedPolicy = {
  name: 'Admission + GradientLimit',
  make: (clock) => new AdmissionPolicy(clock),
}
