import { VirtualClock } from '@hs/core/testing'
import { TransportError } from '@hs/core'
import { exponentialSketch, windowFromWire, WindowedStats, type WindowResult } from '@hs/windowed-stats'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventRing } from '../src/event-ring.js'
import { JobRate } from '../src/job-rate.js'
import { LeaderTerm } from '../src/leader-term.js'
import { StatsStreams } from '../src/stats-stream.js'
import { resolveTiming, timingProfiles } from '../src/timing.js'
import { windowCodec } from '../src/wire/client-gate.js'
import { cut, PartCollector, PART_BYTES } from '../src/wire/parts.js'
import { WorkerMonitor } from '../src/worker-monitor.js'

function window(workflowId: string, second: number): WindowResult {
  const stats = new WindowedStats({
    clock: new VirtualClock(),
    windowMs: 1_000,
    sketch: exponentialSketch(),
    maxFutureMs: 1e9,
  })
  const atMs = Date.UTC(2024, 0, 1) + second * 1_000
  stats.record({ jobId: 'j', workflowId, source: 's', atMs, counts: { n: 1 }, values: { v: second } })
  const [made] = stats.finish('j')
  if (made === undefined) throw new Error('no window')
  return made
}

describe('EventRing (NODES-20)', () => {
  /** Reads all there is, in as many pages as it takes. */
  function readAll(ring: EventRing, reader: string, from: number): { n: number; cursor: number } {
    let cursor = from
    let n = 0
    for (;;) {
      ring.seen(reader, cursor, 0)
      const page = ring.read(cursor)
      if (page.events.length === 0) return { n, cursor }
      for (const event of page.events) {
        if (event.kind === 'window') n += windowFromWire(windowCodec.decode(event.window)).counts['n'] ?? 0
      }
      cursor = page.cursor
    }
  }

  it('keeps at most 256 windows, and every count, for readers at any pace', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ windows: fc.integer({ min: 0, max: 120 }), reads: fc.constantFrom('a', 'b', 'none') }), {
          maxLength: 12,
        }),
        (steps) => {
          const ring = new EventRing()
          const readers = { a: { n: 0, cursor: 0 }, b: { n: 0, cursor: 0 } }
          let total = 0
          for (const { windows, reads } of steps) {
            ring.addWindows(Array.from({ length: windows }, () => window(total % 3 === 0 ? 'x' : 'y', total++)))
            if (reads === 'none') continue
            const { n, cursor } = readAll(ring, reads, readers[reads].cursor)
            readers[reads] = { n: readers[reads].n + n, cursor }
            expect(readers[reads].n).toBe(total)
          }
          expect(ring.read(0).events.length).toBeLessThanOrEqual(257 + Object.keys(readers).length * 2)
          expect(readAll(ring, 'late', 0).n).toBe(total)
        },
      ),
      { numRuns: 30 },
    )
  })

  it('shows the latest progress only, and nothing after the result', () => {
    const ring = new EventRing()
    const progress = {
      jobId: 'j',
      status: 'running',
      fraction: 0,
      sequence: 1,
      rate: 0,
      datacenters: {},
      workflows: {
        total: 1,
        waiting: 0,
        queued: 0,
        running: 1,
        completed: 0,
        failed: 0,
        timedOut: 0,
        cancelled: 0,
        skipped: 0,
      },
    } as const
    ring.setProgress(progress)
    ring.setProgress({ ...progress, sequence: 2 })
    ring.addOutcome('w', 'eu', 'completed')
    ring.finish(cut(new Uint8Array(PART_BYTES * 2)))
    const kinds: string[] = []
    let cursor = 0
    while (ring.hasAfter(cursor)) {
      const page = ring.read(cursor)
      kinds.push(...page.events.map(({ kind }) => kind))
      cursor = page.cursor
    }
    expect(kinds).toEqual(['progress', 'workflow', 'result', 'result'])
    expect(ring.progress?.sequence).toBe(2)
  })

  it('knows who has not read to the end', () => {
    const ring = new EventRing()
    ring.seen('r', 0, 100)
    ring.finish(cut(new Uint8Array(1)))
    expect(ring.hasReaderBehind(50)).toBe(true)
    expect(ring.hasReaderBehind(200)).toBe(false) // gone
    ring.seen('r', ring.read(0).cursor, 300)
    expect(ring.hasReaderBehind(50)).toBe(false)
  })
})

describe('parts of what is larger than a frame', () => {
  it('give back the whole, whatever its size', () => {
    for (const size of [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES]) {
      const whole = Uint8Array.from({ length: size }, (_, i) => i % 251)
      const collector = new PartCollector()
      const results = cut(whole).map((part) => collector.add(part))
      expect(results.slice(0, -1).every((result) => result === null)).toBe(true)
      expect(Buffer.compare(results.at(-1) ?? Buffer.of(), whole)).toBe(0)
    }
  })

  it('change nothing when repeated, begin anew with the first, and refuse one that does not follow', () => {
    const [a, b, c] = cut(new Uint8Array(3 * PART_BYTES))
    if (a === undefined || b === undefined || c === undefined) throw new Error('three parts')
    const collector = new PartCollector()
    expect([a, b, b].map((part) => collector.add(part))).toEqual([null, null, null])
    expect([a, b].map((part) => collector.add(part))).toEqual([null, null])
    expect(collector.add(c)?.length).toBe(3 * PART_BYTES)
    const other = new PartCollector()
    expect(() => other.add(b)).toThrow(expect.objectContaining({ code: 'DECODE_ERROR' }))
    expect(() => other.add({ ...a, index: 3 })).toThrow(expect.objectContaining({ code: 'DECODE_ERROR' }))
  })
})

describe('WorkerMonitor (NODES-30)', () => {
  const refused = () => new TransportError('CONNECT_FAILED', 'refused', { notExecuted: true })

  function setup(answer: () => Promise<void>) {
    const clock = new VirtualClock()
    const told: [number, string][] = []
    const monitor = new WorkerMonitor({
      extraSilenceMs: () => 0,
      clock,
      timing: timingProfiles.local,
      ping: () => {
        told.push([clock.now(), 'ping'])
        return answer()
      },
      onSuspected: (suspected) => told.push([clock.now(), suspected ? 'suspected' : 'cleared']),
      onLost: (why) => told.push([clock.now(), `lost: ${why}`]),
    })
    return { clock, told, monitor }
  }

  it('asks one that was silent for two heartbeats, and leaves alone one that speaks', async () => {
    const { clock, told, monitor } = setup(() => Promise.resolve())
    for (let i = 0; i < 10; i++) {
      await clock.advanceAsync(400)
      monitor.heard()
    }
    expect(told).toEqual([])
    await clock.advanceAsync(600)
    expect(told).toEqual([[4_500, 'ping']])
    monitor.stop()
    expect(clock.pendingTimers).toBe(0)
  })

  it('takes two refusals a heartbeat apart for a loss', async () => {
    const { clock, told } = setup(() => Promise.reject(refused()))
    await clock.advanceAsync(2_000)
    expect(told).toEqual([
      [500, 'ping'],
      [750, 'ping'],
      [750, 'lost: refused twice: CONNECT_FAILED'],
    ])
    expect(clock.pendingTimers).toBe(0)
  })

  it('begins anew when it speaks between two refusals', async () => {
    const { clock, told, monitor } = setup(() => Promise.reject(refused()))
    await clock.advanceAsync(600)
    monitor.heard()
    await clock.advanceAsync(450)
    expect(told.filter(([, what]) => what.startsWith('lost'))).toEqual([])
    monitor.stop()
  })

  it('learns nothing from a transport that only waits to dial again', async () => {
    const { clock, told } = setup(() =>
      Promise.reject(new TransportError('CONNECT_FAILED', 'soon', { retryAfterMs: 50 })),
    )
    await clock.advanceAsync(4_900)
    expect(told.some(([, what]) => what.startsWith('lost'))).toBe(false)
    await clock.advanceAsync(200)
    expect(told.at(-1)).toEqual([5_000, 'lost: silent for 5000 ms'])
  })

  it('suspects one that does not answer, and clears it when it speaks', async () => {
    const { clock, told, monitor } = setup(() =>
      clock.sleep(1_000).then(() => Promise.reject(new TransportError('DEADLINE_EXCEEDED', 'late'))),
    )
    await clock.advanceAsync(1_600)
    expect(told).toContainEqual([1_500, 'suspected'])
    monitor.heard()
    expect(told.at(-1)).toEqual([1_600, 'cleared'])
    monitor.stop()
  })

  it('asks at once when in doubt', async () => {
    const { clock, told, monitor } = setup(() => Promise.reject(refused()))
    await clock.advanceAsync(100)
    monitor.doubt()
    await clock.advanceAsync(1_000)
    expect(told.at(-1)).toEqual([350, 'lost: refused twice: CONNECT_FAILED'])
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('the smaller parts', () => {
  it('resolves timing: a profile, or some fields over lan (NODES-3)', () => {
    expect(resolveTiming('local')).toEqual(timingProfiles.local)
    expect(resolveTiming({ reportMs: 7 })).toEqual({ ...timingProfiles.lan, reportMs: 7 })
    expect(() => resolveTiming({ statsWindowMs: 5 })).toThrow(/statsWindowMs/)
  })

  it('leads under a term above that of any other life', () => {
    const term = new LeaderTerm('m@2', 1)
    expect(term.heard(undefined)).toBe(false)
    expect(term.heard({ id: 'm@1', address: '', term: 4 })).toBe(true)
    expect(term.current).toBe(5)
    expect(term.heard({ id: 'm@1', address: '', term: 4 })).toBe(false)
    expect(term.heard({ id: 'm@2', address: '', term: 5 })).toBe(false)
    expect(term.current).toBe(5)
  })

  it('leads under a term above that of an earlier leadership of its own', () => {
    const risen = new LeaderTerm('m@2', 1)
    risen.heard({ id: 'm@1', address: '', term: 8 })
    const again = new LeaderTerm('m@2', 2) // elected again; its election counts from lower
    expect(again.heard({ id: 'm@2', address: '', term: risen.current })).toBe(true)
    expect(again.current).toBe(10)
  })

  it('measures what is done per second over the last window', () => {
    const rate = new JobRate(1_000)
    for (let ms = 0; ms < 5_000; ms += 100) rate.record(ms / 10, ms)
    expect(rate.record(500, 5_000)).toBeCloseTo(100, 0)
    expect(rate.record(400, 5_100)).toBe(0) // a new leader that has heard less
  })

  it('stays finite, whatever is reported as done', () => {
    const rate = new JobRate(1_000)
    rate.record(0, 0)
    expect(rate.record(Number.MAX_VALUE, 10)).toBe(Number.MAX_VALUE)
  })

  it('sends an increment again under its number until it is taken, and gathers meanwhile', () => {
    const streams = new StatsStreams(new VirtualClock())
    const writer = streams.open('j', 'w')
    writer.totals.count('n', 2)
    const first = streams.outgoing()
    writer.totals.count('n', 3)
    expect(streams.outgoing()).toEqual(first)
    streams.taken(first)
    const second = streams.outgoing()
    expect([first, second].flat().map(({ seq, counts }) => [seq, counts['n']])).toEqual([
      [1, 2],
      [2, 3],
    ])
    writer.close()
    streams.taken(second)
    expect(streams.size).toBe(0)
    const again = streams.open('j', 'w')
    again.totals.count('n', 1)
    expect(streams.outgoing()[0]?.seq).toBe(3) // a number that was used never means another increment
  })
})
