import { getEventListeners } from 'node:events'
import { VirtualClock } from '@hs/core/testing'
import {
  AdmissionError,
  RateLimiter,
  type Rate,
  type RateDecision,
  type RateLimiterOptions,
  type RateWaitOptions,
} from '@hs/overload'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
const misconfigured = (...paths: string[]): unknown =>
  expect.objectContaining({
    code: 'CONFIG_INVALID',
    issues: paths.map((path) => expect.objectContaining({ path }) as unknown),
  })

function make(options: RateLimiterOptions = {}, startMs = 0) {
  const clock = new VirtualClock({ startMs })
  return { clock, limiter: new RateLimiter({ clock, ...options }) }
}

/** How many requests of cost 1 are allowed now. */
function drain(limiter: RateLimiter, client: string, operation?: string, most = 10_000): number {
  let taken = 0
  while (taken < most && limiter.tryTake(client, operation).allowed) taken++
  return taken
}

const retryAfterMs = (decision: RateDecision): number => (decision.allowed ? 0 : decision.retryAfterMs)

describe('Rates (OVER-10)', () => {
  it('allows 100 per 10 s and client by default, all of them at once', () => {
    const { clock, limiter } = make()
    expect(limiter.tryTake('a')).toEqual({ allowed: true, remaining: 99 })
    expect(drain(limiter, 'a')).toBe(99)
    expect(limiter.tryTake('a')).toEqual({ allowed: false, retryAfterMs: 100, limitedBy: 'operation' })
    expect(limiter.tryTake('b')).toMatchObject({ allowed: true })
    clock.advance(99)
    expect(limiter.tryTake('a')).toEqual({ allowed: false, retryAfterMs: 1, limitedBy: 'operation' })
    clock.advance(1)
    expect(limiter.tryTake('a')).toEqual({ allowed: true, remaining: 0 })
    clock.advance(1e9)
    expect(drain(limiter, 'a')).toBe(100)
    expect(limiter.snapshot()).toEqual({ clients: 1, scale: 1, allowed: 202, refused: 4, overflowed: 0 })
    expect(Object.isFrozen(limiter.snapshot())).toBe(true)
  })

  it('has a burst apart from its rate', () => {
    const { clock, limiter } = make({ rates: { '*': { limit: 10, perMs: 1_000, burst: 3 } } })
    expect(drain(limiter, 'a')).toBe(3)
    clock.advance(100)
    expect(drain(limiter, 'a')).toBe(1)
    clock.advance(10_000)
    expect(drain(limiter, 'a')).toBe(3)
  })

  it('takes costs; one above the burst never conforms, and charges nothing', () => {
    const { clock, limiter } = make({ rates: { '*': { limit: 10, perMs: 1_000, burst: 5 } } })
    expect(limiter.tryTake('a', '*', 3.5)).toEqual({ allowed: true, remaining: 1 })
    expect(limiter.tryTake('a', '*', 2)).toEqual({ allowed: false, retryAfterMs: 50, limitedBy: 'operation' })
    expect(limiter.tryTake('a', '*', 5.01)).toEqual({ allowed: false, retryAfterMs: Infinity, limitedBy: 'operation' })
    expect(limiter.tryTake('a', '*', 1.5)).toEqual({ allowed: true, remaining: 0 })
    clock.advance(500)
    expect(limiter.tryTake('a', '*', 5)).toEqual({ allowed: true, remaining: 0 })
  })

  it('allows less than one per period', () => {
    const { clock, limiter } = make({ rates: { '*': { limit: 0.5, perMs: 1_000 } } })
    expect(limiter.tryTake('a')).toEqual({ allowed: true, remaining: 0 })
    expect(retryAfterMs(limiter.tryTake('a'))).toBe(2_000)
    clock.advance(2_000)
    expect(limiter.tryTake('a')).toEqual({ allowed: true, remaining: 0 })
  })

  const rate = fc.record({
    limit: fc.integer({ min: 1, max: 50 }),
    perMs: fc.integer({ min: 1, max: 3_000 }),
    burst: fc.integer({ min: 1, max: 20 }),
  })

  it('decides as an exact token bucket does', () => {
    const requests = fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 1, max: 24 })), {
      maxLength: 60,
    })
    fc.assert(
      fc.property(rate, requests, fc.constantFrom(0, 1e9 + 0.125), ({ limit, perMs, burst }, steps, startMs) => {
        const { clock, limiter } = make({ rates: { '*': { limit, perMs, burst } } }, startMs)
        // In units of a token over 4 * perMs, so that all of it is whole numbers.
        const full = 4 * burst * perMs
        let tokens = full
        for (const [waitMs, quarters] of steps) {
          clock.advance(waitMs)
          tokens = Math.min(full, tokens + 4 * limit * waitMs)
          const price = quarters * perMs
          const decision = limiter.tryTake('a', '*', quarters / 4)
          if (price <= tokens) {
            tokens -= price
            expect(decision).toEqual({ allowed: true, remaining: Math.floor(tokens / (4 * perMs)) })
          } else {
            const waitsMs = price > full ? Infinity : (price - tokens) / (4 * limit)
            expect(decision.allowed).toBe(false)
            if (waitsMs === Infinity) expect(retryAfterMs(decision)).toBe(Infinity)
            else expect(Math.abs(retryAfterMs(decision) - waitsMs)).toBeLessThanOrEqual(1e-6)
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  it('allows the same request after exactly retryAfterMs', () => {
    const odd = fc.record({
      limit: fc.double({ min: 0.1, max: 1_000, noNaN: true }),
      perMs: fc.double({ min: 0.5, max: 1e5, noNaN: true }),
      burst: fc.double({ min: 1, max: 30, noNaN: true }),
    })
    const costs = fc.array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(odd, costs, fc.double({ min: 0, max: 1e8, noNaN: true }), (chosen, steps, startMs) => {
        const { clock, limiter } = make({ rates: { '*': chosen } }, startMs)
        for (const cost of steps) {
          drain(limiter, 'a')
          const waitMs = retryAfterMs(limiter.tryTake('a', '*', cost))
          if (waitMs === 0) continue
          clock.advance(waitMs - Math.min(waitMs, 1e-5))
          if (waitMs > 1e-5) expect(limiter.tryTake('a', '*', cost).allowed).toBe(false)
          clock.advance(Math.min(waitMs, 1e-5))
          // The clock itself cannot stand between its steps.
          clock.advance(1e-7)
          expect(limiter.tryTake('a', '*', cost).allowed).toBe(true)
        }
      }),
    )
  })

  it('allows at most burst + L / T in any interval L, whatever waits and whatever does not', async () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 1, max: 8 }), fc.boolean()), {
      maxLength: 50,
    })
    await fc.assert(
      fc.asyncProperty(rate, steps, async (chosen, requests) => {
        const { clock, limiter } = make({ rates: { '*': chosen } })
        const served: { atMs: number; cost: number }[] = []
        const waits: Promise<unknown>[] = []
        for (const [waitMs, cost, isPatient] of requests) {
          await clock.advanceAsync(waitMs)
          const serve = () => served.push({ atMs: clock.now(), cost })
          if (isPatient) waits.push(limiter.acquire('a', { cost }).then(serve, () => undefined))
          else if (limiter.tryTake('a', '*', cost).allowed) serve()
        }
        await clock.run(Promise.all(waits))
        served.sort((a, b) => a.atMs - b.atMs)
        for (const [from, first] of served.entries()) {
          let sum = 0
          for (const { atMs, cost } of served.slice(from)) {
            sum += cost
            const bound = chosen.burst + ((atMs - first.atMs) * chosen.limit) / chosen.perMs
            expect(sum).toBeLessThanOrEqual(bound + 1e-6)
          }
        }
      }),
    )
  })

  it('gives nobody more than a burst after the clock has stood still and jumped', () => {
    const { clock, limiter } = make({ rates: { '*': { limit: 7, perMs: 1_000 } } })
    for (const jumpMs of [0, 1e12, 0, 2 ** 45]) {
      clock.advance(jumpMs)
      expect(drain(limiter, 'a')).toBe(jumpMs === 0 && clock.now() > 0 ? 0 : 7)
    }
  })
})

describe('Operation, client and total (OVER-11)', () => {
  const rates = { submit: { limit: 5, perMs: 1_000 }, '*': { limit: 3, perMs: 1_000 } }

  it('has an account for each operation, and one for all others', () => {
    const { limiter } = make({ rates })
    expect(drain(limiter, 'a', 'submit')).toBe(5)
    expect([drain(limiter, 'a', 'query'), drain(limiter, 'a', 'other'), drain(limiter, 'a')]).toEqual([3, 0, 0])
    expect(drain(limiter, 'b', '__proto__')).toBe(3)
    expect(drain(limiter, 'b', 'constructor')).toBe(0)
  })

  it('does not limit by operation what is in no rate, but by the others', () => {
    const { limiter } = make({
      rates: { submit: { limit: 5, perMs: 1_000 } },
      perClient: { limit: 20, perMs: 1_000 },
      total: { limit: 30, perMs: 1_000 },
    })
    expect(drain(limiter, 'a', 'query')).toBe(20)
    expect(limiter.tryTake('a', 'query')).toEqual({ allowed: false, retryAfterMs: 50, limitedBy: 'client' })
    expect(drain(limiter, 'b', 'query')).toBe(10)
    expect(limiter.tryTake('b', 'query')).toMatchObject({ limitedBy: 'total' })
  })

  it('limits nothing where there are no rates', () => {
    const { limiter } = make({ rates: {} })
    expect(limiter.tryTake('a', 'x', 1e300)).toEqual({ allowed: true, remaining: Infinity })
    expect(limiter.size).toBe(0)
  })

  it('names the one with the longest wait', () => {
    const { limiter } = make({
      rates: { '*': { limit: 1, perMs: 100 } },
      perClient: { limit: 1, perMs: 300 },
      total: { limit: 1, perMs: 200 },
    })
    limiter.tryTake('a')
    expect(limiter.tryTake('a')).toEqual({ allowed: false, retryAfterMs: 300, limitedBy: 'client' })
    expect(limiter.tryTake('b')).toEqual({ allowed: false, retryAfterMs: 200, limitedBy: 'total' })
  })

  it('says what is left of the one that has least', () => {
    const options = { perClient: { limit: 9, perMs: 1_000 }, total: { limit: 12, perMs: 1_000 } }
    const { limiter } = make({ ...options, rates: { '*': { limit: 10, perMs: 1_000 } } })
    expect(limiter.tryTake('a')).toEqual({ allowed: true, remaining: 8 })
    expect(limiter.tryTake('b', '*', 6)).toEqual({ allowed: true, remaining: 3 })
    expect(limiter.tryTake('c')).toEqual({ allowed: true, remaining: 4 })
  })

  it('charges all accounts or none', () => {
    const options = {
      rates: { x: { limit: 4, perMs: 1_000 }, '*': { limit: 6, perMs: 900 } },
      perClient: { limit: 8, perMs: 800 },
      total: { limit: 10, perMs: 700 },
    }
    const request = fc.record({
      waitMs: fc.integer({ min: 0, max: 200 }),
      client: fc.constantFrom('a', 'b', 'c'),
      operation: fc.constantFrom('x', 'y', '*'),
      cost: fc.integer({ min: 1, max: 7 }),
    })
    fc.assert(
      fc.property(fc.array(request, { maxLength: 60 }), (requests) => {
        const { clock, limiter } = make(options)
        const buckets = new Map<string, Bucket>()
        const bucket = (name: string, rate: Rate) => {
          const known = buckets.get(name) ?? new Bucket(rate)
          buckets.set(name, known)
          return known
        }
        for (const { waitMs, client, operation, cost } of requests) {
          clock.advance(waitMs)
          const name = operation === 'x' ? 'x' : '*'
          const accounts = {
            operation: bucket(`${client} ${name}`, options.rates[name]),
            client: bucket(client, options.perClient),
            total: bucket('total', options.total),
          }
          const all = Object.values(accounts)
          const longestMs = Math.max(...all.map((account) => account.waitMs(clock.now(), cost)))
          const decision = limiter.tryTake(client, operation, cost)
          if (decision.allowed) {
            expect(longestMs).toBe(0)
            for (const account of all) account.take(cost)
            expect(decision.remaining).toBe(Math.min(...all.map(({ tokens }) => Math.floor(tokens + 1e-9))))
          } else {
            expect(decision.retryAfterMs).toBeCloseTo(longestMs, 6)
            expect(accounts[decision.limitedBy].waitMs(clock.now(), cost)).toBe(longestMs)
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('The bound on clients (OVER-12)', () => {
  const slow = { rates: { '*': { limit: 5, perMs: 1_000 } } }

  it('gives 20,000 invented clients 101 bursts in all, and resets nobody', () => {
    const { limiter } = make({ ...slow, maxClients: 100 })
    drain(limiter, 'known')
    let allowed = 5
    for (let i = 0; i < 20_000; i++) {
      allowed += drain(limiter, `invented-${i}`)
      expect(limiter.tryTake('known').allowed).toBe(false)
    }
    expect(allowed).toBe(101 * 5)
    expect(limiter.size).toBe(100)
    expect(limiter.snapshot()).toMatchObject({ clients: 100, allowed: 505 })
    expect(limiter.snapshot().overflowed).toBe(19_901 + 5)
  })

  it('keeps 10,000 by default', () => {
    const { limiter } = make(slow)
    for (let i = 0; i < 10_500; i++) limiter.tryTake(`client-${i}`)
    expect(limiter.size).toBe(10_000)
  })

  it('gives a newcomer the place of one without debts, if it sees one among eight', () => {
    const { clock, limiter } = make({ ...slow, maxClients: 100 })
    for (let i = 0; i < 100; i++) limiter.tryTake(`old-${i}`, '*', 5)
    clock.advance(999)
    expect(drain(limiter, 'new-1')).toBe(5) // the overflow's
    expect(drain(limiter, 'new-2')).toBe(0)
    expect(limiter.size).toBe(100)
    clock.advance(1)
    expect(drain(limiter, 'new-2')).toBe(5)
    expect(limiter.tryTake('new-1')).toMatchObject({ allowed: true, remaining: 4 })
    expect(limiter.snapshot()).toMatchObject({ overflowed: 7 })
  })

  it('drops two of those without debts with each call, whosever it is', () => {
    const { clock, limiter } = make(slow)
    for (let i = 0; i < 999; i++) limiter.tryTake(`idle-${i}`)
    limiter.tryTake('busy')
    clock.advance(1_000)
    for (let i = 0; i < 250; i++) limiter.tryTake('busy')
    expect(limiter.size).toBeLessThanOrEqual(502)
    for (let i = 0; i < 255; i++) limiter.tryTake('busy')
    expect(limiter.size).toBe(1)
    expect(limiter.tryTake('busy').allowed).toBe(false)
    expect(clock.pendingTimers).toBe(0)
  })

  it('makes no account for whom it refuses', () => {
    const { limiter } = make({ ...slow, total: { limit: 1, perMs: 1_000 } })
    for (let i = 0; i < 100; i++) limiter.tryTake(`client-${i}`)
    limiter.tryTake('greedy', '*', 6)
    expect(limiter.size).toBe(1)
  })

  it('keeps accounts apart that move when others go', () => {
    const options = { rates: { x: { limit: 3, perMs: 3_000 }, '*': { limit: 9, perMs: 900 } }, maxClients: 12 }
    const step = fc.tuple(
      fc.integer({ min: 0, max: 400 }),
      fc.nat(9),
      fc.constantFrom('x', '*'),
      fc.integer({ max: 9 }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const { clock, limiter } = make(options)
        const alone = Array.from({ length: 10 }, () => new RateLimiter({ clock, ...options }))
        for (const [waitMs, client, operation, forget] of steps) {
          clock.advance(waitMs)
          // Whether there was an account says nothing: one without debts may be gone already.
          if (forget === 9) for (const it of [limiter, alone[client]]) it?.forget(it === limiter ? `${client}` : 'it')
          expect(limiter.tryTake(`${client}`, operation)).toEqual(alone[client]?.tryTake('it', operation))
        }
      }),
    )
  })

  it('forgets what a client owes', () => {
    const { limiter } = make(slow)
    drain(limiter, 'a')
    drain(limiter, 'b')
    expect([limiter.forget('a'), limiter.forget('a'), limiter.forget('c')]).toEqual([true, false, false])
    expect([drain(limiter, 'a'), drain(limiter, 'b')]).toEqual([5, 0])
  })
})

describe('The scale of rates', () => {
  it('multiplies every rate, up and down, for accounts that are in use too', () => {
    const { clock, limiter } = make({
      rates: { '*': { limit: 10, perMs: 1_000 } },
      total: { limit: 1_000, perMs: 1_000 },
    })
    drain(limiter, 'a')
    limiter.setScale(0.1)
    expect(retryAfterMs(limiter.tryTake('a'))).toBeCloseTo(1_000, 6)
    clock.advance(500)
    expect(retryAfterMs(limiter.tryTake('a'))).toBeCloseTo(500, 6)
    limiter.setScale(1)
    expect(retryAfterMs(limiter.tryTake('a'))).toBeCloseTo(50, 6)
    limiter.setScale(0.5)
    expect(retryAfterMs(limiter.tryTake('a'))).toBeCloseTo(100, 6)
    clock.advance(100)
    expect(limiter.tryTake('a').allowed).toBe(true)
    expect(limiter.snapshot().scale).toBe(0.5)
  })

  it('leaves nothing of a low scale behind when it is up again', () => {
    const { clock, limiter } = make({ rates: { '*': { limit: 10, perMs: 1_000 } } })
    limiter.setScale(0.01)
    expect(drain(limiter, 'a')).toBe(10) // bursts stay as they are
    limiter.setScale(1)
    clock.advance(1_000)
    expect(drain(limiter, 'a')).toBe(10)
  })

  it.each([0, -1, 1.01, NaN, '1' as unknown as number])('refuses %d', (factor) => {
    const { limiter } = make()
    expect(() => limiter.setScale(factor)).toThrow(invalid)
    expect(limiter.snapshot().scale).toBe(1)
  })
})

describe('Waiting for a rate (OVER-13)', () => {
  const rates = { '*': { limit: 10, perMs: 1_000, burst: 2 } }

  it('serves in order of arrival, each at its time, with one timer', async () => {
    const { clock, limiter } = make({ rates })
    const served: [number, number][] = []
    const waits = Array.from({ length: 6 }, async (_, i) => {
      await limiter.acquire('a')
      served.push([i, clock.now()])
    })
    expect(clock.pendingTimers).toBe(1)
    expect(limiter.tryTake('a')).toEqual({ allowed: false, retryAfterMs: 500, limitedBy: 'operation' })
    await clock.run(Promise.all(waits))
    expect(served).toEqual([
      [0, 0],
      [1, 0],
      [2, 100],
      [3, 200],
      [4, 300],
      [5, 400],
    ])
    expect(clock.pendingTimers).toBe(0)
    expect(limiter.snapshot()).toMatchObject({ allowed: 6, refused: 1 })
  })

  it('lets nobody wait for another client', async () => {
    const { clock, limiter } = make({ rates })
    const slow = Array.from({ length: 50 }, () => limiter.acquire('slow'))
    const quick = limiter.acquire('quick')
    expect(await Promise.race([quick.then(() => 'quick'), Promise.all(slow).then(() => 'slow')])).toBe('quick')
    const times: string[] = []
    const log = (name: string) => () => times.push(`${name} ${clock.now()}`)
    const next = [limiter.acquire('quick'), limiter.acquire('quick'), limiter.acquire('other', { cost: 2 })]
    next.forEach((wait, i) => void wait.then(log(['q1', 'q2', 'o'][i]!)))
    await clock.advanceAsync(150)
    expect(times).toEqual(['q1 0', 'o 0', 'q2 100'])
    await clock.run(Promise.all(slow))
  })

  it('refuses at once what would wait for longer than maxWaitMs, and charges nothing', async () => {
    const { clock, limiter } = make({ rates })
    drain(limiter, 'a')
    const refused = await limiter.acquire('a', { maxWaitMs: 99 }).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(AdmissionError)
    expect(refused).toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: 100, details: { limitedBy: 'operation' } })
    await expect(limiter.acquire('a', { cost: 3, maxWaitMs: Infinity })).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      retryAfterMs: Infinity,
    })
    await clock.run(limiter.acquire('a', { maxWaitMs: 100 }))
    expect(clock.now()).toBe(100)
  })

  it('waits for 30 s at most by default', async () => {
    const { clock, limiter } = make({ rates: { '*': { limit: 1, perMs: 10_000 } } })
    const waits = Array.from({ length: 4 }, () => limiter.acquire('a'))
    await expect(limiter.acquire('a')).rejects.toMatchObject({ retryAfterMs: 40_000 })
    await clock.run(Promise.all(waits))
    expect(clock.now()).toBe(30_000)
  })

  it('waits for the longest of all accounts, at the scale of now', async () => {
    const { clock, limiter } = make({
      rates: { x: { limit: 1, perMs: 100 } },
      perClient: { limit: 1, perMs: 200 },
      total: { limit: 1, perMs: 300 },
    })
    limiter.tryTake('a', 'x')
    limiter.setScale(0.5)
    await clock.run(limiter.acquire('b', { operation: 'x' }))
    expect(clock.now()).toBe(600)
  })

  it('gives an aborted turn back if nobody has reserved after it', async () => {
    const { clock, limiter } = make({ rates, perClient: { limit: 10, perMs: 1_000, burst: 2 } })
    drain(limiter, 'a')
    const controller = new AbortController()
    const reason = new Error('enough')
    const aborted = limiter.acquire('a', { signal: controller.signal })
    controller.abort(reason)
    await expect(aborted).rejects.toBe(reason)
    expect(clock.pendingTimers).toBe(0)
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    expect(limiter.tryTake('a')).toMatchObject({ retryAfterMs: 100 })
  })

  it('keeps an aborted turn that others stand behind', async () => {
    const { clock, limiter } = make({ rates, total: { limit: 100, perMs: 1_000, burst: 3 } })
    drain(limiter, 'a')
    const controller = new AbortController()
    const first = limiter.acquire('a', { signal: controller.signal })
    const second = limiter.acquire('a')
    const third = limiter.acquire('a', { signal: controller.signal })
    controller.abort()
    await expect(first).rejects.toMatchObject({ name: 'AbortError' })
    await expect(third).rejects.toMatchObject({ name: 'AbortError' })
    await clock.run(second)
    expect(clock.now()).toBe(200)
    expect(limiter.tryTake('a')).toMatchObject({ retryAfterMs: 100 }) // the third's came back, the first's did not
  })

  it('gives back what an account of the overflow was charged', async () => {
    const { limiter } = make({ rates, maxClients: 1 })
    limiter.tryTake('known')
    drain(limiter, 'a')
    const controller = new AbortController()
    const aborted = limiter.acquire('b', { signal: controller.signal })
    expect(limiter.tryTake('c')).toMatchObject({ retryAfterMs: 200 })
    controller.abort()
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
    expect(limiter.tryTake('c')).toMatchObject({ retryAfterMs: 100 })
  })

  it('bears that a client is forgotten while it waits', async () => {
    const { clock, limiter } = make({ rates })
    drain(limiter, 'a')
    const controller = new AbortController()
    const [kept, aborted] = [limiter.acquire('a'), limiter.acquire('a', { signal: controller.signal })]
    limiter.forget('a')
    controller.abort()
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
    expect(drain(limiter, 'a')).toBe(2)
    await clock.run(kept)
  })

  it('does not begin with a signal that has aborted', async () => {
    const { limiter } = make({ rates })
    await expect(limiter.acquire('a', { signal: AbortSignal.abort('no') })).rejects.toBe('no')
    expect(drain(limiter, 'a')).toBe(2)
  })

  it('ends waits in order of time, whoever comes and leaves', async () => {
    const plan = fc.array(fc.tuple(fc.nat(6), fc.integer({ min: 1, max: 5 }), fc.nat(1_500)), { maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(plan, async (waits) => {
        const { clock, limiter } = make({ rates: { '*': { limit: 20, perMs: 1_000, burst: 5 } } })
        const ended: number[] = []
        const expected: number[] = []
        const all = waits.map(([client, cost, abortAtMs]) => {
          const controller = new AbortController()
          const isAborting = abortAtMs < 500
          const wait = limiter.acquire(`${client}`, { cost, signal: controller.signal })
          if (isAborting) clock.setTimer(abortAtMs, () => controller.abort())
          return wait.then(
            () => ended.push(clock.now()),
            () => expected.push(abortAtMs),
          )
        })
        await clock.run(Promise.all(all))
        await clock.advanceAsync(1_000)
        expect(ended).toEqual([...ended].sort((a, b) => a - b))
        expect(ended.length + expected.length).toBe(waits.length)
        expect(clock.pendingTimers).toBe(0)
      }),
      { numRuns: 60 },
    )
  })

  it('is not early where timers are', async () => {
    const { clock } = make()
    const hasty = {
      now: () => clock.now(),
      wallNow: () => clock.wallNow(),
      setTimer: (delayMs: number, fn: () => void) => clock.setTimer(delayMs > 1 ? delayMs / 2 : delayMs, fn),
      sleep: clock.sleep.bind(clock),
    }
    const limiter = new RateLimiter({ rates, clock: hasty })
    drain(limiter, 'a')
    await clock.run(limiter.acquire('a'))
    expect(clock.now()).toBeCloseTo(100, 6)
  })
})

describe('Bad input of RateLimiter (OVER-10..13)', () => {
  it.each([0, -1, NaN, Infinity, '1' as unknown as number])('refuses the cost %d and changes nothing', async (cost) => {
    const { limiter } = make()
    expect(() => limiter.tryTake('a', '*', cost)).toThrow(invalid)
    await expect(limiter.acquire('a', { cost })).rejects.toThrow(invalid)
    expect(limiter.snapshot()).toMatchObject({ clients: 0, allowed: 0, refused: 0 })
  })

  it('refuses what is no text, no time and no signal', async () => {
    const { limiter } = make()
    expect(() => limiter.tryTake(7 as unknown as string)).toThrow(invalid)
    expect(() => limiter.tryTake('a', null as unknown as string)).toThrow(invalid)
    await expect(limiter.acquire('a', { maxWaitMs: NaN })).rejects.toThrow(invalid)
    await expect(limiter.acquire('a', { maxWaitMs: -1 })).rejects.toThrow(invalid)
    await expect(limiter.acquire('a', { signal: {} } as RateWaitOptions)).rejects.toThrow(invalid)
    expect(limiter.size).toBe(0)
  })

  it.each<[object, string[]]>([
    [{ rates: { submit: { limit: 0, perMs: 1 } } }, ['rates.submit.limit']],
    [{ rates: { submit: { limit: 1, perMs: NaN } } }, ['rates.submit.perMs']],
    [{ rates: { '*': { limit: 1, perMs: 1, burst: 0.5 } } }, ['rates.*.burst']],
    [{ rates: { '*': { limit: 1e308, perMs: 1e-308 } } }, ['rates.*']],
    [{ perClient: { limit: 1 }, total: { limit: -1, perMs: 1 } }, ['perClient.perMs', 'total.limit']],
    [{ total: { limit: 1, perMs: 1, bursts: 2 } }, ['total.bursts']],
    [{ maxClients: 0 }, ['maxClients']],
    [{ maxClients: 1.5, rate: {} }, ['maxClients', 'rate']],
  ])('refuses %j', (bad, paths) => {
    expect(() => new RateLimiter(bad as RateLimiterOptions)).toThrow(misconfigured(...paths))
  })
})

/** A token bucket, for rates whose interval is a whole number. */
class Bucket {
  tokens: number
  readonly #rate: Rate
  #atMs = 0

  constructor(rate: Rate) {
    this.#rate = rate
    this.tokens = rate.limit
  }

  waitMs(nowMs: number, cost: number): number {
    const { limit, perMs } = this.#rate
    this.tokens = Math.min(limit, this.tokens + ((nowMs - this.#atMs) * limit) / perMs)
    this.#atMs = nowMs
    if (cost > limit) return Infinity
    return Math.max(0, Math.round((cost - this.tokens) * (perMs / limit)))
  }

  take(cost: number): void {
    this.tokens -= cost
  }
}
