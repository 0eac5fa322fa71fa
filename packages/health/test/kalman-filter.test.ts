import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import { KalmanFilter } from '@hs/health'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { misconfigured } from './support/matchers.js'

const SEEDS = Array.from({ length: 20 }, (_, seed) => seed)

/** Normal deviates by Box and Muller. */
const normal = (seed: number | string) => {
  const random = new SeededRandom(seed)
  return () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
}

describe('KalmanFilter (HL-17)', () => {
  it('knows nothing before the first measurement, and then as much as that says', () => {
    const filter = new KalmanFilter()
    expect([filter.value, filter.uncertainty, filter.samples]).toEqual([0, Infinity, 0])
    expect(filter.update(40)).toBe(40)
    expect(filter.snapshot()).toEqual({
      value: 40,
      uncertainty: 5,
      samples: 1,
      processNoise: 10,
      measurementNoise: 25,
    })
    expect(Object.isFrozen(filter.snapshot())).toBe(true)
  })

  it('is the scalar filter of a random walk, written out', () => {
    const q = fc.double({ min: 0.001, max: 1_000, noNaN: true })
    const measurements = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 50 })
    fc.assert(
      fc.property(q, q, measurements, (processNoise, measurementNoise, zs) => {
        const filter = new KalmanFilter({ processNoise, measurementNoise })
        let x = 0
        let p = Infinity
        for (const [index, z] of zs.entries()) {
          const predicted = p + processNoise
          const gain = index === 0 ? 1 : predicted / (predicted + measurementNoise)
          x += gain * (z - x)
          p = index === 0 ? measurementNoise : (1 - gain) * predicted
          filter.update(z)
          expect(filter.value).toBeCloseTo(x, 5)
          expect(filter.uncertainty).toBeCloseTo(Math.sqrt(p), 8)
        }
        expect(filter.samples).toBe(zs.length)
      }),
    )
  })

  it('ignores what is no usable number', () => {
    const filter = new KalmanFilter({ adapt: 0.5 })
    filter.update(3)
    const before = filter.snapshot()
    for (const bad of [NaN, Infinity, -Infinity, 1e200, undefined as never]) expect(filter.update(bad)).toBe(3)
    expect(filter.snapshot()).toEqual(before)
  })

  it('forgets all with reset', () => {
    const filter = new KalmanFilter({ adapt: 0.3 })
    const fresh = new KalmanFilter({ adapt: 0.3 })
    for (const z of [1, 900, 950, 3]) filter.update(z)
    filter.reset()
    expect(filter.snapshot()).toEqual(fresh.snapshot())
    for (const z of [5, 6, 900, 901]) expect(filter.update(z)).toBe(fresh.update(z))
  })

  it('takes clock, random and logger like everything else here', () => {
    const filter = new KalmanFilter({
      clock: new VirtualClock(),
      random: new SeededRandom(1),
      logger: new MemoryLogger(),
    })
    expect(filter.update(5)).toBe(5)
    expect(() => new KalmanFilter({ clock: 7 as never })).toThrow(misconfigured('clock'))
  })

  it('refuses options out of range', () => {
    expect(() => new KalmanFilter({ processNoise: 0, measurementNoise: -1, adapt: 1.1 })).toThrow(
      misconfigured('processNoise', 'measurementNoise', 'adapt'),
    )
  })
})

describe('KalmanFilter, adaptive (HL-18)', () => {
  it('scales both noises and its variance by how much it was surprised', () => {
    const filter = new KalmanFilter({ processNoise: 10, measurementNoise: 25, adapt: 0.1 })
    filter.update(0)
    filter.update(30)
    const predicted = 25 + 10
    const surprise = 900 / (predicted + 25)
    const factor = 1 + 0.1 * (9 - 1)
    expect(surprise).toBeGreaterThan(9)
    const gain = predicted / (predicted + 25)
    expect(filter.value).toBeCloseTo(gain * 30, 9)
    expect(filter.snapshot().processNoise).toBeCloseTo(10 * factor, 9)
    expect(filter.snapshot().measurementNoise).toBeCloseTo(25 * factor, 9)
    expect(filter.uncertainty ** 2).toBeCloseTo((1 - gain) * predicted * factor, 9)
  })

  it('follows at once after two surprises in a row', () => {
    const filter = new KalmanFilter({ adapt: 0.05 })
    for (let i = 0; i < 100; i++) filter.update(i % 2)
    filter.update(1_000)
    expect(filter.value).toBeLessThan(900)
    filter.update(1_000)
    expect(filter.value).toBeGreaterThan(990)
  })

  it.each([1 / 16, 1 / 4, 1, 4, 16])(
    'holds the true value in its 2-sigma band, told noises %d times the true',
    (wrong) => {
      let inside = 0
      let judged = 0
      for (const seed of SEEDS) {
        const draw = normal(`walk-${seed}`)
        const filter = new KalmanFilter({ processNoise: 10 * wrong, measurementNoise: 25 * wrong, adapt: 0.05 })
        let truth = 50
        for (let i = 0; i < 2_000; i++) {
          truth += Math.sqrt(10) * draw()
          filter.update(truth + 5 * draw())
          // The first two hundred teach it the units.
          if (i < 200) continue
          judged++
          if (Math.abs(filter.value - truth) <= 2 * filter.uncertainty) inside++
        }
      }
      expect(inside / judged).toBeGreaterThanOrEqual(0.9)
      expect(inside / judged).toBeLessThanOrEqual(0.99)
    },
  )

  it('follows a jump of 12 sigma within 4 samples on average', () => {
    const delays = SEEDS.map((seed) => {
      const draw = normal(`jump-${seed}`)
      const filter = new KalmanFilter({ processNoise: 0.1, measurementNoise: 25, adapt: 0.05 })
      for (let i = 0; i < 500; i++) filter.update(40 + 5 * draw())
      const jumpedTo = 40 + 12 * 5
      for (let samples = 1; samples <= 100; samples++) {
        filter.update(jumpedTo + 5 * draw())
        if (Math.abs(filter.value - jumpedTo) <= 2 * filter.uncertainty) return samples
      }
      return Infinity
    })
    expect(delays.reduce((sum, delay) => sum + delay, 0) / delays.length).toBeLessThanOrEqual(4)
  })

  it('keeps its sigma above 0 over a day of the same value, and follows a change after it', () => {
    const filter = new KalmanFilter({ adapt: 0.05 })
    for (let i = 0; i < 86_400; i++) filter.update(7)
    expect(filter.uncertainty).toBeGreaterThan(0)
    for (let i = 0; i < 3; i++) filter.update(9)
    expect(filter.value).toBeCloseTo(9, 3)
    for (let i = 0; i < 100; i++) filter.update(9 + (i % 2))
    expect(filter.uncertainty).toBeGreaterThan(0.1)
  })

  it('stays finite, whatever it is told', () => {
    const extreme = fc.oneof(fc.double(), fc.constantFrom(1e150, -1e150, 5e-324, 0))
    fc.assert(
      fc.property(fc.array(extreme, { maxLength: 200 }), fc.constantFrom(0, 0.05, 1), (zs, adapt) => {
        const filter = new KalmanFilter({ adapt })
        for (const z of zs) expect(Number.isFinite(filter.update(z))).toBe(true)
        if (filter.samples > 0) expect(Number.isNaN(filter.uncertainty)).toBe(false)
      }),
    )
  })
})
