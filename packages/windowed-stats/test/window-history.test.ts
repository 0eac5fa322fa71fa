import type { ConfigError } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { exponentialSketch, tdigestSketch, WindowedStats, WindowHistory, type WindowResult } from '../src/index.js'

/** A window of the collector itself, at these milliseconds from the epoch. */
function windowAt(startMs: number, fields: { n?: number; workflowId?: string; gauge?: number } = {}): WindowResult {
  const { n = 1, workflowId = 'w', gauge } = fields
  const clock = new VirtualClock({ wallStartMs: startMs })
  const stats = new WindowedStats({ clock, windowMs: 100, sketch: exponentialSketch() })
  const gauges = gauge === undefined ? {} : { cpu: gauge }
  stats.record({ jobId: 'j', workflowId, source: 's', atMs: startMs, counts: { n }, gauges, values: { ms: n } })
  return stats.finish('j')[0] as WindowResult
}

const total = (windows: readonly WindowResult[]) => windows.reduce((sum, { counts }) => sum + (counts['n'] ?? 0), 0)
const spans = (windows: readonly WindowResult[]) => windows.map(({ startMs, endMs }) => [startMs, endMs])

describe('WindowHistory (WSTAT-19)', () => {
  it('keeps a second for a minute, ten seconds for an hour and a minute for a day', () => {
    const history = new WindowHistory()
    for (let s = 0; s < 2 * 86_400; s += 10) history.add(windowAt(s * 1_000))
    const { tiers, dropped } = history.snapshot()
    expect(tiers).toEqual([7, 361, 1_441])
    expect(dropped).toBe(0)
  })

  it('merges what falls into one bucket, and the bucket is the span', () => {
    const history = new WindowHistory({ tiers: [{ widthMs: 1_000, keepMs: 5_000 }] })
    history.add(windowAt(1_000, { n: 2, gauge: 5 }))
    history.add(windowAt(1_800, { n: 3, gauge: 7 }))
    history.add(windowAt(2_000, { n: 4, workflowId: 'other' }))
    const [first, second] = history.read(0, 10_000)
    expect(first).toMatchObject({ startMs: 1_000, endMs: 2_000, cause: 'coalesced', counts: { n: 5 }, records: 2 })
    expect(first?.values['ms']).toMatchObject({ count: 2, sum: 5 })
    expect(first?.gauges['cpu']).toMatchObject({ sum: 7 }) // the later one
    expect(second).toMatchObject({ startMs: 2_000, endMs: 3_000, workflowId: 'other', counts: { n: 4 } })
  })

  it('leaves a window alone that is a bucket already', () => {
    const history = new WindowHistory({ tiers: [{ widthMs: 100, keepMs: 1_000 }] })
    const window = windowAt(1_000)
    history.add(window)
    expect(history.read(0, 10_000)).toEqual([window])
  })

  it('answers each part from the finest tier that keeps it, cut at the coarser boundary', () => {
    const history = new WindowHistory({
      tiers: [
        { widthMs: 1_000, keepMs: 3_000 },
        { widthMs: 2_000, keepMs: 10_000 },
      ],
    })
    for (let s = 0; s < 12; s++) history.add(windowAt(s * 1_000))
    // The newest end is 11,100: seconds are kept from 8,000 on, pairs from 0 on.
    const windows = history.read(0, 20_000)
    expect(spans(windows)).toEqual([
      [0, 2_000],
      [2_000, 4_000],
      [4_000, 6_000],
      [6_000, 8_000],
      [8_000, 9_000],
      [9_000, 10_000],
      [10_000, 11_000],
      [11_000, 12_000],
    ])
    expect(total(windows)).toBe(12)
    expect(spans(history.read(7_000, 9_000))).toEqual([
      [6_000, 8_000],
      [8_000, 9_000],
    ])
    expect(history.read(9_000, 9_000)).toEqual([])
  })

  it('takes a correction into a bucket that is kept, and counts what is older than all', () => {
    const history = new WindowHistory({ tiers: [{ widthMs: 1_000, keepMs: 3_000 }] })
    history.add(windowAt(9_900)) // ends at 10,000
    history.add(windowAt(7_000, { n: 5 }))
    history.add(windowAt(6_800, { n: 7 })) // its last millisecond is 6,899
    expect(history.snapshot()).toEqual({ tiers: [2], dropped: 1 })
    expect(total(history.read(0, 20_000))).toBe(6)
  })

  it('a jump ahead empties it, and costs no more than what it holds', () => {
    const history = new WindowHistory()
    history.add(windowAt(0))
    history.add(windowAt(8.64e15 - 1_000)) // the last second of dates
    expect(history.snapshot().tiers).toEqual([1, 1, 1])
  })

  it('shows every count exactly once, however windows come', () => {
    const tiers = [
      { widthMs: 200, keepMs: 1_000 },
      { widthMs: 600, keepMs: 3_000 },
      { widthMs: 1_200, keepMs: 12_000 },
    ]
    fc.assert(
      fc.property(fc.array(fc.nat(100), { minLength: 1, maxLength: 60 }), (places) => {
        const history = new WindowHistory({ tiers })
        let newest = 0
        let held: { lastMs: number; n: number }[] = []
        for (const [i, place] of places.entries()) {
          const startMs = place * 100 + i * 100
          newest = Math.max(newest, startMs + 100)
          history.add(windowAt(startMs, { n: i + 1 }))
          held.push({ lastMs: startMs + 99, n: i + 1 })
          const oldest = Math.floor((newest - 12_000) / 1_200) * 1_200
          held = held.filter(({ lastMs }) => lastMs >= oldest)
        }
        const windows = history.read(-1e9, 1e9)
        expect(total(windows)).toBe(held.reduce((sum, { n }) => sum + n, 0))
        for (const [i, window] of windows.entries())
          expect(window.startMs).toBeGreaterThanOrEqual(windows[i - 1]?.endMs ?? -Infinity)
      }),
    )
  })

  it('takes a window in everywhere or nowhere', () => {
    const tiers = [
      { widthMs: 100, keepMs: 500 },
      { widthMs: 500, keepMs: 1_000 },
    ]
    const history = new WindowHistory({ tiers })
    history.add(windowAt(0))
    const sketch = tdigestSketch().create()
    sketch.add(1)
    const foreign = { ...windowAt(400), values: { ms: sketch } }
    expect(() => history.add(foreign)).toThrow(expect.objectContaining({ code: 'SKETCH_MISMATCH' }))
    expect(() => history.add({ ...windowAt(5_000), endMs: Number.NaN })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    expect(history.snapshot()).toEqual({ tiers: [1, 1], dropped: 0 })
  })

  it('refuses a span that runs backwards', () => {
    const history = new WindowHistory()
    expect(() => history.read(2, 1)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => history.read(Number.NaN, 1)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(history.read(0, 1)).toEqual([])
  })

  it.each<[string, object[]]>([
    ['tiers', []],
    ['tiers.0.keepMs', [{ widthMs: 1_000, keepMs: 1_500 }]],
    [
      'tiers.1.widthMs',
      [
        { widthMs: 1_000, keepMs: 3_000 },
        { widthMs: 1_500, keepMs: 6_000 },
      ],
    ],
    [
      'tiers.1.widthMs',
      [
        { widthMs: 1_000, keepMs: 3_000 },
        { widthMs: 1_000, keepMs: 6_000 },
      ],
    ],
    [
      'tiers.1.keepMs',
      [
        { widthMs: 1_000, keepMs: 6_000 },
        { widthMs: 2_000, keepMs: 6_000 },
      ],
    ],
    ['tiers.0.widthMs', [{ widthMs: 0, keepMs: 6_000 }]],
  ])('names %s of the tiers %o', (path, tiers) => {
    try {
      new WindowHistory({ tiers } as never)
      expect.unreachable()
    } catch (error) {
      expect((error as ConfigError).issues.map((issue) => issue.path)).toContain(path)
    }
  })
})
