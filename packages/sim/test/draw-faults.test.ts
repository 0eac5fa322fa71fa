import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '@hs/core/testing'
import { drawFaults, faultKinds, type DrawFaultsOptions, type Fault } from '@hs/sim'

const nodes = ['a', 'b', 'c', 'd', 'e']
const calm: DrawFaultsOptions = { nodes, durationMs: 3_600_000, swarm: false }

function draw(seed: number, options: Partial<DrawFaultsOptions> = {}): Fault[] {
  return drawFaults(new SeededRandom(seed), { ...calm, ...options })
}

function ofKind<K extends Fault['kind']>(faults: readonly Fault[], kind: K): (Fault & { kind: K })[] {
  return faults.filter((fault): fault is Fault & { kind: K } => fault.kind === kind)
}

const mean = (xs: readonly number[]) => xs.reduce((sum, x) => sum + x, 0) / xs.length

describe('drawFaults keeps its bounds (SIM-20)', () => {
  const options = fc.record({
    nodes: fc.integer({ min: 0, max: 6 }).map((n) => Array.from({ length: n }, (_, index) => `n${index}`)),
    durationMs: fc.integer({ min: 0, max: 60_000 }),
    kinds: fc.subarray([...faultKinds], { minLength: 1 }),
    meanGapMs: fc.integer({ min: 500, max: 20_000 }),
    maxForMs: fc.integer({ min: 100, max: 30_000 }),
    maxDown: fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined }),
    loseDisk: fc.constantFrom(0, 0.5, 1),
    swarm: fc.boolean(),
  })

  it('draws integers in order, of the kinds and nodes it was given, over by the end', () => {
    fc.assert(
      fc.property(fc.integer(), options, (seed, given) => {
        const faults = drawFaults(new SeededRandom(seed), defined(given))
        let before = 0
        for (const fault of faults) {
          expect(given.kinds).toContain(fault.kind)
          expect(Number.isInteger(fault.atMs) && Number.isInteger(fault.forMs)).toBe(true)
          expect(fault.atMs).toBeGreaterThanOrEqual(before)
          expect(fault.forMs).toBeGreaterThanOrEqual(100)
          expect(fault.forMs).toBeLessThanOrEqual(given.maxForMs)
          expect(fault.atMs + fault.forMs).toBeLessThanOrEqual(given.durationMs)
          if ('node' in fault) expect(given.nodes).toContain(fault.node)
          else {
            expect([...fault.from, ...fault.to].sort()).toEqual([...given.nodes].sort())
            expect(Math.min(fault.from.length, fault.to.length)).toBeGreaterThan(0)
          }
          before = fault.atMs
        }
      }),
    )
  })

  it('never has more nodes down than allowed, nor one twice', () => {
    fc.assert(
      fc.property(fc.integer(), options, (seed, given) => {
        const crashes = ofKind(drawFaults(new SeededRandom(seed), defined(given)), 'crash')
        const maxDown = given.maxDown ?? Math.max(0, Math.floor((given.nodes.length - 1) / 2))
        for (const { atMs } of crashes) {
          const down = crashes.filter((crash) => crash.atMs <= atMs && crash.atMs + crash.forMs >= atMs)
          expect(down.length).toBeLessThanOrEqual(maxDown)
          expect(new Set(down.map((crash) => crash.node)).size).toBe(down.length)
        }
      }),
    )
  })

  it('is the same for the same seed, and another for another', () => {
    expect(draw(1)).toEqual(draw(1))
    expect(draw(1)).not.toEqual(draw(2))
  })

  it('draws a plan that is plain JSON', () => {
    const plan = draw(3)
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan)
  })

  it('draws no partition for one node, and nothing for none', () => {
    const alone = draw(1, { nodes: ['a'] })
    expect(new Set(alone.map((fault) => fault.kind))).toEqual(new Set(['pause', 'clock', 'disk']))
    expect(draw(1, { nodes: [] })).toEqual([])
  })

  it('refuses what makes no plan', () => {
    const bad: Partial<Record<keyof DrawFaultsOptions, unknown>>[] = [
      { kinds: [] },
      { kinds: ['meteor'] },
      { meanGapMs: 0 },
      { maxForMs: 99 },
      { maxDown: -1 },
      { loseDisk: 2 },
      { swarms: true } as never,
    ]
    for (const options of bad)
      expect(() => draw(1, options as never)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })
})

describe('drawFaults draws from its distributions (SIM-20)', () => {
  const many = Array.from({ length: 20 }, (_, seed) => draw(seed)).flat()

  it('draws exponential gaps of the mean it was given', () => {
    const gaps: number[] = []
    for (let seed = 0; seed < 20; seed++) {
      const plan = draw(seed, { meanGapMs: 2_000, kinds: ['pause'] })
      for (const [index, fault] of plan.entries()) gaps.push(fault.atMs - (plan[index - 1]?.atMs ?? 0))
    }
    expect(mean(gaps)).toBeGreaterThan(1_950)
    expect(mean(gaps)).toBeLessThan(2_050)
    // A part of e^-1 of exponential gaps is longer than the mean.
    expect(gaps.filter((gap) => gap > 2_000).length / gaps.length).toBeCloseTo(Math.exp(-1), 1)
  })

  it('draws short durations more often than long ones, up to the longest', () => {
    const durations = many.map((fault) => fault.forMs).sort((a, b) => a - b)
    expect(durations[durations.length >> 1]).toBeLessThan(2_000)
    expect(durations.at(-1)).toBeGreaterThan(14_000)
    expect(durations[0]).toBeLessThan(110)
  })

  it('draws every kind about as often as another', () => {
    for (const kind of faultKinds) {
      const share = ofKind(many, kind).length / many.length
      expect(share).toBeGreaterThan(0.1)
      expect(share).toBeLessThan(0.19)
    }
  })

  it('cuts half of the partitions and clogs one way only', () => {
    const cuts = [...ofKind(many, 'partition'), ...ofKind(many, 'clog')]
    expect(cuts.filter((cut) => cut.oneWay === true).length / cuts.length).toBeCloseTo(0.5, 1)
    expect(new Set(cuts.map((cut) => cut.from.length))).toEqual(new Set([1, 2, 3, 4]))
  })

  it('gives links loss to 50 %, duplicates to 20 % and a mean latency to 500 ms', () => {
    const changes = ofKind(many, 'link').map((fault) => fault.change)
    expectSpread(
      changes.map((change) => change.loss ?? NaN),
      0,
      0.5,
    )
    expectSpread(
      changes.map((change) => change.duplicate ?? NaN),
      0,
      0.2,
    )
    expectSpread(
      changes.map((change) => meanOf(change.latency)),
      1,
      500,
    )
  })

  it('gives clocks a skew of up to a minute and a drift of up to 500 ppm, either way', () => {
    const clocks = ofKind(many, 'clock')
    expectSpread(
      clocks.map((clock) => clock.skewMs ?? NaN),
      -60_000,
      60_000,
    )
    expectSpread(
      clocks.map((clock) => clock.driftPpm ?? NaN),
      -500,
      500,
    )
  })

  it('gives disks sync errors to 30 %, write errors to 10 % and a mean latency to 200 ms', () => {
    const changes = ofKind(many, 'disk').map((fault) => fault.change)
    expectSpread(
      changes.map((change) => change.syncErrorRate ?? NaN),
      0,
      0.3,
    )
    expectSpread(
      changes.map((change) => change.writeErrorRate ?? NaN),
      0,
      0.1,
    )
    expectSpread(
      changes.map((change) => meanOf(change.latency)),
      1,
      200,
    )
  })

  it('loses disks only when asked', () => {
    expect(ofKind(many, 'crash').some((crash) => crash.disk === 'lose')).toBe(false)
    const crashes = ofKind(draw(1, { kinds: ['crash'], loseDisk: 0.5 }), 'crash')
    expect(crashes.filter((crash) => crash.disk === 'lose').length / crashes.length).toBeCloseTo(0.5, 1)
    expect(ofKind(draw(1, { kinds: ['crash'], loseDisk: 1 }), 'crash').every((c) => c.disk === 'lose')).toBe(true)
  })

  it('gives each seed of a swarm a subset of kinds and an intensity of its own', () => {
    const plans = Array.from({ length: 200 }, (_, seed) => draw(seed, { swarm: true, durationMs: 600_000 }))
    const subsets = new Set(plans.map((plan) => [...new Set(plan.map((fault) => fault.kind))].sort().join()))
    expect(subsets.size).toBeGreaterThan(50)
    const sizes = plans.map((plan) => plan.length).sort((a, b) => a - b)
    expect(sizes.at(-1)).toBeGreaterThan(4 * (sizes[0] ?? NaN))
    expect(sizes[0]).toBeGreaterThan(0)
    for (const kind of faultKinds) {
      const without = plans.filter((plan) => plan.every((fault) => fault.kind !== kind)).length
      expect(without).toBeGreaterThan(40)
      expect(without).toBeLessThan(160)
    }
  })
})

function expectSpread(values: readonly number[], min: number, max: number): void {
  const edge = (max - min) / 10
  expect(Math.min(...values)).toBeGreaterThanOrEqual(min)
  expect(Math.min(...values)).toBeLessThan(min + edge)
  expect(Math.max(...values)).toBeLessThanOrEqual(max)
  expect(Math.max(...values)).toBeGreaterThan(max - edge)
}

function meanOf(latency: unknown): number {
  return (latency as { meanMs: number }).meanMs
}

function defined(given: object): DrawFaultsOptions {
  return Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as unknown as DrawFaultsOptions
}
