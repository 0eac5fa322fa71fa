import { msgpackCodec } from '@hs/core'
import { SeededRandom } from '@hs/core/testing'
import { FederatedResponder, type FederatedResponderOptions, type ResponderReport } from '@hs/health'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { facts, Federation } from './support/federation.js'
import { misconfigured } from './support/matchers.js'

const anything = msgpackCodec(z.looseObject({}))

/** Asks a manager of `eu` directly. */
function asked(report: Partial<ResponderReport> = {}) {
  const world = new Federation({ latencyMs: 1 })
  const manager = world.manager('eu-1', 'eu', report)
  const gate = world.endpoint('asker')
  const answers: unknown[] = []
  gate.onMessage((_from, bytes) => answers.push(anything.decode(bytes)))
  const ask = (probe: object) => {
    gate.send('eu-1', anything.encode({ ...probe }))
    world.clock.advance(5)
    return answers.splice(0)
  }
  return { world, manager, gate, ask, answers }
}

const probe = { nonce: 2 ** 52 + 5, datacenter: 'eu', from: 'gate-1' }

describe('FederatedResponder (HL-25)', () => {
  it('answers with the nonce of the probe, its names, and what report says at that moment', () => {
    const { manager, ask } = asked()
    const answer = { nonce: probe.nonce, datacenter: 'eu', node: 'eu-1', incarnation: 1, leader: true, term: 1, facts }
    expect(ask(probe)).toEqual([answer])
    manager.report = { incarnation: 2, leader: false, term: 5, leaderAddress: 'eu-2', facts: { ...facts, slo: 'busy' } }
    expect(ask({ ...probe, nonce: 7 })).toEqual([{ ...answer, ...manager.report, nonce: 7 }])
    expect(manager.responder.snapshot()).toEqual({ answered: 2, failed: 0, ignored: 0 })
    expect(Object.isFrozen(manager.responder.snapshot())).toBe(true)
  })

  it('answers to where the probe came from, whatever is in it', () => {
    const { world, ask } = asked()
    world.endpoint('victim')
    expect(ask({ ...probe, from: 'victim', address: 'victim', replyTo: 'victim' })).toHaveLength(1)
    expect(world.sent.filter(({ to }) => to === 'victim')).toEqual([])
  })

  it('does not answer for another datacenter', () => {
    const { manager, ask } = asked()
    expect(ask({ ...probe, datacenter: 'us' })).toEqual([])
    expect(manager.responder.snapshot()).toEqual({ answered: 0, failed: 0, ignored: 1 })
  })

  it('ignores and counts whatever is no probe', () => {
    const { world, manager, gate, answers } = asked()
    const random = new SeededRandom(3)
    const real = anything.encode(probe)
    for (let i = 0; i < 300; i++) {
      const bytes = i % 2 === 0 ? real.slice(0, random.int(real.length)) : new Uint8Array(random.int(2_000))
      if (i % 2 === 1) for (let j = 0; j < bytes.length; j++) bytes[j] = random.int(256)
      gate.send('eu-1', bytes)
    }
    for (const bad of [{ ...probe, nonce: -1 }, { ...probe, nonce: 0.5 }, { ...probe, from: 7 }, {}])
      gate.send('eu-1', anything.encode(bad))
    world.clock.advance(5)
    expect(answers).toEqual([])
    expect(manager.responder.snapshot()).toEqual({ answered: 0, failed: 0, ignored: 304 })
    expect(world.logger.entries).toEqual([])
  })

  it('gives no answer if report throws, reports it, and answers the next', () => {
    const { world, manager, ask } = asked()
    const { report } = manager
    Object.defineProperty(manager, 'report', {
      configurable: true,
      get: () => {
        throw new Error('no facts yet')
      },
    })
    expect(ask(probe)).toEqual([])
    expect(world.logger.at('error')[0]).toMatchObject({
      message: 'FederatedResponder.report: no facts yet',
      fields: { datacenter: 'eu', node: 'eu-1' },
    })
    Object.defineProperty(manager, 'report', { value: report })
    expect(ask(probe)).toHaveLength(1)
    expect(manager.responder.snapshot()).toEqual({ answered: 1, failed: 1, ignored: 0 })
  })

  it('other datacenters go on being answered for while one cannot', async () => {
    const world = new Federation({ jitter: 0 })
    const eu = world.manager('eu-1', 'eu')
    world.manager('us-1', 'us')
    Object.defineProperty(eu, 'report', {
      get: () => {
        throw new Error('broken')
      },
    })
    world.health.add('eu', { address: 'eu-1' })
    world.health.add('us', { address: 'us-1' })
    await world.health.start()
    world.clock.advance(60_000)
    expect(world.health.routable()).toEqual(['us'])
    expect(world.health.status('eu')?.reachability).toBe('unreachable')
  })

  it.each<[string, object]>([
    ['facts that are no numbers', { facts: { ...facts, workers: Number.NaN } }],
    ['facts that are missing', { facts: {} }],
    ['a term that is none', { term: -1 }],
    ['no incarnation', { incarnation: undefined }],
    ['an address that is none', { leaderAddress: 7 }],
  ])('reports what its peers would drop in silence: %s', (_what, change) => {
    const { world, manager, ask } = asked(change)
    expect(ask(probe)).toEqual([])
    expect(manager.responder.snapshot()).toEqual({ answered: 0, failed: 1, ignored: 0 })
    expect(world.logger.at('error')).toHaveLength(1)
  })

  it('takes undefined for absent', () => {
    const { ask } = asked({
      leaderAddress: undefined,
      facts: { ...facts, slo: undefined, managersOverloaded: undefined },
    } as unknown as ResponderReport)
    const [answer] = ask(probe)
    expect(answer).toMatchObject({ facts })
    expect(answer).not.toHaveProperty('leaderAddress')
  })

  it('reports a transport that is closed', () => {
    const world = new Federation()
    let deliver: (from: string, bytes: Uint8Array) => void = () => {}
    const transport = {
      ...world.transport,
      send: () => {
        throw new Error('closed')
      },
      onMessage: (fn: typeof deliver) => {
        deliver = fn
      },
    }
    const report = () => ({ incarnation: 1, leader: true, term: 1, facts })
    const options = { transport, datacenter: 'eu', node: 'eu-1', report, clock: world.clock, logger: world.logger }
    const responder = new FederatedResponder(options)
    deliver('gate', anything.encode(probe))
    expect(responder.snapshot()).toEqual({ answered: 0, failed: 1, ignored: 0 })
    expect(world.logger.at('error')[0]?.message).toBe('FederatedResponder.report: closed')
  })

  it('holds no timer', () => {
    const { world, ask } = asked()
    ask(probe)
    expect(world.clock.pendingTimers).toBe(0)
  })

  it.each<[string, Partial<Record<keyof FederatedResponderOptions, unknown>>, string]>([
    ['no transport', { transport: null }, 'transport'],
    ['no datacenter', { datacenter: '' }, 'datacenter'],
    ['no node', { node: '' }, 'node'],
    ['no report', { report: undefined }, 'report'],
    ['a report that is no function', { report: {} }, 'report'],
  ])('refuses %s', (_what, options, path) => {
    const { transport } = new Federation()
    const good = { transport, datacenter: 'eu', node: 'eu-1', report: () => ({}) }
    const make = () => new FederatedResponder({ ...good, ...options } as unknown as FederatedResponderOptions)
    expect(make).toThrow(misconfigured(path))
  })
})
