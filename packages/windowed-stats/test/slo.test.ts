import { ConfigError, DecodeError, HsError, type Clock } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  blendResourceRisk,
  BurnRate,
  decodeSloSummary,
  encodeSloSummary,
  evaluateSlo,
  exponentialSketch,
  latencySlo,
  SRE_BURN_RATE_RULES,
  TimeWindowedDigest,
  tdigestSketch,
  type BurnRateOptions,
  type BurnRateRule,
  type DigestSummary,
  type LatencySlo,
} from '../src/index.js'

const summary = (p50: number, p95: number, p99: number, count = 1_000): DigestSummary => ({
  count,
  min: 0,
  max: p99,
  mean: p50,
  p50,
  p95,
  p99,
  p999: p99,
})

describe('TimeWindowedDigest (WSTAT-27)', () => {
  it('counts a sample until its pane is `windows` behind', () => {
    const clock = new VirtualClock()
    const digest = new TimeWindowedDigest({ windowMs: 1_000, windows: 3, clock })
    clock.advance(500)
    digest.add(10)
    clock.advance(2_499) // 2,999: panes 0 to 2
    expect(digest.summary()).toMatchObject({ count: 1, min: 10 })
    clock.advance(1)
    expect(digest.summary()).toBeUndefined()
    expect(digest.quantile(0.5)).toBeUndefined()
  })

  it.each([tdigestSketch(), exponentialSketch()])('reads all live panes together ($kind)', (sketch) => {
    const clock = new VirtualClock()
    const digest = new TimeWindowedDigest({ windowMs: 1_000, windows: 3, sketch, clock })
    for (const value of [1, 2, 3, 4]) {
      digest.add(value, 2)
      clock.advance(1_000)
      digest.summary()
    }
    // 4,000 ms: panes 2 to 4, of which the last is empty.
    expect(digest.summary()).toMatchObject({ count: 4, min: 3, max: 4 })
    const other = sketch.create()
    other.add(9)
    digest.merge(other)
    expect(digest.summary()).toMatchObject({ count: 5, max: 9 })
    digest.sketch().add(100)
    expect(digest.summary()).toMatchObject({ count: 5, max: 9 })
  })

  it('equals a sketch of the samples that count, whatever was read in between', () => {
    const step = fc.record({ waitMs: fc.nat(1_500), value: fc.integer({ min: 1, max: 1_000 }), isRead: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const clock = new VirtualClock()
        const digest = new TimeWindowedDigest({ windowMs: 1_000, windows: 4, sketch: exponentialSketch(), clock })
        const added: { pane: number; value: number }[] = []
        for (const { waitMs, value, isRead } of steps) {
          clock.advance(waitMs)
          digest.add(value)
          added.push({ pane: Math.floor(clock.now() / 1_000), value })
          if (isRead) digest.summary()
        }
        const alive = added.filter(({ pane }) => pane > Math.floor(clock.now() / 1_000) - 4)
        const oracle = exponentialSketch().create()
        for (const { value } of alive) oracle.add(value)
        expect(digest.sketch().toWire()).toEqual(oracle.toWire())
      }),
    )
  })

  it('a jump of the clock empties it, and a step back neither loses a sample nor makes panes', () => {
    const clock = new VirtualClock()
    let stepMs = 0
    const stepping: Clock = {
      now: () => clock.now() + stepMs,
      wallNow: () => clock.wallNow(),
      setTimer: (delayMs, fn) => clock.setTimer(delayMs, fn),
      sleep: (ms, signal) => clock.sleep(ms, signal),
    }
    const digest = new TimeWindowedDigest({ windowMs: 1_000, windows: 3, clock: stepping })
    digest.add(1)
    stepMs = 1e12
    expect(digest.summary()).toBeUndefined()
    digest.add(2)
    stepMs = 1e12 + 1_000
    digest.add(3)
    for (let i = 0; i < 20; i++) {
      stepMs = i % 2 === 0 ? 1e12 - 10_000 : 1e12 + 1_000
      digest.add(4)
    }
    stepMs = 1e12 + 3_000
    expect(digest.summary()).toMatchObject({ count: 21, min: 3, max: 4 }) // all but the first of the four panes
    stepMs = 1e12 + 4_000
    expect(digest.summary()).toBeUndefined()
  })

  it('refuses bad samples and sketches of another kind, and keeps what it has', () => {
    const digest = new TimeWindowedDigest({ clock: new VirtualClock() })
    digest.add(1)
    for (const [value, weight] of [
      [-1, 1],
      [Number.NaN, 1],
      [Infinity, 1],
      [1, 0],
      [1, 1.5],
    ] as const)
      expect(() => digest.add(value, weight)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => digest.merge(exponentialSketch().create())).toThrow(
      expect.objectContaining({ code: 'SKETCH_MISMATCH' }),
    )
    expect(digest.summary()?.count).toBe(1)
  })

  it.each([{ windowMs: 0 }, { windows: 0 }, { windows: 1.5 }, { sketch: {} }, { pane: 1 }])(
    'refuses the options %o',
    (options) => expect(() => new TimeWindowedDigest(options as never)).toThrow(ConfigError),
  )
})

describe('latencySlo and evaluateSlo (WSTAT-28, 29)', () => {
  it('has the defaults of the contract, frozen', () => {
    const slo = latencySlo()
    expect(slo).toEqual({
      p50Ms: 50,
      p95Ms: 200,
      p99Ms: 500,
      weights: { p50: 0.2, p95: 0.5, p99: 0.3 },
      minSamples: 100,
      factorMin: 0.5,
      factorMax: 3,
      scoreWeight: 0.4,
    })
    expect(Object.isFrozen(slo) && Object.isFrozen(slo.weights)).toBe(true)
  })

  it.each<[string, Partial<LatencySlo>]>([
    ['p95Ms', { p50Ms: 300 }],
    ['p99Ms', { p99Ms: 100 }],
    ['p50Ms', { p50Ms: 0 }],
    ['weights', { weights: { p50: 1, p95: 1, p99: 1 } }],
    ['weights.p50', { weights: { p50: -1, p95: 1, p99: 1 } }],
    ['minSamples', { minSamples: 0 }],
    ['factorMin', { factorMin: 1.1 }],
    ['factorMax', { factorMax: 0.9 }],
    ['scoreWeight', { scoreWeight: -1 }],
  ])('names %s', (path, options) => {
    expect(() => latencySlo(options)).toThrow(ConfigError)
    try {
      latencySlo(options)
    } catch (error) {
      expect((error as ConfigError).issues.map((issue) => issue.path)).toContain(path)
    }
  })

  it.each([
    [0.49, 'exceeding'],
    [0.5, 'meeting'],
    [0.79, 'meeting'],
    [0.8, 'warning'],
    [1, 'warning'],
    [1.01, 'violating'],
    [1.5, 'violating'],
    [1.51, 'critical'],
  ])('a worst ratio of %d is %s, whichever percentile has it', (ratio, level) => {
    const slo = latencySlo({ p50Ms: 100, p95Ms: 100, p99Ms: 100 })
    expect(evaluateSlo(summary(1, 1, ratio * 100), slo)).toMatchObject({ level, worstRatio: ratio })
    expect(evaluateSlo(summary(ratio * 100, ratio * 100, ratio * 100), slo).level).toBe(level)
  })

  it('does not hide a bad p99 behind a good median', () => {
    const { level, score } = evaluateSlo(summary(10, 40, 1_500), latencySlo())
    expect(level).toBe('critical')
    expect(score).toBeCloseTo(0.2 * 0.2 + 0.5 * 0.2 + 0.3 * 3)
  })

  it('draws the score to 1 while there are few samples', () => {
    const slo = latencySlo({ p50Ms: 100, p95Ms: 100, p99Ms: 100 })
    expect(evaluateSlo(summary(200, 200, 200, 25), slo)).toMatchObject({
      level: 'unknown',
      confidence: 0.25,
      score: 1.25,
      routingFactor: 1.1,
    })
    expect(evaluateSlo(undefined, slo)).toEqual({
      level: 'unknown',
      worstRatio: 0,
      ratios: { p50: 0, p95: 0, p99: 0 },
      score: 1,
      confidence: 0,
      routingFactor: 1,
    })
  })

  it('keeps the routing factor within its bounds', () => {
    const slo = latencySlo({ p50Ms: 1, p95Ms: 1, p99Ms: 1, scoreWeight: 1 })
    expect(evaluateSlo(summary(100, 100, 100), slo).routingFactor).toBe(3)
    expect(evaluateSlo(summary(0, 0, 0), slo).routingFactor).toBe(0.5)
  })
})

describe('blendResourceRisk (WSTAT-29)', () => {
  it('weighs pressures by confidence', () => {
    expect(blendResourceRisk(1, { cpu: 0, memory: 0 })).toBe(1)
    expect(blendResourceRisk(2, { cpu: 1, memory: 0.5 })).toBeCloseTo(0.6 * 2 + 0.4 * (1 + 0.7 + 0.2))
    expect(blendResourceRisk(1, { cpu: 1, cpuConfidence: 0, memory: 1, memoryConfidence: 0.5 })).toBeCloseTo(1.08)
    expect(blendResourceRisk(1, { cpu: 1, memory: 1 }, { cpuWeight: 1, memoryWeight: 0, blend: 1 })).toBe(2)
  })

  it.each([
    [Number.NaN, { cpu: 0, memory: 0 }, {}],
    [1, { cpu: 1.1, memory: 0 }, {}],
    [1, { cpu: 0, memory: -0.1 }, {}],
    [1, { cpu: 0, memory: 0, cpuConfidence: 2 }, {}],
    [1, { cpu: 0, memory: 0 }, { blend: 1.5 }],
    [1, { cpu: 0, memory: 0 }, { cpuWeight: -1 }],
  ])('refuses %d, %o, %o', (score, pressure, weights) => {
    expect(() => blendResourceRisk(score, pressure, weights)).toThrow(HsError)
  })
})

describe('SLO summary on the wire (WSTAT-30)', () => {
  const sample = { p50: 12.5, p95: 80, p99: 400, score: 0.75, count: 123_456, atMs: 1_700_000_000_123 }

  it('is 28 bytes, big-endian', () => {
    const bytes = encodeSloSummary(sample)
    const floats = '41480000' + '42a00000' + '43c80000' + '3f400000'
    expect(Buffer.from(bytes.subarray(0, 20)).toString('hex')).toBe(`${floats}0001e240`)
    expect(bytes.length).toBe(28)
    expect(new DataView(bytes.buffer).getFloat64(20)).toBe(sample.atMs)
    expect(decodeSloSummary(bytes)).toEqual(sample)
    expect(Object.isFrozen(decodeSloSummary(bytes))).toBe(true)
  })

  it('saturates the count', () => {
    expect(decodeSloSummary(encodeSloSummary({ ...sample, count: 2 ** 40 })).count).toBe(2 ** 32 - 1)
  })

  it('round trips to float32, and reads a view into a larger buffer', () => {
    const amount = fc.float({ min: 0, max: Math.fround(1e30), noNaN: true }).map(Math.abs)
    fc.assert(
      fc.property(fc.array(amount, { minLength: 3, maxLength: 3 }), amount, fc.nat(), (values, score, count) => {
        const [p50, p95, p99] = values.sort((a, b) => a - b) as [number, number, number]
        const fields = { p50, p95, p99, score, count, atMs: 5 }
        const padded = new Uint8Array(40)
        padded.set(encodeSloSummary(fields), 7)
        expect(decodeSloSummary(padded.subarray(7, 35))).toEqual(fields)
      }),
    )
  })

  it.each([
    { p50: -1 },
    { p99: Number.NaN },
    { p99: 1e39 },
    { score: Infinity },
    { p50: 100 },
    { count: 1.5 },
    { atMs: -1 },
  ])('does not encode %o', (fields) => {
    expect(() => encodeSloSummary({ ...sample, ...fields })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })

  it.each([null, undefined, 5])('neither %s is a summary, nor are they pressures', (nothing) => {
    const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
    expect(() => encodeSloSummary(nothing as never)).toThrow(invalid)
    expect(() => blendResourceRisk(1, nothing as never)).toThrow(invalid)
  })

  it('decodes any bytes or throws a DecodeError', () => {
    const good = encodeSloSummary(sample)
    for (let length = 0; length < 40; length++) {
      if (length !== 28) expect(() => decodeSloSummary(new Uint8Array(length))).toThrow(DecodeError)
    }
    expect(() => decodeSloSummary('x'.repeat(28) as never)).toThrow(DecodeError)
    const broken = [
      [0, 0xff], // a negative p50
      [0, 0x7f], // p50 above p95
      [12, 0xff],
      [20, 0xff],
    ] as const
    for (const [at, byte] of broken) {
      const bytes = good.slice()
      bytes[at] = byte
      expect(() => decodeSloSummary(bytes)).toThrow(DecodeError)
    }
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 28, maxLength: 28 }), (bytes) => {
        try {
          const { p50, p95, p99 } = decodeSloSummary(bytes)
          expect(p50 <= p95 && p95 <= p99).toBe(true)
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError)
        }
      }),
    )
  })
})

describe('BurnRate (WSTAT-31)', () => {
  function setup(options: BurnRateOptions = {}) {
    const clock = new VirtualClock()
    const burn = new BurnRate({ clock, ...options })
    /** Runs for so long, with a hundred events a second. */
    const run = (seconds: number, errorRatio: number, until: () => boolean = () => false) => {
      for (let s = 1; s <= seconds; s++) {
        clock.advance(1_000)
        burn.record(100 * (1 - errorRatio), 100 * errorRatio)
        if (until()) return s
      }
      return seconds
    }
    return { clock, burn, run }
  }

  it('has the rules of the workbook', () => {
    expect(SRE_BURN_RATE_RULES).toEqual([
      { severity: 'page', longMs: 3_600_000, shortMs: 300_000, factor: 14.4 },
      { severity: 'page', longMs: 21_600_000, shortMs: 1_800_000, factor: 6 },
      { severity: 'ticket', longMs: 259_200_000, shortMs: 21_600_000, factor: 1 },
    ])
    expect(Object.isFrozen(SRE_BURN_RATE_RULES)).toBe(true)
  })

  it('pages 52 s into a full outage and clears within five and a half minutes of recovery', () => {
    const { burn, run } = setup()
    run(6 * 3_600, 0)
    expect(burn.evaluate().severity).toBe('none')
    const seconds = run(600, 1, () => burn.evaluate().severity === 'page')
    expect(seconds).toBeGreaterThanOrEqual(50)
    expect(seconds).toBeLessThanOrEqual(54)
    const first = burn.evaluate().rules[0]
    expect(first).toMatchObject({ severity: 'page', firing: true })
    expect(first?.longBurnRate).toBeGreaterThan(14.4)
    // The short window of the first rule clears; the slower rules were not reached.
    expect(run(1_000, 0, () => burn.evaluate().severity !== 'page')).toBeLessThanOrEqual(330)
  })

  // Detection: factor x (1 - objective) / error rate of the long window. Reset: the short window, and a bucket.
  it.each([
    [0, 1, 51.84, 330_000],
    [0, 0.1, 518.4, 330_000],
    [0, 0.0288, 1_800, 330_000],
    [1, 0.1, 1_296, 1_980_000],
    [1, 0.012, 10_800, 1_980_000],
    [2, 0.01, 25_920, 23_760_000],
  ])(
    'rule %d at an error rate of %d fires after %d s and is reset within %d ms',
    (index, errorRate, afterS, resetMs) => {
      const { clock, burn } = setup()
      const { longMs, shortMs } = SRE_BURN_RATE_RULES[index] as BurnRateRule
      const stepMs = shortMs / 100
      const run = (rate: number, until: () => boolean) => {
        const startMs = clock.now()
        while (!until() && clock.now() - startMs < 2 * longMs) {
          burn.record(stepMs * (1 - rate), stepMs * rate)
          clock.advance(stepMs)
        }
        return clock.now() - startMs
      }
      const isFiring = () => burn.evaluate().rules[index]?.firing === true
      run(0, () => clock.now() >= longMs)
      const detectedMs = run(errorRate, isFiring)
      // The oldest bucket of the long window leaves it whole, hence a bucket of slack.
      expect(detectedMs).toBeGreaterThan(afterS * 1_000 - shortMs / 10 - stepMs)
      expect(detectedMs).toBeLessThanOrEqual(afterS * 1_000 + 2 * stepMs)
      const quietMs = run(0, () => !isFiring())
      expect(quietMs).toBeGreaterThan(0)
      expect(quietMs).toBeLessThanOrEqual(resetMs)
    },
  )

  it('tickets a slow burn that never pages', () => {
    const { burn, run } = setup()
    run(3 * 86_400, 0.0015)
    expect(burn.evaluate().severity).toBe('ticket')
    expect(burn.evaluate().rules.map(({ firing }) => firing)).toEqual([false, false, true])
  })

  it('burns at exactly 1 where the objective is just met, and that fires nothing', () => {
    const { burn, run } = setup({
      objective: 0.75,
      rules: [{ severity: 'page', longMs: 10_000, shortMs: 1_000, factor: 1 }],
    })
    run(20, 0.25)
    expect(burn.evaluate()).toMatchObject({ severity: 'none', rules: [{ longBurnRate: 1, shortBurnRate: 1 }] })
  })

  it('needs events, and minEvents of them', () => {
    const { clock, burn } = setup({ minEvents: 10 })
    expect(burn.evaluate().rules[0]).toMatchObject({ longBurnRate: 0, shortBurnRate: 0, firing: false })
    burn.record(0, 9)
    expect(burn.evaluate().severity).toBe('none')
    burn.record(0, 1)
    expect(burn.evaluate().severity).toBe('page')
    clock.advance(30 * 86_400_000)
    expect(burn.evaluate().rules.every(({ longBurnRate }) => longBurnRate === 0)).toBe(true)
  })

  it('counts the current bucket and length / width - 1 before it, as a list of events would', () => {
    const rule = { severity: 'page', longMs: 5_000, shortMs: 1_000, factor: 1 } as const
    const step = fc.record({ waitMs: fc.nat(2_000), good: fc.nat(5), bad: fc.nat(5) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { clock, burn } = setup({ objective: 0.5, rules: [rule] })
        const events: { bucket: number; good: number; bad: number }[] = []
        for (const { waitMs, good, bad } of steps) {
          clock.advance(waitMs)
          burn.record(good, bad)
          events.push({ bucket: Math.floor(clock.now() / 100), good, bad })
        }
        const rate = (buckets: number) => {
          const inside = events.filter(({ bucket }) => bucket > Math.floor(clock.now() / 100) - buckets)
          const bad = inside.reduce((sum, event) => sum + event.bad, 0)
          const all = inside.reduce((sum, event) => sum + event.bad + event.good, 0)
          return all === 0 ? 0 : bad / all / 0.5
        }
        expect(burn.evaluate().rules[0]).toMatchObject({ longBurnRate: rate(50), shortBurnRate: rate(10) })
      }),
    )
  })

  it('refuses bad events and counts nothing of them', () => {
    const { burn } = setup()
    for (const [good, bad] of [
      [-1, 0],
      [0, Number.NaN],
      [Infinity, 0],
      [1, '2' as never],
    ] as const)
      expect(() => burn.record(good, bad)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(burn.evaluate().rules[0]?.longBurnRate).toBe(0)
  })

  it.each<[string, object]>([
    ['objective', { objective: 1 }],
    ['objective', { objective: 0 }],
    ['rules', { rules: [] }],
    ['rules.0.longMs', { rules: [{ severity: 'page', longMs: 999, shortMs: 1_000, factor: 1 }] }],
    ['rules.0.longMs', { rules: [{ severity: 'page', longMs: 1_050, shortMs: 1_000, factor: 1 }] }],
    ['rules.0.severity', { rules: [{ severity: 'mail', longMs: 1_000, shortMs: 1_000, factor: 1 }] }],
    ['minEvents', { minEvents: -1 }],
  ])('names %s of %o', (path, options) => {
    try {
      new BurnRate(options)
      expect.unreachable()
    } catch (error) {
      expect((error as ConfigError).issues.map((issue) => issue.path)).toContain(path)
    }
  })
})
