/**
 * How often each client may do what: exact rates with bursts, by operation, by client, and for all clients together.
 * Guarantee: in any interval L at most burst + L / interval is admitted on every account; a request is charged to all
 * of its accounts or to none; a flood of invented clients takes no memory beyond `maxClients` accounts, gets
 * `maxClients + 1` bursts in all, and resets nobody's account.
 * Source: GCRA (ITU-T I.371); reservations as in golang.org/x/time/rate.
 */
import { HsError, parseOptions, runtimeShape, type Clock, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import { AdmissionError } from './admission-error.js'
import { checkCost, checkSignal } from './call-arguments.js'
import { ClientAccounts, OVERFLOW } from './client-accounts.js'
import { Gcra, type Rate } from './gcra.js'
import { TimedWaits } from './timed-waits.js'

export interface RateLimiterOptions extends RuntimeOptions {
  /**
   * By operation, for each client; `'*'` is for all others together. Without it, others are not limited by operation.
   * @default { '*': { limit: 100, perMs: 10_000 } }
   */
  rates?: Record<string, Rate>
  /** All operations of a client together. @default none */
  perClient?: Rate
  /** All clients together. @default none */
  total?: Rate
  /** How many clients have accounts of their own, from 1. @default 10_000 */
  maxClients?: number
}

type LimitedBy = 'operation' | 'client' | 'total'

export type RateDecision =
  | {
      readonly allowed: true
      /** Whole requests of cost 1 that are left now; Infinity where nothing limits. */
      readonly remaining: number
    }
  | {
      readonly allowed: false
      /** The same request would be allowed after so many milliseconds, if no other comes first; Infinity: never. */
      readonly retryAfterMs: number
      /** Whose wait is the longest. */
      readonly limitedBy: LimitedBy
    }

export interface RateWaitOptions {
  /** @default '*' */
  operation?: string
  /** Above 0. @default 1 */
  cost?: number
  /** A longer wait is refused at once; in milliseconds, 0 or more. @default 30_000 */
  maxWaitMs?: number
  /** Ends the wait with its reason. */
  signal?: AbortSignal
}

export interface RateLimiterSnapshot {
  /** Those with accounts of their own. */
  readonly clients: number
  readonly scale: number
  /** Requests so far, those that had to wait included. */
  readonly allowed: number
  readonly refused: number
  /** Those of both that were charged to the account for which there was no room. */
  readonly overflowed: number
}

/** An account of every client. */
interface ClientRate {
  readonly rate: Gcra
  /** In the row of a client. */
  readonly place: number
}

/** What a request that waits was charged: the TATs since, by which it is seen whether anybody came after it. */
interface Charge {
  /** Undefined for the overflow's. */
  readonly client: string | undefined
  readonly account: ClientRate | undefined
  readonly cost: number
  readonly operationTatMs: number
  readonly clientTatMs: number
  readonly totalTatMs: number
}

const OTHERS = '*'
/** Rows that are none: of a client that has none yet, and where nothing is charged to clients. */
const NEWCOMER = -1
const NO_ROW = -2
/** Rows that each call looks at. */
const LOOKS = 2
/** Rows that a newcomer looks at for whom there is no room. */
const LOOKS_FOR_ROOM = 8

const schema = /* @__PURE__ */ (() => {
  const above0 = z.number().positive()
  const rate = z
    .strictObject({ limit: above0, perMs: above0, burst: z.number().min(1).optional() })
    .refine(({ limit, perMs, burst = limit }) => !(limit > 0 && perMs > 0) || isInterval(perMs / limit, burst), {
      message: 'expected perMs / limit within the range of numbers',
    })
  return z.strictObject({
    ...runtimeShape,
    rates: z.record(z.string(), rate).default({ [OTHERS]: { limit: 100, perMs: 10_000 } }),
    perClient: rate.optional(),
    total: rate.optional(),
    maxClients: z.int().min(1).max(1e7).default(10_000),
  })
})()

export class RateLimiter {
  /** @internal */
  readonly clock: Clock
  readonly #operations = new Map<string, ClientRate>()
  readonly #others: ClientRate | undefined
  readonly #perClient: ClientRate | undefined
  readonly #total: Gcra | undefined
  #totalTatMs = -Infinity
  readonly #accounts: ClientAccounts
  readonly #waits: TimedWaits
  /**
   * TATs are in a time of its own that passes `scale` times as fast as the clock's, from `#scaledSinceMs` on: so a new
   * scale holds for every account at once, and none keeps anything of the old one.
   */
  #scale = 1
  #scaledSinceMs: number
  #scaledBaseMs = 0
  #allowed = 0
  #refused = 0
  #overflowed = 0
  /** What `#judge` has found beside the wait: a row of the accounts, or -1; and whose wait is the longest. */
  #row = -1
  #limitedBy: LimitedBy = 'operation'

  /** @throws ConfigError */
  constructor(options?: RateLimiterOptions) {
    const { clock, rates, perClient, total, maxClients } = parseOptions(schema, options, 'RateLimiter')
    const names = Object.keys(rates)
    this.clock = clock
    this.#accounts = new ClientAccounts(Math.max(1, names.length + (perClient === undefined ? 0 : 1)), maxClients)
    const accountOf = (rate: z.output<typeof schema>['total'], column: number): ClientRate | undefined =>
      rate && { rate: new Gcra(rate), place: this.#accounts.placeOf(column) }
    for (const [column, name] of names.entries()) {
      const account = accountOf(rates[name], column)
      if (account !== undefined) this.#operations.set(name, account)
    }
    this.#others = this.#operations.get(OTHERS)
    this.#perClient = accountOf(perClient, names.length)
    this.#total = total && new Gcra(total)
    this.#waits = new TimedWaits(clock)
    this.#scaledSinceMs = clock.now()
  }

  /** Clients with accounts of their own. */
  get size(): number {
    return this.#accounts.size
  }

  /**
   * Charges a request to all of its accounts, or to none.
   * @param operation those without a rate share that of `'*'`
   * @param cost above 0; one above the burst is never allowed
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  tryTake(client: string, operation: string = OTHERS, cost = 1): RateDecision {
    checkRequest(client, operation, cost)
    return this.tryTakeAt(this.clock.now(), client, operation, cost)
  }

  /**
   * Waits for its turn, in order of arrival. The turn is reserved at once; an abort gives it back if nobody has
   * reserved one after it.
   * @throws as a rejection AdmissionError `'RATE_LIMITED'`, at once, if the wait would be longer than `maxWaitMs`;
   *   the reason of the signal; HsError `'INVALID_ARGUMENT'`
   */
  acquire(client: string, options: RateWaitOptions = {}): Promise<void> {
    const { operation = OTHERS, cost = 1, maxWaitMs = 30_000, signal } = options
    try {
      checkRequest(client, operation, cost)
      checkMaxWait(maxWaitMs)
      checkSignal(signal)
    } catch (error) {
      return Promise.reject(error)
    }
    const nowMs = this.clock.now()
    const atMs = this.#scaled(nowMs)
    const account = this.#accountOf(operation)
    const waitMs = this.#judge(client, account, cost, atMs) / this.#scale
    if (waitMs > maxWaitMs || waitMs === Infinity) {
      const error = rateLimited(client, operation, waitMs, this.#limitedBy)
      this.#refuse(atMs)
      return Promise.reject(error)
    }
    this.#charge(client, account, cost, atMs)
    const charge = waitMs > 0 ? this.#lastCharge(client, account, cost) : undefined
    this.#tidy(atMs)
    if (charge === undefined) return Promise.resolve()
    return this.#waits.until(nowMs + waitMs, nowMs, signal, () => this.#refund(charge))
  }

  /**
   * Multiplies every rate, for all accounts at once; bursts stay as they are.
   * @param factor above 0, at most 1
   * @throws HsError `'INVALID_ARGUMENT'`
   */
  setScale(factor: number): void {
    if (factor === this.#scale) return
    if (typeof factor !== 'number' || !(factor > 0 && factor <= 1)) {
      throw new HsError('INVALID_ARGUMENT', `A scale is above 0 and at most 1, found ${String(factor)}`)
    }
    const nowMs = this.clock.now()
    this.#scaledBaseMs = this.#scaled(nowMs)
    this.#scaledSinceMs = nowMs
    this.#scale = factor
  }

  /** Forgets what a client owes. True if it had an account. */
  forget(client: string): boolean {
    return this.#accounts.remove(client)
  }

  /** What a dashboard shows. */
  snapshot(): RateLimiterSnapshot {
    return Object.freeze({
      clients: this.#accounts.size,
      scale: this.#scale,
      allowed: this.#allowed,
      refused: this.#refused,
      overflowed: this.#overflowed,
    })
  }

  /** For whoever has read its clock and checked the request; without a client only the total is charged. @internal */
  tryTakeAt(nowMs: number, client: string | undefined, operation: string, cost: number): RateDecision {
    const atMs = this.#scaled(nowMs)
    const account = client === undefined ? undefined : this.#accountOf(operation)
    const waitMs = this.#judge(client, account, cost, atMs)
    if (waitMs > 0) {
      const limitedBy = this.#limitedBy
      this.#refuse(atMs)
      return { allowed: false, retryAfterMs: waitMs / this.#scale, limitedBy }
    }
    this.#charge(client, account, cost, atMs)
    const remaining = this.#remaining(account, atMs)
    this.#tidy(atMs)
    return { allowed: true, remaining }
  }

  #scaled(nowMs: number): number {
    return this.#scaledBaseMs + (nowMs - this.#scaledSinceMs) * this.#scale
  }

  #accountOf(operation: string): ClientRate | undefined {
    return operation === OTHERS ? this.#others : (this.#operations.get(operation) ?? this.#others)
  }

  /** The longest wait of all accounts. */
  #judge(client: string | undefined, account: ClientRate | undefined, cost: number, atMs: number): number {
    let longestMs = 0
    if (client === undefined || (account === undefined && this.#perClient === undefined)) this.#row = NO_ROW
    else {
      this.#row = this.#rowFor(client, atMs)
      if (account !== undefined) {
        longestMs = account.rate.waitMs(this.#tatOf(account), atMs, cost)
        this.#limitedBy = 'operation'
      }
      if (this.#perClient !== undefined) {
        const waitMs = this.#perClient.rate.waitMs(this.#tatOf(this.#perClient), atMs, cost)
        if (waitMs > longestMs) {
          longestMs = waitMs
          this.#limitedBy = 'client'
        }
      }
    }
    if (this.#total === undefined) return longestMs
    const waitMs = this.#total.waitMs(this.#totalTatMs, atMs, cost)
    if (waitMs <= longestMs) return longestMs
    this.#limitedBy = 'total'
    return waitMs
  }

  #rowFor(client: string, atMs: number): number {
    const accounts = this.#accounts
    const row = accounts.find(client)
    if (row >= 0) return row
    if (!accounts.isFull) return NEWCOMER
    return accounts.makeRoom(LOOKS_FOR_ROOM, atMs) ? NEWCOMER : OVERFLOW
  }

  /** Of the row that was found. */
  #tatOf({ place }: ClientRate): number {
    return this.#row < 0 ? -Infinity : (this.#accounts.tats[this.#row + place] as number)
  }

  #charge(client: string | undefined, account: ClientRate | undefined, cost: number, atMs: number): void {
    this.#allowed++
    if (this.#row === OVERFLOW) this.#overflowed++
    if (this.#row !== NO_ROW && client !== undefined) {
      if (this.#row === NEWCOMER) this.#row = this.#accounts.add(client)
      if (account !== undefined) this.#chargeRow(account, cost, atMs)
      if (this.#perClient !== undefined) this.#chargeRow(this.#perClient, cost, atMs)
    }
    if (this.#total !== undefined) this.#totalTatMs = this.#total.charge(this.#totalTatMs, atMs, cost)
  }

  #chargeRow(account: ClientRate, cost: number, atMs: number): void {
    this.#accounts.charge(this.#row, account.place, account.rate.charge(this.#tatOf(account), atMs, cost))
  }

  #remaining(account: ClientRate | undefined, atMs: number): number {
    let least = Infinity
    if (this.#row >= 0) {
      if (account !== undefined) least = account.rate.remaining(this.#tatOf(account), atMs)
      if (this.#perClient !== undefined) {
        least = Math.min(least, this.#perClient.rate.remaining(this.#tatOf(this.#perClient), atMs))
      }
    }
    return this.#total === undefined ? least : Math.min(least, this.#total.remaining(this.#totalTatMs, atMs))
  }

  #refuse(atMs: number): void {
    this.#refused++
    if (this.#row === OVERFLOW) this.#overflowed++
    this.#tidy(atMs)
  }

  /** Last of all, for rows move; whoever looked for room has looked at enough of them. */
  #tidy(atMs: number): void {
    if (this.#row !== OVERFLOW) this.#accounts.tidy(LOOKS, atMs)
  }

  #lastCharge(client: string, account: ClientRate | undefined, cost: number): Charge {
    return {
      client: this.#row === OVERFLOW ? undefined : client,
      account: this.#row < 0 ? undefined : account,
      cost,
      operationTatMs: this.#row < 0 || account === undefined ? 0 : this.#tatOf(account),
      clientTatMs: this.#row < 0 || this.#perClient === undefined ? 0 : this.#tatOf(this.#perClient),
      totalTatMs: this.#totalTatMs,
    }
  }

  /** Each account gets it back to which nobody has been charged since. */
  #refund({ client, account, cost, operationTatMs, clientTatMs, totalTatMs }: Charge): void {
    const row = client === undefined ? OVERFLOW : this.#accounts.find(client)
    if (row >= 0 && account !== undefined) this.#refundRow(row, account, cost, operationTatMs)
    if (row >= 0 && this.#perClient !== undefined) this.#refundRow(row, this.#perClient, cost, clientTatMs)
    if (this.#total !== undefined && this.#totalTatMs === totalTatMs) this.#totalTatMs -= cost * this.#total.intervalMs
  }

  #refundRow(row: number, { rate, place }: ClientRate, cost: number, tatMs: number): void {
    if (this.#accounts.tats[row + place] === tatMs) this.#accounts.refund(row, place, tatMs - cost * rate.intervalMs)
  }
}

/** Neither it nor a burst of it is beyond what a number can be. */
function isInterval(intervalMs: number, burst: number): boolean {
  return intervalMs > 0 && intervalMs * burst < Infinity
}

function checkRequest(client: string, operation: string, cost: number): void {
  if (typeof client !== 'string' || typeof operation !== 'string') {
    throw new HsError(
      'INVALID_ARGUMENT',
      `A client and an operation are text, found ${typeof client}, ${typeof operation}`,
    )
  }
  checkCost(cost)
}

function checkMaxWait(maxWaitMs: number): void {
  if (typeof maxWaitMs === 'number' && maxWaitMs >= 0) return
  throw new HsError('INVALID_ARGUMENT', `maxWaitMs is a number of milliseconds from 0, found ${String(maxWaitMs)}`)
}

function rateLimited(client: string, operation: string, retryAfterMs: number, limitedBy: LimitedBy): AdmissionError {
  const when = retryAfterMs < Infinity ? `try again in ${Math.ceil(retryAfterMs)} ms` : 'its cost is above the burst'
  return new AdmissionError('RATE_LIMITED', `Client ${client} is limited (${limitedBy}) in ${operation}: ${when}`, {
    retryAfterMs,
    details: { limitedBy },
  })
}
