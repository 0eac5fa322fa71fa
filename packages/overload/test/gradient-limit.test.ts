import { VirtualClock } from '@hs/core/testing'
import { GradientLimit, type GradientLimitOptions } from '@hs/overload'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { gradientOf } from '../src/gradient-limit.js'

const misconfigured = (...paths: string[]): unknown =>
  expect.objectContaining({
    code: 'CONFIG_INVALID',
    issues: paths.map((path) => expect.objectContaining({ path }) as unknown),
  })

function make(options: GradientLimitOptions = {}) {
  const clock = new VirtualClock()
  const limit = new GradientLimit({ clock, ...options })
  /** A window of ten samples; the last one closes it. */
  const window = (latencyMs: number, inFlight = limit.limit, outcome: 'ok' | 'dropped' = 'ok'): number => {
    for (let i = 0; i < 9; i++) limit.sample(latencyMs, inFlight)
    clock.advance(1_000)
    limit.sample(latencyMs, inFlight, outcome)
    return limit.limit
  }
  const windows = (count: number, latencyMs: number, inFlight?: number): number => {
    for (let i = 0; i < count; i++) window(latencyMs, inFlight)
    return limit.limit
  }
  return { clock, limit, window, windows }
}

describe('GradientLimit (OVER-18)', () => {
  it('begins with 20, and grows by a fifth of 4 each saturated window', () => {
    const { limit, window } = make()
    expect(limit.snapshot()).toEqual({ limit: 20, longMs: 0, probing: false })
    expect(window(10)).toBeCloseTo(20.8, 12)
    expect(window(10)).toBeCloseTo(21.6, 12)
    expect(limit.snapshot().longMs).toBe(10)
    expect(Object.isFrozen(limit.snapshot())).toBe(true)
  })

  it('closes a window with the first sample at or after its end that makes enough', () => {
    const { clock, limit } = make()
    for (let i = 0; i < 50; i++) limit.sample(10, 20)
    clock.advance(999)
    limit.sample(10, 20)
    expect(limit.limit).toBe(20)
    clock.advance(1)
    limit.sample(10, 20)
    expect(limit.limit).toBeCloseTo(20.8, 12)

    clock.advance(5_000)
    for (let i = 0; i < 9; i++) limit.sample(10, 20)
    expect(limit.limit).toBeCloseTo(20.8, 12)
    limit.sample(10, 20)
    expect(limit.limit).toBeCloseTo(21.6, 12)
    clock.advance(999) // from that close on
    for (let i = 0; i < 20; i++) limit.sample(10, 20)
    expect(limit.limit).toBeCloseTo(21.6, 12)
  })

  it('changes nothing in windows that are not saturated', () => {
    const { limit, window } = make()
    expect(window(10, 9)).toBe(20)
    expect(window(1_000, 9.99)).toBe(20)
    expect(window(10, 10)).toBeGreaterThan(20)
    expect(limit.snapshot().longMs).toBeCloseTo(340 * 0.95, 9)
  })

  it('shrinks by the gradient of long over short, with the long of this window', () => {
    const { limit, windows, window } = make()
    windows(10, 10, 1)
    expect(window(30)).toBeCloseTo(20 * 0.8 + (20 * 0.5 + 4) * 0.2, 12)
    expect(limit.snapshot().longMs).toBe(10)
    const before = limit.limit
    expect(window(20)).toBeCloseTo(before * 0.8 + (before * 0.75 + 4) * 0.2, 12)
  })

  it.each([
    [15, 10, 1],
    [15, 15, 1],
    [15, 20, 0.75],
    [15, 30, 0.5],
    [15, 1_000, 0.5],
    [0, 0, 1],
    [15, 0, 1],
    [0, 5, 0.5],
  ])('has for %d ms that are borne and %d ms the gradient %d', (borneMs, shortMs, gradient) => {
    expect(gradientOf(borneMs, shortMs)).toBe(gradient)
  })

  it('takes the plain mean of ten windows, then an average over 600 that rises only where nothing is saturated', () => {
    const { limit, windows, window } = make()
    windows(5, 10)
    windows(5, 30)
    expect(limit.snapshot().longMs).toBeCloseTo(20, 12)
    window(50)
    expect(limit.snapshot().longMs).toBeCloseTo(20, 12)
    window(50, 1)
    const risen = 20 + (2 / 601) * 30
    expect(limit.snapshot().longMs).toBeCloseTo(risen, 12)
    window(19)
    expect(limit.snapshot().longMs).toBeCloseTo(risen + (2 / 601) * (19 - risen), 12)
  })

  it('lets go of a long that is more than twice the short, after the gradient', () => {
    const { limit, windows, window } = make()
    windows(10, 100, 1)
    window(10)
    expect(limit.snapshot().longMs).toBeCloseTo((100 + (2 / 601) * (10 - 100)) * 0.95, 12)
    expect(limit.limit).toBeCloseTo(20.8, 12)
  })

  it('halves its step when anything was dropped, saturated or not', () => {
    expect(make().window(10, 20, 'dropped')).toBeCloseTo(20 * 0.8 + 10 * 0.2, 12)
    const { window } = make()
    expect(window(10, 1, 'dropped')).toBeCloseTo(18, 12)
    expect(window(10, 1)).toBeCloseTo(18, 12)
  })

  it('stays between min and max', () => {
    const { window, windows } = make({ min: 5, max: 22, probeMs: 1e9 })
    expect(windows(10, 10)).toBe(22)
    for (let i = 0; i < 60; i++) window(10, 20, 'dropped')
    expect(window(10, 20, 'dropped')).toBe(5)
  })

  it('stays within its bounds whatever it is told', () => {
    const sample = fc.tuple(
      fc.integer({ min: 0, max: 2_000 }),
      fc.oneof(fc.double({ min: 0, max: 1e300 }), fc.constantFrom(NaN, -1, Infinity, 0, 10)),
      fc.oneof(fc.nat(100), fc.constantFrom(NaN, -1, Infinity)),
      fc.constantFrom<'ok' | 'dropped'>('ok', 'dropped'),
    )
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 100 }), (samples) => {
        const { clock, limit } = make({ min: 3, max: 40, minSamples: 2, probeMs: 5_000 })
        for (const [waitMs, latencyMs, inFlight, outcome] of samples) {
          clock.advance(waitMs)
          limit.sample(latencyMs, inFlight, outcome)
          expect(limit.limit).toBeGreaterThanOrEqual(3)
          expect(limit.limit).toBeLessThanOrEqual(40)
          expect(limit.snapshot().longMs).toBeGreaterThanOrEqual(0)
        }
      }),
    )
  })

  it('ignores samples that are none', () => {
    const { clock, limit } = make({ minSamples: 1 })
    clock.advance(1_000)
    for (const latency of [NaN, -1, Infinity]) limit.sample(latency, 20)
    for (const inFlight of [NaN, -1, Infinity]) limit.sample(10, inFlight)
    expect(limit.snapshot()).toEqual({ limit: 20, longMs: 0, probing: false })
  })

  it.each([
    [{ max: 10 }, 10],
    [{ min: 30 }, 30],
    [{ min: 1, max: 50, initial: 7.5 }, 7.5],
  ])('with %j begins at %d', (options, initial) => {
    expect(make(options).limit.limit).toBe(initial)
  })

  it.each<[object, string[]]>([
    [{ min: 30, max: 10 }, ['min']],
    [{ initial: 3 }, ['initial']],
    [{ initial: 2_000 }, ['initial']],
    [{ min: 0, smoothing: 0, tolerance: 0.9 }, ['min', 'smoothing', 'tolerance']],
    [{ smoothing: 1.1, queueSize: -1 }, ['smoothing', 'queueSize']],
    [
      { longWindows: 0, windowMs: 0, minSamples: 0, probeMs: NaN },
      ['longWindows', 'windowMs', 'minSamples', 'probeMs'],
    ],
    [{ limit: 5 }, ['limit']],
  ])('refuses %j', (bad, paths) => {
    expect(() => new GradientLimit(bad as GradientLimitOptions)).toThrow(misconfigured(...paths))
  })
})

describe('The probe of GradientLimit (OVER-18a)', () => {
  it('reads half for one window when a saturated one closes probeMs after the last', () => {
    const { limit, windows, window } = make({ probeMs: 5_000 })
    windows(4, 10)
    expect(limit.snapshot().probing).toBe(false)
    window(10)
    const before = 24
    expect(limit.snapshot()).toEqual({ limit: before / 2, longMs: 10, probing: true })
    window(7)
    expect(limit.snapshot().probing).toBe(true) // all of that began before it
    window(7)
    expect(limit.snapshot().limit).toBeCloseTo(before, 9)
    expect(limit.snapshot()).toMatchObject({ longMs: 7, probing: false })
    windows(4, 7)
    expect(limit.snapshot().probing).toBe(false)
    window(7)
    expect(limit.snapshot().probing).toBe(true)
  })
})
