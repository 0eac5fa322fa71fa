import { VirtualClock } from '@hs/core/testing'
import { DeadlineExtensions, type DeadlineExtensionsOptions } from '@hs/health'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { coded, misconfigured } from './support/matchers.js'

const make = (options: DeadlineExtensionsOptions = {}) => {
  const clock = new VirtualClock({ startMs: 1_000 })
  return { clock, extensions: new DeadlineExtensions({ clock, ...options }) }
}

describe('DeadlineExtensions (HL-13)', () => {
  it('grants 30, 15, 7.5, 3.75 and 1.875 s, 58.125 s in all, and then none', () => {
    const { extensions } = make()
    expect(extensions.deadline).toBe(31_000)
    const grants = [1, 2, 3, 4, 5].map((progress) => extensions.request({ progress }))
    expect(grants).toEqual([
      { granted: true, grantMs: 30_000, deadline: 61_000, remaining: 4, last: false },
      { granted: true, grantMs: 15_000, deadline: 76_000, remaining: 3, last: false },
      { granted: true, grantMs: 7_500, deadline: 83_500, remaining: 2, last: false },
      { granted: true, grantMs: 3_750, deadline: 87_250, remaining: 1, last: false },
      { granted: true, grantMs: 1_875, deadline: 89_125, remaining: 0, last: true },
    ])
    expect(extensions.request({ progress: 6 })).toEqual({
      granted: false,
      reason: 'exhausted',
      deadline: 89_125,
      remaining: 0,
    })
    expect(extensions.snapshot()).toEqual({
      granted: 5,
      remaining: 0,
      totalGrantedMs: 58_125,
      remainingMs: 88_125,
      denials: 1,
      expired: false,
      shouldEvict: false,
    })
    expect(Object.isFrozen(extensions.snapshot())).toBe(true)
  })

  it('grants no less than minGrantMs', () => {
    const { extensions } = make({ baseMs: 100, minGrantMs: 40 })
    const grants = [1, 2, 3].map((progress) => extensions.request({ progress }))
    expect(grants.map((grant) => grant.granted && grant.grantMs)).toEqual([100, 50, 40])
  })

  it('denies for the first reason that holds', () => {
    const { extensions, clock } = make({ maxExtensions: 1 })
    const all = { progress: 0, suspect: true, overloaded: true }
    const reasonOf = (request: Parameters<DeadlineExtensions['request']>[0]) => {
      const decision = extensions.request(request)
      return decision.granted ? 'granted' : decision.reason
    }
    clock.advance(30_000)
    expect(reasonOf(all)).toBe('suspect')
    expect(reasonOf({ ...all, suspect: false })).toBe('expired')
    extensions.reset()
    expect(reasonOf({ ...all, suspect: false })).toBe('overloaded')
    expect(reasonOf({ progress: 0 })).toBe('granted')
    expect(reasonOf(all)).toBe('exhausted')
  })

  it('asks for progress above that of the last grant, but at the first', () => {
    const { extensions } = make()
    const outcome = (progress: number) => extensions.request({ progress }).granted
    expect([outcome(0), outcome(0), outcome(-1), outcome(0.5), outcome(0.5), outcome(1)]).toEqual([
      true,
      false,
      false,
      true,
      false,
      true,
    ])
    expect(extensions.request({ progress: 1 })).toMatchObject({ reason: 'no-progress', remaining: 2 })
  })

  it('refuses progress that is no number, and options out of range', () => {
    const { extensions } = make()
    for (const progress of [NaN, Infinity, undefined as never])
      expect(() => extensions.request({ progress })).toThrow(coded('INVALID_ARGUMENT'))
    expect(extensions.snapshot()).toMatchObject({ granted: 0, denials: 0 })
    expect(
      () => new DeadlineExtensions({ baseMs: 0, minGrantMs: 0, maxExtensions: -1, graceMs: -1, maxDenials: 0 }),
    ).toThrow(misconfigured('baseMs', 'minGrantMs', 'maxExtensions', 'graceMs', 'maxDenials'))
  })

  it('moves the deadline by exactly what it grants, whatever is asked', () => {
    const request = fc.record({
      progress: fc.nat(20),
      suspect: fc.boolean(),
      overloaded: fc.boolean(),
      ms: fc.nat(20_000),
    })
    fc.assert(
      fc.property(fc.array(request, { maxLength: 30 }), (requests) => {
        const { extensions, clock } = make()
        let granted = 0
        for (const { ms, ...asked } of requests) {
          clock.advance(ms)
          const decision = extensions.request(asked)
          if (decision.granted) granted += decision.grantMs
          expect(extensions.deadline).toBe(31_000 + granted)
          expect(extensions.snapshot()).toMatchObject({ totalGrantedMs: granted, remaining: decision.remaining })
          expect(extensions.snapshot().totalGrantedMs).toBeLessThanOrEqual(58_125)
        }
      }),
    )
  })
})

describe('DeadlineExtensions, eviction (HL-14)', () => {
  it('evicts once the grace after the deadline is over', () => {
    const { extensions, clock } = make()
    clock.advance(29_999)
    expect([extensions.expired, extensions.shouldEvict]).toEqual([false, false])
    clock.advance(1)
    expect([extensions.expired, extensions.shouldEvict]).toEqual([true, false])
    clock.advance(9_999)
    expect(extensions.shouldEvict).toBe(false)
    clock.advance(1)
    expect(extensions.shouldEvict).toBe(true)
    expect(extensions.snapshot()).toMatchObject({ remainingMs: 0, expired: true, shouldEvict: true })
  })

  it('evicts at the deadline after three denials in a row, and never before it', () => {
    const { extensions, clock } = make()
    for (let i = 0; i < 5; i++) extensions.request({ progress: 0, suspect: true })
    expect(extensions.shouldEvict).toBe(false)
    clock.advance(29_999)
    expect(extensions.shouldEvict).toBe(false)
    clock.advance(1)
    expect(extensions.shouldEvict).toBe(true)
  })

  it('forgets denials with a grant', () => {
    const { extensions, clock } = make()
    for (let i = 0; i < 3; i++) extensions.request({ progress: 0, overloaded: true })
    extensions.request({ progress: 0 })
    expect(extensions.snapshot().denials).toBe(0)
    clock.advance(60_000)
    expect([extensions.expired, extensions.shouldEvict]).toEqual([true, false])
  })

  it('starts a new cycle with reset', () => {
    const { extensions, clock } = make()
    for (let progress = 1; progress < 6; progress++) extensions.request({ progress })
    clock.advance(200_000)
    expect(extensions.shouldEvict).toBe(true)
    extensions.reset()
    expect(extensions.snapshot()).toEqual({
      granted: 0,
      remaining: 5,
      totalGrantedMs: 0,
      remainingMs: 30_000,
      denials: 0,
      expired: false,
      shouldEvict: false,
    })
    expect(extensions.request({ progress: 0 })).toMatchObject({ granted: true, grantMs: 30_000, deadline: 261_000 })
  })
})
