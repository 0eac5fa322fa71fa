import { describe, expect, it } from 'vitest'
import { SeededRandom } from '@hs/core/testing'
import type { Cluster } from '../src/index.js'
import { encodeAlive, encodeVerdict, PacketWriter } from '../src/packet-writer.js'
import { DEAD, LEFT, SUSPECT, type ToldRank } from '../src/record.js'
import { syncCodecs, ViewBuilder } from '../src/sync-messages.js'
import { GOSSIP, labelOf, PING } from '../src/wire.js'
import { Lab, watch } from './lab.js'

const place = (name: string) => ({ address: `${name}:1`, rpcAddress: `${name}:1`, role: 'member', meta: {} })

/** A stranger that speaks the protocol. */
class Stranger {
  readonly writer: PacketWriter
  readonly #socket
  constructor(lab: Lab, name: string, cluster = 'default', generation = 1) {
    this.#socket = lab.net.datagram(`${name}:9`)
    this.writer = new PacketWriter(1_400, labelOf(cluster))
    this.writer.identify(name, generation, 0, 0)
  }

  send(to: string, bytes: Uint8Array): void {
    this.#socket.send(to, bytes)
  }

  gossip(to: string, ...records: Uint8Array[]): void {
    this.writer.begin(GOSSIP)
    this.writer.records()
    for (const record of records) this.writer.item(record)
    this.writer.entries()
    this.send(to, this.writer.finish())
  }

  ping(to: string, target: string): void {
    this.writer.begin(PING)
    this.writer.u32(1)
    this.writer.string(target)
    this.writer.records()
    this.writer.entries()
    this.send(to, this.writer.finish())
  }
}

describe('Hostile packets (SWIM-37)', () => {
  it('change nothing, whatever they are, and are counted', async () => {
    const lab = new Lab()
    const [a] = (await lab.together(3, { inboundPerSecond: 1_000_000, inboundBurst: 1_000_000 })) as [Cluster]
    await lab.run(30_000)
    const seen = watch(a)
    const dice = new SeededRandom('noise')
    const stranger = new Stranger(lab, 'evil')
    const before = a.snapshot()
    for (let i = 0; i < 2_000; i++) {
      stranger.send(
        'n0:1',
        Uint8Array.from({ length: dice.int(200) }, () => dice.int(256)),
      )
    }
    await lab.run(2_000)
    const { counters } = a.snapshot()
    expect(counters.malformed + counters.foreign - before.counters.malformed - before.counters.foreign).toBe(2_000)
    expect([seen, a.size, a.localHealth, lab.logger.at('warn').length, lab.logger.at('error').length]).toEqual([
      [],
      3,
      0,
      0,
      0,
    ])
    await lab.stop()
  })

  it('of another cluster are dropped and counted', async () => {
    const lab = new Lab()
    const [a] = (await lab.together(2)) as [Cluster]
    const before = a.snapshot().counters.foreign
    new Stranger(lab, 'neighbour', 'other').ping('n0:1', 'n0')
    await lab.run(10)
    expect(a.snapshot().counters.foreign).toBe(before + 1)
    const b = await lab.start('b', { cluster: 'other', seeds: ['n0:1'] })
    await lab.run(30_000)
    expect([a.size, b.size]).toEqual([2, 1])
    await lab.stop()
  })

  it('accusations below the incarnation cost nothing, and forged ones are refuted each time', async () => {
    const lab = new Lab()
    const all = await lab.together(4)
    await lab.run(10_000)
    const [a, b] = all as [Cluster, Cluster]
    const stranger = new Stranger(lab, 'evil')
    const seen = watch(a)
    for (let i = 0; i < 20; i++) {
      const { generation, incarnation } = b.local
      stranger.gossip('n1:1', encodeVerdict(SUSPECT, 'n1', generation, incarnation, 'evil'))
      await lab.run(1_000)
      expect(b.local.incarnation).toBe(incarnation + 1)
    }
    stranger.gossip('n0:1', encodeVerdict(DEAD, 'n1', b.local.generation, 3, 'evil'))
    stranger.gossip('n0:1', encodeVerdict(SUSPECT, 'n1', b.local.generation, 3, 'evil'))
    stranger.gossip('n0:1', encodeVerdict(LEFT, 'n1', b.local.generation, 0, 'evil'))
    await lab.run(5_000)
    expect([a.member('n1')?.status, a.size, seen]).toEqual(['alive', 4, []])
    await lab.stop()
  })

  it('a forged death of a live member is refuted, and the member comes back', async () => {
    const lab = new Lab()
    const all = await lab.together(4)
    await lab.run(10_000)
    const [a, b] = all as [Cluster, Cluster]
    const seen = watch(a)
    new Stranger(lab, 'evil').gossip('n0:1', encodeVerdict(DEAD, 'n1', b.local.generation, b.local.incarnation, 'evil'))
    await lab.run(10_000)
    expect(all.map((c) => c.size)).toEqual([4, 4, 4, 4])
    expect(seen).toEqual([
      ['memberDead', 'n1', 'gossip'],
      ['memberJoined', 'n1'],
    ])
    await lab.stop()
  })

  it('accusations of a later generation do not touch the one that is held', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(2)) as [Cluster, Cluster]
    new Stranger(lab, 'evil').gossip('n0:1', encodeVerdict(SUSPECT, 'n1', b.local.generation + 1, 0, 'evil'))
    await lab.run(10)
    expect(a.member('n1')?.status).toBe('alive')
    await lab.stop()
  })

  it('takes news in any order to the same view (SWIM-6)', async () => {
    const news: [ToldRank | 'alive', number, number][] = [
      ['alive', 1, 0],
      [SUSPECT, 1, 0],
      ['alive', 1, 1],
      [DEAD, 1, 1],
      ['alive', 2, 0],
      ['alive', 2, 3],
      [DEAD, 2, 2],
    ]
    const dice = new SeededRandom('orders')
    const views = new Set<string>()
    for (let run = 0; run < 30; run++) {
      const lab = new Lab()
      const a = await lab.start('a', { probeIntervalMs: 3_600_000 })
      const stranger = new Stranger(lab, 'teller')
      for (const [rank, generation, incarnation] of dice.shuffle([...news, ...news])) {
        const record =
          rank === 'alive'
            ? encodeAlive('x', generation, incarnation, place('x'))
            : encodeVerdict(rank, 'x', generation, incarnation, 'teller')
        stranger.gossip('a:1', record)
      }
      await lab.run(10)
      const x = a.member('x')
      views.add(`${x?.generation} ${x?.incarnation} ${x?.status}`)
      await lab.stop()
    }
    expect([...views]).toEqual(['2 3 alive'])
  })
})

describe('Rate (SWIM-38)', () => {
  it('strangers share one bucket, and push no member out of its own', async () => {
    const lab = new Lab()
    const [a] = (await lab.together(3)) as [Cluster]
    await lab.run(30_000)
    const seen = watch(a)
    const strangers = Array.from({ length: 50 }, (_, i) => new Stranger(lab, `evil${i}`))
    for (let second = 0; second < 20; second++) {
      for (const stranger of strangers) for (let i = 0; i < 20; i++) stranger.ping('n0:1', 'n0')
      await lab.run(1_000)
    }
    expect(a.snapshot().counters.rateLimited).toBeGreaterThan(15_000)
    expect([seen, a.size, a.localHealth]).toEqual([[], 3, 0])
    await lab.stop()
  })

  it('lets a burst through and then so many a second', async () => {
    const lab = new Lab()
    const a = await lab.start('a', { inboundPerSecond: 10, inboundBurst: 20 })
    const stranger = new Stranger(lab, 's')
    for (let i = 0; i < 50; i++) stranger.ping('a:1', 'a')
    await lab.run(2)
    expect(a.snapshot().counters.rateLimited).toBe(30)
    await lab.run(1_000)
    for (let i = 0; i < 50; i++) stranger.ping('a:1', 'a')
    await lab.run(2)
    expect(a.snapshot().counters.rateLimited).toBe(30 + 40)
    await lab.stop()
  })
})

describe('Members without end (SWIM-35)', () => {
  it('beyond maxMembers a newcomer is refused, never a live member evicted; one warning a minute', async () => {
    const lab = new Lab()
    const a = await lab.start('a', { maxMembers: 4, probeIntervalMs: 3_600_000 })
    const stranger = new Stranger(lab, 'teller')
    for (let i = 0; i < 10; i++) stranger.gossip('a:1', encodeAlive(`x${i}`, 1, 0, place(`x${i}`)))
    await lab.run(10)
    expect(
      a
        .members()
        .map((m) => m.name)
        .sort(),
    ).toEqual(['a', 'x0', 'x1', 'x2'])
    expect(a.snapshot().counters.membersRefused).toBe(7)
    expect(lab.logger.at('warn')).toHaveLength(1)
    await lab.stop()
  })

  it('the oldest tombstone gives way to a newcomer', async () => {
    const lab = new Lab()
    const a = await lab.start('a', { maxMembers: 3, probeIntervalMs: 3_600_000 })
    const stranger = new Stranger(lab, 'teller')
    stranger.gossip('a:1', encodeAlive('x', 1, 0, place('x')), encodeAlive('y', 1, 0, place('y')))
    stranger.gossip('a:1', encodeVerdict(DEAD, 'x', 1, 0, 'teller'))
    stranger.gossip('a:1', encodeAlive('z', 1, 0, place('z')))
    await lab.run(10)
    expect([a.member('x'), a.member('z')?.status, a.size]).toEqual([undefined, 'alive', 3])
    expect(a.snapshot().counters.membersRefused).toBe(0)
    await lab.stop()
  })

  it('leave nothing behind: after thousands came and went, what is held is what is there', async () => {
    const lab = new Lab()
    const a = await lab.start('a', {
      forgetDeadAfterMs: 1_000,
      inboundPerSecond: 1_000_000,
      inboundBurst: 1_000_000,
      historySize: 10,
    })
    const stranger = new Stranger(lab, 'teller')
    for (let i = 0; i < 5_000; i++) {
      stranger.gossip('a:1', encodeAlive(`x${i}`, 1, 0, place(`x${i}`)))
      if (i % 3 === 0) stranger.gossip('a:1', encodeVerdict(SUSPECT, `x${i}`, 1, 0, 'teller'))
      stranger.gossip('a:1', encodeVerdict(i % 2 === 0 ? DEAD : LEFT, `x${i}`, 1, 1, 'teller'))
      await lab.run(1)
    }
    await lab.run(200_000)
    const { members, queued } = a.snapshot()
    expect(members).toEqual({ unconfirmed: 0, alive: 1, suspect: 0, dead: 0, left: 0 })
    expect([queued, a.members({ statuses: ['unconfirmed', 'alive', 'suspect', 'dead', 'left'] }).length]).toEqual([
      0, 1,
    ])
    expect(a.history()).toHaveLength(10)
    // Probes, syncs, reconnects: what a cluster of one has.
    expect(lab.clock.pendingTimers).toBeLessThanOrEqual(2)
    await lab.stop()
  })
})

describe('Late confirmations (SWIM-18, SWIM-37)', () => {
  it('that come between a deadline and the tick of its timer are taken like any other', async () => {
    const lab = new Lab()
    const a = await lab.start('a', {
      probeIntervalMs: 100,
      probeTimeoutMs: 50,
      suspicionConfirmations: 32,
      inboundPerSecond: 1_000_000,
      inboundBurst: 1_000_000,
    })
    const teller = new Stranger(lab, 'teller')
    const names = Array.from({ length: 70 }, (_, i) => `x${i}`)
    for (const name of names) teller.gossip('a:1', encodeAlive(name, 1, 0, place(name)))
    let dead = 0
    a.events.on('memberDead', () => dead++)
    const dice = new SeededRandom('accusers')
    for (let ms = 0; ms < 5_000; ms++) {
      for (const name of names)
        if (dice.int(30) === 0) teller.gossip('a:1', encodeVerdict(SUSPECT, name, 1, 0, `accuser-${ms}`))
      await lab.run(1)
    }
    expect(lab.logger.entries.filter(({ level }) => level === 'error')).toEqual([])
    expect(dead).toBe(70)
    await lab.stop()
  })
})

describe('Anti-entropy (SWIM-29, SWIM-30, SWIM-31)', () => {
  it('two equal views cost less than a kibibyte, requests and answers together', async () => {
    const lab = new Lab()
    const a = await lab.start('a', { probeIntervalMs: 3_600_000, inboundPerSecond: 1_000_000, inboundBurst: 1_000_000 })
    const teller = new Stranger(lab, 'teller')
    for (let i = 0; i < 998; i++) teller.gossip('a:1', encodeAlive(`node-${i}`, 1, 0, place(`node-${i}`)))
    await lab.run(10)
    const b = lab.make('b', { probeIntervalMs: 3_600_000 })
    let bytes = 0
    await b.start()
    await lab.clock.run(b.join(['a:1']))
    await lab.run(10)
    expect([a.size, b.size]).toEqual([1_000, 1_000])
    lab.onRequest = (body, answer) => (bytes += body.length + answer.length)
    await lab.clock.run(b.join(['a:1']))
    expect(bytes).toBeGreaterThan(256)
    expect(bytes).toBeLessThanOrEqual(1_024)
    await lab.stop()
  })

  it('finds what gossip lost', async () => {
    const lab = new Lab()
    const all = await lab.together(4)
    await lab.run(10_000)
    lab.passes = (_, to, kind) => kind === 'rpc' || to !== 'n3:1'
    all[0]?.publish('k', new Uint8Array([1]))
    all[0]?.setMeta({ a: '1' })
    await lab.until(() => all[3]?.entry('n0', 'k') !== undefined && all[3]?.member('n0')?.meta['a'] === '1')
    await lab.stop()
  })

  it('tells a joiner of the dead, silently, so that stale news cannot raise them', async () => {
    const lab = new Lab()
    const all = await lab.together(3)
    const dead = all[2]?.local
    await lab.crash(all[2] as Cluster)
    await lab.until(() => all[0]?.member('n2')?.status === 'dead')
    const late = lab.make('late', { seeds: ['n0:1'] })
    const seen = watch(late)
    await late.start()
    await lab.until(() => late.size === 3)
    expect(late.member('n2')).toMatchObject({ status: 'dead', generation: dead?.generation })
    expect(seen.map(([, member]) => member).sort()).toEqual(['n0', 'n1'])
    new Stranger(lab, 'teller').gossip('late:1', encodeAlive('n2', dead?.generation ?? 0, 0, place('n2')))
    await lab.run(10)
    expect(late.member('n2')?.status).toBe('dead')
    await lab.stop()
  })

  it('refuses a request that is not right, and takes nothing of it', async () => {
    const lab = new Lab()
    const a = await lab.start('a')
    const rpc = lab.rpc('evil:1')
    for (const method of ['sync', 'push', 'ping']) {
      for (const body of [new Uint8Array(), new Uint8Array([0x81, 0xa4, 1]), new TextEncoder().encode('{}')]) {
        const refused = await lab.clock.run(
          rpc.request('a:1', `swim/default/${method}`, body).catch((error: unknown) => error),
        )
        expect(refused).toMatchObject({ remoteCode: 'DECODE_ERROR' })
      }
    }
    // Who it is from is right, what it says of others is not.
    const view = new ViewBuilder()
    view.add(encodeAlive('evil', 1, 0, place('evil')), 0, [])
    const push = syncCodecs().push.encode({ self: view.toBytes(), records: new Uint8Array([5, 5, 5]) })
    const refused = await lab.clock.run(rpc.request('a:1', 'swim/default/push', push).catch((error: unknown) => error))
    expect(refused).toMatchObject({ remoteCode: 'DECODE_ERROR' })
    expect(a.size).toBe(1)
    await lab.stop()
  })
})

describe('History and snapshot', () => {
  it('are plain frozen data', async () => {
    const lab = new Lab()
    const [a] = (await lab.together(2, { historySize: 5 })) as [Cluster]
    await lab.run(10_000)
    const snapshot = a.snapshot()
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot)
    expect(Object.isFrozen(snapshot) && Object.isFrozen(snapshot.counters) && Object.isFrozen(snapshot.seeds)).toBe(
      true,
    )
    expect([a.coordinate, a.coordinate.vec, a.local, a.local.meta].every(Object.isFrozen)).toBe(true)
    expect(snapshot).toMatchObject({
      id: a.local.id,
      name: 'n0',
      status: 'running',
      incarnation: 0,
      localHealth: 0,
      members: { unconfirmed: 0, alive: 2, suspect: 0, dead: 0, left: 0 },
      counters: { malformed: 0, foreign: 0, rateLimited: 0, probeFailures: 0, stalls: 0 },
    })
    expect(a.history()).toEqual([
      {
        atMs: expect.any(Number) as number,
        wallMs: expect.any(Number) as number,
        kind: 'joined',
        member: 'n1',
        incarnation: 0,
      },
    ])
    await lab.stop()
  })

  it('the same seeds give the same history to the millisecond (SWIM-1)', async () => {
    const run = async () => {
      const lab = new Lab('twice')
      const all = await lab.together(6)
      await lab.run(10_000)
      await lab.crash(all[3] as Cluster)
      await lab.run(60_000)
      const histories = all.map((c) => c.history())
      await lab.stop()
      return histories
    }
    expect(await run()).toEqual(await run())
  })
})
