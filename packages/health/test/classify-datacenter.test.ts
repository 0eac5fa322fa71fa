import { classifyDatacenter, type DatacenterFacts, type DatacenterHealth } from '@hs/health'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { coded } from './support/matchers.js'

const fine: DatacenterFacts = {
  managers: 5,
  managersAlive: 5,
  workers: 10,
  workersHealthy: 10,
  coresAvailable: 20,
  coresTotal: 80,
}
const rank = (facts: DatacenterFacts): number =>
  ['healthy', 'busy', 'degraded', 'unhealthy'].indexOf(classifyDatacenter(facts).health)

describe('classifyDatacenter (HL-23)', () => {
  it.each<[DatacenterHealth, string, Partial<DatacenterFacts>]>([
    ['healthy', 'nothing is wrong', {}],
    ['healthy', 'a bare majority of everything', { managersAlive: 3, workersHealthy: 6 }],
    ['healthy', 'less than a third of the workers overloaded', { workersOverloaded: 2 }],
    ['healthy', 'less than half of the managers overloaded', { managersOverloaded: 2 }],
    ['healthy', 'a leader that is only stressed', { leaderOverload: 'stressed' }],
    ['healthy', 'its latency targets are held', { slo: 'healthy' }],
    ['busy', 'no core is available', { coresAvailable: 0 }],
    ['busy', 'three of ten workers overloaded', { workersOverloaded: 3 }],
    ['busy', 'four of ten workers overloaded', { workersOverloaded: 4 }],
    ['busy', 'its latency is', { slo: 'busy' }],
    ['degraded', 'half of the workers healthy, which is no majority', { workersHealthy: 5 }],
    ['degraded', 'two of five managers alive', { managersAlive: 2 }],
    ['degraded', 'two of four managers alive', { managers: 4, managersAlive: 2 }],
    ['degraded', 'an overloaded leader', { leaderOverload: 'overloaded' }],
    ['degraded', 'half of the managers alive overloaded', { managersAlive: 4, managersOverloaded: 2 }],
    ['degraded', 'half of the healthy workers overloaded', { workersHealthy: 8, workersOverloaded: 4 }],
    ['degraded', 'its latency is', { slo: 'degraded' }],
    ['degraded', 'latency is never worse than that', { slo: 'unhealthy' }],
    ['degraded', 'before full', { coresAvailable: 0, leaderOverload: 'overloaded' }],
    ['unhealthy', 'no manager alive', { managersAlive: 0 }],
    ['unhealthy', 'no worker', { workers: 0, workersHealthy: 0, coresAvailable: 0, coresTotal: 0 }],
    ['unhealthy', 'no healthy worker', { workersHealthy: 0 }],
    ['unhealthy', 'before degraded', { workersHealthy: 0, leaderOverload: 'overloaded' }],
  ])('is %s: %s', (health, _why, change) => {
    expect(classifyDatacenter({ ...fine, ...change }).health).toBe(health)
  })

  it('says for people what decided, in frozen data', () => {
    const verdict = classifyDatacenter({ ...fine, workersHealthy: 5 })
    expect(verdict).toEqual({ health: 'degraded', reason: '5 of 10 workers are healthy, a majority is 6' })
    expect(Object.isFrozen(verdict)).toBe(true)
    expect(classifyDatacenter(fine).reason).toBe('nothing is wrong')
  })

  it.each<[string, object]>([
    ['a count is missing', { workersHealthy: undefined }],
    ['a count is negative', { managers: -1 }],
    ['a count is no number', { workers: Number.NaN }],
    ['a count has no end', { coresTotal: Infinity }],
    ['an optional count is no number', { workersOverloaded: Number.NaN }],
  ])('throws if %s, rather than call it healthy', (_what, change) => {
    expect(() => classifyDatacenter({ ...fine, ...change })).toThrow(coded('INVALID_ARGUMENT'))
  })

  const count = fc.integer({ min: 0, max: 12 })
  const anyFacts = fc.record(
    {
      managers: count,
      managersAlive: count,
      workers: count,
      workersHealthy: count,
      coresAvailable: count,
      coresTotal: count,
      managersOverloaded: count,
      workersOverloaded: count,
      leaderOverload: fc.constantFrom('healthy', 'busy', 'stressed', 'overloaded'),
      slo: fc.constantFrom('healthy', 'busy', 'degraded', 'unhealthy'),
    },
    { requiredKeys: ['managers', 'managersAlive', 'workers', 'workersHealthy', 'coresAvailable', 'coresTotal'] },
  ) as fc.Arbitrary<DatacenterFacts>

  it.each(['workersHealthy', 'managersAlive', 'coresAvailable'] as const)('fewer %s never improve it', (field) => {
    fc.assert(
      fc.property(anyFacts, fc.integer({ min: 1, max: 12 }), (facts, fewer) => {
        expect(rank({ ...facts, [field]: Math.max(0, facts[field] - fewer) })).toBeGreaterThanOrEqual(rank(facts))
      }),
      { numRuns: 2_000 },
    )
  })

  it.each(['workersOverloaded', 'managersOverloaded'] as const)('more %s never improve it', (field) => {
    fc.assert(
      fc.property(anyFacts, fc.integer({ min: 1, max: 12 }), (facts, more) => {
        expect(rank({ ...facts, [field]: (facts[field] ?? 0) + more })).toBeGreaterThanOrEqual(rank(facts))
      }),
      { numRuns: 2_000 },
    )
  })

  it('being full is never worse than busy', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const full = rank({ ...facts, coresAvailable: 0 })
        expect(full).toBe(Math.max(1, rank({ ...facts, coresAvailable: 1 })))
      }),
    )
  })
})
