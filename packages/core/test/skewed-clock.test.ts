import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '@hs/core/testing'

describe('SkewedClock (CORE-8)', () => {
  it('is its parent while it is not wrong', () => {
    const parent = new VirtualClock({ startMs: 500 })
    const clock = parent.skewed()
    parent.advance(1_234.5)
    expect(clock.now()).toBe(parent.now())
    expect(clock.wallNow()).toBe(parent.wallNow())
  })

  it('shows startMs + elapsed · r', () => {
    const parent = new VirtualClock({ startMs: 10_000 })
    const fast = parent.skewed({ driftPpm: 100, startMs: 5 })
    const slow = parent.skewed({ driftPpm: -100 })
    const twice = parent.skewed({ driftPpm: 1_000_000, startMs: 0 })
    parent.advance(1_000_000)
    expect(fast.now()).toBe(5 + 1_000_100)
    expect(slow.now()).toBe(10_000 + 999_900)
    expect(twice.now()).toBe(2_000_000)
  })

  it('shows the wall time of its parent, with offset and accumulated drift, as an integer', () => {
    const parent = new VirtualClock()
    const clock = parent.skewed({ wallOffsetMs: -5_000, driftPpm: 200, startMs: 77 })
    expect(clock.wallNow()).toBe(parent.wallNow() - 5_000)
    parent.advance(1_000_000)
    expect(clock.wallNow()).toBe(parent.wallNow() - 5_000 + 200)
    parent.advance(1.25)
    expect(Number.isInteger(clock.wallNow())).toBe(true)
    parent.setWall(0)
    expect(clock.wallNow()).toBe(-5_000 + 200)
  })

  it('fires a timer of d after d / r true milliseconds', () => {
    const parent = new VirtualClock()
    const fired: [string, number][] = []
    const half = parent.skewed({ driftPpm: -500_000 })
    const twice = parent.skewed({ driftPpm: 1_000_000 })
    half.setTimer(100, () => fired.push(['half', parent.now()]))
    twice.setTimer(100, () => fired.push(['twice', parent.now()]))
    twice.setTimer(-5, () => fired.push(['now', parent.now()]))
    parent.advance(1_000)
    expect(fired).toEqual([
      ['now', 0],
      ['twice', 50],
      ['half', 200],
    ])
  })

  it('keeps what has accumulated when the drift changes, and the true time of timers already set', () => {
    const parent = new VirtualClock()
    const clock = parent.skewed({ driftPpm: 1_000 })
    const fired: number[] = []
    clock.setTimer(2_002, () => fired.push(parent.now()))
    parent.advance(1_000)
    expect(clock.now()).toBe(1_001)
    clock.setDrift(-500_000)
    expect(clock.now()).toBe(1_001)
    clock.setTimer(100, () => fired.push(parent.now()))
    parent.advance(1_000)
    expect(clock.now()).toBe(1_501)
    expect(clock.wallNow()).toBe(parent.wallNow() - 499)
    expect(fired).toEqual([1_200, 2_000])
  })

  it('replaces the wall offset and nothing else', () => {
    const parent = new VirtualClock()
    const clock = parent.skewed({ wallOffsetMs: 10, driftPpm: 100 })
    parent.advance(100_000)
    clock.setWallOffset(-3)
    expect(clock.wallNow()).toBe(parent.wallNow() - 3 + 10)
    expect(clock.now()).toBe(100_010)
  })

  it('sleeps its own milliseconds', async () => {
    const parent = new VirtualClock()
    const clock = parent.skewed({ driftPpm: 1_000_000 })
    await parent.run(clock.sleep(500))
    expect(parent.now()).toBe(250)
    const controller = new AbortController()
    const sleeping = clock.sleep(500, controller.signal)
    controller.abort('enough')
    await expect(sleeping).rejects.toBe('enough')
    expect(parent.pendingTimers).toBe(0)
  })

  it('shows at least the due time when a timer fires, at any rate', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -900_000, max: 5_000_000, noNaN: true }),
        fc.double({ min: 0, max: 1e9, noNaN: true }),
        fc.double({ min: 0, max: 1e9, noNaN: true }),
        fc.double({ min: -1e12, max: 1e12, noNaN: true }),
        (driftPpm, delay, before, startMs) => {
          const parent = new VirtualClock({ startMs: -before })
          const clock = parent.skewed({ driftPpm, startMs })
          parent.advance(before / 3)
          const due = clock.now() + delay
          const fired: number[] = []
          clock.setTimer(delay, () => fired.push(clock.now()))
          parent.advance(1e11)
          expect(fired.length).toBe(1)
          expect(fired[0]).toBeGreaterThanOrEqual(due)
          expect(fired[0]).toBeLessThanOrEqual(due + 0.01)
        },
      ),
    )
  })

  it('sets a timer even where the shortfall is too small to be divided by the rate', () => {
    const parent = new VirtualClock({ startMs: -9.4e-323 })
    const clock = parent.skewed({ driftPpm: 4_999_999.999999988, startMs: -5e-324 })
    parent.advance(3e-323)
    let fired = 0
    clock.setTimer(9.4e-323, () => fired++)
    parent.advance(1)
    expect(fired).toBe(1)
  })

  it('can be skewed from any clock, itself included, and drives what was set through it', () => {
    const parent = new VirtualClock()
    const first = parent.skewed({ driftPpm: 1_000_000 })
    let fired = 0
    first.setTimer(10, () => fired++).cancel()
    first.setTimer(10, () => fired++)
    parent.advance(5)
    expect(fired).toBe(1)
  })

  it('refuses what is no time and no rate', () => {
    const clock = new VirtualClock().skewed()
    for (const bad of [NaN, Infinity, -1_000_000])
      expect(() => clock.setDrift(bad)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    for (const bad of [NaN, Infinity]) {
      expect(() => clock.setWallOffset(bad)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
      expect(() => clock.setTimer(bad, () => undefined)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
    for (const options of [{ driftPpm: -1_000_000 }, { startMs: NaN }, { drift: 1 }])
      expect(() => new VirtualClock().skewed(options as object)).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID' }),
      )
  })
})
