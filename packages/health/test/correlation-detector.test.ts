import { MemoryLogger, VirtualClock } from '@hs/core/testing'
import {
  CorrelationDetector,
  type CorrelationDetectorEvents,
  type CorrelationDetectorOptions,
  type CorrelationSeverity,
} from '@hs/health'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { coded, misconfigured } from './support/matchers.js'

const names = (n: number) => Array.from({ length: n }, (_, i) => `dc${i}`)

function detector(count = 4, options: CorrelationDetectorOptions = {}) {
  const clock = new VirtualClock({ startMs: 500 })
  const logger = new MemoryLogger()
  const detector = new CorrelationDetector({ clock, logger, ...options })
  for (const name of names(count)) detector.add(name)
  const told: [string, object][] = []
  detector.events.on('partitionDetected', (event) => told.push(['detected', event]))
  detector.events.on('partitionHealed', (event) => told.push(['healed', event]))
  const down = (...which: number[]) => which.forEach((i) => detector.report(`dc${i}`, false))
  const up = (...which: number[]) => which.forEach((i) => detector.report(`dc${i}`, true))
  return { clock, logger, detector, told, down, up }
}

describe('CorrelationDetector: states (HL-28)', () => {
  it('down is failing, and failed after confirmMs', () => {
    const { clock, detector: d, down } = detector()
    expect(d.state('dc0')).toBe('healthy')
    down(0)
    clock.advance(4_999)
    expect(d.state('dc0')).toBe('failing')
    down(0) // to hear of it again is nothing new
    clock.advance(1)
    expect(d.state('dc0')).toBe('failed')
  })

  it('up is recovering, and healthy after recoverMs', () => {
    const { clock, detector: d, down, up } = detector()
    down(0)
    clock.advance(5_000)
    up(0)
    expect(d.state('dc0')).toBe('recovering')
    clock.advance(29_999)
    up(0)
    expect(d.state('dc0')).toBe('recovering')
    clock.advance(1)
    expect(d.state('dc0')).toBe('healthy')
  })

  it('one that was only failing recovers, too; one that is recovering may fail again', () => {
    const { clock, detector: d, down, up } = detector()
    down(0)
    clock.advance(1_000)
    up(0)
    expect(d.state('dc0')).toBe('recovering')
    clock.advance(20_000)
    down(0)
    expect(d.state('dc0')).toBe('failing')
  })

  it('the third down within flapWindowMs is flapping for flapCooldownMs', () => {
    const { clock, detector: d, down, up } = detector()
    for (const at of [0, 60_000]) {
      clock.advance(at)
      down(0)
      clock.advance(10)
      up(0)
    }
    clock.advance(120_000 - 60_000 - 20)
    down(0) // 120,000 ms after the first
    expect(d.state('dc0')).toBe('flapping')
    clock.advance(10)
    up(0)
    clock.advance(300_000 - 11)
    expect(d.state('dc0')).toBe('flapping')
    clock.advance(1)
    expect(d.state('dc0')).toBe('healthy') // it has been up all the time since
  })

  it('downs that lie further apart are none', () => {
    const { clock, detector: d, down, up } = detector()
    for (let i = 0; i < 10; i++) {
      down(0)
      expect(d.state('dc0')).toBe('failing')
      clock.advance(10)
      up(0)
      clock.advance(59_991)
    }
  })

  it('after the cool-down it is whatever it has been since', () => {
    const flapping = () => {
      const world = detector(4, { flapCooldownMs: 20_000 })
      for (let i = 0; i < 3; i++) {
        world.down(0)
        world.up(0)
      }
      return world
    }
    const stayedDown = flapping()
    stayedDown.clock.advance(1_000)
    stayedDown.down(0) // the third within the window once more: the cool-down begins anew
    stayedDown.clock.advance(19_999)
    expect(stayedDown.detector.state('dc0')).toBe('flapping')
    stayedDown.clock.advance(1)
    expect(stayedDown.detector.state('dc0')).toBe('failed')
    const stayedUp = flapping()
    stayedUp.clock.advance(20_000)
    expect(stayedUp.detector.state('dc0')).toBe('recovering')
    stayedUp.clock.advance(10_000)
    expect(stayedUp.detector.state('dc0')).toBe('healthy')
  })

  it('does not know what was not added, and forgets what is removed', () => {
    const { detector: d, clock } = detector(1)
    d.report('other', false)
    d.recordLatency('other', 5)
    d.recordStrain('other')
    expect(d.state('other')).toBeUndefined()
    d.report('dc0', false)
    d.add('dc0') // known: stays as it is
    expect(d.state('dc0')).toBe('failing')
    expect(d.remove('dc0')).toBe(true)
    expect(d.remove('dc0')).toBe(false)
    expect(d.state('dc0')).toBeUndefined()
    expect(clock.pendingTimers).toBe(0)
    d.add('dc0')
    expect(d.state('dc0')).toBe('healthy')
  })
})

describe('CorrelationDetector: severity (HL-28)', () => {
  it.each<[CorrelationSeverity, number, number, number]>([
    // known, failed, failing
    ['none', 10, 0, 0],
    ['none', 10, 1, 0],
    ['none', 10, 1, 1],
    ['none', 10, 0, 3],
    ['low', 10, 0, 4],
    ['low', 10, 1, 2],
    ['low', 10, 2, 0],
    ['medium', 10, 3, 0],
    ['medium', 10, 4, 6],
    ['high', 10, 5, 0],
    ['high', 10, 10, 0],
    ['none', 1, 1, 0],
    ['none', 2, 1, 1],
    ['high', 2, 2, 0],
    ['none', 3, 1, 1],
    ['high', 3, 2, 0],
    ['high', 4, 2, 0],
    ['medium', 5, 2, 0],
    ['low', 7, 2, 0],
  ])('is %s of %d known, %d failed and %d failing', (severity, known, failed, failing) => {
    const { clock, detector: d, down } = detector(known)
    down(...Array.from({ length: failed }, (_, i) => i))
    clock.advance(5_000)
    down(...Array.from({ length: failing }, (_, i) => failed + i))
    expect(d.assess()).toMatchObject({
      severity,
      affected: names(failed),
      failing: names(failed + failing).slice(failed),
      flapping: [],
      regional: false,
      holdEvictions: severity === 'medium' || severity === 'high',
    })
    d.stop()
  })

  it('flapping ones are affected', () => {
    const { detector: d, down, up } = detector()
    for (let i = 0; i < 3; i++) {
      down(1, 2)
      up(1, 2)
    }
    expect(d.assess()).toMatchObject({
      severity: 'high',
      affected: ['dc1', 'dc2'],
      flapping: ['dc1', 'dc2'],
      failing: [],
    })
  })

  it('is never less with one more that fails', () => {
    const severities: CorrelationSeverity[] = ['none', 'low', 'medium', 'high']
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.nat(12), fc.nat(12), (known, failed, failing) => {
        const rank = (f: number) => {
          const { clock, detector: d, down } = detector(known)
          down(...Array.from({ length: Math.min(known, f) }, (_, i) => i))
          clock.advance(5_000)
          down(...Array.from({ length: Math.min(known, f + failing) }, (_, i) => i))
          return severities.indexOf(d.assess().severity)
        }
        expect(rank(failed + 1)).toBeGreaterThanOrEqual(rank(failed))
      }),
    )
  })

  const regions = { dc0: 'eu', dc1: 'eu', dc2: 'us', dc3: 'us' }

  it.each<[string, number[], number[], Record<string, string>, boolean, CorrelationSeverity]>([
    ['all of one region, the others healthy', [0, 1], [], regions, true, 'low'],
    ['all of one region, one elsewhere failing', [0, 1], [2], regions, false, 'high'],
    ['one of each region', [0, 2], [], regions, false, 'high'],
    ['everything', [0, 1, 2, 3], [], regions, false, 'high'],
    ['all that have the only region', [0, 1], [], { dc0: 'eu', dc1: 'eu', dc2: 'eu', dc3: 'eu' }, false, 'high'],
    ['some that have no region', [0, 1], [], {}, false, 'high'],
    ['one with and one without a region', [0, 1], [], { dc0: 'eu' }, false, 'high'],
    ['all of a region, where the others have none', [0, 1], [], { dc0: 'eu', dc1: 'eu' }, true, 'low'],
    ['one alone', [0], [], regions, true, 'none'],
    ['none', [], [], regions, false, 'none'],
  ])('%s: regional or not', (_what, failed, failing, byName, regional, severity) => {
    const { clock, detector: d, down } = detector(4, { regions: byName })
    down(...failed)
    clock.advance(5_000)
    down(...failing)
    expect(d.assess()).toMatchObject({ regional, severity })
  })

  it('a dark region is no partition, until another one fails, too', () => {
    const { clock, detector: d, down, told } = detector(6, { regions: { dc0: 'eu', dc1: 'eu', dc2: 'eu' } })
    down(0, 1, 2)
    clock.advance(60_000)
    expect(d.assess()).toMatchObject({ severity: 'low', regional: true, holdEvictions: false })
    expect([told, d.partitioned]).toEqual([[], false])
    down(4)
    expect(told).toHaveLength(1)
  })
})

describe('CorrelationDetector: latency and strain (HL-29)', () => {
  const feed = (d: CorrelationDetector, which: number[], ms: number, times: number) => {
    for (let i = 0; i < times; i++) for (const dc of which) d.recordLatency(`dc${dc}`, ms)
  }

  it('compares each link with its own habit', () => {
    const { detector: d } = detector(2)
    feed(d, [0], 300, 100) // far away every day
    feed(d, [1], 120, 100)
    expect(d.assess().latencyElevated).toBe(false)
    feed(d, [0], 1_200, 3)
    expect(d.assess().latencyElevated).toBe(true)
  })

  it('says nothing of less than three samples', () => {
    const { detector: d } = detector(2)
    feed(d, [0, 1], 100, 1)
    feed(d, [0, 1], 1_000, 1)
    expect(d.assess().latencyElevated).toBe(false)
    feed(d, [0, 1], 1_000, 1)
    expect(d.assess().latencyElevated).toBe(true)
  })

  it('follows its formula: 0.3 smoothed, 0.005 up and 0.1 down learned', () => {
    const latencies = fc.array(fc.double({ min: 0, max: 5_000, noNaN: true }), { minLength: 1, maxLength: 50 })
    fc.assert(
      fc.property(latencies, (samples) => {
        const { detector: d } = detector(2)
        let smoothed = samples[0] ?? 0
        let baseline = smoothed
        samples.forEach((ms, i) => {
          smoothed += 0.3 * (ms - smoothed)
          baseline += (ms > baseline ? 0.005 : 0.1) * (ms - baseline)
          feed(d, [0], ms, 1)
          expect(d.assess().latencyElevated).toBe(i >= 2 && smoothed >= 100 && smoothed >= 2 * baseline)
        })
      }),
    )
  })

  it('never calls elevated what is below the floor', () => {
    const { detector: d } = detector(2)
    feed(d, [0, 1], 1, 10)
    feed(d, [0, 1], 99, 50)
    expect(d.assess().latencyElevated).toBe(false)
    feed(d, [0, 1], 200, 10)
    expect(d.assess().latencyElevated).toBe(true)
  })

  it('ignores numbers that are no latency or strain', () => {
    const { detector: d } = detector(2)
    for (const bad of [Number.NaN, Infinity, -1]) {
      feed(d, [0, 1], bad, 5)
      for (const dc of names(2)) d.recordStrain(dc, bad)
    }
    feed(d, [0, 1], 150, 10)
    expect(d.assess()).toMatchObject({ latencyElevated: false, strained: false })
  })

  it('both need half of at least two', () => {
    const strain = (count: number, strained: number) => {
      const { detector: d } = detector(count)
      for (const dc of names(strained)) d.recordStrain(dc, 2)
      feed(
        d,
        names(strained).map((_, i) => i),
        10,
        20,
      )
      feed(
        d,
        names(strained).map((_, i) => i),
        1_000,
        5,
      )
      const { strained: isStrained, latencyElevated } = d.assess()
      expect(isStrained).toBe(latencyElevated)
      return isStrained
    }
    expect([strain(1, 1), strain(2, 1), strain(3, 1), strain(3, 2), strain(4, 2), strain(5, 2)]).toEqual([
      false,
      true,
      false,
      true,
      true,
      false,
    ])
  })

  it('strain counts for strainMs, by default one a time', () => {
    const { clock, detector: d } = detector(2)
    d.recordStrain('dc0')
    clock.advance(60_000)
    d.recordStrain('dc0')
    expect(d.assess().strained).toBe(true)
    clock.advance(59_999)
    expect(d.assess().strained).toBe(true)
    clock.advance(1)
    expect(d.assess().strained).toBe(false)
  })

  it('keeps little of a flood of strain', () => {
    const { clock, detector: d } = detector(2, { strainThreshold: 900 })
    for (let i = 0; i < 1_000; i++) {
      d.recordStrain('dc0')
      clock.advance(100)
    }
    expect(d.assess().strained).toBe(true)
    clock.advance(120_000)
    expect(d.assess().strained).toBe(false)
  })

  it.each<[string, { failed: number; elevated: boolean; strained: boolean; regional: boolean }, boolean]>([
    ['nothing', { failed: 0, elevated: false, strained: false, regional: false }, false],
    ['elevated alone', { failed: 0, elevated: true, strained: false, regional: false }, false],
    ['strained alone', { failed: 0, elevated: false, strained: true, regional: false }, false],
    ['elevated and strained', { failed: 0, elevated: true, strained: true, regional: false }, true],
    ['low alone', { failed: 2, elevated: false, strained: false, regional: false }, false],
    ['low and strained', { failed: 2, elevated: false, strained: true, regional: false }, false],
    ['low and elevated', { failed: 2, elevated: true, strained: false, regional: false }, true],
    ['regional and elevated', { failed: 2, elevated: true, strained: false, regional: true }, false],
    ['medium', { failed: 3, elevated: false, strained: false, regional: false }, true],
    ['high', { failed: 5, elevated: false, strained: false, regional: false }, true],
  ])('holds evictions or not: %s', (_what, { failed, elevated, strained, regional }, hold) => {
    const regions = regional ? { dc0: 'eu', dc1: 'eu' } : {}
    const { clock, detector: d, down } = detector(10, { regions })
    const all = names(10).map((_, i) => i)
    down(...all.slice(0, failed))
    clock.advance(5_000)
    if (elevated) {
      feed(d, all, 100, 10)
      feed(d, all, 1_000, 5)
    }
    if (strained) for (const dc of names(10)) d.recordStrain(dc, 2)
    expect(d.assess()).toMatchObject({ latencyElevated: elevated, strained, regional, holdEvictions: hold })
  })
})

describe('CorrelationDetector: episodes (HL-30)', () => {
  it('tells of a partition and of its end without anyone asking, once each', () => {
    const { clock, detector: d, down, up, told } = detector(4)
    down(0, 1)
    expect(clock.pendingTimers).toBe(2)
    clock.advance(4_999)
    expect([told, d.partitioned]).toEqual([[], false])
    clock.advance(1)
    expect(told).toEqual([['detected', { datacenters: ['dc0', 'dc1'], severity: 'high', at: 5_500 }]])
    expect(d.partitioned).toBe(true)
    down(2, 3)
    clock.advance(10_000)
    up(0, 1, 2)
    clock.advance(60_000)
    expect(told).toHaveLength(1)
    up(3)
    clock.advance(29_999)
    expect(d.partitioned).toBe(true)
    clock.advance(1)
    const healed = { datacenters: ['dc0', 'dc1', 'dc2', 'dc3'], durationMs: 100_000, at: 105_500 }
    expect(told.slice(1)).toEqual([['healed', healed]])
    expect([d.partitioned, clock.pendingTimers]).toEqual([false, 0])
    down(0, 1)
    clock.advance(5_000)
    expect(told).toHaveLength(3)
    expect(d.snapshot()).toMatchObject({ partitions: 2, healed: 1, partitioned: true })
  })

  it('a medium one that becomes high is the same episode', () => {
    const { clock, detector: d, down, told } = detector(5)
    down(0, 1)
    clock.advance(5_000)
    expect(told).toMatchObject([['detected', { severity: 'medium' }]])
    down(2, 3, 4)
    clock.advance(5_000)
    expect(d.assess().severity).toBe('high')
    expect(told).toHaveLength(1)
  })

  it('may begin and end with who is known', () => {
    const { clock, detector: d, down, told } = detector(7)
    down(0, 1)
    clock.advance(5_000)
    expect(told).toEqual([]) // 2 of 7: low
    d.remove('dc6')
    expect(told).toMatchObject([['detected', { severity: 'medium' }]])
    d.remove('dc0')
    d.remove('dc1')
    expect(told.at(-1)).toMatchObject(['healed', { datacenters: ['dc0', 'dc1'], durationMs: 0 }])
  })

  it('logs each with the datacenters before the listeners run', () => {
    const { clock, logger, detector: d, down, up } = detector(2)
    const linesAtEvent: number[] = []
    d.events.on('partitionDetected', () => linesAtEvent.push(logger.entries.length))
    d.events.on('partitionHealed', () => linesAtEvent.push(logger.entries.length))
    down(0, 1)
    clock.advance(5_000)
    up(0, 1)
    clock.advance(30_000)
    expect(linesAtEvent).toEqual([1, 2])
    expect(logger.entries).toMatchObject([
      { level: 'warn', message: 'partition detected', fields: { datacenters: ['dc0', 'dc1'], severity: 'high' } },
      { level: 'warn', message: 'partition healed', fields: { datacenters: ['dc0', 'dc1'], durationMs: 30_000 } },
    ])
  })

  it('what a listener throws reaches onError and the log, with the datacenters, and the others run', () => {
    const onError = vi.fn(() => {
      throw new Error('the handler of errors, too')
    })
    const { clock, logger, detector: d, down } = detector(2, { onError })
    const heard: CorrelationDetectorEvents['partitionDetected'][] = []
    d.events.on('partitionDetected', () => {
      throw new Error('listener')
    })
    d.events.on('partitionDetected', (event) => heard.push([event]))
    down(0, 1)
    clock.advance(5_000)
    expect(heard).toHaveLength(1)
    const source = 'CorrelationDetector.partitionDetected'
    const context = { source, datacenters: ['dc0', 'dc1'] }
    expect(onError).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ message: 'listener' }), context)
    expect(logger.at('error')).toMatchObject([
      { message: `${source}: listener`, fields: context },
      { message: `onError failed for ${source}: the handler of errors, too`, fields: context },
    ])
  })

  it('a logger that throws holds nothing up, and the datacenters reach stderr', () => {
    const stderr = vi.spyOn(console, 'error').mockImplementation(() => {})
    const broken = () => {
      throw new Error('disk full')
    }
    const logger = { debug: broken, info: broken, warn: broken, error: broken, child: () => logger }
    const { clock, detector: d, down, told } = detector(2, { logger })
    down(0, 1)
    clock.advance(5_000)
    expect([told.length, d.partitioned]).toEqual([1, true])
    expect(stderr).toHaveBeenCalledOnce()
    expect(String(stderr.mock.calls[0]?.[0])).toMatch(/disk full.*dc0.*dc1|dc0.*dc1.*disk full/s)
    stderr.mockRestore()
  })

  it('stop leaves no timer and tells nothing more; it can still be asked', () => {
    const { clock, detector: d, down, told } = detector(4)
    down(0, 1)
    d.stop()
    d.stop()
    expect(clock.pendingTimers).toBe(0)
    down(2)
    expect(clock.pendingTimers).toBe(0)
    clock.advance(60_000)
    expect(told).toEqual([])
    expect(d.assess()).toMatchObject({ severity: 'high', affected: ['dc0', 'dc1', 'dc2'] })
  })

  it('a listener may report itself', () => {
    const { clock, detector: d, down, told } = detector(3)
    d.events.on('partitionDetected', () => {
      d.report('dc2', false)
      d.remove('dc1')
    })
    down(0, 1)
    clock.advance(5_000)
    expect(d.snapshot().states).toEqual({ dc0: 'failed', dc2: 'failing' })
    expect(told).toHaveLength(1)
  })

  it('snapshots are frozen all the way down', () => {
    const { detector: d } = detector(2)
    const snapshot = d.snapshot()
    expect(snapshot).toEqual({
      severity: 'none',
      affected: [],
      failing: [],
      flapping: [],
      regional: false,
      latencyElevated: false,
      strained: false,
      holdEvictions: false,
      partitioned: false,
      states: { dc0: 'healthy', dc1: 'healthy' },
      partitions: 0,
      healed: 0,
    })
    const assessed = d.assess()
    for (const part of [snapshot, snapshot.states, snapshot.affected, assessed, assessed.failing])
      expect(Object.isFrozen(part)).toBe(true)
  })

  it('every detection is followed by at most one healing, whatever is reported when', () => {
    const step = fc.record({ dc: fc.nat(4), up: fc.boolean(), afterMs: fc.constantFrom(0, 100, 4_000, 31_000) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { clock, detector: d, told } = detector(5)
        for (const { dc, up, afterMs } of steps) {
          d.report(`dc${dc}`, up)
          const { severity } = d.assess()
          if (severity === 'medium' || severity === 'high') expect(d.partitioned).toBe(true)
          clock.advance(afterMs)
        }
        for (const name of names(5)) d.report(name, true)
        clock.advance(400_000)
        expect(told.map(([kind]) => kind)).toEqual(told.map((_, i) => (i % 2 === 0 ? 'detected' : 'healed')))
        expect([d.partitioned, told.length % 2, clock.pendingTimers]).toEqual([false, 0, 0])
      }),
    )
  })

  it.each<[string, object, string]>([
    ['a negative time', { confirmMs: -1 }, 'confirmMs'],
    ['a negative recovery', { recoverMs: -1 }, 'recoverMs'],
    ['a fraction of 0', { mediumFraction: 0 }, 'mediumFraction'],
    ['a fraction above 1', { highFraction: 1.5 }, 'highFraction'],
    ['fractions that do not ascend', { mediumFraction: 0.6 }, 'highFraction'],
    ['no flaps', { flapCount: 0 }, 'flapCount'],
    ['a window of 0', { flapWindowMs: 0 }, 'flapWindowMs'],
    ['a cool-down of 0', { flapCooldownMs: 0 }, 'flapCooldownMs'],
    ['a ratio of 1', { latencyRatio: 1 }, 'latencyRatio'],
    ['a negative floor', { latencyFloorMs: -1 }, 'latencyFloorMs'],
    ['a threshold of 0', { strainThreshold: 0 }, 'strainThreshold'],
    ['a strain window of 0', { strainMs: 0 }, 'strainMs'],
    ['regions that are no names', { regions: { eu: 1 } }, 'regions.eu'],
    ['an onError that is no function', { onError: 1 }, 'onError'],
    ['a misspelt option', { confirm: 1 }, 'confirm'],
  ])('refuses %s', (_what, options, path) => {
    expect(() => new CorrelationDetector(options)).toThrow(misconfigured(path))
  })

  it('refuses what is no name and what is neither up nor down', () => {
    const { detector: d } = detector(1)
    expect(() => d.add(1 as unknown as string)).toThrow(coded('INVALID_ARGUMENT'))
    expect(() => d.report('dc0', 'up' as unknown as boolean)).toThrow(coded('INVALID_ARGUMENT'))
  })
})
