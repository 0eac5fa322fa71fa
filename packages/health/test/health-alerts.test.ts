import { MemoryLogger, VirtualClock } from '@hs/core/testing'
import { HealthAlerts, type HealthAlertsOptions, type OverloadState } from '@hs/health'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { coded, misconfigured } from './support/matchers.js'

function watched(options: HealthAlertsOptions = {}) {
  const clock = new VirtualClock()
  const logger = new MemoryLogger()
  const alerts = new HealthAlerts({ clock, logger, ...options })
  const told: string[] = []
  alerts.events.on('alert', ({ code, severity, peer }) => told.push([code, severity, peer ?? ''].join(' ').trim()))
  alerts.events.on('clear', ({ code }) => told.push(`clear ${code}`))
  const heard = () => told.splice(0)
  return { clock, logger, alerts, heard }
}

describe('HealthAlerts (HL-31)', () => {
  it('tells when a peer enters and leaves overload, once each', () => {
    const { alerts, heard } = watched()
    alerts.update('a', 'healthy')
    alerts.update('a', 'stressed')
    expect(heard()).toEqual([])
    alerts.update('a', 'overloaded')
    alerts.update('a', 'overloaded')
    expect(heard()).toEqual(['peer-overloaded warning a'])
    alerts.update('a', 'busy')
    alerts.update('a', 'healthy')
    expect(heard()).toEqual(['peer-recovered info a'])
  })

  it('gives the counts after what led to it, and the peer, in frozen data', () => {
    const { alerts } = watched()
    const heard: unknown[] = []
    alerts.events.on('alert', (alert) => heard.push(alert))
    alerts.update('a', 'healthy')
    alerts.update('b', 'healthy')
    alerts.update('c', 'overloaded')
    const counts = { healthy: 2, busy: 0, stressed: 0, overloaded: 1 }
    expect(heard).toEqual([{ code: 'peer-overloaded', severity: 'warning', counts, peer: 'c' }])
    expect(Object.isFrozen(heard[0])).toBe(true)
    expect(alerts.counts()).toEqual(counts)
    expect(alerts.snapshot()).toEqual({ active: null, counts })
    expect([alerts.counts(), alerts.snapshot()].every(Object.isFrozen)).toBe(true)
  })

  it.each<[string | null, OverloadState[], boolean]>([
    [null, ['healthy', 'healthy'], false],
    [null, ['stressed'], false],
    [null, ['overloaded'], false],
    ['leader-overloaded', ['overloaded'], true],
    ['all-unhealthy', ['busy', 'busy'], false],
    ['all-unhealthy', ['overloaded', 'stressed'], true],
    ['leader-overloaded', ['overloaded', 'healthy', 'healthy'], true],
    ['leader-overloaded', ['overloaded', 'overloaded', 'healthy'], true],
    ['majority-overloaded', ['healthy', 'overloaded'], false],
    ['majority-overloaded', ['healthy', 'overloaded'], true],
    [null, ['healthy', 'healthy', 'overloaded'], false],
    ['high-stress', ['healthy', 'busy', 'stressed', 'busy', 'overloaded'], true],
    [null, ['healthy', 'busy', 'stressed', 'healthy', 'overloaded'], true],
  ])('the aggregate is %s of %j (the first leads: %s)', (code, states, isLed) => {
    const { alerts } = watched()
    states.forEach((state, i) => alerts.update(`p${i}`, state, { leader: isLed && i === 0 }))
    expect(alerts.active).toBe(code)
  })

  it('clears the old aggregate before it raises the new one', () => {
    const { alerts, heard } = watched()
    alerts.update('a', 'healthy', { leader: true })
    alerts.update('b', 'healthy')
    alerts.update('b', 'overloaded')
    expect(heard()).toEqual(['peer-overloaded warning b', 'majority-overloaded alert'])
    alerts.update('a', 'overloaded')
    expect(heard()).toEqual(['peer-overloaded warning a', 'clear majority-overloaded', 'all-unhealthy critical'])
    alerts.update('b', 'healthy')
    expect(heard()).toEqual(['peer-recovered info b', 'clear all-unhealthy', 'leader-overloaded alert'])
    alerts.update('a', 'healthy')
    expect(heard()).toEqual(['peer-recovered info a', 'clear leader-overloaded'])
  })

  it('knows one leader at a time, until it is told of another or that it leads no more', () => {
    const { alerts } = watched()
    for (const peer of ['a', 'b', 'c', 'd']) alerts.update(peer, 'healthy')
    alerts.update('a', 'overloaded', { leader: true })
    expect(alerts.active).toBe('leader-overloaded')
    alerts.update('a', 'overloaded') // left out: as it was
    expect(alerts.active).toBe('leader-overloaded')
    alerts.update('b', 'healthy', { leader: true })
    expect(alerts.active).toBeNull()
    alerts.update('a', 'overloaded', { leader: true })
    alerts.update('a', 'overloaded', { leader: false })
    expect(alerts.active).toBeNull()
  })

  it('does not raise the same alert again within cooldownMs, and limits neither infos nor clears', () => {
    const { clock, alerts, heard } = watched()
    for (const peer of ['a', 'b', 'c']) alerts.update(peer, 'healthy')
    const toggle = () => {
      alerts.update('a', 'overloaded', { leader: true })
      alerts.update('a', 'healthy')
      return heard()
    }
    const ends = ['peer-recovered info a', 'clear leader-overloaded']
    expect(toggle()).toEqual(['peer-overloaded warning a', 'leader-overloaded alert', ...ends])
    clock.advance(59_999)
    expect(toggle()).toEqual(ends)
    alerts.update('b', 'overloaded')
    expect(heard()).toEqual(['peer-overloaded warning b']) // of another peer
    alerts.update('b', 'healthy')
    heard()
    clock.advance(1)
    expect(toggle()).toEqual(['peer-overloaded warning a', 'leader-overloaded alert', ...ends])
  })

  it('tells an alert that was held back with the first update after the cool-down, if it still stands', () => {
    const { clock, alerts, heard } = watched({ cooldownMs: 1_000 })
    for (const state of ['overloaded', 'healthy', 'overloaded'] as const) alerts.update('a', state, { leader: true })
    heard()
    expect(alerts.active).toBe('leader-overloaded')
    clock.advance(999)
    alerts.update('a', 'overloaded')
    expect(heard()).toEqual([])
    clock.advance(1)
    alerts.update('a', 'overloaded')
    expect(heard()).toEqual(['peer-overloaded warning a', 'leader-overloaded alert'])
    clock.advance(10_000)
    alerts.update('a', 'overloaded')
    expect(heard()).toEqual([])
  })

  it('forgets a peer: no recovery, and the aggregate is that of the others', () => {
    const { alerts, heard } = watched()
    alerts.update('a', 'overloaded', { leader: true })
    alerts.update('b', 'healthy')
    alerts.update('c', 'healthy')
    heard()
    expect(alerts.forget('a')).toBe(true)
    expect(alerts.forget('a')).toBe(false)
    expect(heard()).toEqual(['clear leader-overloaded'])
    expect(alerts.counts()).toEqual({ healthy: 2, busy: 0, stressed: 0, overloaded: 0 })
    alerts.update('a', 'overloaded')
    expect(alerts.active).toBeNull() // it does not lead any more
  })

  it('keeps at most maxPeers, and counts only those', () => {
    const { alerts } = watched({ maxPeers: 3 })
    for (let i = 0; i < 1_000; i++) alerts.update(`p${i}`, i % 2 === 0 ? 'healthy' : 'overloaded')
    expect(alerts.counts()).toEqual({ healthy: 1, busy: 0, stressed: 0, overloaded: 2 })
    alerts.update('p998', 'busy')
    expect(alerts.counts()).toEqual({ healthy: 0, busy: 1, stressed: 0, overloaded: 2 })
  })

  it('reports what a listener throws, with what it was told, and goes on', () => {
    const { alerts, logger, heard } = watched()
    alerts.events.on('alert', () => {
      throw new Error('no pager')
    })
    alerts.events.on('clear', () => Promise.reject(new Error('no pager')))
    alerts.update('a', 'overloaded')
    expect(heard()).toEqual(['peer-overloaded warning a'])
    expect(logger.at('error')[0]).toMatchObject({
      message: 'HealthAlerts.alert: no pager',
      fields: { code: 'peer-overloaded', peer: 'a' },
    })
  })

  it('a listener may update peers itself', () => {
    const { alerts, heard } = watched()
    alerts.update('a', 'healthy')
    alerts.update('b', 'healthy')
    alerts.events.on('clear', () => alerts.update('b', 'overloaded'))
    alerts.update('a', 'overloaded')
    heard()
    alerts.update('a', 'healthy')
    expect(alerts.active).toBe('majority-overloaded')
    expect(alerts.counts()).toEqual({ healthy: 1, busy: 0, stressed: 0, overloaded: 1 })
  })

  it('counts what the last states of the peers are, whatever the order', () => {
    const states = fc.constantFrom<OverloadState>('healthy', 'busy', 'stressed', 'overloaded')
    const update = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.option(states))
    fc.assert(
      fc.property(fc.array(update, { maxLength: 40 }), (updates) => {
        const { alerts } = watched()
        const last = new Map<string, OverloadState>()
        for (const [peer, state] of updates) {
          if (state === null) expect(alerts.forget(peer)).toBe(last.delete(peer))
          else {
            alerts.update(peer, state)
            last.set(peer, state)
          }
        }
        const counts = { healthy: 0, busy: 0, stressed: 0, overloaded: 0 }
        for (const state of last.values()) counts[state]++
        expect(alerts.counts()).toEqual(counts)
      }),
    )
  })

  it.each<[string, object, string]>([
    ['a majority of 0', { majority: 0 }, 'majority'],
    ['a stress above 1', { stress: 1.1 }, 'stress'],
    ['a negative cool-down', { cooldownMs: -1 }, 'cooldownMs'],
    ['no peers', { maxPeers: 0 }, 'maxPeers'],
    ['a misspelt option', { maxPeer: 1 }, 'maxPeer'],
  ])('refuses %s', (_what, options, path) => {
    expect(() => new HealthAlerts(options)).toThrow(misconfigured(path))
  })

  it('refuses a state and a peer that are none', () => {
    const { alerts } = watched()
    expect(() => alerts.update('a', 'dead' as OverloadState)).toThrow(coded('INVALID_ARGUMENT'))
    expect(() => alerts.update(1 as unknown as string, 'busy')).toThrow(coded('INVALID_ARGUMENT'))
    expect(alerts.counts()).toEqual({ healthy: 0, busy: 0, stressed: 0, overloaded: 0 })
  })
})
