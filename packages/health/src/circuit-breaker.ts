/**
 * Stops calling who fails, and finds out carefully when that is over.
 *
 *     closed --too many failures--> open --openMs--> half-open --all probes succeeded--> closed
 *                                     ^-----------one probe failed----------'
 *
 * Guarantee: a result is given to the permit it belongs to, once, and counts only while the state lasts in which that
 * was given out. So no late success closes it, no late failure keeps it open, and no failure can be told whose success
 * is forgotten. No timer is used: time passes when somebody looks.
 * Source: M. Nygard, "Release It!"; the windows are those of Resilience4j.
 */
import { HsError, parseOptions, TypedEmitter } from '@hs/core'
import { BreakerSettings, breakerSchema, type CircuitBreakerOptions } from './breaker-options.js'
import type { BreakerWindow } from './breaker-window.js'
import { CircuitOpenError } from './circuit-open-error.js'

export type BreakerState = 'closed' | 'open' | 'half-open'

/** The right to make one call, and the duty to say how it went. The first of the three counts, the others do nothing. */
export interface BreakerPermit {
  success(): void
  failure(): void
  /** Says nothing about the peer: the call was not made, or its end has other reasons. */
  release(): void
}

export interface CircuitBreakerEvents {
  /** `'half-open'` comes with the first call that is admitted then. */
  change: [now: BreakerState, was: BreakerState]
}

export interface CircuitBreakerSnapshot {
  readonly state: BreakerState
  /** Results in the window; of one that is not closed, those it opened with. */
  readonly successes: number
  readonly failures: number
  /** Failures by results in the window; 0 if it is empty. */
  readonly failureRate: number
  readonly consecutiveFailures: number
  /** When it makes sense to try again, in milliseconds from now; 0 if a call would be admitted. */
  readonly retryAfterMs: number
  /** Calls admitted half-open that have no result yet. */
  readonly probesInFlight: number
  /** Since it was made. */
  readonly totals: {
    readonly successes: number
    readonly failures: number
    /** Calls that were not admitted. */
    readonly refused: number
    /** Times it became open. */
    readonly opened: number
  }
}

/** Told, before anyone else, that a breaker changed its state. */
export interface BreakerOwner {
  readonly peer: string
  stateChanged(isClosed: boolean): void
}

type Outcome = 'success' | 'failure' | 'release'

/** What a breaker knows only while it is not closed. */
class Outage {
  /** Times it opened since it was closed. */
  openings = 0
  /** When it may become half-open. */
  untilMs = 0
  /** Half-open: calls admitted and not released, and those of them that succeeded. */
  admitted = 0
  succeeded = 0
  /** Half-open: those without a result, the oldest first. */
  readonly inFlight: Permit[] = []
}

/** Only a permit can settle: there is no method for it that a caller could reach. */
let settle: (breaker: CircuitBreaker, permit: Permit, outcome: Outcome) => void

class Permit implements BreakerPermit {
  readonly generation: number
  /** Not kept where nothing depends on it. */
  readonly startedAtMs: number
  /** Undefined once it is settled. */
  #breaker: CircuitBreaker | undefined

  constructor(breaker: CircuitBreaker | undefined, generation: number, startedAtMs: number) {
    this.#breaker = breaker
    this.generation = generation
    this.startedAtMs = startedAtMs
  }

  success(): void {
    this.#settle('success')
  }

  failure(): void {
    this.#settle('failure')
  }

  release(): void {
    this.#settle('release')
  }

  #settle(outcome: Outcome): void {
    const breaker = this.#breaker
    if (breaker === undefined) return
    this.#breaker = undefined
    settle(breaker, this, outcome)
  }
}

/** One for each peer that is called. */
export class CircuitBreaker {
  /**
   * A permit that always lives. With none alive at a garbage collection V8 forgets what permits look like, and throws
   * away the code that it has optimised for them: calls were half as fast after each.
   */
  static readonly #specimen = new Permit(undefined, 0, 0)
  readonly #settings: BreakerSettings
  readonly #owner: BreakerOwner | undefined
  #events: TypedEmitter<CircuitBreakerEvents> | undefined = undefined
  /** By what has happened: an open one whose time is over reads `'half-open'` already. */
  #state: BreakerState = 'closed'
  /** Counts the changes of state, and the resets: a permit of an earlier one says nothing. */
  #generation = 0
  /** Made with the first result. */
  #window: BreakerWindow | undefined = undefined
  #consecutiveFailures = 0
  /** Hands that hold it open. */
  #hands = 0
  /** Undefined while it is closed. */
  #outage: Outage | undefined = undefined
  #successes = 0
  #failures = 0
  #refused = 0
  #opened = 0

  static {
    settle = (breaker, permit, outcome) => breaker.#settle(permit, outcome)
  }

  /** @throws ConfigError */
  constructor(options?: CircuitBreakerOptions)
  /** @internal */
  constructor(settings: BreakerSettings, owner: BreakerOwner)
  constructor(options?: CircuitBreakerOptions | BreakerSettings, owner?: BreakerOwner) {
    this.#settings =
      options instanceof BreakerSettings
        ? options
        : new BreakerSettings(parseOptions(breakerSchema, options, 'CircuitBreaker'))
    this.#owner = owner
  }

  /** What a call would meet now. */
  get state(): BreakerState {
    return this.#state === 'open' && this.#isTimeUp() ? 'half-open' : this.#state
  }

  get events(): TypedEmitter<CircuitBreakerEvents> {
    const owner = this.#owner
    this.#events ??= new TypedEmitter<CircuitBreakerEvents>('CircuitBreaker', this.#settings.reporter, {
      describe: (_, [now, was]) => (owner === undefined ? { now, was } : { peer: owner.peer, now, was }),
    })
    return this.#events
  }

  /** Null: do not call. Whoever takes a permit settles it, whatever happens. */
  tryAcquire(): BreakerPermit | null {
    if (this.#state === 'closed') {
      const { watchesTime, clock } = this.#settings
      return new Permit(this, this.#generation, watchesTime ? clock.now() : 0)
    }
    return this.#tryProbe()
  }

  /**
   * Calls `fn` if a call is admitted. What it throws passes unchanged.
   * @throws CircuitOpenError as a rejection, without a call; HsError `'INVALID_ARGUMENT'` if `fn` is no function.
   */
  async run<T>(fn: () => T | PromiseLike<T>): Promise<T> {
    if (typeof fn !== 'function')
      throw new HsError('INVALID_ARGUMENT', `CircuitBreaker.run needs a function, found ${typeof fn}`)
    if (this.#state !== 'closed') return this.#runProbe(fn)
    // As with a permit, without making one.
    const generation = this.#generation
    const startedAtMs = this.#settings.watchesTime ? this.#settings.clock.now() : 0
    let value: T
    try {
      value = await fn()
    } catch (error) {
      if (this.#isFailure(error) && generation === this.#generation) this.#noteFailure()
      throw error
    }
    if (generation === this.#generation) this.#noteSuccess(startedAtMs)
    return value
  }

  /** Holds it open by hand until what this returns is called; where several do, until all of them have. */
  isolate(): () => void {
    this.#hands++
    if (this.#state !== 'open') this.#enter('open')
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#hands--
      if (this.#hands === 0) this.#close()
    }
  }

  /** Closes it, forgets its results, and heeds none that is under way; one that is held open stays so. */
  reset(): void {
    if (this.#hands > 0) this.#forget()
    else this.#close()
  }

  /** What a dashboard shows. */
  snapshot(): CircuitBreakerSnapshot {
    const window = this.#window
    if (this.#state === 'closed') window?.moveTo(this.#settings.clock.now())
    const { successes, failures } = window ?? { successes: 0, failures: 0 }
    return Object.freeze({
      state: this.state,
      successes,
      failures,
      failureRate: failures === 0 ? 0 : failures / (successes + failures),
      consecutiveFailures: this.#consecutiveFailures,
      retryAfterMs: this.#retryAfterMs(),
      probesInFlight: this.#outage?.inFlight.length ?? 0,
      totals: Object.freeze({
        successes: this.#successes,
        failures: this.#failures,
        refused: this.#refused,
        opened: this.#opened,
      }),
    })
  }

  async #runProbe<T>(fn: () => T | PromiseLike<T>): Promise<T> {
    const permit = this.#tryProbe()
    if (permit === null) throw new CircuitOpenError(this.#retryAfterMs())
    let value: T
    try {
      value = await fn()
    } catch (error) {
      if (this.#isFailure(error)) permit.failure()
      else permit.release()
      throw error
    }
    permit.success()
    return value
  }

  /** The outage that lasts; there is none only while it is closed. */
  #ongoing(): Outage {
    return (this.#outage ??= new Outage())
  }

  #isTimeUp(): boolean {
    return this.#hands === 0 && this.#settings.clock.now() >= this.#ongoing().untilMs
  }

  #tryProbe(): BreakerPermit | null {
    const { clock, probes, probeTimeoutMs } = this.#settings
    const nowMs = clock.now()
    const outage = this.#ongoing()
    if (this.#state === 'open') {
      if (this.#hands > 0 || nowMs < outage.untilMs) return this.#refuse()
      outage.admitted = 0
      outage.succeeded = 0
      outage.inFlight.length = 0
      const permit = this.#admit(outage, this.#generation + 1, nowMs)
      this.#enter('half-open')
      return permit
    }
    const oldest = outage.inFlight[0]
    if (oldest !== undefined && nowMs - oldest.startedAtMs >= probeTimeoutMs) {
      this.#failures++
      this.#enter('open')
      return this.#refuse()
    }
    return outage.admitted < probes ? this.#admit(outage, this.#generation, nowMs) : this.#refuse()
  }

  #admit(outage: Outage, generation: number, nowMs: number): Permit {
    const permit = new Permit(this, generation, nowMs)
    outage.admitted++
    outage.inFlight.push(permit)
    return permit
  }

  #refuse(): null {
    this.#refused++
    return null
  }

  #settle(permit: Permit, outcome: Outcome): void {
    if (permit.generation !== this.#generation) return
    if (this.#state === 'half-open') this.#settleProbe(permit, outcome)
    else if (outcome === 'failure') this.#noteFailure()
    else if (outcome === 'success') this.#noteSuccess(permit.startedAtMs)
  }

  #noteSuccess(startedAtMs: number): void {
    const settings = this.#settings
    const nowMs = settings.readsClock ? settings.clock.now() : 0
    if (settings.watchesTime && nowMs - startedAtMs > settings.slowMs) {
      this.#noteFailure()
      return
    }
    const window = (this.#window ??= settings.newWindow(nowMs))
    window.success(nowMs)
    this.#successes++
    this.#consecutiveFailures = 0
  }

  #noteFailure(): void {
    const settings = this.#settings
    const nowMs = settings.readsClock ? settings.clock.now() : 0
    const window = (this.#window ??= settings.newWindow(nowMs))
    window.failure(nowMs)
    this.#failures++
    this.#consecutiveFailures++
    if (this.#isTooMuch(window)) this.#enter('open')
  }

  #isTooMuch({ successes, failures }: BreakerWindow): boolean {
    const { consecutiveFailures, minCalls, failureRate } = this.#settings
    if (this.#consecutiveFailures >= consecutiveFailures) return true
    const results = successes + failures
    return results >= minCalls && failures / results >= failureRate
  }

  #settleProbe(permit: Permit, outcome: Outcome): void {
    const outage = this.#ongoing()
    const { watchesTime, clock, slowMs, probes } = this.#settings
    outage.inFlight.splice(outage.inFlight.indexOf(permit), 1)
    if (outcome === 'release') {
      outage.admitted--
      return
    }
    const isSlow = watchesTime && outcome === 'success' && clock.now() - permit.startedAtMs > slowMs
    if (outcome === 'failure' || isSlow) {
      this.#failures++
      this.#enter('open')
      return
    }
    this.#successes++
    outage.succeeded++
    if (outage.succeeded === probes) this.#close()
  }

  #close(): void {
    this.#forget()
    this.#outage = undefined
    if (this.#state === 'closed') this.#generation++
    else this.#enter('closed')
  }

  #forget(): void {
    this.#window = undefined
    this.#consecutiveFailures = 0
  }

  /** Listeners come last, for they may do anything to it. */
  #enter(state: BreakerState): void {
    const was = this.#state
    this.#state = state
    this.#generation++
    if (state === 'open') this.#open(this.#ongoing())
    if (was === 'closed' || state === 'closed') this.#owner?.stateChanged(state === 'closed')
    this.#events?.emit('change', state, was)
  }

  #open(outage: Outage): void {
    const { clock } = this.#settings
    outage.openings++
    outage.untilMs = clock.now() + this.#settings.drawOpenMs(outage.openings)
    outage.inFlight.length = 0
    this.#opened++
  }

  /** Of one that is held open, and of one whose probes are all under way, nobody knows: a guess of when to look again. */
  #retryAfterMs(): number {
    const outage = this.#outage
    if (outage === undefined) return 0
    const { clock, openMs, probes, probeTimeoutMs } = this.#settings
    if (this.#hands > 0) return openMs
    const nowMs = clock.now()
    if (this.#state === 'open') return Math.max(0, outage.untilMs - nowMs)
    const oldest = outage.inFlight[0]
    if (oldest === undefined || outage.admitted < probes) return 0
    return Math.max(0, Math.min(openMs, oldest.startedAtMs + probeTimeoutMs - nowMs))
  }

  /** Where the rule fails, the call has failed anyway: that counts, and its error goes on to the caller. */
  #isFailure(error: unknown): boolean {
    const { isFailure, reporter } = this.#settings
    try {
      return isFailure(error)
    } catch (thrown) {
      reporter.report('CircuitBreaker.isFailure', thrown)
      return true
    }
  }
}
