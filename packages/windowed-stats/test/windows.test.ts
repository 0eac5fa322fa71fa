import { DecodeError, msgpackCodec } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import {
  exponentialSketch,
  mergeWindows,
  tdigestSketch,
  windowFromWire,
  WindowedStats,
  windowToWire,
  type QuantileSketch,
  type SketchFactory,
  type StatsRecord,
  type WindowedStatsOptions,
  type WindowResult,
} from '../src/index.js'

const START = Date.UTC(2024, 0, 1)

type Place = Partial<StatsRecord> & { readonly cause?: WindowResult['cause'] }

function collector(options: WindowedStatsOptions = {}, wallStartMs = START) {
  const clock = new VirtualClock({ wallStartMs })
  const stats = new WindowedStats({ clock, windowMs: 100, ...options })
  const record = (fields: Partial<StatsRecord> = {}) =>
    stats.record({ jobId: 'j', workflowId: 'w', source: 's', atMs: clock.wallNow(), counts: { n: 1 }, ...fields })
  return { clock, stats, record }
}

function windowOf({ cause, ...fields }: Place = {}, options: WindowedStatsOptions = {}): WindowResult {
  const { stats, record } = collector(options)
  record(fields)
  const [window] = stats.finish(fields.jobId ?? 'j') as [WindowResult]
  return cause === undefined ? window : { ...window, cause }
}

describe('mergeWindows (WSTAT-17)', () => {
  it('needs a window, and gives a copy even of one', () => {
    expect(() => mergeWindows([])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    const window = windowOf({ values: { ms: 5 }, gauges: { cpu: 1 } })
    const copy = mergeWindows([window])
    expect(copy).toEqual(window)
    copy.values['ms']?.add(7)
    expect(window.values['ms']?.count).toBe(1)
  })

  it('spans all, adds counts, records and sketches, and unites sources', () => {
    const later = windowOf({ atMs: START + 300, source: 'a', values: { ms: 9 } })
    const merged = mergeWindows([later, windowOf({ counts: { n: 4, m: 1 }, values: { ms: 3 } })])
    expect(merged).toMatchObject({
      ...{ jobId: 'j', workflowId: 'w', startMs: START, endMs: START + 400, cause: 'coalesced' },
      ...{ records: 2, sources: ['a', 's'], counts: { n: 5, m: 1 } },
    })
    expect(merged.values['ms']).toMatchObject({ count: 2, min: 3, max: 9 })
    expect(later.values['ms']?.count).toBe(1)
  })

  it.each<[Place, Place, WindowResult['cause']]>([
    [{}, {}, 'final'],
    [{ cause: 'late' }, { cause: 'late' }, 'late'],
    [{ cause: 'late' }, {}, 'coalesced'],
    [{}, { atMs: START + 100 }, 'coalesced'],
  ])('%o and %o make %s', (one, other, cause) => {
    expect(mergeWindows([windowOf(one), windowOf(other)]).cause).toBe(cause)
  })

  it('keeps the ids that are the same, whatever comes after two that differ', () => {
    const of = (jobId: string) => windowOf({ jobId })
    expect(mergeWindows([of('a'), of('b'), of('a')])).toMatchObject({ jobId: '', workflowId: 'w' })
  })

  it.each([0, 1])('takes a gauge from the later end, in either order (%d), and adds at equal ends', (reversed) => {
    const windows = [
      windowOf({ gauges: { cpu: 5, ram: 1 } }),
      windowOf({ gauges: { cpu: 7 }, atMs: START + 100 }),
      windowOf({ gauges: { cpu: 2 }, atMs: START + 100 }),
    ]
    const { gauges } = mergeWindows(reversed === 1 ? windows.toReversed() : windows)
    expect(gauges).toEqual({
      cpu: { sources: 2, sum: 9, min: 2, max: 7 },
      ram: { sources: 1, sum: 1, min: 1, max: 1 },
    })
  })

  it('does not merge sketches of two kinds', () => {
    const windows = [windowOf({ values: { ms: 1 } }), windowOf({ values: { ms: 1 } }, { sketch: exponentialSketch() })]
    expect(() => mergeWindows(windows)).toThrow(expect.objectContaining({ code: 'SKETCH_MISMATCH' }))
  })
})

describe('names that mean something to JavaScript', () => {
  it.each(['__proto__', 'constructor', 'toString'])('%s is a name like any other, from a record to a gate', (name) => {
    const amounts = (n: number) => JSON.parse(`{"${name}": ${n}}`) as Record<string, number>
    const { clock, stats } = collector()
    const record = { jobId: name, workflowId: name, source: name, atMs: START, counts: amounts(2) }
    stats.record({ ...record, gauges: amounts(3), values: amounts(4) })
    clock.advance(10_000)
    expect(stats.record(record)).toBe('expired')
    expect(Object.entries(stats.snapshot().droppedCounts)).toEqual([[name, 2]])

    const wire: unknown = JSON.parse(JSON.stringify(windowToWire(stats.finish(name)[0] as WindowResult)))
    const gate = collector()
    expect(gate.stats.absorb(windowFromWire(wire), 'eu')).toBe('counted')
    const [window] = gate.stats.finish(name) as [WindowResult]
    expect(Object.entries(window.counts)).toEqual([[name, 2]])
    expect(Object.entries(window.gauges)).toEqual([[name, { sources: 1, sum: 3, min: 3, max: 3 }]])
    expect(Object.entries(window.values).map(([key, { count }]) => [key, count])).toEqual([[name, 1]])
  })
})

describe('windows that travel (WSTAT-5, 16)', () => {
  const sent = windowOf({ gauges: { cpu: 1 }, values: { ms: [1, 2, 3] } }, { sketch: exponentialSketch() })
  const wire = () => JSON.parse(JSON.stringify(windowToWire(sent))) as Record<string, unknown>

  it('come back as they were, by JSON and by the codec of core, and unknown fields are ignored', () => {
    const codec = msgpackCodec(z.unknown())
    for (const received of [{ ...wire(), more: 1 }, codec.decode(codec.encode(windowToWire(sent)))]) {
      const window = windowFromWire(received)
      expect(windowToWire(window)).toEqual(windowToWire(sent))
      for (const part of [window, window.counts, window.gauges['cpu'], window.values, window.sources])
        expect(Object.isFrozen(part)).toBe(true)
    }
  })

  it.each([
    ...['jobId', 'workflowId', 'startMs', 'endMs', 'cause', 'records', 'sources', 'counts', 'gauges', 'values'].map(
      (name) => [name, undefined] as const,
    ),
    ['endMs', START],
    ['startMs', 1.5],
    ['cause', 'other'],
    ['records', -1],
    ['sources', ['a', 1]],
    ['counts', { n: -1 }],
    ['gauges', { cpu: { sources: 0, sum: 0, min: 0, max: 0 } }],
    ['gauges', { cpu: { sources: 2, sum: 3, min: 2, max: 1 } }],
    ['values', { ms: { k: 'x' } }],
  ] as const)('are refused with a bad %s: %o', (name, value) => {
    expect(() => windowFromWire({ ...wire(), [name]: value })).toThrow(DecodeError)
  })

  it('list each source once, sorted, whatever was sent', () => {
    expect(windowFromWire({ ...wire(), sources: ['b', 'a', 'b'] }).sources).toEqual(['a', 'b'])
  })

  it('can travel on after sums that no double holds', () => {
    const { stats, record } = collector({ sketch: exponentialSketch() })
    for (const source of ['a', 'b'])
      record({ source, counts: { n: 1e308 }, gauges: { cpu: 1e308 }, values: { ms: 1e308 } })
    const [window] = stats.finish('j') as [WindowResult]
    expect([window.counts['n'], window.gauges['cpu']?.sum]).toEqual([Number.MAX_VALUE, Number.MAX_VALUE])
    const twice = mergeWindows([window, { ...window, records: Number.MAX_SAFE_INTEGER }])
    expect(windowToWire(windowFromWire(windowToWire(twice)))).toEqual(windowToWire(twice))
  })
})

describe('absorb (WSTAT-16)', () => {
  const whole = windowOf({ gauges: { cpu: 1 }, values: { ms: 1 } })

  it.each([
    null,
    {},
    { ...whole, gauges: null },
    { ...whole, gauges: { cpu: null } },
    { ...whole, gauges: { cpu: { sum: -1 } } },
    { ...whole, records: Number.NaN },
    { ...whole, endMs: Number.NaN },
    { ...whole, jobId: '' },
    { ...whole, counts: null },
    { ...whole, values: { ms: {} } },
  ])('refuses what is no window (case %#) and applies nothing', (window) => {
    const { stats } = collector()
    const before = stats.snapshot()
    expect(() => stats.absorb(window as never, 'eu')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(stats.snapshot()).toEqual(before)
  })

  it('refuses sketches of another kind and leaves both sides alone', () => {
    const { stats } = collector({ sketch: exponentialSketch() })
    const before = stats.snapshot()
    expect(() => stats.absorb(whole, 'eu')).toThrow(
      expect.objectContaining({ code: 'SKETCH_MISMATCH', details: { expected: 'e', found: 't' } }),
    )
    expect(stats.snapshot()).toEqual(before)
    expect(whole.values['ms']?.count).toBe(1)
  })
})

describe('sketches in records (WSTAT-6)', () => {
  it('what only looks like a sketch is refused before anything is applied', () => {
    const { stats, record } = collector()
    record()
    const ofOtherCopy = { ...tdigestSketch().create(), merge() {}, clone() {}, toWire() {}, quantile() {} }
    for (const [sketch, code] of [
      [{ kind: 't' }, 'INVALID_ARGUMENT'],
      [{ kind: 'x' }, 'SKETCH_MISMATCH'],
      [ofOtherCopy, 'SKETCH_MISMATCH'],
    ] as const)
      expect(() => record({ values: { ms: sketch as never } })).toThrow(expect.objectContaining({ code }))
    expect(stats.finish('j')).toMatchObject([{ records: 1, counts: { n: 1 }, values: {} }])
  })

  it.each([tdigestSketch(), exponentialSketch()])(
    '$kind merges nothing but its own kind, not even nothing',
    (factory) => {
      for (const other of [null, undefined, {}, 5])
        expect(() => factory.create().merge(other as never)).toThrow(
          expect.objectContaining({ code: 'SKETCH_MISMATCH' }),
        )
    },
  )

  it('a kind of your own needs the interface only, also as plain objects that sort when they are read', () => {
    const { stats, record } = collector({ sketch: sortedList })
    record({ values: { ms: [3, 1, 2] } })
    const [window] = stats.finish('j') as [WindowResult]
    expect(window.values['ms']?.quantile(0.5)).toBe(2)
    expect(mergeWindows([window, window]).values['ms']?.quantile(1)).toBe(3)
    const gate = collector({ sketch: sortedList })
    gate.stats.absorb(window, 'eu')
    gate.stats.absorb(window, 'us')
    expect(gate.stats.finish('j')[0]?.values['ms']?.count).toBe(6)
  })
})

/** A sketch that forgets nothing. */
const sortedList: SketchFactory = { kind: 'list', create: () => listOf([]), fromWire: () => listOf([]) }

function listOf(samples: number[]): QuantileSketch & { readonly samples: number[] } {
  return {
    kind: 'list',
    samples,
    get count() {
      return samples.length
    },
    get sum() {
      return samples.reduce((sum, sample) => sum + sample, 0)
    },
    get min() {
      return Math.min(...samples)
    },
    get max() {
      return Math.max(...samples)
    },
    add: (value, weight = 1) => void samples.push(...Array.from({ length: weight }, () => value)),
    quantile: (q) => samples.sort((a, b) => a - b)[Math.floor(q * (samples.length - 1))],
    merge: (other) => void samples.push(...(other as ReturnType<typeof listOf>).samples),
    clone: () => listOf([...samples]),
    toWire: () => ({ k: 'list' }),
  }
}
