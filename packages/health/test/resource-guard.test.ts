import { MemoryLogger, VirtualClock } from '@hs/core/testing'
import { ResourceGuard, type GuardAction, type ResourceGuardOptions } from '@hs/health'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { misconfigured } from './support/matchers.js'

const make = (options: ResourceGuardOptions = {}) => {
  const clock = new VirtualClock()
  const actions: GuardAction[] = []
  const guard = new ResourceGuard({ clock, onAction: (action) => actions.push(action), ...options })
  const observe = (value: number, uncertainty = 0, subject = 'w1') =>
    guard.observe(subject, { cpu: { value, uncertainty } }, { cpu: 1 })
  return { clock, guard, actions, observe }
}

describe('ResourceGuard (HL-21)', () => {
  it('reaches a level once its threshold was exceeded in every observation for the grace', () => {
    const { clock, observe, actions } = make()
    const seen = []
    for (let second = 0; second <= 6; second++) {
      seen.push(observe(0.9))
      clock.advance(1_000)
    }
    expect(seen).toEqual(['ok', 'ok', 'ok', 'ok', 'ok', 'throttle', 'throttle'])
    expect(actions).toEqual([{ subject: 'w1', level: 'throttle', previous: 'ok', resource: 'cpu', ratio: 0.9 }])
    expect(Object.isFrozen(actions[0])).toBe(true)
  })

  it('counts each threshold from when it was exceeded, not from when a lower one was', () => {
    const { clock, observe } = make()
    observe(0.8)
    clock.advance(4_000)
    observe(1.5)
    clock.advance(1_000)
    expect(observe(1.5)).toBe('warn')
    clock.advance(3_999)
    expect(observe(1.5)).toBe('warn')
    clock.advance(1)
    expect(observe(1.5)).toBe('cancel')
  })

  it('begins anew after one observation below', () => {
    const { clock, observe } = make()
    observe(2)
    clock.advance(4_999)
    observe(0.1)
    clock.advance(1)
    expect(observe(2)).toBe('ok')
    clock.advance(4_999)
    expect(observe(2)).toBe('ok')
  })

  it('falls at once, as far as it goes', () => {
    const { clock, observe, actions } = make()
    observe(0.9)
    clock.advance(5_000)
    expect([observe(0.9), observe(0.8), observe(0.7), observe(0.9)]).toEqual(['throttle', 'warn', 'ok', 'ok'])
    expect(actions.map(({ previous, level }) => `${previous} -> ${level}`)).toEqual([
      'ok -> throttle',
      'throttle -> warn',
      'warn -> ok',
    ])
  })

  it('cancels for good, until it is forgotten', () => {
    const { clock, guard, observe, actions } = make()
    observe(1.1)
    clock.advance(5_000)
    expect([observe(1.1), observe(0), observe(0.1)]).toEqual(['cancel', 'cancel', 'cancel'])
    expect(actions).toHaveLength(1)
    expect([guard.forget('w1'), guard.forget('w1'), observe(0)]).toEqual([true, false, 'ok'])
  })

  it('acts at once without a grace, and only above a threshold', () => {
    const { observe } = make({ graceMs: 0 })
    expect([observe(0.7), observe(0.71), observe(1), observe(1.01)]).toEqual(['ok', 'warn', 'throttle', 'cancel'])
  })

  it('acts in doubt for the accused: what is uncertain does not count', () => {
    const { clock, observe } = make({ graceMs: 0 })
    expect([observe(2, 1.4), observe(2, Infinity), observe(2, 1)]).toEqual(['ok', 'ok', 'throttle'])
    const strict = make({ graceMs: 0, sigmas: 0 })
    expect(strict.observe(2, Infinity)).toBe('cancel')
    const doubtful = make({ graceMs: 0, sigmas: 3 })
    expect(doubtful.observe(2, 0.5)).toBe('ok')
    clock.advance(1)
  })

  it('goes by the resource that is furthest, among those of the budget', () => {
    const { guard, actions } = make({ graceMs: 0 })
    const of = (value: number) => ({ value, uncertainty: 0 })
    guard.observe('w', { cpu: of(1), memory: of(95), disk: of(1e9) }, { cpu: 2, memory: 100, network: 5 })
    expect(actions).toEqual([{ subject: 'w', level: 'throttle', previous: 'ok', resource: 'memory', ratio: 0.95 }])
    guard.observe('w', {}, { cpu: 1 })
    expect(actions[1]).toEqual({ subject: 'w', level: 'ok', previous: 'throttle', resource: null, ratio: 0 })
    expect(guard.observe('w', { cpu: of(NaN) }, { cpu: 1 })).toBe('ok')
    expect(guard.observe('w', { cpu: of(1) }, { cpu: NaN })).toBe('ok')
    expect(guard.observe('w', { toString: of(1) }, { valueOf: 1 })).toBe('ok')
    expect(guard.observe('w', { cpu: of(0.1) }, { cpu: 0 })).toBe('cancel')
  })

  it('tells each change once, whatever is observed, and never a level below what the ratios say', () => {
    const step = fc.record({ value: fc.integer({ min: 0, max: 150 }), ms: fc.integer({ min: 0, max: 3_000 }) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { clock, observe, actions } = make()
        const history: { atMs: number; ratio: number }[] = []
        let cancelled = false
        let last = 'ok'
        for (const { value, ms } of steps) {
          clock.advance(ms)
          history.push({ atMs: clock.now(), ratio: value / 100 })
          const held = (threshold: number) => {
            let since: number | undefined
            for (const { atMs, ratio } of history) since = ratio > threshold ? (since ?? atMs) : undefined
            return since !== undefined && clock.now() - since >= 5_000
          }
          cancelled ||= held(1)
          const expected = cancelled ? 'cancel' : held(0.85) ? 'throttle' : held(0.7) ? 'warn' : 'ok'
          const before = actions.length
          expect(observe(value / 100)).toBe(expected)
          expect(actions.length - before).toBe(expected === last ? 0 : 1)
          last = expected
        }
      }),
    )
  })

  it('reports what onAction throws, and decides all the same', () => {
    const logger = new MemoryLogger()
    const guard = new ResourceGuard({
      logger,
      clock: new VirtualClock(),
      graceMs: 0,
      onAction: () => {
        throw new Error('cannot cancel')
      },
    })
    expect(guard.observe('w', { cpu: { value: 9, uncertainty: 0 } }, { cpu: 1 })).toBe('cancel')
    expect(guard.snapshot()).toEqual({ w: 'cancel' })
    expect(logger.at('error')[0]?.message).toBe('ResourceGuard.onAction: cannot cancel')
  })

  it('remembers at most maxSubjects', () => {
    const { guard, observe } = make({ maxSubjects: 2 })
    for (const subject of ['a', 'b', 'a', 'c']) observe(0.1, 0, subject)
    expect([guard.size, guard.snapshot()]).toEqual([2, { a: 'ok', c: 'ok' }])
    expect(Object.isFrozen(guard.snapshot())).toBe(true)
  })

  it('refuses options out of range, and thresholds that do not ascend', () => {
    expect(() => new ResourceGuard({ warnAt: 0, graceMs: -1, sigmas: -1, maxSubjects: 0 })).toThrow(
      misconfigured('warnAt', 'graceMs', 'sigmas', 'maxSubjects'),
    )
    expect(() => new ResourceGuard({ warnAt: 0.9 })).toThrow(misconfigured('throttleAt'))
    expect(() => new ResourceGuard({ cancelAt: 0.8 })).toThrow(misconfigured('cancelAt'))
    expect(() => new ResourceGuard({ warnAt: 2, throttleAt: 1.5, cancelAt: 1 })).toThrow(
      misconfigured('throttleAt', 'cancelAt'),
    )
    expect(() => new ResourceGuard({ warnAt: 1, throttleAt: 1, cancelAt: 1 })).not.toThrow()
  })
})
