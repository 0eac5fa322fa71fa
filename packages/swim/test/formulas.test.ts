import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import {
  LocalHealth,
  overrides,
  presets,
  retransmitLimit,
  scaledSyncIntervalMs,
  suspicionBoundsMs,
  suspicionTimeoutMs,
  type RecordVersion,
} from '../src/index.js'
import { Suspicion } from '../src/suspicion.js'

describe('suspicionTimeoutMs (SWIM-18)', () => {
  it.each([
    // memberlist's own table, in milliseconds: confirmations, expected, min, max, timeout
    [0, 3, 2_000, 30_000, 30_000],
    [1, 3, 2_000, 30_000, 16_000],
    [2, 3, 2_000, 30_000, 7_810],
    [3, 3, 2_000, 30_000, 2_000],
    [4, 3, 2_000, 30_000, 2_000],
    [5, 3, 2_000, 30_000, 2_000],
    [0, 0, 4_000, 24_000, 4_000],
    [0, -1, 4_000, 24_000, 4_000],
    [1, 1, 4_000, 24_000, 4_000],
  ])('%i of %i confirmations between %i and %i ms: %i', (confirmations, expected, minMs, maxMs, timeoutMs) => {
    expect(suspicionTimeoutMs(confirmations, expected, minMs, maxMs)).toBe(timeoutMs)
  })

  it('never rises with a confirmation and never leaves its bounds', () => {
    fc.assert(
      fc.property(
        fc.nat(10),
        fc.nat(10),
        fc.integer({ min: 1, max: 100_000 }),
        fc.integer({ min: 1, max: 20 }),
        (c, k, min, b) => {
          const here = suspicionTimeoutMs(c, k, min, b * min)
          expect(here).toBeGreaterThanOrEqual(min)
          expect(here).toBeLessThanOrEqual(b * min)
          expect(suspicionTimeoutMs(c + 1, k, min, b * min)).toBeLessThanOrEqual(here)
        },
      ),
    )
  })
})

describe('suspicionBoundsMs (SWIM-18)', () => {
  it.each([
    [1, 4_000],
    [2, 4_000],
    [10, 4_000],
    [50, 6_795],
    [100, 8_000],
    [500, 10_795],
    [1_000, 12_000],
  ])('%i members: %i ms at the least', (n, minMs) => {
    const options = { suspicionMultiplier: 4, suspicionMaxMultiplier: 6, probeIntervalMs: 1_000 }
    expect(suspicionBoundsMs(n, options)).toEqual({ minMs, maxMs: 6 * minMs })
  })
})

describe('retransmitLimit and scaledSyncIntervalMs (SWIM-22, SWIM-29)', () => {
  it.each([
    [3, 0, 0],
    [3, 1, 3],
    [3, 2, 6],
    [3, 9, 9],
    [3, 64, 15],
    [2, 99, 10],
  ])('λ %i among %i: %i times', (multiplier, n, limit) => {
    expect(retransmitLimit(multiplier, n)).toBe(limit)
  })

  it.each([
    [1, 30_000],
    [32, 30_000],
    [33, 60_000],
    [64, 60_000],
    [65, 90_000],
    [128, 90_000],
    [1_000, 180_000],
  ])('%i members compare views every %i ms', (n, intervalMs) => {
    expect(scaledSyncIntervalMs(30_000, n)).toBe(intervalMs)
  })
})

describe('Suspicion (SWIM-18, SWIM-19)', () => {
  const bounds = { minMs: 4_000, maxMs: 24_000 }
  const GRACE_MS = 500

  it('counts each accuser once, and no more than are expected', () => {
    const suspicion = new Suspicion('a', 0, 2, bounds)
    expect(suspicion.confirm('a', 1, GRACE_MS)).toBe(false)
    expect(suspicion.confirm('b', 1, GRACE_MS)).toBe(true)
    expect(suspicion.confirm('b', 1, GRACE_MS)).toBe(false)
    expect(suspicion.confirm('c', 1, GRACE_MS)).toBe(true)
    expect(suspicion.confirm('d', 1, GRACE_MS)).toBe(false)
    expect(suspicion.accusers).toEqual(['a', 'b', 'c'])
  })

  it('ends at its start and the timeout, however late before that it is confirmed', () => {
    const suspicion = new Suspicion('a', 1_000, 1, bounds)
    expect(suspicion.dueMs).toBe(25_000)
    suspicion.confirm('b', 4_900, GRACE_MS)
    expect(suspicion.dueMs).toBe(5_000)
  })

  it('a word that brings the deadline into the past leaves the accused the time of an answer, and no second one', () => {
    const suspicion = new Suspicion('a', 1_000, 2, bounds)
    suspicion.confirm('b', 20_000, GRACE_MS)
    expect(suspicion.dueMs).toBe(20_500)
    suspicion.confirm('c', 20_400, GRACE_MS)
    expect(suspicion.dueMs).toBe(20_500)
  })

  it('never brings more time than there was', () => {
    const suspicion = new Suspicion('a', 1_000, 1, bounds)
    suspicion.confirm('b', 24_900, GRACE_MS)
    expect(suspicion.dueMs).toBe(25_000)
    fc.assert(
      fc.property(fc.array(fc.nat(30_000), { maxLength: 6 }), fc.integer({ min: 0, max: 5 }), (times, expected) => {
        const one = new Suspicion('first', 0, expected, bounds)
        for (const [i, nowMs] of times.sort((a, b) => a - b).entries()) {
          const beforeMs = one.dueMs
          if (beforeMs <= nowMs) return
          one.confirm(`accuser ${i}`, nowMs, GRACE_MS)
          expect(one.dueMs).toBeLessThanOrEqual(beforeMs)
          expect(one.dueMs).toBeGreaterThanOrEqual(bounds.minMs)
        }
      }),
    )
  })

  it('has no more than the minimum when nobody else could confirm', () => {
    expect(new Suspicion('a', 0, -1, bounds).dueMs).toBe(4_000)
  })

  it('keeps what a stall put it off to, whatever is confirmed', () => {
    const suspicion = new Suspicion('a', 0, 1, bounds)
    suspicion.putOff(24_300)
    suspicion.confirm('b', 24_100, GRACE_MS)
    expect(suspicion.dueMs).toBe(24_300)
  })
})

describe('LocalHealth (SWIM-17)', () => {
  it('stays within 0 and S and multiplies times', () => {
    const health = new LocalHealth()
    expect(health.apply(-1)).toBe(0)
    expect(health.scale(500)).toBe(500)
    expect(health.apply(3)).toBe(3)
    expect(health.scale(1_000)).toBe(4_000)
    expect(health.apply(100)).toBe(8)
    expect(health.scale(1_000)).toBe(9_000)
    expect(health.apply(-1)).toBe(7)
    expect(health.score).toBe(7)
  })

  it('is off with S = 0', () => {
    const health = new LocalHealth(0)
    expect(health.apply(5)).toBe(0)
    expect(health.scale(500)).toBe(500)
  })

  it('refuses another S and a change that is no number', () => {
    expect(() => new LocalHealth(-1)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => new LocalHealth().apply(NaN)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})

describe('overrides (SWIM-6)', () => {
  const version = fc.record({
    generation: fc.nat(3),
    incarnation: fc.nat(3),
    status: fc.constantFrom('alive' as const, 'suspect' as const, 'dead' as const, 'left' as const),
  })
  const merge = (a: RecordVersion, b: RecordVersion) => (overrides(b, a) ? b : a)

  it.each([
    [
      { generation: 2, incarnation: 0, status: 'alive' },
      { generation: 1, incarnation: 9, status: 'left' },
    ],
    [
      { generation: 1, incarnation: 1, status: 'alive' },
      { generation: 1, incarnation: 0, status: 'dead' },
    ],
    [
      { generation: 1, incarnation: 0, status: 'suspect' },
      { generation: 1, incarnation: 0, status: 'alive' },
    ],
    [
      { generation: 1, incarnation: 0, status: 'dead' },
      { generation: 1, incarnation: 0, status: 'suspect' },
    ],
    [
      { generation: 1, incarnation: 0, status: 'left' },
      { generation: 1, incarnation: 0, status: 'dead' },
    ],
  ] as const)('%o overrides %o', (a, b) => {
    expect(overrides(a, b)).toBe(true)
    expect(overrides(b, a)).toBe(false)
    expect(overrides(a, a)).toBe(false)
  })

  it('is a total order, so views are a join semilattice', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(merge(a, b)).toEqual(merge(b, a))
        expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)))
        expect(merge(a, a)).toEqual(a)
      }),
    )
  })
})

describe('presets (SWIM-12)', () => {
  it('are the table', () => {
    const row = (p: (typeof presets)['lan'] | (typeof presets)['wan'] | (typeof presets)['local']) => [
      p.probeIntervalMs,
      p.probeTimeoutMs,
      p.indirectProbes,
      p.suspicionMultiplier,
      p.retransmitMultiplier,
      p.gossipIntervalMs,
      p.gossipFanout,
      p.gossipToDeadMs,
      p.syncIntervalMs,
    ]
    expect(row(presets.lan)).toEqual([1_000, 500, 3, 4, 3, 200, 3, 30_000, 30_000])
    expect(row(presets.wan)).toEqual([5_000, 3_000, 3, 6, 3, 500, 4, 60_000, 60_000])
    expect(row(presets.local)).toEqual([1_000, 200, 1, 3, 2, 100, 3, 15_000, 15_000])
  })
})
