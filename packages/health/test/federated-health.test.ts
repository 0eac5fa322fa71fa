import { msgpackCodec } from '@hs/core'
import { SeededRandom } from '@hs/core/testing'
import { FederatedHealth, type FederatedHealthOptions, type LeaderHint } from '@hs/health'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { facts, Federation, type Datagram } from './support/federation.js'
import { coded, misconfigured } from './support/matchers.js'

const anything = msgpackCodec(z.looseObject({ nonce: z.number(), datacenter: z.string() }))
const even = { jitter: 0 } satisfies Partial<FederatedHealthOptions>

/** A gate that has been answered by one leader of `eu`. */
async function answered(options: ConstructorParameters<typeof Federation>[0] = even) {
  const world = new Federation(options)
  const leader = world.manager('eu-1', 'eu')
  world.health.add('eu', { address: 'eu-1', term: 1 })
  await world.health.start()
  world.clock.advance(2_200)
  return { ...world, world, leader, clock: world.clock, health: world.health }
}

const toGate = ({ to }: Datagram) => to === 'gate'
const fromGate = ({ from }: Datagram) => from === 'gate'

describe('FederatedHealth: probes (HL-25)', () => {
  it('asks the leader of each datacenter every interval, with who asks and whom it means', async () => {
    const { world, clock, health } = await answered()
    const before = world.sent.filter(fromGate).length
    clock.advance(20_000)
    const probes = world.sent.filter(fromGate)
    expect(probes.length - before).toBe(10)
    expect(probes.every(({ to }) => to === 'eu-1')).toBe(true)
    const messages = probes.map(({ bytes }) => anything.decode(bytes))
    expect(messages[0]).toEqual({ nonce: expect.any(Number) as number, datacenter: 'eu', from: 'gate-1' })
    expect(new Set(messages.map(({ nonce }) => nonce)).size).toBe(probes.length)
    expect(health.snapshot()).toMatchObject({
      probes: probes.length,
      acks: probes.length,
      late: 0,
      stale: 0,
      ignored: 0,
    })
  })

  it('begins at a random phase of the first interval, and draws each interval within the jitter', async () => {
    const world = new Federation({ jitter: 0.25, probeIntervalMs: 1_000, latencyMs: 0 })
    const sentAt = new Map<string, number[]>()
    world.isLost = ({ to }) => {
      sentAt.set(to, [...(sentAt.get(to) ?? []), world.clock.now()])
      return true
    }
    for (let i = 0; i < 200; i++) world.health.add(`dc-${i}`, { address: `dc-${i}:1` })
    await world.health.start()
    world.clock.advance(5_000)
    const phases = Array.from(sentAt.values(), ([first]) => ((first ?? NaN) - 1_000) / 1_000)
    expect(phases).toHaveLength(200)
    expect(Math.min(...phases)).toBeLessThan(0.1)
    expect(Math.max(...phases)).toBeGreaterThan(0.9)
    expect(phases.every((phase) => phase >= 0 && phase < 1)).toBe(true)
    const gaps = Array.from(sentAt.values()).flatMap((at) => at.slice(1).map((ms, i) => ms - (at[i] ?? NaN)))
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(750)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(1_250)
    expect(Math.max(...gaps) - Math.min(...gaps)).toBeGreaterThan(450)
  })

  it('takes every round trip from its own probe, also when answers overtake each other', async () => {
    const world = new Federation({ ...even, latencyMs: 10 })
    world.manager('eu-1', 'eu')
    const rtts: number[] = []
    world.health.events.on('rtt', (_dc, ms) => rtts.push(Math.round(ms)))
    world.health.add('eu', { address: 'eu-1' })
    let answers = 0
    world.delayMs = (datagram) => (toGate(datagram) && answers++ === 0 ? 3_000 : 0) // the first comes after the second
    await world.health.start()
    world.clock.advance(6_000)
    expect(rtts.slice(0, 2)).toEqual([20, 3_020])
  })

  it('smooths round trips by RFC 6298, and bounds them', async () => {
    const world = new Federation({ ...even, latencyMs: 0 })
    world.manager('eu-1', 'eu')
    world.health.add('eu', { address: 'eu-1' })
    expect(world.health.status('eu')).toMatchObject({ rttMs: null, rttUpperMs: null, ackAgeMs: null, facts: null })
    let delay = 100
    world.delayMs = (datagram) => (toGate(datagram) ? delay : 0)
    await world.health.start()
    await world.clock.advanceAsync(2_150)
    expect(world.health.status('eu')).toMatchObject({ rttMs: 100, rttUpperMs: 100 + 4 * 50 })
    delay = 180
    await world.clock.advanceAsync(2_000)
    const status = world.health.status('eu')
    expect(status?.rttMs).toBeCloseTo(100 + 80 / 8, 6)
    expect(status?.rttUpperMs).toBeCloseTo(110 + 4 * (50 + (80 - 50) / 4), 6)
  })

  it('waits for srtt + 4 rttvar where that is longer than probeTimeoutMs', async () => {
    const { world, clock, health } = await answered({
      ...even,
      latencyMs: 400,
      probeTimeoutMs: 1_000,
      probeIntervalMs: 5_000,
    })
    await clock.runUntil(() => health.snapshot().acks === 2)
    const upper = health.status('eu')?.rttUpperMs ?? NaN
    expect(upper).toBeCloseTo(800 + 4 * 300, 6) // 800 ms twice
    world.isLost = () => true
    const { probes } = health.snapshot()
    await clock.runUntil(() => health.snapshot().probes > probes)
    const sentAt = clock.now()
    await clock.runUntil(() => health.status('eu')?.misses === 1)
    expect(clock.now() - sentAt).toBeCloseTo(upper, 6)
  })

  it('a probe that cannot be sent times out, and the reason is reported', async () => {
    const world = new Federation(even)
    world.health.add('eu', { address: 'not an address' })
    await world.health.start()
    world.clock.advance(7_500)
    expect(world.health.status('eu')?.misses).toBeGreaterThan(0)
    expect(world.logger.at('error')[0]?.fields).toMatchObject({
      source: 'FederatedHealth.probe',
      datacenter: 'eu',
      address: 'not an address',
    })
  })
})

describe('FederatedHealth: reachability (HL-26)', () => {
  it('starts unreachable and unknown; a valid answer makes it reachable', async () => {
    const world = new Federation(even)
    world.manager('eu-1', 'eu')
    world.health.add('eu', { address: 'eu-1' })
    expect(world.health.status('eu')).toEqual({
      datacenter: 'eu',
      reachability: 'unreachable',
      health: 'unknown',
      leader: { address: 'eu-1', term: 0 },
      rttMs: null,
      rttUpperMs: null,
      misses: 0,
      ackAgeMs: null,
      facts: null,
    })
    expect(world.health.routable()).toEqual([])
    await world.health.start()
    world.clock.advance(2_200)
    expect(world.heard()).toEqual(['eu: unreachable -> reachable', 'eu: unknown -> healthy'])
    expect(world.health.status('eu')).toMatchObject({ reachability: 'reachable', health: 'healthy', facts, misses: 0 })
    expect(world.health.routable()).toEqual(['eu'])
  })

  it('silence is suspected after five time-outs in a row, and unreachable 30 s later', async () => {
    const { world, clock, health } = await answered()
    world.heard()
    world.isLost = () => true
    await clock.runUntil(() => health.status('eu')?.misses === 1)
    const firstMiss = clock.now()
    await clock.runUntil(() => health.status('eu')?.reachability === 'suspected')
    expect(clock.now() - firstMiss).toBeCloseTo(8_000, 6)
    expect(health.status('eu')).toMatchObject({ misses: 5, health: 'healthy', facts })
    expect(health.routable()).toEqual(['eu'])
    await clock.advanceAsync(29_990)
    expect(health.status('eu')?.reachability).toBe('suspected')
    await clock.advanceAsync(10)
    expect(health.status('eu')?.reachability).toBe('unreachable')
    expect(health.routable()).toEqual([])
    expect(world.heard()).toEqual(['eu: reachable -> suspected', 'eu: suspected -> unreachable'])
    world.isLost = () => false
    clock.advance(2_500)
    expect(world.heard()).toEqual(['eu: unreachable -> reachable'])
    expect(health.status('eu')?.misses).toBe(0)
  })

  it('the time-out of a probe is no miss once a later one was answered', async () => {
    const { world, clock, health } = await answered()
    let probes = 0
    world.isLost = (datagram) => fromGate(datagram) && probes++ % 2 === 0
    await clock.runUntil(() => probes === 30)
    expect(health.snapshot().acks).toBeLessThan(20)
    expect(health.status('eu')?.misses).toBe(0)
  })

  it('one answer lifts a suspicion and begins the count anew', async () => {
    const { world, clock, health } = await answered()
    world.isLost = () => true
    await clock.runUntil(() => health.status('eu')?.reachability === 'suspected')
    world.isLost = () => false
    await clock.runUntil(() => health.status('eu')?.reachability === 'reachable')
    expect(health.status('eu')?.misses).toBe(0)
    world.isLost = () => true
    await clock.advanceAsync(60_000)
    expect(health.status('eu')?.reachability).toBe('unreachable')
    expect(world.heard().filter((line) => line.includes('suspected'))).toHaveLength(4)
  })

  it('an answer after its time-out counts, and is counted as late', async () => {
    const { world, clock, health } = await answered({
      ...even,
      latencyMs: 20,
      probeTimeoutMs: 100,
      probeIntervalMs: 1_000,
    })
    world.delayMs = (datagram) => (toGate(datagram) ? 500 : 0)
    await clock.runUntil(() => health.status('eu')?.misses === 1)
    const { acks } = health.snapshot()
    await clock.runUntil(() => health.snapshot().late === 1)
    expect(health.snapshot().acks).toBe(acks + 1)
    expect(health.status('eu')).toMatchObject({ reachability: 'reachable', misses: 0, ackAgeMs: 0 })
  })

  it('a link slower than the time-out is learned from late answers', async () => {
    const world = new Federation({ ...even, latencyMs: 4_000 })
    world.manager('eu-1', 'eu')
    world.health.add('eu', { address: 'eu-1' })
    await world.health.start()
    world.clock.advance(600_000)
    const { late } = world.health.snapshot()
    expect(late).toBeGreaterThan(0)
    world.clock.advance(600_000)
    expect(world.health.snapshot().late).toBe(late)
    expect(world.heard()).toEqual(['eu: unreachable -> reachable', 'eu: unknown -> healthy'])
  })

  it('tells when the class of a datacenter changes', async () => {
    const { world, leader, clock, health } = await answered()
    world.heard()
    leader.report = { ...leader.report, facts: { ...facts, coresAvailable: 0 } }
    clock.advance(2_000)
    leader.report = { ...leader.report, facts: { ...facts, workersHealthy: 0 } }
    clock.advance(2_000)
    expect(world.heard()).toEqual(['eu: healthy -> busy', 'eu: busy -> unhealthy'])
    expect(health.status('eu')?.facts).toEqual({ ...facts, workersHealthy: 0 })
    expect(health.routable()).toEqual([])
  })

  it('facts that were overtaken do not replace newer ones', async () => {
    const { world, leader, clock, health } = await answered()
    let isFirst = true
    world.delayMs = (datagram) => {
      if (!toGate(datagram) || !isFirst) return 0
      isFirst = false
      return 3_000
    }
    leader.report = { ...leader.report, facts: { ...facts, coresAvailable: 1 } }
    await clock.runUntil(() => !isFirst)
    leader.report = { ...leader.report, facts: { ...facts, coresAvailable: 2 } }
    clock.advance(2_500)
    expect(health.status('eu')?.facts?.coresAvailable).toBe(2)
    const { acks } = health.snapshot()
    await clock.runUntil(() => health.snapshot().acks === acks + 1)
    expect(health.status('eu')?.facts?.coresAvailable).toBe(2)
  })

  it('routes to reachable before suspected, then healthy, busy, degraded, else in order of addition', async () => {
    const world = new Federation({ ...even, maxDatacenters: 10 })
    const classes = {
      healthy: {},
      busy: { coresAvailable: 0 },
      degraded: { leaderOverload: 'overloaded' },
      unhealthy: { workersHealthy: 0 },
    } as const
    for (const [name, change] of Object.entries(classes)) {
      for (const kind of ['suspected', 'reachable']) {
        world.manager(`${kind}-${name}`, `${kind}-${name}`, { facts: { ...facts, ...change } })
        world.health.add(`${kind}-${name}`, { address: `${kind}-${name}` })
      }
    }
    world.manager('reachable-healthy-2', 'reachable-healthy-2')
    world.health.add('reachable-healthy-2', { address: 'reachable-healthy-2' })
    world.health.add('silent', { address: 'silent:1' })
    await world.health.start()
    world.clock.advance(2_200)
    world.isLost = ({ to }) => to.startsWith('suspected')
    world.clock.advance(20_000)
    expect(world.health.routable()).toEqual([
      'reachable-healthy',
      'reachable-healthy-2',
      'reachable-busy',
      'reachable-degraded',
      'suspected-healthy',
      'suspected-busy',
      'suspected-degraded',
    ])
  })
})

describe('FederatedHealth: what counts, and leaders (HL-27)', () => {
  it('an answer counts once; replayed, forged and misdirected ones change nothing', async () => {
    const { world, clock, health } = await answered()
    const forger = world.endpoint('forger')
    const before = health.status('eu')
    const replayed = world.sent.filter(toGate)
    for (const { bytes } of replayed) forger.send('gate', bytes)
    const [last] = replayed.slice(-1)
    const ack = anything.decode(last?.bytes ?? new Uint8Array())
    const awaited = world.sent.filter(fromGate).at(-1)
    const nonce = anything.decode(awaited?.bytes ?? new Uint8Array()).nonce
    forger.send('gate', anything.encode({ ...ack, nonce: ack.nonce + 1 }))
    forger.send('gate', anything.encode({ ...ack, nonce, datacenter: 'us' }))
    await clock.advanceAsync(60)
    expect(health.snapshot()).toMatchObject({ ignored: replayed.length + 2, stale: 0, acks: replayed.length })
    expect({ ...health.status('eu'), ackAgeMs: 0 }).toEqual({ ...before, ackAgeMs: 0 })
  })

  it('an answer for another datacenter than the one probed is ignored, though its nonce is right', async () => {
    const world = new Federation(even)
    const other = world.endpoint('eu-1')
    const ack = { node: 'n', incarnation: 1, leader: true, term: 1, facts }
    other.onMessage((from, bytes) =>
      other.send(from, anything.encode({ ...anything.decode(bytes), ...ack, datacenter: 'us' })),
    )
    world.health.add('eu', { address: 'eu-1' })
    world.health.add('us', { address: 'us-1:1' })
    await world.health.start()
    world.clock.advance(2_200)
    expect(world.health.status('eu')?.reachability).toBe('unreachable')
    expect(world.health.status('us')?.reachability).toBe('unreachable')
    expect(world.health.snapshot()).toMatchObject({ ignored: 1, acks: 0 })
  })

  it('whatever bytes arrive are ignored and counted', async () => {
    const { world, clock, health } = await answered()
    const hostile = world.endpoint('hostile')
    const random = new SeededRandom(1)
    const real = world.sent.find(toGate)?.bytes ?? new Uint8Array()
    const noise = Array.from({ length: 300 }, (_, i) => {
      if (i % 3 === 0) return real.slice(0, random.int(real.length))
      const bytes = i % 3 === 1 ? real.slice() : new Uint8Array(random.int(100))
      for (let j = 0; j < 8; j++) if (bytes.length > 0) bytes[random.int(bytes.length)] = random.int(256)
      return bytes
    })
    for (const bytes of noise) hostile.send('gate', bytes)
    const before = health.status('eu')
    await clock.advanceAsync(51)
    const { ignored, acks } = health.snapshot()
    expect(ignored).toBe(300)
    expect(acks).toBe(world.sent.filter(toGate).length - 300)
    expect({ ...health.status('eu'), ackAgeMs: 0 }).toEqual({ ...before, ackAgeMs: 0 })
    expect(world.logger.at('error')).toEqual([])
  })

  it.each([
    ['a number below 0', { ...facts, workers: -1 }],
    ['no number', { ...facts, workers: Number.NaN }],
    ['an unknown word', { ...facts, slo: 'fine' }],
    ['nothing at all', {}],
  ])('facts with %s make no answer', async (_what, bad) => {
    const world = new Federation(even)
    const other = world.endpoint('eu-1')
    const ack = { node: 'n', incarnation: 1, leader: true, term: 1, facts: bad }
    other.onMessage((from, bytes) => other.send(from, anything.encode({ ...anything.decode(bytes), ...ack })))
    world.health.add('eu', { address: 'eu-1' })
    await world.health.start()
    world.clock.advance(2_200)
    expect(world.health.snapshot()).toMatchObject({ ignored: 1, acks: 0 })
  })

  it('fields that it does not know are no obstacle', async () => {
    const world = new Federation(even)
    const newer = world.endpoint('eu-1')
    const ack = { node: 'n', incarnation: 1, leader: true, term: 1, facts: { ...facts, gpus: 7 }, shoeSize: 44 }
    newer.onMessage((from, bytes) => newer.send(from, anything.encode({ ...ack, ...anything.decode(bytes) })))
    world.health.add('eu', { address: 'eu-1' })
    await world.health.start()
    world.clock.advance(4_200)
    expect(world.health.status('eu')).toMatchObject({ reachability: 'reachable', facts })
    expect(world.health.status('eu')?.facts).not.toHaveProperty('gpus')
  })

  it('answers of a lower term, or of an earlier life of the same node, are stale and change nothing', async () => {
    const { leader, clock, health } = await answered()
    leader.report = { ...leader.report, incarnation: 5, term: 4 }
    clock.advance(2_000)
    expect(health.status('eu')?.leader.term).toBe(4)
    leader.report = { ...leader.report, term: 3, facts: { ...facts, workersHealthy: 0 } }
    clock.advance(2_000)
    leader.report = { ...leader.report, term: 4, incarnation: 4 }
    clock.advance(2_000)
    expect(health.snapshot().stale).toBe(2)
    expect(health.status('eu')).toMatchObject({ health: 'healthy', facts })
    clock.advance(40_000)
    expect(health.status('eu')?.reachability).not.toBe('reachable') // and their probes count as missed
  })

  it('knows the life of each node, whoever answered between', async () => {
    const { world, leader, clock, health } = await answered()
    leader.report = { ...leader.report, incarnation: 5 }
    clock.advance(2_000)
    world.manager('eu-2', 'eu', { term: 2 })
    health.updateLeader('eu', { address: 'eu-2', term: 2 })
    clock.advance(2_000)
    leader.report = { ...leader.report, incarnation: 4, term: 3 }
    health.updateLeader('eu', { address: 'eu-1', term: 3 })
    clock.advance(2_000)
    expect(health.snapshot().stale).toBeGreaterThan(0)
  })

  it('a higher term moves the probes at once, forgets those outstanding and leaves reachability alone', async () => {
    const { world, clock, health } = await answered()
    world.isLost = () => true
    await clock.runUntil(() => health.status('eu')?.reachability === 'suspected')
    const { misses } = health.status('eu') ?? {}
    world.heard()
    world.isLost = () => false
    world.manager('eu-2', 'eu', { term: 2 })
    const sent = world.sent.length
    const late = health.snapshot().probes
    expect(health.updateLeader('eu', { address: 'eu-2', term: 2 })).toBe(true)
    expect(world.sent.slice(sent).map(({ to }) => to)).toEqual(['eu-2'])
    expect(health.snapshot().probes).toBe(late + 1)
    expect(health.status('eu')).toMatchObject({
      reachability: 'suspected',
      misses,
      leader: { address: 'eu-2', term: 2 },
    })
    expect(world.heard()).toEqual(['eu: leader eu-2 of term 2'])
    clock.advance(101)
    expect(world.heard()).toEqual(['eu: suspected -> reachable'])
  })

  it('an answer to a probe of the former leader comes too late', async () => {
    const { world, clock, health } = await answered()
    world.delayMs = (datagram) => (toGate(datagram) && datagram.from === 'eu-1' ? 1_000 : 0)
    const { probes } = health.snapshot()
    await clock.runUntil(() => health.snapshot().probes > probes)
    world.manager('eu-2', 'eu', { term: 2, facts: { ...facts, coresAvailable: 7 } })
    await clock.advanceAsync(500)
    health.updateLeader('eu', { address: 'eu-2', term: 2 })
    await clock.advanceAsync(900)
    expect(health.snapshot().ignored).toBe(1)
    expect(health.status('eu')?.facts?.coresAvailable).toBe(7)
  })

  it('the silence of a former leader is no miss of the new one', async () => {
    const { world, clock, health } = await answered()
    world.isLost = () => true
    await clock.runUntil(() => health.status('eu')?.misses === 4)
    world.isLost = ({ to }) => to === 'eu-1'
    world.manager('eu-2', 'eu', { term: 2 })
    health.updateLeader('eu', { address: 'eu-2', term: 2 })
    clock.advance(60_000)
    expect(world.heard().filter((line) => line.includes('suspected'))).toEqual([])
  })

  it.each<[string, LeaderHint]>([
    ['the same term', { address: 'eu-2', term: 1 }],
    ['a lower term', { address: 'eu-2', term: 0 }],
    ['no term', { address: 'eu-2' }],
  ])('a leader of %s changes nothing', async (_what, hint) => {
    const { world, health } = await answered()
    world.heard()
    expect(health.updateLeader('eu', hint)).toBe(false)
    expect(health.updateLeader('us', { address: 'us-1', term: 9 })).toBe(false)
    expect(health.status('eu')?.leader).toEqual({ address: 'eu-1', term: 1 })
    expect(world.heard()).toEqual([])
  })

  it('follows a manager that names another leader of a higher term, and its answer counts all the same', async () => {
    const world = new Federation(even)
    world.manager('eu-1', 'eu', { leader: false, term: 3, leaderAddress: 'eu-2' })
    world.manager('eu-2', 'eu', { leader: true, term: 3 })
    world.health.add('eu', { address: 'eu-1', nodeId: 'eu-1@0' })
    await world.health.start()
    await world.clock.runUntil(() => world.health.snapshot().acks === 1)
    expect(world.heard()).toEqual([
      'eu: unreachable -> reachable',
      'eu: unknown -> healthy',
      'eu: leader eu-2 of term 3',
    ])
    expect(world.health.status('eu')?.leader).toEqual({ address: 'eu-2', term: 3 })
    expect(world.sent.at(-1)).toMatchObject({ from: 'gate', to: 'eu-2' })
    world.clock.advance(10_000)
    expect(world.sent.filter(({ to }) => to === 'eu-1')).toHaveLength(1)
    expect(world.heard()).toEqual([])
  })

  it.each([
    ['names no leader', { leader: false, term: 3 }],
    ['names a leader of no higher term', { leader: false, term: 1, leaderAddress: 'eu-2' }],
  ])('stays with a manager that %s', async (_what, report) => {
    const world = new Federation(even)
    world.manager('eu-1', 'eu', report)
    world.health.add('eu', { address: 'eu-1', term: 1 })
    await world.health.start()
    world.clock.advance(10_000)
    expect(world.health.status('eu')).toMatchObject({ reachability: 'reachable', leader: { address: 'eu-1', term: 1 } })
    expect(world.health.updateLeader('eu', { address: 'eu-2', term: 3 })).toBe(true)
  })

  it("a leader's own higher term only raises the known one", async () => {
    const { world, leader, clock, health } = await answered()
    world.heard()
    leader.report = { ...leader.report, term: 8 }
    const probes = world.sent.filter(fromGate).length
    clock.advance(2_000)
    expect(world.sent.filter(fromGate).length).toBe(probes + 1)
    expect(health.status('eu')?.leader).toEqual({ address: 'eu-1', term: 8 })
    expect(world.heard()).toEqual([])
    expect(health.updateLeader('eu', { address: 'eu-2', term: 8 })).toBe(false)
  })
})

describe('FederatedHealth: its life (HL-25..27)', () => {
  it('start and stop resolve on a clock that stands still, and stop leaves no timer', async () => {
    const world = new Federation(even)
    world.manager('eu-1', 'eu')
    world.health.add('eu', { address: 'eu-1' })
    world.health.add('us', { address: 'us-1:1' })
    expect(world.clock.pendingTimers).toBe(0)
    await world.health.start()
    await world.health.start()
    expect(world.clock.pendingTimers).toBe(2)
    world.clock.advance(30_000)
    const stopping = world.health.stop()
    await stopping
    await world.health.stop()
    world.clock.advance(100) // what the network still carries
    expect(world.clock.pendingTimers).toBe(0)
    const { probes } = world.health.snapshot()
    world.clock.advance(60_000)
    expect(world.health.snapshot().probes).toBe(probes)
    expect(world.health.status('eu')).toMatchObject({ reachability: 'reachable', health: 'healthy' })
    await expect(world.health.start()).rejects.toThrow(coded('CLOSED'))
  })

  it('an answer after stop changes nothing', async () => {
    const { clock, health, world } = await answered()
    const { probes } = health.snapshot()
    await clock.runUntil(() => health.snapshot().probes > probes)
    await health[Symbol.asyncDispose]()
    const before = world.heard().length
    const { acks } = health.snapshot()
    clock.advance(1_000)
    expect(health.snapshot().acks).toBe(acks)
    expect(world.heard()).toHaveLength(0)
    expect(before).toBeGreaterThan(0)
  })

  it('remove ends its probes and forgets it; a listener may do so', async () => {
    const { world, clock, health } = await answered()
    world.heard()
    health.events.on('rtt', (dc) => health.remove(dc))
    clock.advance(2_000)
    expect(health.status('eu')).toBeUndefined()
    expect(health.remove('eu')).toBe(false)
    expect(health.snapshot().datacenters).toEqual({})
    clock.advance(1_000)
    expect(clock.pendingTimers).toBe(0)
    expect(world.heard()).toEqual([])
  })

  it('a listener may stop it, and add and move datacenters', async () => {
    const world = new Federation(even)
    world.manager('eu-1', 'eu')
    world.manager('us-1', 'us', { term: 4 })
    world.health.events.on('reachability', (dc) => {
      if (dc === 'us') return world.health.stop()
      world.health.add('us', { address: 'us-0:1' })
      world.health.updateLeader('us', { address: 'us-1', term: 4 })
      return undefined
    })
    world.health.add('eu', { address: 'eu-1' })
    await world.health.start()
    world.clock.advance(10_000)
    expect(world.health.status('us')?.reachability).toBe('reachable')
    expect(world.clock.pendingTimers).toBe(0)
  })

  it('an answer may come within send, and its listener stop it', async () => {
    const world = new Federation(even)
    let answer: (from: string, bytes: Uint8Array) => void = () => {}
    const ack = { node: 'n', incarnation: 1, leader: true, term: 1, facts }
    const transport = {
      ...world.transport,
      send: (to: string, bytes: Uint8Array) => answer(to, anything.encode({ ...ack, ...anything.decode(bytes) })),
      onMessage: (fn: typeof answer) => {
        answer = fn
      },
    }
    const health = new FederatedHealth({ transport, self: 'gate', clock: world.clock, random: new SeededRandom(1) })
    health.events.on('reachability', () => health.stop())
    health.add('eu', { address: 'eu-1' })
    await health.start()
    world.clock.advance(2_000)
    expect(health.status('eu')).toMatchObject({ reachability: 'reachable', rttMs: 0 })
    expect(world.clock.pendingTimers).toBe(0)
  })

  it('reports what a listener throws, with the datacenter, and goes on', async () => {
    const world = new Federation(even)
    world.manager('eu-1', 'eu')
    world.health.events.on('reachability', () => {
      throw new Error('listener')
    })
    world.health.add('eu', { address: 'eu-1' })
    await world.health.start()
    world.clock.advance(2_200)
    expect(world.health.status('eu')?.health).toBe('healthy')
    expect(world.logger.at('error')[0]).toMatchObject({
      message: 'FederatedHealth.reachability: listener',
      fields: { datacenter: 'eu' },
    })
  })

  it('adding one that is known again is updateLeader; more than maxDatacenters are refused', async () => {
    const world = new Federation({ maxDatacenters: 2 })
    world.health.add('eu', { address: 'eu-1', term: 3 })
    world.health.add('eu', { address: 'eu-2', term: 3 })
    expect(world.health.status('eu')?.leader.address).toBe('eu-1')
    expect(world.heard()).toEqual([])
    world.health.add('eu', { address: 'eu-2', term: 4 })
    expect(world.health.status('eu')?.leader.address).toBe('eu-2')
    world.health.add('us', { address: 'us-1' })
    expect(() => world.health.add('ap', { address: 'ap-1' })).toThrow(coded('LIMIT_EXCEEDED'))
    expect(world.health.remove('us')).toBe(true)
    world.health.add('ap', { address: 'ap-1' })
    expect(Object.keys(world.health.snapshot().datacenters)).toEqual(['eu', 'ap'])
  })

  it.each<[string, string, LeaderHint]>([
    ['no name', '', { address: 'a:1' }],
    ['no address', 'eu', { address: '' }],
    ['a term below 0', 'eu', { address: 'a:1', term: -1 }],
    ['a term that is not whole', 'eu', { address: 'a:1', term: 1.5 }],
  ])('refuses %s', (_what, name, hint) => {
    const { health } = new Federation()
    expect(() => health.add(name, hint)).toThrow(coded('INVALID_ARGUMENT'))
    expect(health.snapshot().datacenters).toEqual({})
    if (name === '') return
    health.add(name, { address: 'a:1' })
    expect(() => health.updateLeader(name, hint)).toThrow(coded('INVALID_ARGUMENT'))
  })

  it('status and snapshot are frozen all the way down', async () => {
    const { health } = await answered()
    const snapshot = health.snapshot()
    const status = health.status('eu')
    expect(snapshot.datacenters['eu']).toEqual(status)
    for (const part of [snapshot, snapshot.datacenters, status, status?.leader, status?.facts])
      expect(Object.isFrozen(part)).toBe(true)
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot)
  })

  it('remembers few of the probes that nobody answered', async () => {
    const { world, clock, health } = await answered({ ...even, probeTimeoutMs: 10, probeIntervalMs: 100 })
    const answers: Datagram[] = []
    world.isLost = (datagram) => toGate(datagram) && answers.push(datagram) > 0
    await clock.runUntil(() => answers.length === 200)
    world.isLost = () => false
    const { acks, ignored } = health.snapshot()
    const late = world.endpoint('late')
    for (const { bytes } of answers.slice(0, 100)) late.send('gate', bytes)
    await clock.advanceAsync(50)
    expect(health.snapshot().ignored - ignored).toBe(100)
    for (const { bytes } of answers.slice(-50)) late.send('gate', bytes)
    await clock.advanceAsync(50)
    expect(health.snapshot().acks - acks).toBeGreaterThanOrEqual(50)
  })

  it.each<[string, object, string]>([
    ['no transport', { transport: undefined }, 'transport'],
    ['a transport that is none', { transport: {} }, 'transport'],
    ['no name', { self: '' }, 'self'],
    ['an interval of 0', { probeIntervalMs: 0 }, 'probeIntervalMs'],
    ['a time-out of 0', { probeTimeoutMs: 0 }, 'probeTimeoutMs'],
    ['no misses', { suspectAfterMisses: 0 }, 'suspectAfterMisses'],
    ['a negative suspicion', { suspicionMs: -1 }, 'suspicionMs'],
    ['a jitter above 1', { jitter: 1.1 }, 'jitter'],
    ['no datacenters', { maxDatacenters: 0 }, 'maxDatacenters'],
    ['a misspelt option', { intervalMs: 1 }, 'intervalMs'],
  ])('refuses %s', (_what, options, path) => {
    const { transport } = new Federation()
    expect(() => new FederatedHealth({ transport, self: 'gate', ...options })).toThrow(misconfigured(path))
  })
})
