import { TransportError } from '@hs/core'
import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import {
  CircuitBreaker,
  CircuitOpenError,
  type BreakerPermit,
  type BreakerState,
  type CircuitBreakerOptions,
} from '@hs/health'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { misconfigured } from './support/matchers.js'

const make = (options: CircuitBreakerOptions = {}) => {
  const clock = new VirtualClock()
  const breaker = new CircuitBreaker({ clock, random: new SeededRandom(1), openJitter: 0, ...options })
  const changes: string[] = []
  breaker.events.on('change', (now, was) => changes.push(`${was} -> ${now}`))
  return { clock, breaker, changes }
}

const acquire = (breaker: CircuitBreaker): BreakerPermit => {
  const permit = breaker.tryAcquire()
  if (permit === null) throw new Error(`refused while ${breaker.state}`)
  return permit
}
const succeed = (breaker: CircuitBreaker, times = 1) => {
  for (let i = 0; i < times; i++) acquire(breaker).success()
}
const fail = (breaker: CircuitBreaker, times = 1) => {
  for (let i = 0; i < times; i++) acquire(breaker).failure()
}

describe('CircuitBreaker, closed (HL-1)', () => {
  it('opens with the fifth failure in a row, whatever the volume', () => {
    const { breaker, changes } = make()
    fail(breaker, 4)
    succeed(breaker)
    fail(breaker, 4)
    expect(breaker.state).toBe('closed')
    fail(breaker)
    expect([breaker.state, changes]).toEqual(['open', ['closed -> open']])
    expect(breaker.snapshot()).toEqual({
      state: 'open',
      successes: 1,
      failures: 9,
      failureRate: 0.9,
      consecutiveFailures: 5,
      retryAfterMs: 10_000,
      probesInFlight: 0,
      totals: { successes: 1, failures: 9, refused: 0, opened: 1 },
    })
  })

  it('opens by its rate from minCalls results on, only when a failure comes', () => {
    const { breaker } = make({ consecutiveFailures: 0, minCalls: 6, failureRate: 0.5 })
    fail(breaker, 5)
    succeed(breaker)
    expect(breaker.snapshot()).toMatchObject({ state: 'closed', failureRate: 5 / 6 })
    fail(breaker)
    expect(breaker.state).toBe('open')
  })

  it('stays closed over a service that fails one call in three', () => {
    const { breaker, clock } = make()
    for (let i = 0; i < 10_000; i++) {
      if (i % 3 === 0) fail(breaker)
      else succeed(breaker)
      clock.advance(7)
    }
    expect(breaker.snapshot()).toMatchObject({ state: 'closed', totals: { failures: 3_334, opened: 0 } })
  })

  it('is not opened by five errors in a million calls', () => {
    const { breaker } = make({ window: { calls: 100 } })
    for (let i = 0; i < 1_000_000; i++) {
      if (i % 200_000 === 0) fail(breaker)
      else succeed(breaker)
    }
    expect(breaker.snapshot()).toMatchObject({ state: 'closed', successes: 100, failures: 0 })
  })

  it('judges by the last N results, exactly', () => {
    const results = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 400 })
    const sizes = fc.oneof(fc.integer({ min: 1, max: 70 }), fc.constantFrom(31, 32, 33, 64, 65))
    const settings = fc.record({
      calls: sizes,
      minCalls: fc.integer({ min: 1, max: 40 }),
      failureRate: fc.constantFrom(0.1, 0.25, 0.5, 0.9, 1),
      consecutiveFailures: fc.constantFrom(0, 1, 3, 8),
      badness: fc.integer({ min: 0, max: 9 }),
    })
    fc.assert(
      fc.property(settings, results, ({ calls, minCalls, failureRate, consecutiveFailures, badness }, drawn) => {
        const { breaker } = make({ window: { calls }, minCalls, failureRate, consecutiveFailures })
        let last: boolean[] = []
        let inARow = 0
        for (const draw of drawn) {
          const failed = draw < badness
          if (failed) fail(breaker)
          else succeed(breaker)
          last = [...last, failed].slice(-calls)
          inARow = failed ? inARow + 1 : 0
          const failures = last.filter(Boolean).length
          const byRow = consecutiveFailures > 0 && inARow >= consecutiveFailures
          const byRate = last.length >= minCalls && failures / last.length >= failureRate
          const isOpen = failed && (byRow || byRate)
          expect(breaker.snapshot()).toMatchObject({
            state: isOpen ? 'open' : 'closed',
            successes: last.length - failures,
            failures,
            consecutiveFailures: inARow,
          })
          if (!isOpen) continue
          breaker.reset()
          last = []
          inARow = 0
        }
      }),
      { numRuns: 300 },
    )
  })

  it('takes windows of ten thousand calls', () => {
    const { breaker } = make({ window: { calls: 10_000 }, failureRate: 1, consecutiveFailures: 0 })
    fail(breaker)
    succeed(breaker, 9_999)
    expect(breaker.snapshot()).toMatchObject({ successes: 9_999, failures: 1 })
    succeed(breaker)
    expect(breaker.snapshot()).toMatchObject({ successes: 10_000, failures: 0 })
  })

  it('counts a result for at least nine tenths of the time window, and at most all of it', () => {
    const times = fc.array(fc.record({ afterMs: fc.integer({ min: 0, max: 400 }), failed: fc.boolean() }), {
      maxLength: 60,
    })
    fc.assert(
      fc.property(times, fc.double({ min: 0, max: 1e6, noNaN: true }), (events, startMs) => {
        const clock = new VirtualClock({ startMs })
        const breaker = new CircuitBreaker({ clock, window: { ms: 1_000 }, minCalls: 1_000, consecutiveFailures: 0 })
        const at: { atMs: number; failed: boolean }[] = []
        for (const { afterMs, failed } of events) {
          clock.advance(afterMs)
          if (failed) fail(breaker)
          else succeed(breaker)
          at.push({ atMs: clock.now(), failed })
          const younger = (ageMs: number, kind: boolean) =>
            at.filter((event) => event.failed === kind && clock.now() - event.atMs < ageMs).length
          const { successes, failures } = breaker.snapshot()
          // A thousandth of a millisecond for what is lost where the time is divided.
          expect(failures).toBeGreaterThanOrEqual(younger(899.999, true))
          expect(failures).toBeLessThanOrEqual(younger(1_000.001, true))
          expect(successes).toBeGreaterThanOrEqual(younger(899.999, false))
          expect(successes).toBeLessThanOrEqual(younger(1_000.001, false))
        }
      }),
    )
  })

  it('forgets what is older than the time window, also over a long gap and under a clock that steps back', () => {
    const { breaker, clock } = make({ window: { ms: 1_000 }, consecutiveFailures: 0, minCalls: 4 })
    fail(breaker, 3)
    clock.advance(1_000)
    expect(breaker.snapshot()).toMatchObject({ successes: 0, failures: 0, failureRate: 0 })
    fail(breaker, 3)
    clock.advance(86_400_000)
    fail(breaker, 3)
    expect(breaker.snapshot()).toMatchObject({ state: 'closed', failures: 3 })

    let nowMs = 10_000
    const back = { now: () => nowMs, wallNow: () => 0, setTimer: () => ({ cancel() {} }), sleep: async () => {} }
    const other = new CircuitBreaker({ clock: back, window: { ms: 1_000 } })
    fail(other, 2)
    nowMs = 5_000
    fail(other)
    expect(other.snapshot()).toMatchObject({ failures: 3 })
  })

  it('counts a success slower than slowMs as a failure', () => {
    const { breaker, clock } = make({ slowMs: 100, window: { calls: 10 } })
    const calls = Array.from({ length: 5 }, () => acquire(breaker))
    clock.advance(100)
    calls[0]?.success()
    expect(breaker.snapshot()).toMatchObject({ successes: 1, failures: 0 })
    clock.advance(1)
    calls.slice(1).forEach((permit) => permit.success())
    expect(breaker.snapshot()).toMatchObject({ successes: 1, failures: 4, consecutiveFailures: 4 })
    const last = acquire(breaker)
    clock.advance(101)
    last.success()
    expect(breaker.state).toBe('open')
  })
})

describe('CircuitBreaker, open (HL-2)', () => {
  it('refuses for openMs, doubled with every opening up to maxOpenMs, and starts over once closed', () => {
    const { breaker, clock } = make({ openMs: 1_000, maxOpenMs: 5_000, probes: 1 })
    fail(breaker, 5)
    for (const openMs of [1_000, 2_000, 4_000, 5_000, 5_000]) {
      expect(breaker.snapshot()).toMatchObject({ state: 'open', retryAfterMs: openMs })
      clock.advance(openMs - 1)
      expect([breaker.tryAcquire(), breaker.state]).toEqual([null, 'open'])
      clock.advance(1)
      fail(breaker)
    }
    clock.advance(5_000)
    succeed(breaker)
    fail(breaker, 5)
    expect(breaker.snapshot()).toMatchObject({ retryAfterMs: 1_000, totals: { opened: 7, refused: 5 } })
  })

  it('stays open up to openJitter longer, also at the cap', () => {
    const openFor = (seed: number, next?: () => number) => {
      const random = new SeededRandom(seed)
      if (next !== undefined) random.next = next
      const breaker = new CircuitBreaker({ clock: new VirtualClock(), random, openMs: 10_000, maxOpenMs: 10_000 })
      fail(breaker, 5)
      return breaker.snapshot().retryAfterMs
    }
    expect(openFor(0, () => 0)).toBe(10_000)
    expect(openFor(0, () => 0.5)).toBeCloseTo(10_500, 6)
    const drawn = Array.from({ length: 200 }, (_, seed) => openFor(seed))
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(10_000)
    expect(Math.max(...drawn)).toBeLessThan(11_000)
    expect(new Set(drawn).size).toBeGreaterThan(190)
    expect(openFor(7)).toBe(openFor(7))
  })

  it('reads half-open when its time is over, sets no timer, and tells the change with the first probe', () => {
    const { breaker, clock, changes } = make()
    fail(breaker, 5)
    expect(clock.pendingTimers).toBe(0)
    clock.advance(10_000)
    expect([breaker.state, breaker.snapshot().state, breaker.snapshot().retryAfterMs]).toEqual([
      'half-open',
      'half-open',
      0,
    ])
    expect(changes).toEqual(['closed -> open'])
    acquire(breaker)
    expect(changes).toEqual(['closed -> open', 'open -> half-open'])
  })
})

describe('CircuitBreaker, half-open (HL-3)', () => {
  const halfOpen = (options: CircuitBreakerOptions = {}) => {
    const made = make(options)
    fail(made.breaker, 5)
    made.clock.advance(10_000)
    return made
  }

  it('admits as many calls as probes in all, and closes, empty, when all succeeded', () => {
    const { breaker, changes } = halfOpen()
    const probes = [acquire(breaker), acquire(breaker), acquire(breaker)]
    expect(breaker.tryAcquire()).toBeNull()
    probes[0]?.success()
    expect([breaker.tryAcquire(), breaker.snapshot().probesInFlight]).toEqual([null, 2])
    probes[2]?.success()
    expect(breaker.state).toBe('half-open')
    probes[1]?.success()
    expect(changes).toEqual(['closed -> open', 'open -> half-open', 'half-open -> closed'])
    expect(breaker.snapshot()).toEqual({
      state: 'closed',
      successes: 0,
      failures: 0,
      failureRate: 0,
      consecutiveFailures: 0,
      retryAfterMs: 0,
      probesInFlight: 0,
      totals: { successes: 3, failures: 5, refused: 2, opened: 1 },
    })
  })

  it('opens with the first failure, for twice as long', () => {
    const { breaker } = halfOpen()
    const probes = [acquire(breaker), acquire(breaker)]
    probes[1]?.failure()
    expect(breaker.snapshot()).toMatchObject({ state: 'open', retryAfterMs: 20_000, probesInFlight: 0 })
    probes[0]?.success()
    expect(breaker.snapshot()).toMatchObject({ state: 'open', totals: { successes: 0, failures: 6 } })
  })

  it('opens with a probe that succeeded too slowly', () => {
    const { breaker, clock } = halfOpen({ slowMs: 50 })
    const probe = acquire(breaker)
    clock.advance(51)
    probe.success()
    expect(breaker.state).toBe('open')
  })

  it('gives the place of a released probe to another', () => {
    const { breaker } = halfOpen({ probes: 1 })
    for (let i = 0; i < 10; i++) {
      const probe = acquire(breaker)
      expect(breaker.tryAcquire()).toBeNull()
      probe.release()
    }
    succeed(breaker)
    expect(breaker.state).toBe('closed')
  })

  it('counts a probe without a result for probeTimeoutMs as failed at the next tryAcquire', () => {
    const { breaker, clock, changes } = halfOpen({ probes: 2, probeTimeoutMs: 500 })
    const lost = acquire(breaker)
    clock.advance(499)
    acquire(breaker).success()
    expect(breaker.tryAcquire()).toBeNull()
    expect(breaker.snapshot()).toMatchObject({ state: 'half-open', retryAfterMs: 1 })
    clock.advance(1)
    expect(breaker.state).toBe('half-open')
    expect(breaker.tryAcquire()).toBeNull()
    expect(breaker.snapshot()).toMatchObject({ state: 'open', retryAfterMs: 20_000, totals: { failures: 6 } })
    lost.success()
    expect(breaker.state).toBe('open')
    expect(changes).toEqual(['closed -> open', 'open -> half-open', 'half-open -> open'])
  })

  it('takes the result of a late probe that comes before anybody asked', () => {
    const { breaker, clock } = halfOpen({ probes: 1, probeTimeoutMs: 500 })
    const late = acquire(breaker)
    clock.advance(5_000)
    late.success()
    expect(breaker.state).toBe('closed')
  })

  it('is measured by the oldest probe without a result, not by one that has settled', () => {
    const { breaker, clock } = halfOpen({ probes: 3, probeTimeoutMs: 500 })
    const first = acquire(breaker)
    clock.advance(400)
    acquire(breaker)
    first.success()
    clock.advance(499)
    expect(breaker.tryAcquire()).not.toBeNull()
    clock.advance(1)
    expect([breaker.tryAcquire(), breaker.state]).toEqual([null, 'open'])
  })
})

describe('CircuitBreaker, permits (HL-4)', () => {
  it('takes the first of the results of a permit, and no other', () => {
    const { breaker } = make()
    const permit = acquire(breaker)
    permit.success()
    permit.failure()
    permit.success()
    permit.release()
    const other = acquire(breaker)
    other.release()
    other.failure()
    expect(breaker.snapshot().totals).toEqual({ successes: 1, failures: 0, refused: 0, opened: 0 })
  })

  it('is neither closed by a late success nor kept open by a late failure', () => {
    const { breaker, clock } = make({ probes: 1 })
    const [early, late] = [acquire(breaker), acquire(breaker)]
    fail(breaker, 5)
    early.failure()
    clock.advance(5_000)
    late.failure()
    expect(breaker.snapshot()).toMatchObject({ retryAfterMs: 5_000, totals: { failures: 5, opened: 1 } })
    clock.advance(5_000)
    const probe = acquire(breaker)
    late.success()
    expect(breaker.state).toBe('half-open')
    probe.success()
    expect(breaker.state).toBe('closed')
  })

  it('takes no result of before a reset', () => {
    const { breaker } = make({ consecutiveFailures: 1 })
    const before = acquire(breaker)
    breaker.reset()
    before.failure()
    expect(breaker.snapshot()).toMatchObject({ state: 'closed', failures: 0 })
  })

  it('never has more than probes calls half-open, nor a result that is not theirs, whatever comes in which order', () => {
    const steps = fc.array(
      fc.record({
        what: fc.constantFrom('acquire', 'success', 'failure', 'release', 'pass', 'reset'),
        which: fc.nat(20),
        ms: fc.integer({ min: 0, max: 1_500 }),
      }),
      { maxLength: 120 },
    )
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 4 }), (drawn, probes) => {
        const { breaker, clock } = make({ openMs: 1_000, maxOpenMs: 1_000, probes, consecutiveFailures: 2 })
        // The spell of a state that was changed or reset, counted from outside.
        let spell = 0
        breaker.events.on('change', () => spell++)
        const held: { permit: BreakerPermit; spell: number; state: BreakerState }[] = []
        let good = 0
        let spellOfGood = -1
        for (const { what, which, ms } of drawn) {
          if (what === 'pass') clock.advance(ms)
          else if (what === 'reset') {
            breaker.reset()
            spell++
          } else if (what === 'acquire') {
            const permit = breaker.tryAcquire()
            if (permit !== null) held.push({ permit, spell, state: breaker.state })
          } else if (held.length > 0) {
            const [taken] = held.splice(which % held.length, 1)
            if (taken === undefined) continue
            const before = breaker.snapshot()
            const isForeign = taken.spell !== spell
            taken.permit[what]()
            if (isForeign) expect(breaker.snapshot()).toEqual(before)
            else if (taken.state === 'half-open' && what === 'success') {
              good = spellOfGood === taken.spell ? good + 1 : 1
              spellOfGood = taken.spell
              expect(breaker.state).toBe(good === probes ? 'closed' : 'half-open')
            }
          }
          const { probesInFlight } = breaker.snapshot()
          const ours = held.filter((one) => one.spell === spell && one.state === 'half-open').length
          expect(probesInFlight).toBe(ours)
          expect(ours).toBeLessThanOrEqual(probes)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('CircuitBreaker.run, isolate and reset (HL-5)', () => {
  it('gives what fn gives, and counts it', async () => {
    const { breaker } = make()
    expect(await breaker.run(async () => 'answer')).toBe('answer')
    expect(await breaker.run(() => 42)).toBe(42)
    expect(breaker.snapshot().totals.successes).toBe(2)
  })

  it('passes errors unchanged, thrown at once or later, and opens by them', async () => {
    const { breaker } = make()
    const refused = new Error('refused')
    const thrown = () => {
      throw refused
    }
    await expect(breaker.run(thrown)).rejects.toBe(refused)
    for (let i = 0; i < 4; i++) await expect(breaker.run(() => Promise.reject(refused))).rejects.toBe(refused)
    expect(breaker.state).toBe('open')
  })

  it('refuses with CIRCUIT_OPEN and the time to wait, without calling', async () => {
    const { breaker, clock } = make()
    fail(breaker, 5)
    clock.advance(4_000)
    let calls = 0
    const refusal: unknown = await breaker.run(() => calls++).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(CircuitOpenError)
    expect(refusal).toMatchObject({
      name: 'CircuitOpenError',
      code: 'CIRCUIT_OPEN',
      retryAfterMs: 6_000,
      details: { retryAfterMs: 6_000 },
    })
    expect([calls, breaker.snapshot().totals.refused]).toEqual([0, 1])
  })

  it.each([
    ['an AbortError', new DOMException('stop', 'AbortError')],
    ['a cancelled request', new TransportError('CANCELLED', 'the caller left')],
  ])('does not count %s, which says nothing about the peer', async (_, error) => {
    const { breaker } = make({ consecutiveFailures: 1 })
    await expect(breaker.run(() => Promise.reject(error))).rejects.toBe(error)
    expect(breaker.snapshot()).toMatchObject({ state: 'closed', totals: { successes: 0, failures: 0 } })
  })

  it('counts an error with code CANCELLED of somebody else, and what is no error', async () => {
    const { breaker } = make()
    for (const error of [{ code: 'CANCELLED' }, null, undefined, 'text', 7])
      await expect(breaker.run(() => Promise.reject(error))).rejects.toBe(error)
    expect(breaker.state).toBe('open')
  })

  it('asks isFailure, and releases a probe where it says no', async () => {
    const { breaker, clock } = make({ probes: 1, isFailure: (error) => error !== 'my fault' })
    fail(breaker, 5)
    clock.advance(10_000)
    await expect(breaker.run(() => Promise.reject('my fault'))).rejects.toBe('my fault')
    expect(breaker.state).toBe('half-open')
    await breaker.run(() => 1)
    expect(breaker.state).toBe('closed')
  })

  it('reports what isFailure throws, counts the call as failed, and lets its own error through', async () => {
    const logger = new MemoryLogger()
    const bug = new Error('bug')
    const breaker = new CircuitBreaker({
      logger,
      clock: new VirtualClock(),
      isFailure: () => {
        throw bug
      },
    })
    await expect(breaker.run(() => Promise.reject('original'))).rejects.toBe('original')
    expect(breaker.snapshot().totals.failures).toBe(1)
    expect(logger.at('error')[0]?.fields).toMatchObject({ source: 'CircuitBreaker.isFailure', err: bug })
  })

  it('takes functions only, and no permit for anything else', async () => {
    const { breaker } = make()
    await expect(breaker.run(null as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(breaker.snapshot().totals).toMatchObject({ refused: 0, failures: 0 })
  })

  it('is held open until all hands have let go, and is closed and empty then', () => {
    const { breaker, clock, changes } = make()
    fail(breaker, 3)
    const [one, other] = [breaker.isolate(), breaker.isolate()]
    clock.advance(1e9)
    expect([breaker.state, breaker.tryAcquire(), breaker.snapshot().retryAfterMs]).toEqual(['open', null, 10_000])
    one()
    one()
    breaker.reset()
    expect([breaker.state, breaker.tryAcquire()]).toEqual(['open', null])
    other()
    expect(breaker.snapshot()).toMatchObject({ state: 'closed', failures: 0, consecutiveFailures: 0, retryAfterMs: 0 })
    expect(changes).toEqual(['closed -> open', 'open -> closed'])
    one()
    other()
    succeed(breaker)
    expect(clock.pendingTimers).toBe(0)
  })

  it('forgets by isolation how often it had opened, and hears nothing of a call from before', () => {
    const { breaker, clock } = make({ probes: 1 })
    fail(breaker, 5)
    clock.advance(10_000)
    const probe = acquire(breaker)
    const letGo = breaker.isolate()
    probe.success()
    expect(breaker.state).toBe('open')
    letGo()
    fail(breaker, 5)
    expect(breaker.snapshot().retryAfterMs).toBe(10_000)
  })

  it('is closed and empty after a reset, open or not', () => {
    const { breaker, changes } = make()
    fail(breaker, 4)
    breaker.reset()
    expect(changes).toEqual([])
    fail(breaker, 4)
    expect(breaker.state).toBe('closed')
    fail(breaker)
    breaker.reset()
    expect([breaker.state, changes]).toEqual(['closed', ['closed -> open', 'open -> closed']])
    fail(breaker, 5)
    expect(breaker.snapshot()).toMatchObject({ retryAfterMs: 10_000, totals: { opened: 2 } })
  })

  it('bears listeners that throw or that use it', () => {
    const logger = new MemoryLogger()
    const breaker = new CircuitBreaker({ logger, clock: new VirtualClock(), consecutiveFailures: 1 })
    breaker.events.on('change', () => {
      throw new Error('listener')
    })
    breaker.events.on('change', (now) => {
      if (now === 'open') breaker.reset()
    })
    const seen: BreakerState[] = []
    breaker.events.on('change', (now) => seen.push(now))
    fail(breaker)
    expect([breaker.state, seen]).toEqual(['closed', ['closed', 'open']])
    expect(logger.at('error').map(({ message }) => message)).toContain('CircuitBreaker.change: listener')
    expect(logger.at('error')[0]?.fields).toMatchObject({ now: 'open', was: 'closed' })
  })

  it('has snapshots that are frozen and survive JSON', () => {
    const { breaker } = make()
    fail(breaker)
    const snapshot = breaker.snapshot()
    expect([Object.isFrozen(snapshot), Object.isFrozen(snapshot.totals)]).toEqual([true, true])
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot)
  })
})

describe('CircuitBreaker, options (HL-1..6)', () => {
  it.each<[object, string[]]>([
    [{ window: { calls: 0 } }, ['window.calls']],
    [{ window: { calls: 10_001 } }, ['window.calls']],
    [{ window: { calls: 1.5 } }, ['window.calls']],
    [{ window: { ms: 0 } }, ['window.ms']],
    [{ window: { ms: Infinity } }, ['window.ms']],
    [{ window: {} }, ['window']],
    [{ window: { calls: 1, ms: 1 } }, ['window']],
    [{ window: { cals: 1 } }, ['window.cals', 'window']],
    [{ minCalls: 0 }, ['minCalls']],
    [{ failureRate: 0 }, ['failureRate']],
    [{ failureRate: 1.01 }, ['failureRate']],
    [{ consecutiveFailures: -1 }, ['consecutiveFailures']],
    [{ openMs: 0 }, ['openMs']],
    [{ openMs: 70_000 }, ['maxOpenMs']],
    [{ openMs: 2_000, maxOpenMs: 1_000, probes: 0 }, ['probes', 'maxOpenMs']],
    [{ openJitter: 1.1 }, ['openJitter']],
    [{ probes: 1.5 }, ['probes']],
    [{ probeTimeoutMs: 0 }, ['probeTimeoutMs']],
    [{ slowMs: 0 }, ['slowMs']],
    [{ slowMs: NaN }, ['slowMs']],
    [{ isFailure: true }, ['isFailure']],
    [{ clock: {} }, ['clock']],
    [{ failurerate: 0.5 }, ['failurerate']],
  ])('refuses %j', (options, paths) => {
    expect(() => new CircuitBreaker(options as CircuitBreakerOptions)).toThrow(misconfigured(...paths))
  })

  it('takes their limits', () => {
    const limits: CircuitBreakerOptions[] = [
      { window: { calls: 10_000 } },
      { failureRate: 1, slowMs: Infinity, consecutiveFailures: 0 },
      { openJitter: 0, openMs: 60_000 },
      { openJitter: 1, openMs: 5, maxOpenMs: 5 },
    ]
    for (const options of limits) expect(new CircuitBreaker(options).state).toBe('closed')
  })
})
