import { overloadStates } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'
import {
  decodeHealthReport,
  HealthTracker,
  NodeHealth,
  type HealthReport,
  type HealthTrackerOptions,
  type NodeHealthOptions,
} from '@hs/health'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { coded, misconfigured } from './support/matchers.js'

const base: HealthReport = {
  incarnation: 1,
  seq: 0,
  ready: true,
  capacity: 4,
  overload: 'healthy',
  assigned: 0,
  done: 0,
}

const make = (options: NodeHealthOptions = {}) => {
  const clock = new VirtualClock()
  const node = new NodeHealth({ clock, ...options })
  let seq = 0
  const report = (change: Partial<HealthReport> = {}) => node.report({ ...base, seq: ++seq, ...change })
  return { clock, node, report }
}

describe('HealthReport (HL-11)', () => {
  it('is decoded from what crosses the wire, without unknown fields, frozen', () => {
    const report = decodeHealthReport({ ...base, expectedPerSecond: 2.5, colour: 'red' })
    expect(report).toEqual({ ...base, expectedPerSecond: 2.5 })
    expect(Object.isFrozen(report)).toBe(true)
  })

  it.each<[string, unknown]>([
    ['', null],
    ['', 'text'],
    ['', []],
    ['incarnation', { ...base, incarnation: -1 }],
    ['seq', { ...base, seq: 1.5 }],
    ['ready', { ...base, ready: 'yes' }],
    ['capacity', { ...base, capacity: NaN }],
    ['overload', { ...base, overload: 'tired' }],
    ['assigned', { ...base, assigned: -1 }],
    ['done', { ...base, done: Infinity }],
    ['done', { ...base, done: undefined }],
    ['expectedPerSecond', { ...base, expectedPerSecond: -1 }],
  ])('is refused at %j where it is malformed', (path, value) => {
    expect(() => decodeHealthReport(value)).toThrow(
      expect.objectContaining({ code: 'DECODE_ERROR', reason: 'schema', path }) as Error,
    )
  })

  it('is refused where reading it throws', () => {
    const hostile = Object.defineProperty({ ...base }, 'done', {
      get() {
        throw new Error('gotcha')
      },
    })
    expect(() => decodeHealthReport(hostile)).toThrow(coded('DECODE_ERROR'))
  })
})

describe('NodeHealth, liveness (HL-7)', () => {
  it('has the grace of livenessMs from construction on', () => {
    const { node, clock } = make()
    clock.advance(30_000)
    expect(node.verdict()).toMatchObject({ live: true, status: 'busy', advice: 'drain' })
    clock.advance(1)
    expect(node.verdict()).toMatchObject({ live: false, status: 'suspect', advice: 'evict' })
    expect(node.snapshot()).toMatchObject({ silentMs: 30_001, misses: 0, report: null })
  })

  it('lives on with an answered probe or an accepted report, not with an old one', () => {
    const { node, clock, report } = make()
    clock.advance(30_000)
    node.probe(true)
    clock.advance(30_000)
    report({ seq: 5 })
    clock.advance(30_000)
    expect(node.verdict().live).toBe(true)
    expect(report({ seq: 5 })).toBe(false)
    clock.advance(1)
    expect(node.verdict().live).toBe(false)
    node.probe(true)
    expect(node.verdict()).toMatchObject({ live: true, status: 'healthy' })
  })

  it('is dead at the third miss in a row, and alive with the next sign of life', () => {
    const { node, report } = make()
    report()
    node.probe(false)
    node.probe(false)
    node.probe(true)
    node.probe(false)
    node.probe(false)
    expect(node.snapshot()).toMatchObject({ live: true, misses: 2 })
    node.probe(false)
    expect(node.snapshot()).toMatchObject({ live: false, misses: 3, status: 'suspect' })
    node.probe(false)
    report()
    expect(node.snapshot()).toMatchObject({ live: true, misses: 0, silentMs: 0 })
  })
})

describe('NodeHealth, readiness (HL-8)', () => {
  it('is not ready before it said so', () => {
    const { node } = make()
    node.probe(true)
    expect(node.verdict()).toEqual({
      status: 'busy',
      advice: 'drain',
      live: true,
      ready: false,
      progress: 'idle',
      overload: 'healthy',
    })
  })

  it.each<[Partial<HealthReport>, boolean, string]>([
    [{}, true, 'healthy'],
    [{ overload: 'busy' }, true, 'healthy'],
    [{ overload: 'stressed' }, true, 'slow'],
    [{ overload: 'overloaded' }, false, 'busy'],
    [{ ready: false }, false, 'busy'],
    [{ capacity: 0 }, false, 'busy'],
    [{ capacity: 0.5 }, true, 'healthy'],
    [{ ready: false, overload: 'stressed' }, false, 'degraded'],
  ])('after %j: ready %s, %s', (change, ready, status) => {
    const { node, report } = make()
    report(change)
    expect(node.verdict()).toMatchObject({ ready, status, overload: change.overload ?? 'healthy' })
  })
})

describe('NodeHealth, progress (HL-9)', () => {
  /** Reports every second, with so many units a second done. */
  const work = (
    made: ReturnType<typeof make>,
    seconds: number,
    perSecond: number,
    change: Partial<HealthReport> = {},
  ) => {
    let done = made.node.snapshot().report?.done ?? 0
    for (let i = 0; i < seconds; i++) {
      made.clock.advance(1_000)
      done += perSecond
      made.report({ assigned: 1, done, expectedPerSecond: 10, ...change })
    }
  }

  it('is idle without work, whatever it did or did not do', () => {
    const { node, clock, report } = make()
    report({ assigned: 0, done: 5, expectedPerSecond: 100 })
    clock.advance(29_000)
    report({ assigned: 0, done: 5, expectedPerSecond: 100 })
    expect(node.verdict().progress).toBe('idle')
  })

  it.each([
    [10, 'normal', 'route'],
    [8, 'normal', 'route'],
    [7.9, 'slow', 'investigate'],
    [3, 'slow', 'investigate'],
    [2.9, 'degraded', 'investigate'],
  ])('makes %d of 10 a second: %s, %s', (perSecond, progress, advice) => {
    const made = make()
    made.report({ assigned: 1, expectedPerSecond: 10 })
    work(made, 30, perSecond)
    expect(made.node.verdict()).toMatchObject({ progress, advice })
  })

  it('drains a degraded node that is not ready', () => {
    const made = make()
    work(made, 30, 1, { capacity: 0 })
    expect(made.node.verdict()).toMatchObject({ status: 'degraded', advice: 'drain', progress: 'degraded' })
  })

  it('is normal while less than half a window was observed, and where nothing is expected', () => {
    const made = make()
    made.report({ assigned: 1, expectedPerSecond: 10 })
    work(made, 14, 1)
    expect(made.node.verdict().progress).toBe('normal')
    work(made, 1, 1)
    expect(made.node.verdict().progress).toBe('degraded')
    made.report({ assigned: 1, done: 16 })
    expect(made.node.verdict().progress).toBe('normal')
    made.report({ assigned: 1, done: 16, expectedPerSecond: 0 })
    expect(made.node.verdict().progress).toBe('normal')
  })

  it('measures over the window, not over all time', () => {
    const made = make()
    work(made, 600, 10)
    work(made, 12, 0)
    expect(made.node.verdict().progress).toBe('slow')
    work(made, 21, 0)
    expect(made.node.verdict().progress).toBe('degraded')
    work(made, 33, 10)
    expect(made.node.verdict().progress).toBe('normal')
  })

  it('measures a node that reports less often than once a window', () => {
    const made = make({ livenessMs: 600_000 })
    made.report({ assigned: 1, expectedPerSecond: 10 })
    made.clock.advance(45_000)
    made.report({ assigned: 1, done: 180, expectedPerSecond: 10 })
    expect(made.node.verdict().progress).toBe('slow')
  })

  it('does not hold a rest against it: what is observed begins with the work', () => {
    const made = make()
    work(made, 60, 10)
    made.report({ assigned: 0, done: 600 })
    made.clock.advance(25_000)
    made.report({ assigned: 1, done: 600, expectedPerSecond: 10 })
    work(made, 20, 10)
    expect(made.node.verdict().progress).toBe('normal')
  })

  it('is stuck when nothing moved for stuckMs, drained first, evicted a minute later', () => {
    const made = make()
    made.report({ assigned: 1 })
    const silentWork = (ms: number) => {
      made.clock.advance(ms)
      made.node.probe(true)
    }
    silentWork(59_999)
    expect(made.node.verdict()).toMatchObject({ progress: 'normal', status: 'healthy' })
    silentWork(1)
    expect(made.node.verdict()).toMatchObject({ progress: 'stuck', status: 'stuck', advice: 'drain' })
    silentWork(59_999)
    expect(made.node.verdict().advice).toBe('drain')
    silentWork(1)
    expect(made.node.verdict()).toMatchObject({ status: 'stuck', advice: 'evict', live: true })
    made.report({ assigned: 1, done: 1 })
    expect(made.node.verdict()).toMatchObject({ status: 'healthy', advice: 'route' })
  })

  it('counts as unmoved only from when there was work', () => {
    const made = make()
    made.report({ assigned: 0, done: 7 })
    made.clock.advance(25_000)
    made.report({ assigned: 0, done: 7 })
    made.clock.advance(25_000)
    made.report({ assigned: 2, done: 7 })
    made.clock.advance(25_000)
    made.report({ assigned: 2, done: 7 })
    expect(made.node.verdict().progress).toBe('normal')
  })

  it('is not stuck over an hour of a workflow that moves a unit now and then', () => {
    const made = make()
    for (let i = 0; i < 72; i++) {
      made.clock.advance(50_000)
      made.report({ assigned: 1, done: i + 1 })
      expect(made.node.verdict().advice).toBe('route')
    }
  })

  it('begins anew with a new incarnation, and with a count that went back', () => {
    const made = make()
    work(made, 60, 1)
    expect(made.node.verdict().progress).toBe('degraded')
    made.report({ incarnation: 2, assigned: 1, done: 0, expectedPerSecond: 10 })
    expect(made.node.verdict().progress).toBe('normal')
    work(made, 40, 1, { incarnation: 2 })
    expect(made.node.verdict().progress).toBe('degraded')
    made.report({ incarnation: 2, assigned: 1, done: 3, expectedPerSecond: 10 })
    expect(made.node.verdict().progress).toBe('normal')
  })
})

describe('NodeHealth, verdict (HL-10)', () => {
  it('is one of the table, whatever is said in whichever order', () => {
    const report = fc.record({
      incarnation: fc.nat(2),
      seq: fc.nat(30),
      ready: fc.boolean(),
      capacity: fc.constantFrom(0, 1),
      overload: fc.constantFrom(...overloadStates),
      assigned: fc.nat(2),
      done: fc.nat(500),
    })
    const expected = fc.option(fc.constantFrom(0, 1, 10), { nil: undefined })
    const step = fc.oneof(
      fc.record({ probe: fc.boolean() }),
      fc.record({ ms: fc.integer({ min: 0, max: 50_000 }) }),
      fc.tuple(report, expected).map(([fields, expectedPerSecond]) => ({
        report: expectedPerSecond === undefined ? fields : { ...fields, expectedPerSecond },
      })),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { node, clock } = make()
        for (const one of steps) {
          if ('probe' in one) node.probe(one.probe)
          else if ('ms' in one) clock.advance(one.ms)
          else node.report(one.report)
          const { status, advice, live, ready, progress, overload } = node.verdict()
          const row = `${status}/${advice}`
          if (!live) expect(row).toBe('suspect/evict')
          else if (progress === 'stuck') expect(['stuck/drain', 'stuck/evict']).toContain(row)
          else if (progress === 'slow' || progress === 'degraded' || overload === 'stressed')
            expect(row).toBe(ready ? 'slow/investigate' : 'degraded/drain')
          else expect(row).toBe(ready ? 'healthy/route' : 'busy/drain')
          if (overload === 'overloaded') expect(ready).toBe(false)
        }
      }),
    )
  })

  it('is frozen, as its snapshot is', () => {
    const { node, report } = make()
    report()
    const snapshot = node.snapshot()
    expect([Object.isFrozen(node.verdict()), Object.isFrozen(snapshot), Object.isFrozen(snapshot.report)]).toEqual([
      true,
      true,
      true,
    ])
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot)
  })
})

describe('NodeHealth, order (HL-11)', () => {
  it('takes reports by incarnation and then seq, and none twice', () => {
    const { node } = make()
    const take = (incarnation: number, seq: number) => node.report({ ...base, incarnation, seq, capacity: seq })
    expect([take(1, 5), take(1, 5), take(1, 4), take(1, 6)]).toEqual([true, false, false, true])
    expect([take(2, 0), take(1, 99), take(2, 1)]).toEqual([true, false, true])
    expect(node.snapshot().report).toMatchObject({ incarnation: 2, seq: 1, capacity: 1 })
  })

  it('keeps the last good one when a malformed one comes, and what it was given cannot be changed afterwards', () => {
    const { node, clock } = make()
    const given = { ...base, seq: 1 }
    node.report(given)
    given.capacity = 0
    clock.advance(10)
    expect(() => node.report({ ...base, seq: 2, done: NaN })).toThrow(coded('DECODE_ERROR'))
    expect(node.snapshot()).toMatchObject({ silentMs: 10, ready: true, report: { seq: 1, capacity: 4 } })
  })

  it('refuses options out of range', () => {
    const refused: [NodeHealthOptions, string[]][] = [
      [{ livenessMs: 0 }, ['livenessMs']],
      [{ maxMisses: 0 }, ['maxMisses']],
      [{ progressWindowMs: -1 }, ['progressWindowMs']],
      [{ slowRatio: 0.9 }, ['slowRatio']],
      [{ stuckMs: 0 }, ['stuckMs']],
      [{ normalRatio: 0.2, slowRatio: 0.5, maxMisses: 0 }, ['maxMisses', 'slowRatio']],
      [{ stuckEvictMs: -1 }, ['stuckEvictMs']],
    ]
    for (const [options, paths] of refused) expect(() => new NodeHealth(options)).toThrow(misconfigured(...paths))
    expect(() => new HealthTracker({ holdFraction: 1.1, maxNodes: 0, holdMs: -1 })).toThrow(
      misconfigured('maxNodes', 'holdFraction', 'holdMs'),
    )
  })
})

describe('HealthTracker (HL-12)', () => {
  const track = (options: HealthTrackerOptions = {}) => {
    const clock = new VirtualClock()
    const tracker = new HealthTracker({ clock, ...options })
    const kill = (...ids: string[]) => {
      for (const id of ids) for (let i = 0; i < 3; i++) tracker.node(id).probe(false)
    }
    const nodes = (...ids: string[]) => {
      for (const id of ids) tracker.node(id)
    }
    return { clock, tracker, kill, nodes }
  }

  it('has one record a node, and forgets it', () => {
    const { tracker } = track()
    const a = tracker.node('a')
    expect(tracker.node('a')).toBe(a)
    expect([tracker.size, tracker.forget('a'), tracker.forget('a'), tracker.size]).toEqual([1, true, false, 0])
    expect(tracker.node('a')).not.toBe(a)
    a.probe(false)
    a.probe(true)
    expect(() => tracker.node(1 as never)).toThrow(coded('INVALID_ARGUMENT'))
  })

  it('evicts a single dead node, and a minority', () => {
    const { tracker, kill, nodes } = track()
    nodes('a', 'b', 'c', 'd')
    kill('a')
    expect(tracker.evictions()).toEqual({ evict: ['a'], held: [] })
    kill('b')
    expect(tracker.evictions()).toEqual({ evict: ['a', 'b'], held: [] })
  })

  it('evicts one of one: two at least are held', () => {
    const { tracker, kill } = track()
    kill('a')
    expect(tracker.evictions()).toEqual({ evict: ['a'], held: [] })
  })

  it('holds a majority, each for holdMs at most', () => {
    const { tracker, kill, nodes, clock } = track({ livenessMs: 1e9 })
    nodes('a', 'b', 'c', 'd')
    kill('a', 'b', 'c')
    expect(tracker.evictions()).toEqual({ evict: [], held: ['a', 'b', 'c'] })
    clock.advance(200_000)
    kill('d')
    expect(tracker.evictions()).toEqual({ evict: [], held: ['a', 'b', 'c', 'd'] })
    clock.advance(99_999)
    expect(tracker.evictions().evict).toEqual([])
    clock.advance(1)
    expect(tracker.evictions()).toEqual({ evict: ['a', 'b', 'c'], held: ['d'] })
    clock.advance(200_000)
    expect(tracker.evictions().evict).toEqual(['a', 'b', 'c', 'd'])
  })

  it('holds anew who had recovered in between, though nobody looked', () => {
    const { tracker, kill, nodes, clock } = track({ livenessMs: 1e9 })
    nodes('a', 'b')
    kill('a', 'b')
    expect(tracker.evictions().held).toEqual(['a', 'b'])
    clock.advance(250_000)
    tracker.node('a').probe(true)
    kill('a')
    clock.advance(100_000)
    expect(tracker.evictions()).toEqual({ evict: ['b'], held: ['a'] })
  })

  it('lets go of a thousand at once only after the hold, and of none when they come back', () => {
    const { tracker, clock } = track()
    const ids = Array.from({ length: 1_000 }, (_, i) => `n${i}`)
    for (const id of ids) tracker.node(id).probe(true)
    clock.advance(30_001)
    expect(tracker.evictions().evict).toEqual([])
    expect(tracker.counts().suspect).toBe(1_000)
    for (const id of ids) tracker.node(id).probe(true)
    expect(tracker.evictions()).toEqual({ evict: [], held: [] })
  })

  it('lists whom to route to before whom to investigate, and counts all', () => {
    const { tracker, kill } = track()
    const report = (id: string, change: Partial<HealthReport>) =>
      tracker.node(id).report({ ...base, seq: 1, ...change })
    report('stressed', { overload: 'stressed' })
    report('good', {})
    report('full', { capacity: 0 })
    report('other', {})
    kill('dead')
    expect(tracker.routable()).toEqual(['good', 'other', 'stressed'])
    expect(tracker.counts()).toEqual({ healthy: 2, busy: 1, slow: 1, degraded: 0, stuck: 0, suspect: 1 })
    expect(tracker.snapshot()).toEqual({ nodes: 5, counts: tracker.counts() })
    expect([Object.isFrozen(tracker.snapshot()), Object.isFrozen(tracker.snapshot().counts)]).toEqual([true, true])
  })

  it('lets a dead one make room at maxNodes, by misses or by silence, or else the oldest', () => {
    const has = (tracker: HealthTracker, ids: string) =>
      [...ids].filter((id) => {
        const before = tracker.size
        const isKnown = tracker.forget(id)
        if (isKnown) expect(tracker.size).toBe(before - 1)
        return isKnown
      })
    const missed = track({ maxNodes: 3 })
    missed.nodes('a', 'b', 'c')
    missed.kill('b')
    missed.nodes('d')
    expect(has(missed.tracker, 'abcd')).toEqual(['a', 'c', 'd'])

    const silent = track({ maxNodes: 3 })
    silent.nodes('a', 'b', 'c')
    silent.clock.advance(20_000)
    silent.tracker.node('a').probe(true)
    silent.tracker.node('c').probe(true)
    silent.clock.advance(20_000)
    silent.nodes('d')
    expect(has(silent.tracker, 'abcd')).toEqual(['a', 'c', 'd'])

    const alive = track({ maxNodes: 3 })
    alive.nodes('a', 'b', 'c')
    alive.kill('b')
    alive.tracker.node('b').probe(true)
    alive.tracker.node('a').probe(true)
    alive.nodes('d')
    expect(has(alive.tracker, 'abcd')).toEqual(['b', 'c', 'd'])
  })
})
