import { VirtualClock } from '@hs/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  exponentialSketch,
  mergeWindows,
  summarize,
  tdigestSketch,
  WindowedStats,
  windowFromWire,
  windowToWire,
  type StatsRecord,
  type WindowedStatsOptions,
  type WindowResult,
} from '../src/index.js'

const START = Date.UTC(2024, 0, 1)

function setup(options: WindowedStatsOptions = {}) {
  const clock = new VirtualClock()
  const stats = new WindowedStats({ clock, windowMs: 1_000, sketch: exponentialSketch(), ...options })
  const dropped: unknown[] = []
  stats.events.on('dropped', (event) => dropped.push(event))
  const record = (fields: Partial<StatsRecord> = {}) =>
    stats.record({ jobId: 'j', workflowId: 'w', source: 's', atMs: clock.wallNow(), counts: { n: 1 }, ...fields })
  return { clock, stats, record, dropped }
}

const total = (windows: readonly WindowResult[], name = 'n') =>
  windows.reduce((sum, window) => sum + (window.counts[name] ?? 0), 0)

describe('windows (WSTAT-7..9)', () => {
  it('closes a window by the local clock, driftToleranceMs after its end', () => {
    const { clock, stats, record } = setup()
    record({ values: { ms: [1, 2, 3] } })
    clock.advance(1_049)
    expect(stats.getJobsWithPendingStats()).toEqual([])
    clock.advance(1)
    expect(stats.getJobsWithPendingStats()).toEqual(['j'])
    const [window] = stats.takeAggregatedStats('j')
    expect(window).toMatchObject({ startMs: START, endMs: START + 1_000, cause: 'closed', records: 1, sources: ['s'] })
    expect(window?.values['ms']?.count).toBe(3)
    expect(Object.isFrozen(window)).toBe(true)
  })

  it('reading twice gives the same; only taking takes', () => {
    const { clock, stats, record } = setup()
    record()
    clock.advance(2_000)
    expect(stats.getAggregatedStats('j')).toEqual(stats.getAggregatedStats('j'))
    expect(total(stats.takeAggregatedStats('j'))).toBe(1)
    expect(stats.takeAggregatedStats('j')).toEqual([])
    expect(stats.getJobsWithPendingStats()).toEqual([])
  })

  it.each([-1_001, -1_000, -0.5, -0, 0, 999.5, 1_000])('window i is [i, i + 1) times windowMs: %d', (atMs) => {
    const { clock, stats, record } = setup()
    clock.setWall(1_000)
    record({ atMs, counts: { n: -0 }, gauges: { g: -0 }, values: { v: -0 } })
    const [window] = stats.finish('j')
    const index = Math.floor(atMs / 1_000) + 0
    expect(window).toMatchObject({ startMs: index * 1_000, endMs: (index + 1) * 1_000, counts: { n: 0 } })
    // A zero is a zero, as it is once it has travelled as JSON.
    expect(window?.gauges['g']).toEqual({ sources: 1, sum: 0, min: 0, max: 0 })
    expect([window?.values['v']?.min, window?.values['v']?.max]).toEqual([0, 0])
  })

  it('a clock that steps makes increments, and loses nothing', () => {
    const { clock, stats, record } = setup()
    record()
    clock.setWall(START + 5_000)
    expect(stats.takeAggregatedStats('j')).toMatchObject([{ startMs: START, cause: 'closed', counts: { n: 1 } }])
    clock.setWall(START + 500)
    expect(record()).toBe('counted')
    expect(stats.getAggregatedStats('j')).toEqual([])
    clock.setWall(START + 4_000)
    expect(record({ atMs: START + 1_500 })).toBe('late')
    expect(stats.takeAggregatedStats('j').map(({ startMs, cause }) => [startMs - START, cause])).toEqual([
      [0, 'closed'],
      [1_000, 'late'],
    ])
  })

  it('adds two records of one source in one window', () => {
    const { clock, stats, record } = setup()
    record({ counts: { n: 2 } })
    record({ counts: { n: 3 } })
    clock.advance(1_050)
    expect(stats.takeAggregatedStats('j')).toMatchObject([{ counts: { n: 5 }, records: 2 }])
  })

  it('takes late records as corrections that hold the late part only', () => {
    const { clock, stats, record } = setup()
    record()
    clock.advance(1_050)
    expect(total(stats.takeAggregatedStats('j'))).toBe(1)
    expect(record({ atMs: START + 10, counts: { n: 7 } })).toBe('late')
    expect(record({ atMs: START + 20, counts: { n: 1 } })).toBe('late')
    expect(stats.takeAggregatedStats('j')).toMatchObject([{ startMs: START, cause: 'late', counts: { n: 8 } }])
    expect(stats.snapshot().maxLateMs).toBe(0)
  })

  it('refuses what is too late or too far ahead, counts it and tells by how much', () => {
    const { clock, stats, record, dropped } = setup()
    clock.advance(10_000)
    expect(record({ atMs: START + 3_949, counts: { n: 4 } })).toBe('expired')
    expect(record({ atMs: START + 3_950 })).toBe('expired') // the same window: lateness counts from its end
    expect(record({ atMs: START + 4_000, counts: { n: 1 } })).toBe('late')
    expect(record({ atMs: START + 15_001, counts: { n: 2 } })).toBe('future')
    expect(record({ atMs: START + 15_000 })).toBe('counted')
    expect(dropped).toMatchObject([
      { reason: 'expired', byMs: 5_950 },
      { reason: 'expired', byMs: 5_950 },
      { reason: 'future', byMs: 5_001 },
    ])
    expect(stats.snapshot()).toMatchObject({
      droppedCounts: { n: 7 },
      records: { expired: 2, future: 1, late: 1, counted: 1 },
    })
  })
})

describe('sequence numbers (WSTAT-10, 11)', () => {
  it('refuses repeats, admits reordering, and counts what never came', () => {
    const { stats, record, dropped } = setup({ dedupWindow: 32 })
    expect([1, 4, 3, 4, 1].map((seq) => record({ seq }))).toEqual([
      'counted',
      'counted',
      'counted',
      'duplicate',
      'duplicate',
    ])
    expect(record({ seq: 100 })).toBe('counted')
    expect(record({ seq: 68 })).toBe('duplicate') // too old to tell
    expect(record({ seq: 69 })).toBe('counted')
    // 2 and 5..68 left the window unseen.
    expect(stats.sources('j')).toMatchObject([{ records: 5, duplicates: 3, missing: 65 }])
    expect(stats.snapshot()).toMatchObject({ missing: 65, records: { duplicate: 3 } })
    expect(dropped).toEqual([])
  })

  it('agrees with a set of numbers', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 300 }), (numbers) => {
        const { record } = setup({ dedupWindow: 64 })
        const seen = new Set<number>()
        let top = -1
        for (const seq of numbers) {
          const fresh = !seen.has(seq) && seq > top - 64
          expect(record({ seq })).toBe(fresh ? 'counted' : 'duplicate')
          if (fresh) seen.add(seq)
          top = Math.max(top, seq)
        }
      }),
    )
  })

  it('counts as missing what left the window unseen, from the least number seen on', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 120 }), (numbers) => {
        const { stats, record } = setup({ dedupWindow: 33 })
        const seen = new Set<number>()
        for (const seq of numbers) if (record({ seq }) === 'counted') seen.add(seq)
        let missing = 0
        for (let seq = Math.min(...seen); seq <= Math.max(...seen) - 33; seq++) if (!seen.has(seq)) missing++
        expect(stats.sources('j')).toMatchObject([{ missing }])
      }),
    )
  })

  it('keeps its count up to the greatest safe integer', () => {
    const last = Number.MAX_SAFE_INTEGER
    const { stats, record } = setup()
    const outcomes = [0, last, last, last - 255, last - 256, 0].map((seq) => record({ seq }))
    expect(outcomes).toEqual(['counted', 'counted', 'duplicate', 'counted', 'duplicate', 'duplicate'])
    expect(stats.sources('j')).toMatchObject([{ missing: last - 256 }])
    expect(() => record({ seq: last + 1 })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it('lets a refused record come again under its number', () => {
    const { clock, record } = setup()
    record({ seq: 1 })
    expect(record({ seq: 2, atMs: clock.wallNow() + 60_000 })).toBe('future')
    expect(record({ seq: 2 })).toBe('counted')
  })

  it('keeps numbers apart by workflow and source', () => {
    const { record } = setup()
    expect([record({ seq: 1 }), record({ seq: 1, source: 't' }), record({ seq: 1, workflowId: 'v' })]).toEqual([
      'counted',
      'counted',
      'counted',
    ])
  })
})

describe('gauges, end of a job, absorbing (WSTAT-12, 13, 16)', () => {
  it('keeps the latest of each source and sums over sources', () => {
    const { clock, stats, record } = setup()
    record({ gauges: { rate: 5 }, source: 'a', atMs: START + 10 })
    record({ gauges: { rate: 9 }, source: 'a', atMs: START + 5 })
    record({ gauges: { rate: 2 }, source: 'b' })
    record({ gauges: { rate: 3 }, source: 'b' })
    clock.advance(1_050)
    expect(stats.takeAggregatedStats('j')[0]?.gauges).toEqual({ rate: { sources: 2, sum: 8, min: 3, max: 5 } })
  })

  it('gives out everything at the end, and refuses stragglers for a while', () => {
    const { clock, stats, record } = setup({ finishedTtlMs: 10_000 })
    record()
    clock.advance(1_050)
    record({ counts: { n: 2 } })
    expect(stats.finish('j').map((w) => [w.cause, w.counts['n']])).toEqual([
      ['closed', 1],
      ['final', 2],
    ])
    expect(record()).toBe('finished')
    expect(stats.snapshot()).toMatchObject({ jobs: 0, openWindows: 0, pendingWindows: 0, droppedCounts: { n: 1 } })
    clock.advance(10_000)
    expect(record()).toBe('counted')
    expect(stats.finish('other')).toEqual([])
  })

  it('refuses stragglers as long as it says, however the wall clock steps, and remembers maxJobs ids', () => {
    const { clock, stats, record } = setup({ finishedTtlMs: 10_000, maxJobs: 2 })
    clock.setWall(START + 1e12)
    stats.finish('j')
    clock.setWall(START)
    clock.advance(9_999)
    expect(record()).toBe('finished')
    clock.advance(1)
    expect(record()).toBe('counted')
    for (const jobId of ['a', 'b', 'c']) stats.finish(jobId)
    expect(['a', 'b', 'c'].map((jobId) => record({ jobId }))).toEqual(['counted', 'finished', 'finished'])
  })

  it('absorbs the windows of another collector without losing a count', () => {
    const manager = setup()
    const gate = setup()
    manager.record({ values: { ms: [5, 6] }, gauges: { vus: 3 }, source: 'w1' })
    manager.record({ values: { ms: 7 }, gauges: { vus: 4 }, source: 'w2' })
    for (const window of manager.stats.finish('j')) expect(gate.stats.absorb(window, 'eu', 1)).toBe('counted')
    const [window] = gate.stats.finish('j')
    expect(window).toMatchObject({
      records: 2,
      sources: ['eu'],
      counts: { n: 2 },
      gauges: { vus: { sources: 1, sum: 7, min: 7, max: 7 } },
    })
    expect(summarize(window?.values['ms'] ?? exponentialSketch().create())).toMatchObject({ count: 3, min: 5, max: 7 })
  })
})

describe('limits (WSTAT-14)', () => {
  it('closes the oldest window early when too many are open', () => {
    const { clock, stats, record } = setup({ maxOpenWindows: 2 })
    for (const ahead of [1_000, 0, 2_000]) record({ atMs: clock.wallNow() + ahead })
    expect(stats.takeAggregatedStats('j')).toMatchObject([{ startMs: START, cause: 'evicted' }])
    expect(stats.snapshot()).toMatchObject({ openWindows: 2, evicted: 1, fill: 1 })
  })

  it('merges the two oldest pending windows, so that the newest keep their resolution', () => {
    const { clock, stats, record } = setup({ maxPendingPerJob: 2 })
    for (let i = 0; i < 5; i++) {
      record()
      clock.advance(1_000)
    }
    clock.advance(1_000)
    const windows = stats.takeAggregatedStats('j')
    expect(windows.map((w) => [w.startMs - START, w.endMs - START, w.cause])).toEqual([
      [0, 4_000, 'coalesced'],
      [4_000, 5_000, 'closed'],
    ])
    expect(total(windows)).toBe(5)
  })

  it('bounds what is pending also where it is all corrections, of several workflows', () => {
    const { clock, stats, record } = setup({ maxPendingPerJob: 4, windowMs: 100 })
    clock.advance(3_000)
    for (const [workflowId, late] of [
      ['a', 4],
      ['b', 1],
      ['c', 1],
    ] as const) {
      for (let i = 0; i < late; i++) expect(record({ workflowId, atMs: START + i * 100 })).toBe('late')
      expect(stats.snapshot().pendingWindows).toBe(4)
    }
    const windows = stats.takeAggregatedStats('j')
    expect(windows.map(({ workflowId }) => workflowId).sort()).toEqual(['a', 'a', 'b', 'c'])
    expect(total(windows)).toBe(6)
  })

  it.each([
    ['maxJobs', { maxJobs: 1 }, { jobId: 'k' }],
    ['maxSourcesPerJob', { maxSourcesPerJob: 1 }, { source: 't' }],
    ['maxNamesPerJob', { maxNamesPerJob: 2 }, { counts: { n: 1 }, gauges: { a: 1 }, values: { b: 1 } }],
  ] as const)('refuses beyond %s and names it', (limit, options, fields) => {
    const { stats, record, dropped } = setup(options)
    record()
    expect(record(fields)).toBe('limited')
    expect(dropped).toMatchObject([{ reason: 'limited', limit }])
    expect(stats.snapshot().jobs).toBe(1)
    expect(record()).toBe('counted')
  })
})

describe('conservation (WSTAT-15)', () => {
  type Step =
    | { kind: 'record'; offset: number; job: number; place: number; seq: number | null; amount: number; name: string }
    | { kind: 'advance' | 'set'; ms: number }
    | { kind: 'take' | 'finish' | 'read'; job: number }
  const job = fc.integer({ min: 0, max: 2 })
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('record' as const),
        offset: fc.integer({ min: -9_000, max: 7_000 }),
        job,
        place: fc.integer({ min: 0, max: 8 }),
        seq: fc.option(fc.integer({ min: 0, max: 40 })),
        amount: fc.integer({ min: 1, max: 9 }),
        name: fc.constantFrom('n', 'm', 'l', '__proto__'),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 0, max: 3_000 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('set' as const), ms: fc.integer({ min: -8_000, max: 8_000 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constantFrom<'take' | 'finish' | 'read'>('take', 'finish', 'read'), job }),
    },
  )
  const limits = fc.record({
    windowMs: fc.integer({ min: 10, max: 2_000 }),
    driftToleranceMs: fc.integer({ min: 0, max: 500 }),
    allowedLatenessMs: fc.integer({ min: 0, max: 6_000 }),
    maxFutureMs: fc.integer({ min: 0, max: 6_000 }),
    maxOpenWindows: fc.integer({ min: 1, max: 8 }),
    maxPendingPerJob: fc.integer({ min: 1, max: 5 }),
    maxJobs: fc.integer({ min: 1, max: 3 }),
    maxSourcesPerJob: fc.integer({ min: 1, max: 9 }),
    maxNamesPerJob: fc.integer({ min: 1, max: 4 }),
    dedupWindow: fc.integer({ min: 32, max: 40 }),
    finishedTtlMs: fc.integer({ min: 0, max: 4_000 }),
  })
  /** Amounts by name. */
  class Sums {
    readonly #sums = new Map<string, number>()
    add(name: string, amount: number) {
      this.#sums.set(name, (this.#sums.get(name) ?? 0) + amount)
    }
    get entries() {
      return [...this.#sums].sort(([a], [b]) => (a < b ? -1 : 1))
    }
  }

  it('holds for counts and samples under any times, limits, takes and finishes, and through a second collector', () => {
    fc.assert(
      fc.property(limits, fc.array(step, { maxLength: 150 }), (options, steps) => {
        const { clock, stats, record } = setup(options)
        const gate = setup({ ...options, allowedLatenessMs: 1e9, maxFutureMs: 1e9, maxNamesPerJob: 9 })
        const [taken, refused, given, samples, shown, lost] = Array.from({ length: 6 }, () => new Sums())
        const collect = (windows: readonly WindowResult[], counts?: Sums, counted?: Sums) => {
          for (const window of windows) {
            for (const [name, n] of Object.entries(window.counts)) counts?.add(name, n)
            for (const [name, { count }] of Object.entries(window.values)) counted?.add(name, count)
          }
        }
        const give = (windows: readonly WindowResult[]) => {
          collect(windows, given, samples)
          for (const window of windows) {
            const outcome = gate.stats.absorb(windowFromWire(windowToWire(window)), 'eu')
            if (outcome !== 'counted' && outcome !== 'late') collect([window], lost)
          }
        }
        for (const s of steps) {
          if (s.kind === 'advance') clock.advance(s.ms)
          else if (s.kind === 'set') clock.setWall(clock.wallNow() + s.ms)
          else if (s.kind === 'take') give(stats.takeAggregatedStats(`j${s.job}`))
          else if (s.kind === 'finish') give(stats.finish(`j${s.job}`))
          else if (s.kind === 'read') {
            const once = stats.getAggregatedStats(`j${s.job}`)
            expect(stats.getAggregatedStats(`j${s.job}`)).toEqual(once)
          } else if (s.kind === 'record') {
            const { amount, seq } = s
            const outcome = record({
              ...{ jobId: `j${s.job}`, workflowId: `w${s.place % 3}`, source: `s${Math.floor(s.place / 3)}` },
              atMs: clock.wallNow() + s.offset,
              counts: Object.fromEntries([[s.name, amount]]),
              values: Object.fromEntries([[s.name, Array.from({ length: amount }, (_, i) => i)]]),
              ...(seq === null ? {} : { seq }),
            })
            if (outcome === 'counted' || outcome === 'late') taken?.add(s.name, amount)
            else if (outcome !== 'duplicate') refused?.add(s.name, amount)
          }
          const { jobs, openWindows, pendingWindows, fill } = stats.snapshot()
          expect(jobs).toBeLessThanOrEqual(options.maxJobs)
          expect(openWindows).toBeLessThanOrEqual(options.maxOpenWindows)
          expect(pendingWindows).toBeLessThanOrEqual(3 * Math.max(options.maxPendingPerJob, 3))
          expect(fill).toBe(Math.max(jobs / options.maxJobs, openWindows / options.maxOpenWindows))
        }
        for (let i = 0; i < 3; i++) give(stats.finish(`j${i}`))
        expect([given?.entries, samples?.entries]).toEqual([taken?.entries, taken?.entries])
        const byName = (counts: Readonly<Record<string, number>>) =>
          Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1))
        expect(byName(stats.snapshot().droppedCounts)).toEqual(refused?.entries)
        expect(stats.snapshot()).toMatchObject({ jobs: 0, openWindows: 0, pendingWindows: 0, fill: 0 })

        for (let i = 0; i < 3; i++) collect(gate.stats.finish(`j${i}`), shown)
        expect(byName(gate.stats.snapshot().droppedCounts)).toEqual(lost?.entries)
        const all = new Sums()
        for (const [name, n] of [...(shown?.entries ?? []), ...(lost?.entries ?? [])]) all.add(name, n)
        expect(all.entries).toEqual(given?.entries)
      }),
      { numRuns: 300 },
    )
  })
})

describe('bad records', () => {
  it.each([
    ['jobId', { jobId: '' }],
    ['atMs', { atMs: Number.NaN }],
    ['seq', { seq: -1 }],
    ['counts.n', { counts: { n: -1 } }],
    ['gauges.g', { gauges: { g: Infinity } }],
    ['values.v', { values: { v: [1, Number.NaN] } }],
    ['values.v', { values: { v: 'x' as unknown as number } }],
    ['counts', { counts: new Map([['n', 1]]) as never }],
    ['values', { values: [1, 2] as never }],
  ])('refuses a bad %s and applies nothing', (field, fields) => {
    const { stats, record } = setup()
    expect(() => record(fields)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', details: { field } }))
    expect(stats.snapshot()).toMatchObject({ jobs: 0, records: { counted: 0 } })
  })

  it('refuses a sketch of another kind and applies nothing', () => {
    const { stats, record } = setup()
    expect(() => record({ values: { v: tdigestSketch().create() } })).toThrow(
      expect.objectContaining({ code: 'SKETCH_MISMATCH' }),
    )
    expect(stats.snapshot().jobs).toBe(0)
  })

  it('refuses options that it does not know or that are out of range', () => {
    expect(() => new WindowedStats({ windowMs: 5 })).toThrow(/windowMs/)
    expect(() => new WindowedStats({ widthMs: 5 } as WindowedStatsOptions)).toThrow(/widthMs/)
  })
})

describe('sources (WSTAT-18)', () => {
  it('shows whose clock is off', () => {
    const { clock, stats, record } = setup()
    clock.advance(500)
    record({ source: 'ahead', atMs: clock.wallNow() + 200 })
    record({ source: 'behind', atMs: clock.wallNow() - 300 })
    record({ source: 'behind', atMs: clock.wallNow() - 250 })
    expect(stats.sources('j').map((s) => [s.source, s.delayMs, s.records])).toEqual([
      ['ahead', -200, 1],
      ['behind', 250, 2],
    ])
  })
})

describe('mergeWindows (WSTAT-17) and the wire', () => {
  const window = (fields: Partial<WindowResult>): WindowResult => ({
    jobId: 'j',
    workflowId: 'w',
    startMs: 0,
    endMs: 10,
    cause: 'closed',
    records: 1,
    sources: ['a'],
    counts: { n: 1 },
    gauges: {},
    values: {},
    ...fields,
  })
  const gauge = (n: number) => ({ g: { sources: 1, sum: n, min: n, max: n } })

  it('spans all, adds counts and records, unites sources', () => {
    const merged = mergeWindows([window({ sources: ['b'] }), window({ startMs: 10, endMs: 20, workflowId: 'v' })])
    expect(merged).toMatchObject({
      startMs: 0,
      endMs: 20,
      cause: 'coalesced',
      records: 2,
      sources: ['a', 'b'],
      counts: { n: 2 },
      jobId: 'j',
      workflowId: '',
    })
  })

  it('lets the later gauge win, and adds gauges of one end', () => {
    const later = mergeWindows([window({ gauges: gauge(9), endMs: 20 }), window({ gauges: gauge(1) })])
    expect(later.gauges['g']).toMatchObject({ sum: 9 })
    const same = mergeWindows([window({ gauges: gauge(9) }), window({ gauges: gauge(1), sources: ['b'] })])
    expect(same.gauges['g']).toEqual({ sources: 2, sum: 10, min: 1, max: 9 })
    expect(same.cause).toBe('closed')
  })

  it('merges sketches into copies', () => {
    const a = exponentialSketch().create()
    a.add(1)
    const merged = mergeWindows([window({ values: { v: a } }), window({ values: { v: a } })])
    expect([merged.values['v']?.count, a.count]).toEqual([2, 1])
  })

  it('refuses no windows', () => {
    expect(() => mergeWindows([])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it('comes back from the wire as it was', () => {
    const { stats, record } = setup()
    record({ values: { v: [1, 2, 3] }, gauges: { g: 4 } })
    const [given] = stats.finish('j')
    const back = windowFromWire(JSON.parse(JSON.stringify(windowToWire(given as WindowResult))))
    expect(windowToWire(back)).toEqual(windowToWire(given as WindowResult))
    expect(Object.isFrozen(back)).toBe(true)
  })

  it('decodes any JSON into a window or a DecodeError', () => {
    const keys = ['jobId', 'startMs', 'endMs', 'cause', 'records', 'sources', 'counts', 'gauges', 'values']
    const mutated = fc
      .tuple(fc.constantFrom(...keys), fc.jsonValue())
      .map(([key, value]) => ({ ...window({}), [key]: value }))
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), mutated), (wire) => {
        try {
          expect(windowFromWire(wire).endMs).toEqual(expect.any(Number))
        } catch (error) {
          expect(error).toMatchObject({ code: 'DECODE_ERROR' })
        }
      }),
      { numRuns: 500 },
    )
  })
})
