import type { Random } from '@hs/core'
import { SeededRandom, VirtualClock } from '@hs/core/testing'
import { ClientThrottle, type ClientThrottleOptions } from '@hs/overload'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rejectProbability } from '../src/client-throttle.js'

/** Dice that always fall the same way: 0 refuses whatever may be refused. */
const always = (die: number): Random => ({
  next: () => die,
  int: () => 0,
  pick: ([first]) => first as never,
  shuffle: (xs) => xs,
})
const setUp = (options: ClientThrottleOptions = {}) => {
  const clock = new VirtualClock({ startMs: 1_234.5 })
  return { clock, throttle: new ClientThrottle({ clock, random: always(0), ...options }) }
}
/** How many of `calls` are allowed; the service does `answer` with those. */
const call = (throttle: ClientThrottle, calls: number, answer: 'accepts' | 'rejects'): number => {
  let allowed = 0
  for (let i = 0; i < calls; i++) {
    if (!throttle.allow()) continue
    allowed++
    if (answer === 'accepts') throttle.accepted()
    else throttle.rejected()
  }
  return allowed
}
const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error

describe('ClientThrottle (OVER-22)', () => {
  it.each([
    [0, 0, 2, 0],
    [10, 10, 2, 0],
    [10, 5, 2, 0],
    [10, 4, 2, 2 / 11],
    [99, 0, 2, 0.99],
    [30, 10, 1.1, 19 / 31],
    [5, 50, 1, 0],
  ])('keeps back with %d requests, %d accepts and k %d: %d', (requests, accepts, k, probability) => {
    expect(rejectProbability(requests, accepts, k)).toBeCloseTo(probability, 12)
    const { throttle } = setUp({ k, random: always(1 - Number.EPSILON) })
    for (let i = 0; i < requests; i++) throttle.allow()
    for (let i = 0; i < accepts; i++) throttle.accepted()
    expect(throttle.snapshot().rejectProbability).toBeCloseTo(probability, 12)
  })

  it('rolls its die against that, requests that were kept back included', () => {
    const { throttle } = setUp({ minPerSecond: 0, random: always(0.75) })
    // 0/1, 1/2, 2/3 are at most the die; 3/4 too, as the die is not below it; 4/5 is not.
    expect(Array.from({ length: 6 }, () => throttle.allow())).toEqual([true, true, true, true, false, false])
    expect(throttle.snapshot()).toEqual({ requests: 6, accepts: 0, rejectProbability: 6 / 7, blockedMs: 0 })
    throttle.accepted()
    expect(throttle.snapshot().rejectProbability).toBe(4 / 7)
    expect(throttle.allow()).toBe(true)
    expect(Object.isFrozen(throttle.snapshot())).toBe(true)
  })

  it('keeps nothing back while the service accepts, and at k = 2 none until half is refused', () => {
    const { throttle, clock } = setUp()
    for (let second = 0; second < 100; second++) {
      expect(call(throttle, 50, 'accepts')).toBe(50)
      clock.advance(1_000)
    }
    for (let i = 0; i < 2_000; i++) {
      expect(throttle.allow()).toBe(true)
      if (i % 2 === 0) throttle.accepted()
      else throttle.rejected()
      clock.advance(5)
    }
  })

  it.each([2, 1.25, 4])('sends about %d times what is accepted to a service that refuses most', (k) => {
    const { throttle, clock } = setUp({ k, random: new SeededRandom(5) })
    // The service takes ten calls a second, of 200 that there are.
    const taken = { inSecond: 0, sent: 0, accepted: 0 }
    for (let i = 0; i < 60_000; i++) {
      if (i % 200 === 0) taken.inSecond = 0
      if (throttle.allow()) {
        taken.sent++
        if (taken.inSecond < 10) {
          taken.inSecond++
          taken.accepted++
          throttle.accepted()
        } else throttle.rejected()
      }
      clock.advance(5)
    }
    expect(taken.accepted).toBeGreaterThan(0.9 * 3_000)
    expect(taken.sent / taken.accepted / k).toBeGreaterThan(0.8)
    expect(taken.sent / taken.accepted / k).toBeLessThan(1.2)
  })

  it.each([1, 3, 20])('lets %d calls a second pass whatever happens, and no more where all is refused', (least) => {
    const { throttle, clock } = setUp({ minPerSecond: least })
    call(throttle, 1_000, 'rejects')
    for (let second = 0; second < 90; second++) {
      clock.advance(1_000)
      let passed = 0
      for (let i = 0; i < 200; i++) if (throttle.allow()) passed++
      expect(passed).toBe(least)
    }
  })

  it('with less than one a second lets one of several seconds pass, and with 0 none', () => {
    const { throttle, clock } = setUp({ minPerSecond: 0.25 })
    const never = setUp({ minPerSecond: 0 }).throttle
    call(throttle, 100, 'rejects')
    call(never, 100, 'rejects')
    const passed = Array.from({ length: 8 }, () => {
      clock.advance(1_000)
      return throttle.allow()
    })
    expect(passed).toEqual([false, false, false, true, false, false, false, true])
    expect(call(never, 100, 'rejects')).toBe(0)
  })

  it('counts a call for at least eleven twelfths of the window and at most all of it', () => {
    const { throttle, clock } = setUp({ windowMs: 12_000 })
    clock.advance(999)
    throttle.allow()
    throttle.accepted()
    clock.advance(11_000)
    expect(throttle.snapshot()).toMatchObject({ requests: 1, accepts: 1 })
    clock.advance(1)
    expect(throttle.snapshot()).toMatchObject({ requests: 0, accepts: 0 })
    throttle.allow()
    clock.advance(2 ** 50) // at once, however long that was
    expect(throttle.snapshot()).toMatchObject({ requests: 0, accepts: 0 })
  })

  it('counts what lies within the window, whatever the gaps', () => {
    const steps = fc.array(
      fc.record({ waitMs: fc.integer({ min: 0, max: 2_600 }), calls: fc.nat(5), accepts: fc.nat(5) }),
    )
    fc.assert(
      fc.property(steps, (all) => {
        const { throttle, clock } = setUp({ windowMs: 1_200 })
        const startedMs = clock.now()
        const log: { bucket: number; calls: number; accepts: number }[] = []
        for (const { waitMs, calls, accepts } of all) {
          clock.advance(waitMs)
          for (let i = 0; i < calls; i++) throttle.allow()
          for (let i = 0; i < accepts; i++) throttle.accepted()
          const bucket = Math.floor((clock.now() - startedMs) / 100)
          log.push({ bucket, calls, accepts })
          const within = log.filter((entry) => entry.bucket > bucket - 12)
          expect(throttle.snapshot()).toMatchObject({
            requests: within.reduce((sum, entry) => sum + entry.calls, 0),
            accepts: within.reduce((sum, entry) => sum + entry.accepts, 0),
          })
        }
      }),
    )
  })

  it('lets nothing pass for the time the service named, and the longest of several counts', () => {
    const { throttle, clock } = setUp({ minPerSecond: 100 })
    throttle.rejected(2_000)
    throttle.rejected(500)
    throttle.rejected()
    expect(throttle.snapshot().blockedMs).toBe(2_000)
    clock.advance(1_999)
    expect([throttle.allow(), throttle.snapshot().blockedMs]).toEqual([false, 1])
    clock.advance(1)
    expect([throttle.snapshot().blockedMs, throttle.allow()]).toEqual([0, true])
    expect(throttle.snapshot().requests).toBe(2)
  })

  it('is not blocked for ever by one request that never can be served', () => {
    const { throttle } = setUp()
    throttle.rejected(Infinity)
    expect([throttle.snapshot().blockedMs, throttle.allow()]).toEqual([0, true])
  })

  it.each([NaN, -1, '5' as unknown as number])('refuses a retryAfterMs of %s, and is not blocked by it', (bad) => {
    const { throttle } = setUp()
    expect(() => throttle.rejected(bad)).toThrow(invalid)
    expect(throttle.snapshot().blockedMs).toBe(0)
  })

  it('is open within two minutes of the end of an outage of an hour, and much later without minPerSecond', () => {
    // 200 calls a second; the service takes all from second 3,600 on.
    const reopensAfter = (minPerSecond: number): number => {
      const { throttle, clock } = setUp({ random: new SeededRandom('outage'), minPerSecond })
      for (let second = 0; second < 5_400; second++) {
        let passed = 0
        for (let i = 0; i < 200; i++) {
          if (throttle.allow()) {
            passed++
            if (second >= 3_600) throttle.accepted()
            else throttle.rejected()
          }
          clock.advance(5)
        }
        if (passed === 200) return second - 3_600
      }
      return Infinity
    }
    const [assured, lucky] = [reopensAfter(1), reopensAfter(0)]
    expect(assured).toBeLessThan(120)
    expect(lucky).toBeGreaterThan(1.5 * assured)
  })

  it('has a k of 2, a window of 30 s and one call a second by default', () => {
    const clock = new VirtualClock()
    const throttle = new ClientThrottle({ clock, random: always(0) })
    expect(call(throttle, 100, 'rejects')).toBe(1)
    for (let i = 0; i < 50; i++) throttle.accepted()
    expect(throttle.snapshot().rejectProbability).toBe(0)
    clock.advance(27_500)
    expect(throttle.snapshot().requests).toBe(100)
    clock.advance(2_500)
    expect(throttle.snapshot().requests).toBe(0)
    expect(new ClientThrottle().allow()).toBe(true)
  })

  it.each([
    [{ k: 0.99 }, 'k'],
    [{ k: NaN }, 'k'],
    [{ windowMs: 0 }, 'windowMs'],
    [{ windowMs: Infinity }, 'windowMs'],
    [{ minPerSecond: -1 }, 'minPerSecond'],
    [{ window: 5 }, 'window'],
    [{ random: {} }, 'random'],
  ])('refuses %j', (bad, path) => {
    const config = { code: 'CONFIG_INVALID', issues: [expect.objectContaining({ path })] }
    expect(() => new ClientThrottle(bad as ClientThrottleOptions)).toThrow(expect.objectContaining(config) as Error)
  })
})
