import { VirtualClock } from '@hs/core/testing'
import { SloHealth, type DatacenterHealth, type ObservedLatency } from '@hs/health'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { misconfigured } from './support/matchers.js'

const slo = { p50Ms: 100, p95Ms: 200, p99Ms: 400 }
const good: ObservedLatency = { p50Ms: 50, p95Ms: 100, p99Ms: 200, samples: 100 }
const busy: ObservedLatency = { ...good, p50Ms: 150 }
const degraded: ObservedLatency = { ...good, p95Ms: 400 }

function sloHealth(options: Partial<ConstructorParameters<typeof SloHealth>[0]> = {}) {
  const clock = new VirtualClock({ startMs: 5_000 })
  return { clock, health: new SloHealth({ slo, clock, ...options }) }
}

describe('SloHealth (HL-24)', () => {
  it.each<[DatacenterHealth, Partial<ObservedLatency>]>([
    ['healthy', {}],
    ['healthy', { p50Ms: 149.9, p95Ms: 399.9, p99Ms: 1_199.9 }],
    ['busy', { p50Ms: 150 }],
    ['degraded', { p95Ms: 400 }],
    ['degraded', { p99Ms: 1_200 }],
    ['degraded', { p50Ms: 150, p95Ms: 400 }],
    ['degraded', { p50Ms: 1e9, p95Ms: 1e9, p99Ms: 1e9 }],
  ])('an update says %s of %o', (level, change) => {
    const { health } = sloHealth({ sustainedMs: 0 })
    expect(health.update({ ...good, ...change })).toBe(level)
  })

  it('moves once every update for sustainedMs has said so, counted from the first', () => {
    const { clock, health } = sloHealth()
    expect(health.health).toBe('healthy')
    health.update(degraded)
    clock.advance(29_999)
    expect(health.update(degraded)).toBe('healthy')
    expect(health.snapshot()).toEqual({ health: 'healthy', pending: 'degraded', sinceMs: 29_999, ignored: 0 })
    clock.advance(1)
    expect(health.health).toBe('healthy') // between updates nothing happens
    expect(health.update(degraded)).toBe('degraded')
    expect(health.snapshot()).toEqual({ health: 'degraded', pending: null, sinceMs: 0, ignored: 0 })
    expect(Object.isFrozen(health.snapshot())).toBe(true)
    expect(clock.pendingTimers).toBe(0)
  })

  it('one update that says otherwise begins the time anew', () => {
    const { clock, health } = sloHealth()
    health.update(degraded)
    clock.advance(20_000)
    health.update(good)
    clock.advance(20_000)
    expect(health.update(degraded)).toBe('healthy')
    clock.advance(30_000)
    expect(health.update(degraded)).toBe('degraded')
  })

  it('what is worse than a level counts for it, too', () => {
    const { clock, health } = sloHealth()
    health.update(busy)
    clock.advance(20_000)
    health.update(degraded)
    expect(health.snapshot()).toMatchObject({ pending: 'busy', sinceMs: 20_000 })
    clock.advance(10_000)
    expect(health.update(degraded)).toBe('busy')
    expect(health.snapshot()).toMatchObject({ pending: 'degraded', sinceMs: 10_000 })
    clock.advance(20_000)
    expect(health.update(degraded)).toBe('degraded')
  })

  it('is lifted the same way, step by step or at once', () => {
    const { clock, health } = sloHealth()
    const sustain = (update: ObservedLatency) => {
      health.update(update)
      clock.advance(30_000)
      return health.update(update)
    }
    expect(sustain(degraded)).toBe('degraded')
    clock.advance(1)
    health.update(busy)
    clock.advance(20_000)
    health.update(good)
    clock.advance(10_000)
    expect(health.update(good)).toBe('busy')
    clock.advance(20_000)
    expect(health.update(good)).toBe('healthy')
    sustain(degraded)
    clock.advance(1)
    expect(sustain(good)).toBe('healthy')
  })

  it.each<[string, Partial<ObservedLatency>]>([
    ['too few samples', { samples: 99 }],
    ['numbers that are none', { p50Ms: Number.NaN }],
    ['numbers below 0', { p99Ms: -1 }],
    ['numbers without end', { p95Ms: Infinity }],
    ['a number of samples that is none', { samples: Number.NaN }],
  ])('%s change nothing and are counted', (_what, change) => {
    const { clock, health } = sloHealth()
    health.update(degraded)
    clock.advance(30_000)
    expect(health.update({ ...good, ...change })).toBe('healthy')
    expect(health.snapshot()).toEqual({ health: 'healthy', pending: 'degraded', sinceMs: 30_000, ignored: 1 })
    expect(health.update(degraded)).toBe('degraded') // the time ran on
  })

  it('agrees with an oracle that looks at the whole past', () => {
    const step = fc.record({ said: fc.integer({ min: 0, max: 2 }), afterMs: fc.integer({ min: 0, max: 20 }) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const clock = new VirtualClock()
        const health = new SloHealth({ slo, sustainedMs: 30, clock })
        const past: { atMs: number; said: number }[] = []
        let level = 0
        for (const { said, afterMs } of steps) {
          clock.advance(afterMs)
          past.push({ atMs: clock.now(), said })
          level = oracle(past, level, 30)
          const update = [good, busy, degraded][said] as ObservedLatency
          expect(health.update(update)).toBe(['healthy', 'busy', 'degraded'][level])
        }
      }),
      { numRuns: 500 },
    )
  })

  it.each<[string, object, string[]]>([
    ['no targets', { slo: undefined }, ['slo']],
    ['a target of 0', { slo: { ...slo, p50Ms: 0 } }, ['slo.p50Ms']],
    ['p95 below p50', { slo: { ...slo, p95Ms: 99 } }, ['slo.p95Ms']],
    ['p99 below p95', { slo: { ...slo, p99Ms: 199 } }, ['slo.p99Ms']],
    ['a negative time', { sustainedMs: -1 }, ['sustainedMs']],
    ['a negative number of samples', { minSamples: -1 }, ['minSamples']],
    ['a misspelt option', { sustainMs: 1 }, ['sustainMs']],
  ])('refuses %s', (_what, options, paths) => {
    expect(() => sloHealth(options)).toThrow(misconfigured(...paths))
  })
})

/** The furthest level that every update since some update of at least `sustainedMs` ago has said, or one beyond it. */
function oracle(past: readonly { atMs: number; said: number }[], level: number, sustainedMs: number): number {
  const now = past.at(-1)?.atMs ?? 0
  const sustained = (says: (said: number) => boolean) => {
    let first = past.length
    while (first > 0 && says(past[first - 1]?.said ?? NaN)) first--
    const since = past[first]?.atMs
    return since !== undefined && now - since >= sustainedMs
  }
  for (let worse = 2; worse > level; worse--) if (sustained((said) => said >= worse)) return worse
  for (let better = 0; better < level; better++) if (sustained((said) => said <= better)) return better
  return level
}
