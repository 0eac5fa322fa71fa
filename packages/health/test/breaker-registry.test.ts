import { MemoryLogger, VirtualClock } from '@hs/core/testing'
import { BreakerRegistry, type CircuitBreaker } from '@hs/health'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { coded, misconfigured } from './support/matchers.js'

const make = (maxPeers = 10_000) => {
  const clock = new VirtualClock()
  return { clock, registry: new BreakerRegistry({ clock, maxPeers, openJitter: 0 }) }
}
const fail = (breaker: CircuitBreaker, times = 5) => {
  for (let i = 0; i < times; i++) breaker.tryAcquire()?.failure()
}

describe('BreakerRegistry (HL-6)', () => {
  it('has one breaker a peer', () => {
    const { registry } = make()
    const a = registry.for('a')
    fail(a)
    expect(registry.for('a')).toBe(a)
    expect(registry.for('b')).not.toBe(a)
    expect([registry.for('a').state, registry.for('b').state, registry.size]).toEqual(['open', 'closed', 2])
  })

  it('resets the breaker of a newer life only, and returns true then', () => {
    const { registry } = make()
    fail(registry.for('a'))
    expect([registry.incarnation('a', 7), registry.for('a').state]).toEqual([false, 'open'])
    expect([registry.incarnation('a', 7), registry.incarnation('a', 3)]).toEqual([false, false])
    expect(registry.for('a').state).toBe('open')
    expect([registry.incarnation('a', 8), registry.for('a').state]).toEqual([true, 'closed'])
    expect(registry.incarnation('a', 7)).toBe(false)
  })

  it('remembers the life of a peer that nobody has called yet', () => {
    const { registry } = make()
    expect([registry.incarnation('a', 0), registry.size]).toEqual([false, 1])
    const call = registry.for('a').tryAcquire()
    expect(registry.incarnation('a', 1)).toBe(true)
    call?.failure()
    expect(registry.for('a').snapshot().failures).toBe(0)
  })

  it('forgets what it is told to forget', () => {
    const { registry } = make()
    const before = registry.for('a')
    registry.incarnation('a', 5)
    fail(before)
    expect([registry.forget('a'), registry.forget('a'), registry.size, registry.open()]).toEqual([true, false, 0, []])
    expect(registry.for('a')).not.toBe(before)
    before.reset()
    fail(before)
    expect([registry.incarnation('a', 1), registry.open(), registry.size]).toEqual([false, [], 1])
  })

  it('lists the open ones, and no others', () => {
    const { registry, clock } = make()
    for (const peer of ['a', 'b', 'c', 'd']) registry.for(peer).tryAcquire()?.success()
    expect(registry.open()).toEqual([])
    fail(registry.for('b'))
    const letGo = registry.for('d').isolate()
    expect(registry.open().sort()).toEqual(['b', 'd'])
    clock.advance(10_000)
    expect(registry.open()).toEqual(['d'])
    letGo()
    expect(registry.open()).toEqual([])
  })

  it('lets the least recently used closed one go for a newcomer, and keeps those that are open', () => {
    const { registry } = make(3)
    fail(registry.for('broken'))
    registry.for('a')
    registry.for('b')
    registry.for('a')
    registry.for('c')
    expect(Object.keys(registry.snapshot()).sort()).toEqual(['a', 'broken', 'c'])
    expect(registry.for('broken').state).toBe('open')
    registry.for('d')
    expect(Object.keys(registry.snapshot()).sort()).toEqual(['broken', 'c', 'd'])
  })

  it('keeps to its bound where all are open: the least recently used goes', () => {
    const { registry } = make(2)
    fail(registry.for('a'))
    fail(registry.for('b'))
    registry.for('a')
    registry.for('c')
    expect(Object.keys(registry.snapshot()).sort()).toEqual(['a', 'c'])
  })

  it('is as full, and lets go in the same order, as a list that is searched', () => {
    const steps = fc.array(fc.tuple(fc.constantFrom('use', 'fail', 'reset', 'forget'), fc.nat(12)), { maxLength: 200 })
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 6 }), (drawn, maxPeers) => {
        const { registry } = make(maxPeers)
        let model: { peer: string; isOpen: boolean }[] = []
        for (const [what, number] of drawn) {
          const peer = `p${number}`
          const known = model.find((one) => one.peer === peer)
          model = model.filter((one) => one.peer !== peer)
          if (what === 'forget') {
            expect(registry.forget(peer)).toBe(known !== undefined)
          } else {
            if (known === undefined && model.length === maxPeers) {
              const goes = model.find((one) => !one.isOpen) ?? model[0]
              model = model.filter((one) => one !== goes)
            }
            const breaker = registry.for(peer)
            if (what === 'fail') fail(breaker)
            if (what === 'reset') breaker.reset()
            model.push({ peer, isOpen: what === 'fail' || (what === 'use' && known?.isOpen === true) })
          }
          expect(Object.keys(registry.snapshot()).sort()).toEqual(model.map((one) => one.peer).sort())
          expect(registry.open()).toEqual(model.filter((one) => one.isOpen).map((one) => one.peer))
          expect(registry.size).toBe(model.length)
        }
      }),
    )
  })

  it('names the peer in the report of a listener that throws', () => {
    const logger = new MemoryLogger()
    const registry = new BreakerRegistry({ clock: new VirtualClock(), logger })
    registry.for('stock-7').events.on('change', () => {
      throw new Error('listener')
    })
    fail(registry.for('stock-7'))
    expect(logger.at('error')[0]?.fields).toMatchObject({ peer: 'stock-7', now: 'open', was: 'closed' })
  })

  it('has frozen snapshots by peer, whatever the names', () => {
    const { registry } = make()
    for (const peer of ['a', '__proto__', 'toString', '']) registry.for(peer)
    const snapshot = registry.snapshot()
    expect(Object.keys(snapshot).sort()).toEqual(['', '__proto__', 'a', 'toString'])
    expect([Object.isFrozen(snapshot), Object.isFrozen(snapshot.a)]).toEqual([true, true])
    expect(snapshot.a).toEqual(registry.for('a').snapshot())
  })

  it('refuses names that are no text, lives that are no number, and options out of range', () => {
    const { registry } = make()
    expect(() => registry.for(7 as never)).toThrow(coded('INVALID_ARGUMENT'))
    for (const life of [-1, 1.5, NaN, Infinity, '7' as never])
      expect(() => registry.incarnation('a', life)).toThrow(coded('INVALID_ARGUMENT'))
    expect(registry.size).toBe(0)
    expect(() => new BreakerRegistry({ maxPeers: 0 })).toThrow(misconfigured('maxPeers'))
    expect(() => new BreakerRegistry({ failureRate: 2, openMs: 9, maxOpenMs: 8 })).toThrow(
      misconfigured('failureRate', 'maxOpenMs'),
    )
  })
})
