/** Federated health over real sockets: probes and their answers on a channel of UDP on loopback. */
import { DatagramChannels } from '@hs/core'
import { MemoryLogger } from '@hs/core/testing'
import { FederatedHealth, FederatedResponder, type DatacenterFacts, type Reachability } from '@hs/health'
import { UdpTransport } from '@hs/transport'
import { afterEach, describe, expect, it } from 'vitest'

const CHANNEL = 1
const facts: DatacenterFacts = {
  managers: 3,
  managersAlive: 3,
  workers: 8,
  workersHealthy: 8,
  coresAvailable: 5,
  coresTotal: 32,
}

const closers: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function socket(logger: MemoryLogger) {
  const udp = new UdpTransport({ bind: '127.0.0.1:0', logger })
  await udp.start()
  closers.push(() => udp.stop())
  return { udp, channel: new DatagramChannels(udp, { logger }).channel(CHANNEL) }
}

/** Resolves when the gate has said so of the datacenter. */
function becomes(health: FederatedHealth, datacenter: string, wanted: Reachability): Promise<void> {
  return new Promise((resolve) => {
    health.events.on('reachability', (dc, now) => {
      if (dc === datacenter && now === wanted) resolve()
    })
  })
}

describe('FederatedHealth over UDP (HL-25..27)', { timeout: 30_000 }, () => {
  it('reaches managers on loopback, follows one to the leader, and sees a dead one', async () => {
    const logger = new MemoryLogger()
    const leader = await socket(logger)
    const follower = await socket(logger)
    const doomed = await socket(logger)
    const gate = await socket(logger)
    const incarnation = 1
    const options = { logger, datacenter: 'eu' }
    new FederatedResponder({
      ...options,
      transport: leader.channel,
      node: 'eu-1',
      report: () => ({ incarnation, leader: true, term: 4, facts }),
    })
    new FederatedResponder({
      ...options,
      transport: follower.channel,
      node: 'eu-2',
      report: () => ({ incarnation, leader: false, term: 4, leaderAddress: leader.udp.address, facts }),
    })
    new FederatedResponder({
      ...options,
      datacenter: 'us',
      transport: doomed.channel,
      node: 'us-1',
      report: () => ({ incarnation, leader: true, term: 1, facts: { ...facts, coresAvailable: 0 } }),
    })

    const health = new FederatedHealth({
      transport: gate.channel,
      self: 'gate-1',
      logger,
      probeIntervalMs: 20,
      probeTimeoutMs: 300,
      suspectAfterMisses: 3,
      suspicionMs: 100,
    })
    closers.push(() => health.stop())
    const moved = new Promise<string>((resolve) => health.events.on('leader', (_dc, { address }) => resolve(address)))
    const reached = ['eu', 'us'].map((dc) => becomes(health, dc, 'reachable'))
    health.add('eu', { address: follower.udp.address })
    health.add('us', { address: doomed.udp.address })
    await health.start()
    await Promise.all(reached)
    expect(await moved).toBe(leader.udp.address)
    expect(health.routable()).toEqual(['eu', 'us'])
    expect(health.status('us')).toMatchObject({ health: 'busy', misses: 0 })
    expect(health.status('eu')?.leader).toMatchObject({ address: leader.udp.address, term: 4 })
    expect(health.status('eu')?.rttMs).toBeGreaterThan(0)

    const gone = becomes(health, 'us', 'unreachable')
    await doomed.udp.stop()
    await gone
    expect(health.routable()).toEqual(['eu'])
    expect(logger.at('error')).toEqual([])
  })

  it('survives what anyone may send to its port', async () => {
    const logger = new MemoryLogger()
    const manager = await socket(logger)
    const gate = await socket(logger)
    const stranger = await socket(logger)
    const responder = new FederatedResponder({
      transport: manager.channel,
      logger,
      datacenter: 'eu',
      node: 'eu-1',
      report: () => ({ incarnation: 1, leader: true, term: 1, facts }),
    })
    const health = new FederatedHealth({ transport: gate.channel, self: 'gate-1', logger, probeIntervalMs: 20 })
    closers.push(() => health.stop())
    const reached = becomes(health, 'eu', 'reachable')
    health.add('eu', { address: manager.udp.address })
    await health.start()
    for (let length = 0; length < 200; length++) {
      const bytes = crypto.getRandomValues(new Uint8Array(length))
      stranger.channel.send(gate.udp.address, bytes)
      stranger.channel.send(manager.udp.address, bytes)
    }
    await reached
    for (let i = 0; i < 3; i++) await new Promise<void>((resolve) => health.events.once('rtt', () => resolve()))
    expect(health.status('eu')).toMatchObject({ reachability: 'reachable', facts })
    expect(responder.snapshot().ignored + health.snapshot().ignored).toBeGreaterThan(0)
    expect(logger.at('error')).toEqual([])
  })
})
