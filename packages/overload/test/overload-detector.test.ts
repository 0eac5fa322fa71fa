import { MemoryLogger, VirtualClock } from '@hs/core/testing'
import { OverloadDetector, type OverloadDetectorOptions, type OverloadState } from '@hs/overload'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { slopeOf } from '../src/latency-baseline.js'

const misconfigured = (...paths: string[]): unknown =>
  expect.objectContaining({
    code: 'CONFIG_INVALID',
    issues: paths.map((path) => expect.objectContaining({ path }) as unknown),
  })

/** A detector on a clock of its own, whose windows are filled one by one. */
function make(options: OverloadDetectorOptions = {}) {
  const clock = new VirtualClock()
  const detector = new OverloadDetector({ clock, ...options })
  const changes: string[] = []
  detector.events.on('change', (now, was) => changes.push(`${was} > ${now} at ${clock.now()}`))
  const window = (latencyMs: number, samples = 5): OverloadState => {
    for (let i = 0; i < samples; i++) detector.record(latencyMs)
    clock.advance(1_000)
    return detector.state
  }
  const windows = (count: number, latencyMs: number, samples = 5): OverloadState => {
    for (let i = 0; i < count; i++) window(latencyMs, samples)
    return detector.state
  }
  return { clock, detector, changes, window, windows }
}

describe('Windows and the baseline (OVER-1)', () => {
  it('makes the baseline from the first ten windows that have enough samples', () => {
    const { detector, window } = make()
    for (const latency of [10, 20, 30, 40, 50]) window(latency)
    window(1_000, 4) // too few
    expect(detector.snapshot()).toMatchObject({ warm: false, baselineMs: 30, currentMs: null })
    for (const latency of [10, 20, 30, 40, 50]) window(latency)
    expect(detector.snapshot()).toEqual({
      state: 'healthy',
      warm: true,
      baselineMs: 30,
      currentMs: 50,
      delta: 0,
      slope: 0,
      signals: { delta: 'healthy', latency: 'healthy', gauges: {} },
      ignored: 0,
    })
    expect(Object.isFrozen(detector.snapshot().signals)).toBe(true)
  })

  it('puts what comes at the very end of a window into the next', () => {
    const { clock, detector } = make({ minSamples: 1 })
    detector.record(10)
    clock.advance(999.999)
    detector.record(30)
    expect(detector.snapshot().currentMs).toBeNull()
    clock.advance(0.001)
    detector.record(1_000)
    expect(detector.snapshot().currentMs).toBe(20)
  })

  it('counts windows from construction, or from reset, wherever the clock stands', () => {
    const clock = new VirtualClock({ startMs: 123.25 })
    const detector = new OverloadDetector({ clock, minSamples: 1 })
    detector.record(8)
    clock.advance(999)
    expect(detector.snapshot().currentMs).toBeNull()
    clock.advance(1)
    expect(detector.snapshot().currentMs).toBe(8)
    clock.advance(500)
    detector.reset()
    detector.record(9)
    clock.advance(999)
    expect(detector.snapshot().currentMs).toBeNull()
    clock.advance(1)
    expect(detector.snapshot().currentMs).toBe(9)
  })

  it('holds no timer', () => {
    const { clock, windows } = make()
    windows(20, 10)
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('Levels of latency (OVER-2)', () => {
  it.each<[latencyMs: number, state: OverloadState]>([
    [119, 'healthy'],
    [120, 'busy'],
    [149, 'busy'],
    [150, 'stressed'],
    [199, 'stressed'],
    [200, 'overloaded'],
  ])('after a baseline of 100 ms takes %d ms for %s', (latencyMs, state) => {
    const { detector, windows, window } = make({ latencyBoundsMs: [1e4, 2e4, 3e4], trendSlope: 9 })
    windows(10, 100)
    expect(window(latencyMs)).toBe(state)
    expect(detector.snapshot().delta).toBeCloseTo((latencyMs - 100) / 100, 12)
    expect(detector.snapshot().signals).toMatchObject({ delta: state, latency: 'healthy' })
  })

  it.each<[latencyMs: number, state: OverloadState]>([
    [199, 'healthy'],
    [200, 'busy'],
    [500, 'stressed'],
    [2_000, 'overloaded'],
  ])('takes %d ms for %s by its bounds from the first window on', (latencyMs, state) => {
    const { detector, window } = make()
    expect(window(latencyMs)).toBe(state)
    expect(detector.snapshot()).toMatchObject({ warm: false, signals: { delta: 'healthy', latency: state } })
  })

  it('compares with a millisecond where the baseline is less', () => {
    const { detector, windows, window } = make({ trendSlope: 9 })
    windows(10, 0)
    expect(window(0.19)).toBe('healthy')
    expect(window(0.9)).toBe('stressed')
    expect(detector.snapshot().delta).toBeLessThan(1)
  })

  it('takes a window with too few samples for healthy', () => {
    const { detector, windows, window } = make({ recoverMs: 0 })
    windows(10, 100)
    expect(window(5_000, 5)).toBe('overloaded')
    expect(window(5_000, 4)).toBe('stressed')
    expect(detector.snapshot().signals).toMatchObject({ delta: 'healthy', latency: 'healthy' })
  })

  it('does not judge by the baseline until it has one', () => {
    const { windows, window } = make({ latencyBoundsMs: [1e4, 2e4, 3e4] })
    windows(9, 10)
    expect(window(500)).toBe('healthy') // the tenth, which is part of it
    expect(window(500)).toBe('overloaded')
  })
})

describe('Learning (OVER-3)', () => {
  it('falls by a tenth, at once', () => {
    const { detector, windows, window } = make()
    windows(10, 100)
    window(50)
    expect(detector.snapshot().baselineMs).toBeCloseTo(95, 12)
  })

  it('rises by the time constant, while nothing is elevated', () => {
    const { detector, windows, window } = make()
    windows(10, 100)
    window(110)
    expect(detector.snapshot().baselineMs).toBeCloseTo(100 + (1 - Math.exp(-1_000 / 600_000)) * 10, 12)
  })

  it('never learns from what is elevated: 300 windows of +120 % stay overloaded', () => {
    const { detector, windows, window } = make()
    windows(10, 50)
    for (let i = 0; i < 300; i++) expect(window(110)).toBe('overloaded')
    expect(detector.snapshot().baselineMs).toBe(50)
  })

  it('does not learn from what only the bounds call elevated', () => {
    const { detector, windows, window } = make()
    windows(10, 195)
    expect(window(205)).toBe('busy')
    expect(detector.snapshot()).toMatchObject({ baselineMs: 195, signals: { delta: 'healthy', latency: 'busy' } })
  })

  it('takes for normal what was elevated by delta alone for rebaselineMs', () => {
    const { detector, windows, window } = make({ rebaselineMs: 60_000, recoverMs: 0 })
    windows(10, 50)
    for (let i = 0; i < 60; i++) {
      expect(window(110)).toBe('overloaded')
      expect(detector.snapshot().baselineMs).toBe(50)
    }
    window(110)
    expect(detector.snapshot().baselineMs).toBe(110)
    expect(windows(3, 110)).toBe('healthy')
  })

  it.each(['gauge', 'bound', 'silence'])('begins to count anew after a %s', (what) => {
    const { detector, windows, window } = make({ rebaselineMs: 60_000 })
    windows(10, 50)
    windows(50, 110)
    if (what === 'gauge') detector.observe({ cpu: 0.8 })
    if (what === 'gauge') detector.observe({ cpu: 0 })
    if (what === 'bound') window(250)
    if (what === 'silence') window(110, 4)
    windows(59, 110)
    expect(detector.snapshot().baselineMs).toBe(50)
    windows(3, 110)
    expect(detector.snapshot().baselineMs).toBe(110)
  })
})

describe('The trend (OVER-4)', () => {
  it.each([
    [[1, 2, 3, 4], 1],
    [[5, 5, 5], 0],
    [[9, 6, 3], -3],
    [[0, 0, 0, 10], 3],
    [[7], 0],
    [[], 0],
  ])('of %j is %d a window', (values, slope) => {
    expect(slopeOf(values)).toBeCloseTo(slope, 12)
  })

  const bounds = { latencyBoundsMs: [1e4, 2e4, 3e4] } as const

  it('makes an elevated latency one level worse while it rises', () => {
    const rising = make({ ...bounds, trendWindows: 4 })
    rising.windows(10, 100)
    expect([112, 118].map((latency) => rising.window(latency))).toEqual(['healthy', 'healthy'])
    expect(rising.window(124)).toBe('stressed') // busy by delta, and 8 % a window
    expect(rising.detector.snapshot().slope).toBeGreaterThan(0.05)

    const flat = make({ ...bounds, trendWindows: 4, trendSlope: 0.2 })
    flat.windows(10, 100)
    expect([112, 118, 124].map((latency) => flat.window(latency))).toEqual(['healthy', 'healthy', 'busy'])
  })

  it('elevates nothing by itself', () => {
    const { detector, windows, window } = make({ ...bounds, trendWindows: 2 })
    windows(10, 100)
    expect(window(119)).toBe('healthy')
    expect(detector.snapshot().slope).toBeGreaterThan(0.05)
  })

  it('needs as many means as it looks back on', () => {
    const { windows, window } = make({ ...bounds, warmupWindows: 1, trendWindows: 4 })
    windows(1, 100)
    expect([130, 140].map((latency) => window(latency))).toEqual(['busy', 'busy'])
    expect(window(149)).toBe('stressed')
  })

  it('leaves overloaded as it is', () => {
    const { windows, window } = make({ ...bounds, trendWindows: 2 })
    windows(10, 100)
    expect(window(300)).toBe('overloaded')
  })
})

describe('Gauges (OVER-5)', () => {
  it('takes cpu and memory by default, and others beside them', () => {
    const { detector } = make({ gauges: { queue: [1, 10, 100], memory: [0.5, 0.6, 0.7] } })
    detector.observe({ cpu: 0.7, memory: 0.6, queue: 9, unset: undefined })
    expect(detector.snapshot()).toMatchObject({
      state: 'stressed',
      ignored: 0,
      signals: {
        gauges: {
          cpu: { value: 0.7, state: 'busy' },
          memory: { value: 0.6, state: 'stressed' },
          queue: { value: 9, state: 'busy' },
        },
      },
    })
  })

  it('keeps the last value until it is older than gaugeTtlMs', () => {
    const { clock, detector } = make({ gaugeTtlMs: 3_000, recoverMs: 0 })
    detector.observe({ cpu: 0.8 })
    detector.observe({ memory: 0.1 })
    clock.advance(3_000)
    expect(detector.snapshot()).toMatchObject({ state: 'busy', signals: { gauges: { cpu: { value: 0.8 } } } })
    clock.advance(1_000)
    expect(detector.snapshot()).toMatchObject({ state: 'healthy', signals: { gauges: {} } })
  })

  it('ignores and counts unknown names, and values and latencies that are none', () => {
    const { clock, detector } = make({ minSamples: 1 })
    detector.observe({ cpu: 0.96 })
    detector.observe({ cpu: NaN, memory: -1, disk: 1, __proto__: 1 })
    detector.observe({ cpu: Infinity, memory: '0.99' as unknown as number, constructor: 1 })
    for (const latency of [NaN, -1, Infinity, '7' as unknown as number]) detector.record(latency)
    expect(detector.snapshot()).toMatchObject({ state: 'overloaded', ignored: 10 })
    clock.advance(1_000)
    expect(detector.snapshot().currentMs).toBeNull()
  })
})

describe('States (OVER-6)', () => {
  it('rises at once and falls one level each recoverMs, from the first judgement below on', () => {
    const { changes, windows, window } = make()
    windows(10, 100)
    window(1_000)
    windows(20, 100)
    expect(changes).toEqual([
      'healthy > overloaded at 11000',
      'overloaded > stressed at 17000',
      'stressed > busy at 22000',
      'busy > healthy at 27000',
    ])
  })

  it('counts anew when it has been up in between', () => {
    const { windows, window } = make()
    windows(10, 100)
    expect(window(1_000)).toBe('overloaded')
    expect(windows(4, 100)).toBe('overloaded')
    expect(window(1_000)).toBe('overloaded')
    expect(windows(5, 100)).toBe('overloaded')
    expect(window(100)).toBe('stressed')
  })

  it('falls to what it is below, and no further', () => {
    const { detector, windows, window } = make({ gaugeTtlMs: 1e6 })
    windows(10, 100)
    window(1_000)
    detector.observe({ cpu: 0.86 })
    expect(windows(60, 100)).toBe('stressed')
  })

  it('judges when it observes, too', () => {
    const { clock, detector, changes } = make({ recoverMs: 100 })
    clock.advance(10)
    detector.observe({ cpu: 0.99 })
    clock.advance(10)
    detector.observe({ cpu: 0.1 })
    clock.advance(99)
    detector.observe({})
    expect(changes).toEqual(['healthy > overloaded at 10'])
    clock.advance(1)
    detector.observe({})
    expect(changes).toEqual(['healthy > overloaded at 10', 'overloaded > stressed at 120'])
  })

  it('is healthy at once after an hour of silence, in bounded time, and keeps its baseline', () => {
    const { clock, detector, changes, windows, window } = make({ trendSlope: 9 })
    windows(10, 100)
    window(1_000)
    detector.observe({ cpu: 0.99 })
    clock.advance(3_600_000)
    expect(detector.state).toBe('healthy')
    expect(changes.map((change) => change.replace(/ at.*/, ''))).toEqual([
      'healthy > overloaded',
      'overloaded > stressed',
      'stressed > busy',
      'busy > healthy',
    ])
    expect(detector.snapshot().baselineMs).toBe(100)
    expect(window(120)).toBe('busy')
  })

  it('bears a clock that jumps by ages, with windows of a millisecond', () => {
    const { clock, detector } = make({ windowMs: 1, recoverMs: 3_600_000, gaugeTtlMs: 7_200_000 })
    detector.observe({ cpu: 0.99, memory: 0.75 })
    clock.advance(2 ** 45)
    expect(detector.state).toBe('healthy')
    detector.record(1)
    clock.advance(2 ** 50)
    expect(detector.state).toBe('healthy')
  })

  it('falls after silence exactly when it would have been seen to', () => {
    const history = fc.array(
      fc.tuple(fc.constantFrom('record', 'observe', 'wait'), fc.nat(12), fc.constantFrom(0, 0.3, 0.71, 0.86, 0.99)),
      { maxLength: 40 },
    )
    fc.assert(
      fc.property(history, fc.integer({ min: 0, max: 9_000 }), (steps, recoverMs) => {
        const run = (pollMs: number) => {
          const clock = new VirtualClock({ startMs: 0.5 })
          const options = { clock, recoverMs, minSamples: 1, warmupWindows: 2, gaugeTtlMs: 4_321, trendWindows: 3 }
          const detector = new OverloadDetector(options)
          const states: string[] = []
          detector.events.on('change', (now, was) => states.push(`${was} > ${now}`))
          for (const [what, amount, load] of steps) {
            if (what === 'record') detector.record(50 * amount * load)
            if (what === 'observe') detector.observe({ cpu: load, memory: load / 2 })
            if (what !== 'wait') continue
            const untilMs = clock.now() + amount * 777
            while (clock.now() + pollMs < untilMs) {
              clock.advance(pollMs)
              expect(detector.state).toBe(detector.snapshot().state)
            }
            clock.advance(untilMs - clock.now())
          }
          return { states, snapshot: detector.snapshot() }
        }
        expect(run(123)).toEqual(run(Infinity))
      }),
      { numRuns: 300 },
    )
  })

  it('tells each change once, in order, also if a listener looks again', () => {
    const { clock, detector, windows, window } = make()
    const seen: string[] = []
    detector.events.on('change', (now, was) => {
      seen.push(`${was} > ${now}: ${detector.state}`)
      if (now === 'stressed') detector.observe({ cpu: 0.99 })
    })
    windows(10, 100)
    window(1_000)
    clock.advance(6_000)
    expect(detector.state).toBe('overloaded')
    expect(seen).toEqual([
      'healthy > overloaded: overloaded',
      'overloaded > stressed: stressed',
      'stressed > overloaded: overloaded',
    ])
  })

  it('reports what a listener throws, and has changed all the same', () => {
    const logger = new MemoryLogger()
    const { detector } = make({ logger })
    detector.events.on('change', () => {
      throw new Error('no')
    })
    detector.observe({ cpu: 1 })
    expect(detector.state).toBe('overloaded')
    expect(logger.at('error')).toHaveLength(1)
  })
})

describe('Reading, scaling and reset (OVER-7)', () => {
  const history = fc.array(fc.tuple(fc.integer({ min: 0, max: 3_000 }), fc.nat(400), fc.nat(9)), { maxLength: 60 })
  const replay = (steps: readonly [number, number, number][], copies: number, reads: number) => {
    const clock = new VirtualClock()
    const detector = new OverloadDetector({ clock, warmupWindows: 3, minSamples: 1 })
    const changes: string[] = []
    detector.events.on('change', (now, was) => changes.push(`${was} > ${now}`))
    for (const [waitMs, latencyMs, gauge] of steps) {
      for (let i = 0; i < reads; i++) {
        clock.advance(waitMs / reads)
        expect(detector.snapshot().state).toBe(detector.state)
      }
      if (reads === 0) clock.advance(waitMs)
      for (let i = 0; i < copies; i++) detector.record(latencyMs)
      if (gauge === 9) detector.observe({ cpu: 0.9 })
    }
    return { changes, snapshot: detector.snapshot() }
  }

  it('is free: reading changes no later state', () => {
    fc.assert(
      fc.property(history, (steps) => {
        expect(replay(steps, 1, 4)).toEqual(replay(steps, 1, 0))
      }),
    )
  })

  it('does not depend on how much traffic there is', () => {
    fc.assert(
      fc.property(history, (steps) => {
        expect(replay(steps, 10, 0)).toEqual(replay(steps, 1, 0))
      }),
    )
  })

  it('only falls by one level at a time', () => {
    const order = ['healthy', 'busy', 'stressed', 'overloaded']
    fc.assert(
      fc.property(history, (steps) => {
        for (const change of replay(steps, 3, 0).changes) {
          const [was = '', now = ''] = change.split(' > ')
          expect(order.indexOf(now)).toBeGreaterThanOrEqual(order.indexOf(was) - 1)
        }
      }),
    )
  })

  it('is as new after reset, but for its listeners', () => {
    fc.assert(
      fc.property(history, history, (before, after) => {
        const clock = new VirtualClock()
        const used = new OverloadDetector({ clock, warmupWindows: 3, minSamples: 1, recoverMs: 2_000 })
        const play = (detector: OverloadDetector, steps: readonly [number, number, number][], on: VirtualClock) =>
          steps.map(([waitMs, latencyMs, gauge]) => {
            on.advance(waitMs)
            detector.record(gauge === 8 ? NaN : latencyMs)
            if (gauge === 9) detector.observe({ cpu: 0.9 })
            return detector.snapshot()
          })
        play(used, before, clock)
        used.reset()
        const newClock = new VirtualClock({ startMs: clock.now() })
        const fresh = new OverloadDetector({ clock: newClock, warmupWindows: 3, minSamples: 1, recoverMs: 2_000 })
        expect(used.snapshot()).toEqual(fresh.snapshot())
        expect(play(used, after, clock)).toEqual(play(fresh, after, newClock))
      }),
    )
  })

  it('tells that reset has changed the state', () => {
    const { detector, changes } = make()
    detector.observe({ cpu: 1 })
    detector.reset()
    expect(changes).toEqual(['healthy > overloaded at 0', 'overloaded > healthy at 0'])
  })

  it('bears latencies whose sum is infinite', () => {
    const { detector, windows, window } = make()
    windows(10, Number.MAX_VALUE)
    expect(window(Number.MAX_VALUE)).toBe('overloaded')
    const { baselineMs, currentMs, delta, slope } = detector.snapshot()
    expect([baselineMs, currentMs, delta, slope].every(Number.isFinite)).toBe(true)
  })
})

describe('Bad options of OverloadDetector (OVER-1..6)', () => {
  it.each<[object, string[]]>([
    [{ deltaThresholds: [0.2, 0.2, 1] }, ['deltaThresholds']],
    [{ latencyBoundsMs: [500, 200, 2_000] }, ['latencyBoundsMs']],
    [{ gauges: { cpu: [0.9, 0.8, 0.7] } }, ['gauges.cpu']],
    [{ gauges: { cpu: [0, 0.8, 0.9], queue: [1, 2, NaN] } }, ['gauges.cpu', 'gauges.queue']],
    [{ gauges: { cpu: [0.1, 0.2, Infinity] } }, ['gauges.cpu']],
    [{ gauges: { cpu: [0.1, 0.2] } }, ['gauges.cpu']],
    [{ gauges: { cpu: '123' } }, ['gauges.cpu']],
    [{ windowMs: 0 }, ['windowMs']],
    [{ minSamples: 0, warmupWindows: 0, trendWindows: 1 }, ['minSamples', 'warmupWindows', 'trendWindows']],
    [{ baselineMs: 0, rebaselineMs: NaN, gaugeTtlMs: -1 }, ['baselineMs', 'rebaselineMs', 'gaugeTtlMs']],
    [{ recoverMs: -1, trendSlope: 0 }, ['trendSlope', 'recoverMs']],
    [{ window: 1_000 }, ['window']],
    [{ clock: {} }, ['clock']],
  ])('refuses %j', (bad, paths) => {
    expect(() => new OverloadDetector(bad as OverloadDetectorOptions)).toThrow(misconfigured(...paths))
  })

  it('keeps nothing of what it is given: thresholds that change later do not count', () => {
    const cpu: [number, number, number] = [0.1, 0.2, 0.3]
    const { detector } = make({ gauges: { cpu } })
    cpu[0] = 9
    detector.observe({ cpu: 0.15 })
    expect(detector.state).toBe('busy')
  })
})
