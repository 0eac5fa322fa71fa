/** What is left of peers that come and go: nothing. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { MemoryNetwork, VirtualClock } from '@hs/core/testing'
import { BreakerRegistry, HealthTracker, ProbeChannel, ResourceGuard, ResourceViews } from '@hs/health'
import { describe, expect, it } from 'vitest'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const PEERS = 100_000

/** Bytes that a round of `work` leaves behind, after a shorter one that warms it up. */
async function growth(work: (round: number, peers: number) => void | Promise<void>): Promise<number> {
  const used = () => {
    collect()
    collect()
    return process.memoryUsage().heapUsed
  }
  await work(0, PEERS / 10)
  const before = used()
  await work(1, PEERS)
  return used() - before
}

describe('100,000 peers that come and go (HL-6, HL-12, HL-16, HL-21, HL-22)', () => {
  it('leave nothing where they are forgotten', { timeout: 120_000 }, async () => {
    const clock = new VirtualClock()
    const breakers = new BreakerRegistry({ clock, window: { calls: 100 } })
    const tracker = new HealthTracker({ clock })
    const guard = new ResourceGuard({ clock, graceMs: 0 })
    const views = new ResourceViews({ clock, self: 'm0', datacenter: 'eu' })
    const usage = { cpu: { value: 2, uncertainty: 0 } }
    const totals = { coresUsed: 1, coresTotal: 2, memoryUsed: 1, memoryTotal: 2, incarnation: 1, seq: 1 }
    const said = {
      incarnation: 1,
      seq: 1,
      ready: true,
      capacity: 1,
      overload: 'healthy',
      assigned: 1,
      done: 1,
    } as const
    const held: string[] = []
    const forget = (name: string) => {
      breakers.forget(name)
      tracker.forget(name)
      guard.forget(name)
      views.forgetWorker(name)
      views.forgetPeer(name)
    }
    const grown = await growth((round, peers) => {
      for (let i = 0; i < peers; i++) {
        const name = `peer-${round}-${i}`
        const breaker = breakers.for(name)
        breaker.events.on('change', () => {})
        for (let call = 0; call < 5; call++) breaker.tryAcquire()?.failure()
        tracker.node(name).report(said)
        if (i % 3 === 0) for (let miss = 0; miss < 3; miss++) tracker.node(name).probe(false)
        guard.observe(name, usage, { cpu: 1 })
        views.applyWorker({ ...totals, worker: name, owner: 'm0' })
        views.applyPeer({ ...totals, manager: name, datacenter: 'eu', workers: 1 })
        held.push(name)
        if (held.length > 100) forget(held.shift() ?? '')
      }
      held.splice(0).forEach(forget)
    })
    expect([breakers.size, tracker.size, guard.size, views.cluster().managers, views.local().workers]).toEqual([
      0, 0, 0, 1, 0,
    ])
    expect(breakers.open()).toEqual([])
    expect(clock.pendingTimers).toBe(0)
    expect(grown).toBeLessThan(2 * PEERS) // two bytes a peer
  })

  it('stay within the bounds where nobody forgets them', { timeout: 120_000 }, async () => {
    const clock = new VirtualClock()
    const breakers = new BreakerRegistry({ clock, maxPeers: 1_000 })
    const tracker = new HealthTracker({ clock, maxNodes: 1_000 })
    const guard = new ResourceGuard({ clock, maxSubjects: 1_000 })
    const views = new ResourceViews({ clock, self: 'm0', datacenter: 'eu', maxWorkers: 1_000, maxPeers: 1_000 })
    const usage = { cpu: { value: 0.1, uncertainty: 0 } }
    const totals = { coresUsed: 1, coresTotal: 2, memoryUsed: 1, memoryTotal: 2, incarnation: 1, seq: 1 }
    for (let failure = 0; failure < 5; failure++) breakers.for('broken').tryAcquire()?.failure()
    const grown = await growth((round, peers) => {
      for (let i = 0; i < peers; i++) {
        const name = `peer-${round}-${i}`
        breakers.for(name).tryAcquire()?.success()
        tracker.node(name).probe(i % 2 === 0)
        guard.observe(name, usage, { cpu: 1 })
        views.applyWorker({ ...totals, worker: name, owner: 'm0' })
        views.applyPeer({ ...totals, manager: name, datacenter: 'eu', workers: 1 })
        if (i % 100 === 0) clock.advance(1_000)
      }
    })
    expect([breakers.size, tracker.size, guard.size]).toEqual([1_000, 1_000, 1_000])
    expect([views.cluster().managers, views.local().workers]).toEqual([1_001, 1_000])
    expect(breakers.open()).toEqual([]) // its time is over, and it is still there:
    expect(breakers.for('broken').state).toBe('half-open')
    expect(grown).toBeLessThan(2 * PEERS)
  })

  it('leave nothing in a probe channel, whoever answers or not', { timeout: 120_000 }, async () => {
    const clock = new VirtualClock()
    const network = new MemoryNetwork({ clock, latencyMs: 1 })
    const a = new ProbeChannel({ transport: network.datagram('a'), clock, maxProbesPerSecond: 1e6, timeoutMs: 20 })
    new ProbeChannel({ transport: network.datagram('b'), clock, maxAnswersPerSecond: 1e6 })
    const { signal } = new AbortController()
    const grown = await growth(async (round, peers) => {
      for (let i = 0; i < peers; i += 100) {
        const probes = Array.from({ length: 100 }, (_, n) => {
          const address = n % 10 === 0 ? 'b' : `10.${round}.${Math.floor(i / 256) % 256}.${(i + n) % 256}:${1_000 + n}`
          return a.probe(address, { signal })
        })
        await clock.advanceAsync(30)
        await Promise.all(probes)
      }
    })
    expect(a.snapshot()).toMatchObject({ pending: 0, targets: 0, limited: 0 })
    expect(clock.pendingTimers).toBe(0)
    // The last million datagrams of a second are remembered by their times, and grow no more.
    expect(grown).toBeLessThan(20 * PEERS)
  })
})
