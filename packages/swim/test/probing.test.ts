import { describe, expect, it } from 'vitest'
import type { Cluster } from '../src/index.js'
import { PacketReader } from '../src/packet-reader.js'
import { ACK, GOSSIP, labelOf, NACK, PING, PING_REQ } from '../src/wire.js'
import { SUSPECT } from '../src/record.js'
import { countOf, Lab, watch } from './lab.js'

const LABEL = labelOf('default')

function kindOf(packet: Uint8Array): number {
  const reader = new PacketReader()
  return reader.open(packet, LABEL) === 'ok' ? reader.kind : -1
}

describe('A cluster at rest (SWIM-3, SWIM-12)', () => {
  it('sends two packets a member and period, and no probe raises an incarnation', async () => {
    const lab = new Lab()
    const all = await lab.together(10)
    await lab.run(60_000)
    const sent = () => all.reduce((sum, c) => sum + c.snapshot().counters.packetsOut, 0)
    const before = sent()
    await lab.run(100_000)
    expect(sent() - before).toBe(2 * 10 * 100)
    expect(all.map((c) => [c.local.incarnation, c.localHealth, c.snapshot().queued])).toEqual(all.map(() => [0, 0, 0]))
    await lab.stop()
  })

  it('probes each member at least once in 2(n - 1) periods', async () => {
    const lab = new Lab()
    await lab.together(8)
    await lab.run(60_000)
    const last = new Map<string, number>()
    let longest = 0
    lab.onSend = (from, to, packet) => {
      if (kindOf(packet) !== PING) return
      const key = `${from}>${to}`
      longest = Math.max(longest, lab.clock.now() - (last.get(key) ?? lab.clock.now()))
      last.set(key, lab.clock.now())
    }
    await lab.run(200_000)
    expect(last.size).toBe(8 * 7)
    expect(longest).toBeLessThanOrEqual(14_000)
    await lab.stop()
  })
})

describe('A crash (SWIM-13, SWIM-18, SWIM-25)', () => {
  it('each survivor hears of it once, whoever found it', async () => {
    const lab = new Lab()
    const all = await lab.together(8)
    await lab.run(10_000)
    const survivors = all.slice(1)
    const seen = survivors.map(watch)
    await lab.crash(all[0] as Cluster)
    await lab.run(60_000)
    const deaths = seen.map((events) => events.filter(([event]) => event === 'memberDead'))
    for (const death of deaths)
      expect(death).toEqual([['memberDead', 'n0', expect.stringMatching(/^(timeout|gossip)$/)]])
    expect(deaths.flat().some(([, , cause]) => cause === 'gossip')).toBe(true)
    expect(survivors.map((c) => c.size)).toEqual(survivors.map(() => 7))
    expect(survivors[0]?.member('n0')?.status).toBe('dead')
    expect(survivors[0]?.snapshot().members).toEqual({ unconfirmed: 0, alive: 7, suspect: 0, dead: 1, left: 0 })
    await lab.stop()
  })

  it('is found between the shortest and the longest suspicion, by nobody before', async () => {
    const lab = new Lab()
    const all = await lab.together(8)
    await lab.run(10_000)
    const crashed = lab.clock.now()
    await lab.crash(all[0] as Cluster)
    await lab.until(() => all[1]?.member('n0')?.status === 'dead')
    expect(lab.clock.now() - crashed).toBeGreaterThanOrEqual(4_000)
    expect(lab.clock.now() - crashed).toBeLessThanOrEqual(24_000 + 16_000)
    await lab.stop()
  })

  it('with two members there is nobody to confirm: the shortest suspicion', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(2)) as [Cluster, Cluster]
    await lab.run(10_000)
    let suspected = 0
    a.events.on('memberSuspected', () => (suspected = lab.clock.now()))
    await lab.crash(b)
    await lab.until(() => a.size === 1)
    expect(lab.clock.now() - suspected).toBeGreaterThanOrEqual(4_000)
    expect(lab.clock.now() - suspected).toBeLessThanOrEqual(4_020)
    expect(a.history().map(({ kind }) => kind)).toEqual(['joined', 'suspected', 'dead'])
    await lab.stop()
  })

  it('a role may be given longer to refute', async () => {
    const lab = new Lab()
    const roles = { worker: { suspicionMultiplier: 3 } }
    const a = await lab.start('a', { roles })
    const w = await lab.start('w', { role: 'worker', seeds: ['a:1'] })
    await lab.until(() => a.size === 2)
    let suspected = 0
    a.events.on('memberSuspected', () => (suspected = lab.clock.now()))
    await lab.crash(w)
    await lab.until(() => a.size === 1)
    expect(lab.clock.now() - suspected).toBeGreaterThanOrEqual(12_000)
    expect(a.members({ role: 'worker', statuses: ['dead'] })).toHaveLength(1)
    expect(a.members({ role: 'worker' })).toEqual([])
    await lab.stop()
  })

  it('proxies that cannot reach it say so, and never answer from memory', async () => {
    const lab = new Lab()
    const all = await lab.together(6, { rpcProbe: false })
    await lab.run(10_000)
    const kinds: number[] = []
    await lab.crash(all[0] as Cluster)
    lab.onSend = (_, __, packet) => kinds.push(kindOf(packet))
    await lab.until(() => all[1]?.member('n0')?.status === 'suspect')
    expect(kinds.filter((k) => k === PING_REQ).length).toBeGreaterThanOrEqual(3)
    expect(kinds.filter((k) => k === NACK).length).toBeGreaterThanOrEqual(3)
    // All proxies answered: the fault is not with those who ask.
    await lab.run(60_000)
    expect(all.slice(1).map((c) => c.localHealth)).toEqual([0, 0, 0, 0, 0])
    expect(all[1]?.member('n0')?.status).toBe('dead')
    await lab.stop()
  })
})

describe('Paths that fail (SWIM-13, SWIM-14)', () => {
  it('datagrams that are lost between two are relayed by others', async () => {
    const lab = new Lab()
    const all = await lab.together(5, { rpcProbe: false })
    await lab.run(10_000)
    lab.passes = (from, to) => !(from === 'n0:1' && to === 'n1:1') && !(from === 'n1:1' && to === 'n0:1')
    const seen = all.map(watch)
    await lab.run(120_000)
    expect(seen.flat()).toEqual([])
    expect(all[0]?.snapshot().counters.probeFailures).toBe(0)
    await lab.stop()
  })

  it('rpc up and datagrams down: nobody is suspected', async () => {
    const lab = new Lab()
    const all = await lab.together(3)
    await lab.run(10_000)
    const seen = all.map(watch)
    lab.passes = (_, __, kind) => kind === 'rpc'
    await lab.run(120_000)
    expect(seen.flat()).toEqual([])
    expect(all[0]?.snapshot().counters.rpcProbes).toBeGreaterThan(50)
    await lab.stop()
  })

  it('datagrams up and rpc down: nobody is suspected', async () => {
    const lab = new Lab()
    const all = await lab.together(3)
    await lab.run(10_000)
    const seen = all.map(watch)
    lab.passes = (_, __, kind) => kind === 'datagram'
    await lab.run(120_000)
    expect(seen.flat()).toEqual([])
    await lab.stop()
  })

  it('an ack that comes after its probe failed teaches the round trip and clears nothing', async () => {
    const lab = new Lab()
    const [a] = (await lab.together(2, { rpcProbe: false })) as [Cluster, Cluster]
    await lab.run(5_000)
    const held: (() => void)[] = []
    const datagram = lab.net.datagram('delay:1')
    lab.passes = (from, to, kind) => {
      if (kind === 'rpc' || from !== 'n1:1' || to !== 'n0:1') return true
      return false
    }
    lab.onSend = (from, to, packet) => {
      if (from !== 'n1:1' || kindOf(packet) !== ACK) return
      const copy = packet.slice()
      held.push(() => datagram.send(to, copy))
    }
    await lab.until(() => a.member('n1')?.status === 'suspect')
    for (const deliver of held.slice(-2)) deliver()
    await lab.run(100)
    expect(a.snapshot().counters.lateAcks).toBeGreaterThanOrEqual(1)
    expect(a.member('n1')?.status).toBe('suspect')
    expect(a.rtt('n1').rttMs).toBeGreaterThan(100)
    await lab.stop()
  })

  it('an ack that comes after rpc or a proxy was quicker teaches the round trip too (SWIM-41)', async () => {
    const lab = new Lab()
    const [a] = (await lab.together(2)) as [Cluster]
    lab.delayMs = () => 700
    await lab.run(30_000)
    const { rpcProbes } = a.snapshot().counters
    expect(a.rtt('n1')).toMatchObject({ source: 'measured', quality: 1 })
    expect(a.rtt('n1').rttMs).toBeGreaterThan(1_000)
    await lab.run(120_000)
    expect(a.snapshot().counters).toMatchObject({ rpcProbes, probeFailures: 0, lateAcks: 0 })
    expect(a.localHealth).toBe(0)
    await lab.stop()
  })

  it('a ping for another name is not answered: an address is used again', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(2)) as [Cluster, Cluster]
    await lab.run(5_000)
    await lab.crash(b)
    const other = await lab.start('other', { address: 'n1:1' })
    await lab.until(() => a.member('n1')?.status === 'dead')
    expect(other.snapshot().counters.packetsOut).toBe(0)
    await lab.stop()
  })

  it('a far member has the time that its round trip takes, without another configuration', async () => {
    const lab = new Lab()
    const all = await lab.together(3, { rpcProbe: false })
    await lab.run(10_000)
    const seen = all.map(watch)
    lab.delayMs = (from, to) => (from === 'n2:1' || to === 'n2:1' ? 800 : 0)
    await lab.run(60_000)
    const settled = seen.flat().length
    await lab.run(300_000)
    expect(seen.flat().slice(settled)).toEqual([])
    expect(all.map((c) => c.size)).toEqual([3, 3, 3])
    await lab.stop()
  })
})

describe('Refutation and the Buddy System (SWIM-8, SWIM-16)', () => {
  it('refutes a suspicion about itself with a higher incarnation', async () => {
    const lab = new Lab()
    const all = await lab.together(5, { rpcProbe: false })
    await lab.run(10_000)
    const target = all[4] as Cluster
    const seen = watch(all[0] as Cluster)
    const others = watch(target)
    lab.passes = (from, to, kind) => kind === 'rpc' || (from !== 'n4:1' && to !== 'n4:1')
    await lab.until(() => all[0]?.member('n4')?.status === 'suspect')
    lab.heal()
    await lab.run(30_000)
    expect(seen.map(([event, member]) => [event, member])).toEqual([
      ['memberSuspected', 'n4'],
      ['memberRecovered', 'n4'],
    ])
    expect(target.local.incarnation).toBeGreaterThanOrEqual(1)
    expect(target.snapshot().counters.refutations).toBeGreaterThanOrEqual(1)
    expect(target.history().some(({ kind }) => kind === 'refuted')).toBe(true)
    expect(others.filter(([event]) => event === 'memberDead')).toEqual([])
    await lab.stop()
  })

  it('who is suspected is told so in the very next packet to it', async () => {
    const lab = new Lab()
    const all = await lab.together(5, { rpcProbe: false })
    await lab.run(10_000)
    lab.passes = (from, to, kind) => kind === 'rpc' || (from !== 'n4:1' && to !== 'n4:1')
    await lab.until(() => all[0]?.member('n4')?.status === 'suspect')
    const first = new PacketReader()
    let checked = 0
    lab.onSend = (from, to, packet) => {
      if (from !== 'n0:1' || to !== 'n4:1' || first.open(packet, LABEL) !== 'ok') return
      if (first.kind !== PING && first.kind !== GOSSIP && first.kind !== ACK) return
      checked++
      expect(first.recordRank[0]).toBe(SUSPECT)
      expect(first.news(0).name).toBe('n4')
    }
    await lab.until(() => checked > 2 || all[0]?.member('n4')?.status !== 'suspect')
    expect(checked).toBeGreaterThan(0)
    await lab.stop()
  })

  it('who hears again what it has refuted says so, though gossip of that is over (bystanders, seed 224)', async () => {
    const lab = new Lab()
    const [a, b] = await lab.together(2)
    if (a === undefined || b === undefined) throw new Error('two members are together')
    const events = watch(a)
    // Of all that b says about its new incarnation nothing arrives.
    b.setMeta({ zone: 'eu' })
    lab.passes = () => false
    await lab.until(() => events.length > 0)
    expect([a.member('n1')?.incarnation, b.local.incarnation, b.snapshot().queued]).toEqual([0, 1, 0])
    lab.passes = (_from, _to, kind) => kind === 'datagram'
    await lab.until(() => events.length > 1)
    expect(events.map(([name]) => name)).toEqual(['memberSuspected', 'memberRecovered', 'memberUpdated'])
    expect(a.member('n1')).toMatchObject({ status: 'alive', incarnation: 1, meta: { zone: 'eu' } })
    await lab.stop()
  })

  it('a member that was suspected once is suspected anew on its new incarnation only', async () => {
    const lab = new Lab()
    const all = await lab.together(4, { rpcProbe: false })
    await lab.run(10_000)
    const seen = watch(all[0] as Cluster)
    for (let round = 0; round < 3; round++) {
      lab.passes = (from, to, kind) => kind === 'rpc' || (from !== 'n3:1' && to !== 'n3:1')
      await lab.until(() => all[0]?.member('n3')?.status === 'suspect')
      lab.heal()
      await lab.until(() => all[0]?.member('n3')?.status === 'alive')
      await lab.run(20_000)
    }
    const of = (event: string) => seen.filter(([name, member]) => name === event && member === 'n3')
    expect([of('memberSuspected').length, of('memberRecovered').length, of('memberDead').length]).toEqual([3, 3, 0])
    await lab.stop()
  })
})

describe('Local health and stalls (SWIM-17, SWIM-20)', () => {
  it('a node that nobody answers trusts itself less, and says so', async () => {
    const lab = new Lab()
    const all = await lab.together(5, { rpcProbe: false })
    await lab.run(10_000)
    const scores: number[] = []
    all[0]?.events.on('localHealthChanged', (score) => scores.push(score))
    lab.passes = (from, _, kind) => kind === 'rpc' || from !== 'n0:1'
    await lab.run(20_000)
    expect(all[0]?.localHealth).toBeGreaterThan(2)
    expect(scores.length).toBeGreaterThan(0)
    lab.heal()
    await lab.until(() => all[0]?.localHealth === 0, 300_000)
    expect(scores.at(-1)).toBe(0)
    await lab.stop()
  })

  it('others see the score of a member', async () => {
    const lab = new Lab()
    const all = await lab.together(3)
    await lab.run(10_000)
    lab.pause(all[0] as Cluster)
    await lab.run(5_000)
    lab.resume(all[0] as Cluster)
    await lab.until(() => all[1]?.member('n0')?.health === 1 || all[2]?.member('n0')?.health === 1, 10_000)
    expect(all[0]?.snapshot().counters.stalls).toBe(1)
    await lab.stop()
  })

  it('an event loop blocked for five seconds raises the score once and accuses nobody', async () => {
    const lab = new Lab()
    const all = await lab.together(10)
    await lab.run(30_000)
    const stalled = all[0] as Cluster
    const seen = watch(stalled)
    const suspicions = countOf(stalled, 'memberSuspected')
    lab.pause(stalled)
    await lab.run(5_000)
    const before = stalled.localHealth
    lab.resume(stalled)
    expect(stalled.localHealth).toBe(before + 1)
    await lab.run(60_000)
    expect([stalled.snapshot().counters.stalls, suspicions.count]).toEqual([1, 0])
    expect(seen.filter(([event]) => event === 'memberDead')).toEqual([])
    expect(all.map((c) => c.size)).toEqual(all.map(() => 10))
    await lab.stop()
  })

  it('a confirmation that brings a deadline into the past is no stall (well beside the dead, seed 3)', async () => {
    let deaths = 0
    for (let seed = 1; seed <= 12; seed++) {
      const lab = new Lab(seed)
      const [victim, ...survivors] = await lab.together(10)
      if (victim === undefined) throw new Error('there is one to crash')
      for (const survivor of survivors) survivor.events.on('memberDead', () => deaths++)
      await lab.crash(victim)
      await lab.run(20_000)
      expect(survivors.filter((one) => one.snapshot().counters.stalls > 0 || one.localHealth > 0)).toEqual([])
      await lab.stop()
    }
    expect(deaths).toBe(12 * 9)
  })

  it('a process stopped for a minute, and one that is stopped again and again, kills nobody', async () => {
    const lab = new Lab()
    const all = await lab.together(8)
    await lab.run(30_000)
    const stalled = all[0] as Cluster
    const others = all.slice(1).map(({ local }) => local.name)
    const seen = watch(stalled)
    for (let i = 0; i < 10; i++) {
      lab.pause(stalled)
      await lab.run(i === 0 ? 60_000 : 6_000)
      lab.resume(stalled)
      await lab.run(50)
    }
    await lab.run(60_000)
    expect(seen.filter(([event, member]) => event === 'memberDead' && others.includes(member))).toEqual([])
    expect(all.map((c) => c.size)).toEqual(all.map(() => 8))
    await lab.stop()
  })
})

describe('Healing and forgetting (SWIM-33, SWIM-35)', () => {
  it('a partition heals by itself, whatever its length below forgetDeadAfterMs', async () => {
    const lab = new Lab()
    const all = await lab.together(8)
    await lab.run(10_000)
    lab.split(all.slice(0, 4), all.slice(4))
    await lab.until(() => all.every((c) => c.size === 4))
    await lab.run(600_000)
    lab.heal()
    await lab.until(() => all.every((c) => c.size === 8), 60_000)
    await lab.run(60_000)
    expect(all.map((c) => c.size)).toEqual(all.map(() => 8))
    await lab.stop()
  })

  it('heals through the seeds beyond that', async () => {
    const lab = new Lab()
    const all = await lab.together(4, { forgetDeadAfterMs: 60_000, seeds: ['n0:1', 'n3:1'] })
    await lab.run(10_000)
    lab.split(all.slice(0, 2), all.slice(2))
    await lab.until(() => all.every((c) => c.member('n0') === undefined || c.member('n3') === undefined), 300_000)
    lab.heal()
    await lab.until(() => all.every((c) => c.size === 4), 180_000)
    await lab.stop()
  })

  it('forgets the dead after a while, and then knows nothing of them', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(3, { forgetDeadAfterMs: 120_000 })) as [Cluster, Cluster]
    await lab.crash(b)
    await lab.until(() => a.member('n1')?.status === 'dead')
    await lab.run(119_000)
    expect(a.member('n1')?.status).toBe('dead')
    await lab.run(2_000)
    expect(a.member('n1')).toBeUndefined()
    expect(a.history().at(-1)).toMatchObject({ kind: 'forgotten', member: 'n1' })
    const seen = watch(a)
    await lab.start('n1', { seeds: ['n0:1'] })
    await lab.until(() => a.size === 3)
    expect(seen).toEqual([['memberJoined', 'n1']])
    await lab.stop()
  })
})
