/** 1,000 clients call a server that is dead for 30 s: what a budget makes of it, through `run` and on virtual time. */
import { SeededRandom, VirtualClock } from '@hs/core/testing'
import { RetryBudget, RetryPolicy, type RetryOptions } from '@hs/retry-budget'
import { describe, expect, it } from 'vitest'

const CLIENTS = 1_000
const REQUESTS_PER_SECOND = 200 // of all clients
const CAPACITY_PER_SECOND = 300
const DEAD_FROM_MS = 10_000
const DEAD_UNTIL_MS = 40_000
const END_MS = 60_000

interface Outcome {
  /** Attempts in each second. */
  readonly attempts: readonly number[]
  readonly requests: number
  readonly failed: number
  /** Last second in which an attempt failed. */
  readonly lastBadSecond: number
}

const unavailable = Object.assign(new Error('unavailable'), { status: 503 })

/**
 * While it is dead it answers nothing; and nothing for as long as more came in the second before than it can do, for
 * then whatever it does is too late.
 */
function makeServer(clock: VirtualClock) {
  const attempts = Array.from({ length: END_MS / 1_000 + 60 }, () => 0)
  let lastBadSecond = -1
  const call = () => {
    const second = Math.floor(clock.now() / 1_000)
    attempts[second] = (attempts[second] ?? 0) + 1
    const isDead = clock.now() >= DEAD_FROM_MS && clock.now() < DEAD_UNTIL_MS
    const isOverwhelmed = (attempts[second - 1] ?? 0) > CAPACITY_PER_SECOND
    if (!isDead && !isOverwhelmed) return
    lastBadSecond = second
    throw unavailable
  }
  return { attempts, call, lastBadSecond: () => lastBadSecond }
}

/** Every client has a policy of its own; those of one process share a budget. */
async function simulate(options: RetryOptions, makeBudget?: (clock: VirtualClock) => RetryBudget): Promise<Outcome> {
  const clock = new VirtualClock()
  const random = new SeededRandom(7)
  const server = makeServer(clock)
  const budget = makeBudget?.(clock)
  const policies = Array.from({ length: CLIENTS }, (_, client) => {
    const own = { clock, random: random.fork(`client-${client}`), ...options }
    return new RetryPolicy(budget === undefined ? own : { ...own, budget })
  })
  let requests = 0
  let failed = 0
  const request = () => {
    requests++
    const policy = policies[random.int(CLIENTS)]
    policy?.run(server.call).catch(() => failed++)
    if (clock.now() < END_MS) clock.setTimer(1_000 / REQUESTS_PER_SECOND, request)
  }
  request()
  await clock.advanceAsync(END_MS + 20_000)
  expect(clock.pendingTimers).toBe(0)
  return { attempts: server.attempts, requests, failed, lastBadSecond: server.lastBadSecond() }
}

const patient: RetryOptions = { maxAttempts: 4, baseMs: 200, maxMs: 2_000 }
const sumOver = ({ attempts }: Outcome, fromMs: number, toMs: number) =>
  attempts.slice(fromMs / 1_000, toMs / 1_000).reduce((sum, count) => sum + count, 0)
const deadMs = DEAD_UNTIL_MS - DEAD_FROM_MS
const requestsWhileDead = (deadMs / 1_000) * REQUESTS_PER_SECOND

describe('An outage, through run() (RB-9, RB-17)', () => {
  it('is a storm without a budget: every request is attempted four times', { timeout: 120_000 }, async () => {
    const outcome = await simulate(patient)
    const attempts = sumOver(outcome, DEAD_FROM_MS, DEAD_UNTIL_MS)
    expect(attempts).toBeGreaterThan(3.5 * requestsWhileDead)
    // It keeps itself alive when the server is back, for as long as there are requests.
    expect(outcome.lastBadSecond).toBeGreaterThanOrEqual(END_MS / 1_000)
  })

  it(
    'is (1 + ratio) times the traffic and a constant with one, and over when the server is back',
    { timeout: 120_000 },
    async () => {
      const budgetOptions = { ratio: 0.2, minPerSecond: 2, ttlMs: 10_000 }
      const outcome = await simulate(patient, (clock) => new RetryBudget({ ...budgetOptions, clock }))
      const attempts = sumOver(outcome, DEAD_FROM_MS, DEAD_UNTIL_MS)
      const { ratio, minPerSecond, ttlMs } = budgetOptions
      // Requests of the window before the outage pay, too; the bound of RB-17 over the 30 s.
      const paying = requestsWhileDead + (ttlMs / 1_000) * REQUESTS_PER_SECOND
      const bound = requestsWhileDead + ratio * paying + (minPerSecond * (deadMs + 1.1 * ttlMs)) / 1_000
      expect(attempts).toBeLessThanOrEqual(bound)
      expect(attempts).toBeGreaterThan(1.1 * requestsWhileDead) // it retried
      expect(outcome.lastBadSecond).toBe(DEAD_UNTIL_MS / 1_000 - 1)
      expect(outcome.failed).toBeLessThanOrEqual(requestsWhileDead + REQUESTS_PER_SECOND)
    },
  )

  it('within one ttlMs is never more than (1 + ratio) times all requests and the reserve', async () => {
    const clock = new VirtualClock()
    const budget = new RetryBudget({ ratio: 0.2, minPerSecond: 1, ttlMs: 10_000, clock })
    const policy = new RetryPolicy({
      clock,
      budget,
      maxAttempts: 10,
      baseMs: 10,
      maxMs: 50,
      random: new SeededRandom(1),
    })
    let attempts = 0
    const dead = () => {
      attempts++
      throw unavailable
    }
    const codes = new Map<unknown, number>()
    for (let request = 0; request < 2_000; request++) {
      policy.run(dead).catch(({ code }: { code: unknown }) => codes.set(code, (codes.get(code) ?? 0) + 1))
      await clock.advanceAsync(4)
    }
    await clock.advanceAsync(500)
    expect(attempts).toBeLessThanOrEqual(1.2 * 2_000 + 10)
    expect(attempts).toBeGreaterThan(1.15 * 2_000)
    expect(codes.get('RETRY_BUDGET_EXHAUSTED')).toBeGreaterThan(1_500)
    expect(policy.snapshot().attempts).toBe(attempts)
  })

  it('never blocks a first attempt, however empty the budget is', async () => {
    const clock = new VirtualClock()
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 0, clock })
    const policy = new RetryPolicy({ clock, budget })
    let attempts = 0
    for (let request = 0; request < 100; request++) {
      const run = policy.run(() => {
        attempts++
        throw unavailable
      })
      await expect(run).rejects.toMatchObject({ code: 'RETRY_BUDGET_EXHAUSTED' })
    }
    expect(attempts).toBe(100)
  })
})
