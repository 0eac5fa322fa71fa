import { getEventListeners } from 'node:events'
import { backpressureLevels, type BackpressureLevel, type MessagePriority } from '@hs/core'
import { SeededRandom, VirtualClock } from '@hs/core/testing'
import {
  BackpressureMeter,
  BackpressureView,
  type BackpressureSignal,
  type BackpressureViewOptions,
} from '@hs/overload'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const defaults = { none: 0, throttle: 100, batch: 500, reject: 1_000 }
let lastSeq = 0
/** Each is newer than the one before. */
const signal = (level: BackpressureLevel, given: Partial<BackpressureSignal> = {}): BackpressureSignal => ({
  level,
  delayMs: defaults[level],
  epoch: 0,
  seq: ++lastSeq,
  ...given,
})
const setUp = (options: BackpressureViewOptions = {}) => {
  const clock = new VirtualClock()
  return { clock, view: new BackpressureView({ clock, ...options }) }
}
const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
const worse = (a: BackpressureLevel, b: BackpressureLevel) =>
  backpressureLevels.indexOf(a) > backpressureLevels.indexOf(b) ? a : b

describe('BackpressureView (OVER-20)', () => {
  it('keeps the signal with the highest (epoch, seq) of each source', () => {
    const { view } = setUp()
    const received = [
      signal('throttle', { epoch: 1, seq: 5 }),
      signal('reject', { epoch: 1, seq: 5 }), // twice
      signal('reject', { epoch: 1, seq: 4 }), // late
      signal('reject', { epoch: 0, seq: 99 }), // from a former life
      signal('batch', { epoch: 1, seq: 6 }),
      signal('none', { epoch: 2, seq: 0 }), // a new life begins anew
    ].map((each) => [view.receive('gate', each), view.level('gate')])
    expect(received).toEqual([
      [true, 'throttle'],
      [false, 'throttle'],
      [false, 'throttle'],
      [false, 'throttle'],
      [true, 'batch'],
      [true, 'none'],
    ])
    expect(view.receive('other', signal('reject', { epoch: 0, seq: 0 }))).toBe(true)
  })

  it('ends where the newest is, in whatever order and however often they come', () => {
    const signals = fc.uniqueArray(
      fc.record({ level: fc.constantFrom(...backpressureLevels), delayMs: fc.nat(900), epoch: fc.nat(3), seq: fc.nat(9) }), // prettier-ignore
      { minLength: 1, selector: ({ epoch, seq }) => epoch * 100 + seq },
    )
    fc.assert(
      fc.property(signals, fc.nat(), (sent, seed) => {
        const { view } = setUp()
        for (const each of new SeededRandom(seed).shuffle([...sent, ...sent])) view.receive('gate', each)
        const newest = sent.reduce((a, b) => (a.epoch - b.epoch || a.seq - b.seq) > 0 ? a : b) // prettier-ignore
        expect([view.level('gate'), view.delayMs('gate')]).toEqual([newest.level, newest.delayMs])
      }),
    )
  })

  it('lets a level fall by one for each decayMs without a newer signal', () => {
    const { view, clock } = setUp()
    view.receive('gate', signal('reject', { delayMs: 3_333 }))
    const seen = [0, 4_999, 1, 4_999, 1, 4_999, 1, 1e9].map((ms) => {
      clock.advance(ms)
      return [view.level('gate'), view.delayMs('gate')]
    })
    expect(seen).toEqual([
      ['reject', 3_333],
      ['reject', 3_333],
      ['batch', 500],
      ['batch', 500],
      ['throttle', 100],
      ['throttle', 100],
      ['none', 0],
      ['none', 0],
    ])
  })

  it('begins anew with each newer signal, and not with an old one', () => {
    const { view, clock } = setUp({ decayMs: 1_000 })
    const first = signal('batch')
    view.receive('gate', first)
    clock.advance(999)
    view.receive('gate', signal('batch'))
    clock.advance(999)
    expect(view.level('gate')).toBe('batch')
    expect(view.receive('gate', first)).toBe(false)
    clock.advance(1)
    expect(view.level('gate')).toBe('throttle')
  })

  it('pauses as long as the signal says, up to maxDelayMs, also at the default of a decayed level', () => {
    const { view, clock } = setUp({ maxDelayMs: 300 })
    view.receive('gate', signal('reject', { delayMs: 60_000 }))
    expect(view.delayMs('gate')).toBe(300)
    clock.advance(5_000)
    expect([view.level('gate'), view.delayMs('gate')]).toEqual(['batch', 300])
    clock.advance(5_000)
    expect([view.level('gate'), view.delayMs('gate')]).toEqual(['throttle', 100])
    const patient = setUp()
    patient.view.receive('gate', signal('throttle', { delayMs: 60_000 }))
    expect(patient.view.delayMs()).toBe(10_000)
  })

  it('lets no pause of a "none" last longer than a level does', () => {
    const { view, clock } = setUp()
    view.receive('gate', signal('none', { delayMs: 40 }))
    expect([view.delayMs('gate'), view.delayMs()]).toEqual([40, 40])
    clock.advance(5_000)
    expect([view.delayMs('gate'), view.delayMs()]).toEqual([0, 0])
  })

  it('means the worst of all where no source is named, and none where it is unknown', () => {
    const { view, clock } = setUp({ decayMs: 1_000 })
    expect([view.level(), view.delayMs(), view.level('gate'), view.delayMs('gate')]).toEqual(['none', 0, 'none', 0])
    view.receive('a', signal('batch', { delayMs: 20 }))
    clock.advance(500)
    view.receive('b', signal('throttle', { delayMs: 700 }))
    view.receive('c', signal('none'))
    expect([view.level(), view.delayMs(), view.level('c')]).toEqual(['batch', 700, 'none'])
    clock.advance(500) // a falls to throttle
    expect([view.level(), view.delayMs(), view.level('a')]).toEqual(['throttle', 700, 'throttle'])
    clock.advance(500) // b falls to none
    expect([view.level(), view.delayMs()]).toEqual(['throttle', 100])
    clock.advance(500)
    expect([view.level(), view.delayMs(), view.size]).toEqual(['none', 0, 3])
    view.receive('c', signal('reject'))
    view.receive('c', signal('none'))
    expect(view.level()).toBe('none')
  })

  it('is at any time the worst that any source asks for', () => {
    const steps = fc.array(
      fc.record({ source: fc.constantFrom('a', 'b', 'c', 'd'), level: fc.constantFrom(...backpressureLevels), waitMs: fc.nat(700) }), // prettier-ignore
    )
    fc.assert(
      fc.property(steps, (all) => {
        const { view, clock } = setUp({ decayMs: 500, maxSources: 3 })
        for (const { source, level, waitMs } of all) {
          view.receive(source, signal(level))
          clock.advance(waitMs)
          const { level: worst, sources } = view.snapshot()
          expect(worst).toBe(Object.values(sources).reduce(worse, 'none'))
          expect(view.level()).toBe(worst)
          expect(view.delayMs()).toBe(Math.max(...Object.keys(sources).map((each) => view.delayMs(each))))
        }
      }),
    )
  })

  it('forgets the source that was not heard for the longest time when there are too many', () => {
    const { view } = setUp({ maxSources: 2 })
    const old = signal('reject')
    view.receive('a', old)
    view.receive('b', signal('throttle'))
    view.level('a') // asking is not hearing
    view.receive('a', old) // nor is what was heard before
    view.receive('c', signal('none'))
    expect(view.snapshot()).toEqual({ level: 'throttle', sources: { b: 'throttle', c: 'none' } })
    view.receive('b', signal('batch'))
    view.receive('d', signal('none'))
    expect(view.snapshot()).toEqual({ level: 'batch', sources: { b: 'batch', d: 'none' } })
    expect([view.size, view.level('a')]).toEqual([2, 'none'])
  })

  it('forgets a source that is told to be gone, and what came from it', () => {
    const { view } = setUp()
    const late = signal('throttle')
    view.receive('gate', signal('reject'))
    expect([view.forget('gate'), view.forget('gate'), view.size]).toEqual([true, false, 0])
    expect([view.level(), view.delayMs()]).toEqual(['none', 0])
    expect(view.receive('gate', late)).toBe(true)
  })

  it('shows plain frozen data, whatever the sources are called', () => {
    const { view } = setUp()
    view.receive('__proto__', signal('batch'))
    view.receive('gate', signal('none'))
    const snapshot = view.snapshot()
    expect(JSON.stringify(snapshot)).toBe('{"level":"batch","sources":{"__proto__":"batch","gate":"none"}}')
    expect([Object.isFrozen(snapshot), Object.isFrozen(snapshot.sources)]).toEqual([true, true])
  })

  it('keeps what it was told though the signal is changed afterwards', () => {
    const { view } = setUp()
    const mutable = { ...signal('batch') }
    view.receive('gate', mutable)
    mutable.level = 'none'
    expect(view.level('gate')).toBe('batch')
  })

  it('refuses what is no source or no signal, and changes nothing', () => {
    const { view } = setUp()
    view.receive('gate', signal('batch'))
    const bad = [
      ...[{ level: 'full' }, { delayMs: NaN }, { delayMs: -1 }, { epoch: -1 }, { seq: 0.5 }].map((field) => ({
        ...signal('none'),
        ...field,
      })),
      null,
      'none',
    ] as BackpressureSignal[]
    for (const each of bad) expect(() => view.receive('gate', each)).toThrow(invalid)
    expect(() => view.receive(7 as unknown as string, signal('none'))).toThrow(invalid)
    expect(view.snapshot()).toEqual({ level: 'batch', sources: { gate: 'batch' } })
  })

  it.each([
    [{ decayMs: 0 }, 'decayMs'],
    [{ decayMs: Infinity }, 'decayMs'],
    [{ maxSources: 0 }, 'maxSources'],
    [{ maxSources: 1.5 }, 'maxSources'],
    [{ maxDelayMs: -1 }, 'maxDelayMs'],
    [{ maxDelay: 5 }, 'maxDelay'],
    [{ random: {} }, 'random'],
  ])('refuses %j', (bad, path) => {
    const config = { code: 'CONFIG_INVALID', issues: [expect.objectContaining({ path })] }
    expect(() => new BackpressureView(bad as BackpressureViewOptions)).toThrow(expect.objectContaining(config) as Error)
  })
})

describe('BackpressureView decides (OVER-21)', () => {
  it.each<[BackpressureLevel, string, string]>([
    ['none', 'send', 'send'],
    ['throttle', 'send', 'send'],
    ['batch', 'send', 'batch'],
    ['reject', 'send', 'drop'],
  ])('at %s: critical and high %s, normal and low %s', (level, urgent, other) => {
    const { view } = setUp()
    view.receive('gate', signal(level))
    for (const source of ['gate', undefined]) {
      expect((['critical', 'high', 'normal', 'low'] as const).map((each) => view.action(each, source))).toEqual([
        urgent,
        urgent,
        other,
        other,
      ])
    }
    expect(view.action('low', 'unknown')).toBe('send')
  })

  it.each(['critical', 'high'] as const)('never delays %s', async (priority) => {
    const { view, clock } = setUp()
    view.receive('gate', signal('reject'))
    expect(await view.waitTurn(priority, { source: 'gate' })).toBe('send')
    expect([clock.now(), clock.pendingTimers]).toEqual([0, 0])
  })

  it('sleeps the delay of the source, or of the worst', async () => {
    const { view, clock } = setUp()
    view.receive('gate', signal('throttle', { delayMs: 70 }))
    view.receive('other', signal('batch'))
    expect(await clock.run(view.waitTurn('normal', { source: 'gate' }))).toBe('send')
    expect(clock.now()).toBe(70)
    expect(await clock.run(view.waitTurn('low'))).toBe('batch')
    expect(clock.now()).toBe(570)
    expect(await view.waitTurn('low', { source: 'unknown' })).toBe('send')
  })

  it('decides by the level after the sleep, not before it (F4)', async () => {
    const { view, clock } = setUp()
    view.receive('gate', signal('throttle'))
    const worsened = view.waitTurn('normal', { source: 'gate' })
    clock.advance(50)
    view.receive('gate', signal('reject'))
    expect(await clock.run(worsened)).toBe('drop')
    expect(clock.now()).toBe(100)

    const eased = view.waitTurn('low', { source: 'gate' })
    clock.advance(999)
    view.receive('gate', signal('none'))
    expect(await clock.run(eased)).toBe('send')
    expect(clock.now()).toBe(1_100)
  })

  it('decides by what is left of a level that decayed while it slept', async () => {
    const { view, clock } = setUp({ decayMs: 1_000 })
    view.receive('gate', signal('reject', { delayMs: 2_500 }))
    expect(await clock.run(view.waitTurn('normal', { source: 'gate' }))).toBe('send')
  })

  it('ends with the reason of the signal, and leaves neither timer nor listener', async () => {
    const { view, clock } = setUp()
    view.receive('gate', signal('reject'))
    const controller = new AbortController()
    const { signal: abort } = controller
    const waiting = view.waitTurn('low', { signal: abort })
    await clock.advanceAsync(10)
    expect([clock.pendingTimers, getEventListeners(abort, 'abort').length]).toEqual([1, 1])
    const reason = new Error('the sender stops')
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    expect([clock.pendingTimers, getEventListeners(abort, 'abort').length]).toEqual([0, 0])
    await expect(view.waitTurn('low', { signal: abort })).rejects.toBe(reason)
    view.forget('gate') // also where there is nothing to wait for
    await expect(view.waitTurn('low', { signal: abort })).rejects.toBe(reason)
  })

  it('refuses an unknown priority', async () => {
    const { view } = setUp()
    expect(() => view.action('urgent' as MessagePriority)).toThrow(invalid)
    await expect(view.waitTurn('urgent' as MessagePriority)).rejects.toEqual(invalid)
  })

  it('passes on what it sees through a meter of its own', () => {
    const { view, clock } = setUp()
    const meter = new BackpressureMeter({ clock })
    const fillOf = { none: 0, throttle: 0.7, batch: 0.85, reject: 0.95 }
    const update = (own: number) => meter.update(Math.max(own, fillOf[view.level('gate')]))
    expect(update(0.72)).toBe('throttle')
    view.receive('gate', signal('batch'))
    expect(update(0.1)).toBe('batch')
    clock.advance(10_000)
    expect(update(0.1)).toBe('none')
  })
})
