import { backpressureLevels, type BackpressureLevel } from '@hs/core'
import { MemoryLogger } from '@hs/core/testing'
import { BackpressureMeter, type BackpressureMeterOptions, type Thresholds } from '@hs/overload'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const rank = (level: BackpressureLevel) => backpressureLevels.indexOf(level)
const misconfigured = (...paths: string[]): Error =>
  expect.objectContaining({
    code: 'CONFIG_INVALID',
    issues: paths.map((path) => expect.objectContaining({ path }) as unknown),
  }) as Error

describe('BackpressureMeter (OVER-19)', () => {
  it.each([
    [0, 'none'],
    [0.699, 'none'],
    [0.7, 'throttle'],
    [0.849, 'throttle'],
    [0.85, 'batch'],
    [0.949, 'batch'],
    [0.95, 'reject'],
    [1, 'reject'],
    [17, 'reject'],
    [Infinity, 'reject'],
  ])('says of a fill of %d: %s, at once', (fill, level) => {
    const meter = new BackpressureMeter()
    expect(meter.level).toBe('none')
    expect(meter.update(fill)).toBe(level)
    expect(meter.level).toBe(level)
  })

  it('leaves a level only below its threshold less the release, several at once where it is below them all', () => {
    const meter = new BackpressureMeter()
    const levels = [0.95, 0.9, 0.8999, 0.8, 0.7999, 0.65, 0.6499, 0.69, 1, 0.82, 1, 0.7, 1, 0].map((fill) =>
      meter.update(fill),
    )
    expect(levels).toEqual([
      ...['reject', 'reject', 'batch', 'batch', 'throttle', 'throttle', 'none', 'none'],
      ...['reject', 'batch', 'reject', 'throttle', 'reject', 'none'],
    ])
  })

  it('keeps a level at its threshold less the release, to the bit', () => {
    const meter = new BackpressureMeter({ thresholds: [0.5, 0.75, 1], release: 0.25 })
    expect([1, 0.75, 0.5, 0.25, 0.2499].map((fill) => meter.update(fill))).toEqual([
      ...['reject', 'reject', 'batch', 'throttle', 'none'],
    ])
  })

  it.each([NaN, -0.01, -Infinity, undefined as unknown as number])('lets a fill of %s change nothing', (fill) => {
    const meter = new BackpressureMeter()
    meter.update(0.9)
    const changes: unknown[] = []
    meter.events.on('change', (...change) => changes.push(change))
    expect(meter.update(fill)).toBe('batch')
    expect([meter.level, changes]).toEqual(['batch', []])
  })

  it('tells each change once, when it has happened', () => {
    const meter = new BackpressureMeter()
    const changes: unknown[] = []
    meter.events.on('change', (now, was) => changes.push([now, was, meter.level]))
    for (const fill of [0.1, 0.96, 0.97, 0.2, 0.2]) meter.update(fill)
    expect(changes).toEqual([
      ['reject', 'none', 'reject'],
      ['none', 'reject', 'none'],
    ])
  })

  it('changes though a listener throws, which is reported', () => {
    const logger = new MemoryLogger()
    const meter = new BackpressureMeter({ logger })
    const heard: string[] = []
    meter.events.on('change', () => {
      throw new Error('full')
    })
    meter.events.on('change', (now) => heard.push(now))
    expect(meter.update(0.9)).toBe('batch')
    expect(heard).toEqual(['batch'])
    expect(logger.at('error').map(({ message }) => message)).toEqual(['BackpressureMeter.change: full'])
  })

  it('signals level and delay, numbered within its epoch', () => {
    const meter = new BackpressureMeter({ epoch: 7 })
    const first = meter.signal()
    expect(first).toMatchObject({ level: 'none', delayMs: 0, epoch: 7 })
    expect(Object.isFrozen(first)).toBe(true)
    const told = [0.7, 0.85, 0.95].map((fill) => {
      meter.update(fill)
      return meter.signal()
    })
    expect(told.map(({ level, delayMs }) => [level, delayMs])).toEqual([
      ['throttle', 100],
      ['batch', 500],
      ['reject', 1_000],
    ])
    expect(told.map(({ seq }) => seq - first.seq)).toEqual([1, 2, 3])
    expect(new BackpressureMeter().signal().epoch).toBe(0)
  })

  it('takes thresholds, release and delays of its own', () => {
    const delaysMs = { none: 1, throttle: 2, batch: 3, reject: 4 }
    const meter = new BackpressureMeter({ thresholds: [0.2, 0.4, 0.6], release: 0, delaysMs })
    expect(meter.signal().delayMs).toBe(1)
    expect([0.6, 0.5999, 0.4, 0.1].map((fill) => meter.update(fill))).toEqual(['reject', 'batch', 'batch', 'none'])
    meter.update(0.3)
    expect(meter.signal()).toMatchObject({ level: 'throttle', delayMs: 2 })
  })

  it('is never below what the fill asks for, and above it only by the release', () => {
    const thresholds: Thresholds = [0.7, 0.85, 0.95]
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1.2, noNaN: true })),
        fc.double({ min: 0, max: 0.6, noNaN: true }),
        (fills, release) => {
          // prettier-ignore
          const meter = new BackpressureMeter({ release })
          for (const fill of fills) {
            const now = rank(meter.update(fill))
            expect(now).toBeGreaterThanOrEqual(thresholds.filter((threshold) => fill >= threshold).length)
            if (now > 0) expect(fill).toBeGreaterThanOrEqual((thresholds[now - 1] ?? NaN) - release)
          }
        },
      ),
    )
  })

  it.each<[unknown, string[]]>([
    [{ thresholds: [0.7, 0.7, 0.95] }, ['thresholds']],
    [{ thresholds: [0.9, 0.8, 0.95] }, ['thresholds']],
    [{ thresholds: [0, 0.8, 0.95] }, ['thresholds']],
    [{ thresholds: [-0.1, 0.8, 0.95] }, ['thresholds']],
    [{ thresholds: [NaN, 0.8, 0.95] }, ['thresholds']],
    [{ thresholds: [0.7, 0.8, 1.01] }, ['thresholds']],
    [{ thresholds: [0.7, 0.8] }, ['thresholds']],
    [{ thresholds: [0.7, 0.8, 0.9, 1] }, ['thresholds']],
    [{ thresholds: 0.7 }, ['thresholds']],
    [{ release: -0.01 }, ['release']],
    [{ release: NaN }, ['release']],
    [{ release: 0.7 }, ['release']],
    [{ delaysMs: { none: 0, throttle: -1, batch: 1, reject: 1 } }, ['delaysMs.throttle']],
    [{ delaysMs: { none: 0, throttle: 1, reject: Infinity } }, ['delaysMs.batch', 'delaysMs.reject']],
    [{ delaysMs: { none: 0, throttle: 1, batch: 1, reject: 1, drop: 1 } }, ['delaysMs.drop']],
    [{ epoch: -1 }, ['epoch']],
    [{ epoch: 0.5 }, ['epoch']],
    [{ epoch: 2 ** 53 }, ['epoch']],
    [{ treshold: 1 }, ['treshold']],
    [{ clock: {} }, ['clock']],
  ])('refuses %j', (bad, paths) => {
    expect(() => new BackpressureMeter(bad as BackpressureMeterOptions)).toThrow(misconfigured(...paths))
  })
})
