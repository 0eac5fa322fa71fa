/**
 * Goodput under an overload that lasts: `Admission` with a limit that learns, beside a server that refuses nobody and
 * beside Netflix's Gradient2. Some minutes of each; `HS_SOAK=1` for hours of each, of virtual time.
 */
import type { MessagePriority } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'
import { describe, expect, it } from 'vitest'
import { defaultLoad, GoodputRun, measureGoodput, type Minute } from '../bench/overload/goodput.js'
import { admission, gradient2, gradient2Wide, unprotected, type Policy } from '../bench/overload/goodput-policies.js'
import { Gradient2 } from '../bench/overload/gradient2.js'

const isWhole = process.env['HS_SOAK'] === '1'
const HOUR = 60
const timeout = isWhole ? 600_000 : 60_000

const sum = (minutes: readonly Minute[], figure: (minute: Minute) => number) =>
  minutes.reduce((total, minute) => total + figure(minute), 0)

/** What a call takes where nothing waits. */
const unloaded = () => {
  const minutes = measureGoodput({ ...defaultLoad, offered: 0.3 }, unprotected, 5)
  return { p99Ms: Math.max(...minutes.map(({ p99Ms }) => p99Ms)), minutes }
}

describe('Goodput (OVER-9, OVER-14, OVER-18, OVER-18a)', () => {
  const { p99Ms: unloadedP99Ms, minutes: calm } = unloaded()

  it('is measured on a server that does what it is offered while that is little', () => {
    expect(sum(calm, ({ goodput }) => goodput) / calm.length).toBeCloseTo(0.3, 2)
    expect(sum(calm, ({ late }) => late)).toBe(0)
    // Exponential work of 20 ms: the 99th percentile is 20 ln 100.
    expect(unloadedP99Ms / (20 * Math.log(100))).toBeCloseTo(1, 1)
  })

  it.each([
    [2, isWhole ? HOUR : 3],
    [3, isWhole ? 2 * HOUR : 6],
    [5, isWhole ? HOUR : 3],
  ])(
    'of Admission at %d times the capacity is near all of it in every minute after the first',
    { timeout },
    (offered, length) => {
      const minutes = measureGoodput({ ...defaultLoad, offered }, admission, length).slice(1)
      expect(minutes).toHaveLength(length - 1)
      for (const minute of minutes) {
        expect(minute.goodput).toBeGreaterThanOrEqual(0.95)
        expect(minute.late).toBe(0)
        expect(minute.p99Ms).toBeLessThanOrEqual(1.5 * unloadedP99Ms)
        expect(minute.critical.refused).toBe(0)
        expect(minute.critical.offered).toBeGreaterThan(1_000)
        expect(minute.critical.p99Ms).toBeLessThanOrEqual(1.5 * unloadedP99Ms)
        expect(minute.limit).toBeLessThan(110) // of 40 cores: it does not drift
      }
    },
  )

  it('neither refuses nor queues what is critical, and refuses the least important first', () => {
    const run = new GoodputRun({ ...defaultLoad, offered: 3 }, admission)
    for (let minute = 0; minute < 2; minute++) run.next()
    const { admitted, refused, queued, timedOut, displaced } = run.executorSnapshot() ?? {}
    expect(refused?.critical).toBe(0)
    expect([queued, timedOut, displaced]).toEqual([{ critical: 0, high: 0, normal: 0, low: 0 }, 0, 0])
    const share = (priority: MessagePriority) =>
      (admitted?.[priority] ?? NaN) / ((admitted?.[priority] ?? NaN) + (refused?.[priority] ?? NaN))
    expect(share('critical')).toBe(1)
    expect(share('high')).toBeGreaterThan(0.9)
    expect(share('normal')).toBeLessThan(share('high'))
    expect(share('low')).toBeLessThan(share('normal'))
  })

  it('follows a service that takes twice as long, and one that is itself again, within a minute', { timeout }, () => {
    const [from, until, end] = isWhole ? [HOUR / 2, HOUR, (3 * HOUR) / 2] : [2, 4, 6]
    const slowdown = (minute: number) => (minute >= from && minute < until ? 2 : 1)
    const minutes = measureGoodput({ ...defaultLoad, offered: 3, slowdown }, admission, end)
    const settled = minutes.filter((_, index) => ![0, from, until].includes(index))
    expect(settled).toHaveLength(end - 3)
    for (const { minute, goodput, p99Ms, critical } of settled) {
      expect(goodput).toBeGreaterThanOrEqual(0.95)
      expect(p99Ms).toBeLessThanOrEqual(1.5 * slowdown(minute - 1) * unloadedP99Ms)
      expect(critical.refused).toBe(0)
    }
  })

  it('of a server that refuses nobody is gone within seconds, and 1 % of three minutes', { timeout }, () => {
    const minutes = measureGoodput({ ...defaultLoad, offered: 3 }, unprotected, isWhole ? HOUR : 3)
    const inThree = sum(minutes.slice(0, 3), ({ goodput }) => goodput) / 3
    expect(inThree).toBeGreaterThan(0.005)
    expect(inThree).toBeLessThan(0.015)
    for (const { goodput, late } of minutes.slice(1)) {
      expect(goodput).toBe(0)
      expect(late).toBeGreaterThan(0.98) // it is as busy as ever: all of it for nobody
    }
  })

  it(
    'of plain Gradient2 is as high, but its limit and its latency drift, and it refuses what is critical',
    { timeout },
    () => {
      const length = isWhole ? HOUR : 6
      const minutes = measureGoodput({ ...defaultLoad, offered: 3 }, gradient2Wide, length)
      const [, second] = minutes
      const last = minutes.at(-1)
      if (second === undefined || last === undefined) throw new Error('it ran for minutes')
      expect(last.limit).toBeGreaterThan(1.4 * second.limit)
      expect(last.p50Ms).toBeGreaterThan(1.4 * second.p50Ms)
      expect(sum(minutes, ({ critical }) => critical.refused)).toBeGreaterThan(0.5 * sum(minutes, ({ critical }) => critical.offered)) // prettier-ignore
      for (const { goodput } of minutes.slice(1)) expect(goodput).toBeGreaterThan(0.95)
      if (!isWhole) return
      // An hour later every call stands in a queue of hundreds.
      expect(last.limit).toBe(1_000)
      expect(last.p50Ms).toBeGreaterThan(400)
      expect(measureGoodput({ ...defaultLoad, offered: 3 }, gradient2, HOUR).at(-1)?.limit).toBe(200)
    },
  )

  it('depends on the seed alone', () => {
    const first = measureGoodput({ ...defaultLoad, offered: 3, seed: 7 }, admission, 1)
    expect(measureGoodput({ ...defaultLoad, offered: 3, seed: 7 }, admission, 1)).toEqual(first)
    expect(measureGoodput({ ...defaultLoad, offered: 3, seed: 8 }, admission, 1)).not.toEqual(first)
  })
})

describe('Gradient2, the peer', () => {
  const windowOf = (limit: Gradient2, startMs: number, latencyMs: number, inFlight: number) => {
    for (let i = 1; i <= 10; i++) limit.sample(startMs + i * 101, latencyMs, inFlight)
    return limit.limit
  }

  it('grows by its queue size, smoothed, while latency is as ever and the limit is used', () => {
    const limit = new Gradient2(0)
    expect([limit.limit, windowOf(limit, 0, 20, 20), windowOf(limit, 1_100, 20, 20)]).toEqual([20, 20, 21])
  })

  it('stays where it is while less than half of it is used', () => {
    const limit = new Gradient2(0, { initial: 100 })
    for (let i = 0; i < 20; i++) expect(windowOf(limit, i * 1_100, 20, 49)).toBe(100)
  })

  it('shrinks to no less than its least when latency is far above the average', () => {
    const limit = new Gradient2(0, { initial: 100 })
    for (let i = 0; i < 12; i++) windowOf(limit, i * 1_100, 20, 10)
    expect(windowOf(limit, 13_200, 200, 100)).toBe(90)
    for (let i = 13; i < 60; i++) windowOf(limit, i * 1_100, 20 * i, 100)
    expect(limit.limit).toBe(20)
  })
})

describe('The policies of the experiment', () => {
  it.each([unprotected, gradient2, gradient2Wide, admission])('$name lets calls in up to its limit', ({ make }) => {
    const policy: Policy = make(new VirtualClock())
    const most = Number.isFinite(policy.limit) ? policy.limit : 1_000
    for (let i = 0; i < most; i++) expect(policy.admit('high')).not.toBeNull()
    expect(policy.admit('high') === null).toBe(Number.isFinite(policy.limit))
  })
})
