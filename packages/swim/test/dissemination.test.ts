import { describe, expect, it } from 'vitest'
import type { Cluster, Member } from '../src/index.js'
import { bytes, countOf, Lab, text, watch } from './lab.js'

type Change = { member: Member; key: string; value: Uint8Array | undefined }
const readable = ({ member, key, value }: Change) => [member.name, key, text(value)]

describe('Metadata (SWIM-26)', () => {
  it('reaches everyone, replaces what was, and raises the incarnation', async () => {
    const lab = new Lab()
    const all = await lab.together(6, { meta: { zone: 'eu-1', version: '1' } })
    await lab.run(10_000)
    const seen = all.map(watch)
    const before = all[2]?.member('n0')
    all[0]?.setMeta({ version: '2' })
    await lab.run(5_000)
    for (const cluster of all.slice(1)) expect(cluster.member('n0')?.meta).toEqual({ version: '2' })
    expect(seen.slice(1).every((events) => events.length === 1 && events[0]?.[0] === 'memberUpdated')).toBe(true)
    expect(all[0]?.local).toMatchObject({ incarnation: 1, meta: { version: '2' } })
    expect(before?.meta).toEqual({ zone: 'eu-1', version: '1' })
    await lab.stop()
  })

  it('a member is the same object until something about it changes, and frozen', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(2)) as [Cluster, Cluster]
    await lab.run(5_000)
    const before = a.member('n1')
    await lab.run(20_000)
    expect(a.member('n1')).toBe(before)
    expect(a.members()[1]).toBe(before)
    expect([Object.isFrozen(before), Object.isFrozen(before?.meta)]).toEqual([true, true])
    b.setMeta({ x: '1' })
    await lab.run(2_000)
    expect(a.member('n1')).not.toBe(before)
    await lab.stop()
  })

  it('beyond 512 bytes is LIMIT_EXCEEDED, and the old one stays', async () => {
    const lab = new Lab()
    const [a] = (await lab.together(2, { meta: { zone: 'eu-1' } })) as [Cluster]
    expect(() => a.setMeta({ blob: 'x'.repeat(600) })).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }))
    expect(() => a.setMeta({ blob: 7 } as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(a.local).toMatchObject({ meta: { zone: 'eu-1' }, incarnation: 0 })
    a.setMeta({ blob: 'é'.repeat(250) })
    await lab.run(5_000)
    expect(lab.clusters[1]?.member('n0')?.meta).toEqual({ blob: 'é'.repeat(250) })
    await lab.stop()
  })
})

describe('Entries (SWIM-27)', () => {
  it('reach everyone by gossip, and late joiners by sync', async () => {
    const lab = new Lab()
    const all = await lab.together(5)
    const changes: unknown[] = []
    all[4]?.events.on('entryChanged', (change) => changes.push(readable(change)))
    all[0]?.publish('workers', bytes('12'))
    await lab.run(3_000)
    for (const cluster of all) expect(text(cluster.entry('n0', 'workers'))).toBe('12')
    all[0]?.publish('workers', bytes('13'))
    await lab.run(3_000)
    const late = await lab.start('late', { seeds: ['n2:1'] })
    await lab.until(() => late.size === 6)
    expect([...late.entries('n0')].map(([key, value]) => [key, text(value)])).toEqual([['workers', '13']])
    all[0]?.retract('workers')
    await lab.run(3_000)
    expect([late.entry('n0', 'workers'), all[0]?.entry('n0', 'workers'), late.entries('n0').size]).toEqual([
      undefined,
      undefined,
      0,
    ])
    expect(changes).toEqual([
      ['n0', 'workers', '12'],
      ['n0', 'workers', '13'],
      ['n0', 'workers', undefined],
    ])
    await lab.stop()
  })

  it('with spread direct go from their owner alone, the newest value each time', async () => {
    const lab = new Lab()
    const all = await lab.together(4)
    const queued = () => all.reduce((sum, c) => sum + c.snapshot().queued, 0)
    await lab.run(30_000)
    all[0]?.publish('load', bytes('0.5'), { spread: 'direct' })
    expect(queued()).toBe(0)
    await lab.run(10_000)
    expect(all.slice(1).map((c) => text(c.entry('n0', 'load')))).toEqual(['0.5', '0.5', '0.5'])
    all[0]?.publish('load', bytes('0.9'), { spread: 'direct' })
    await lab.run(10_000)
    expect(all.slice(1).map((c) => text(c.entry('n0', 'load')))).toEqual(['0.9', '0.9', '0.9'])
    expect(queued()).toBe(0)
    all[0]?.retract('load')
    await lab.run(10_000)
    expect(all.slice(1).map((c) => c.entry('n0', 'load'))).toEqual([undefined, undefined, undefined])
    await lab.stop()
  })

  it('that do not fit into one packet take turns', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(2)) as [Cluster, Cluster]
    for (let i = 0; i < 6; i++) a.publish(`k${i}`, new Uint8Array(600).fill(i), { spread: 'direct' })
    await lab.run(20_000)
    expect(b.entries('n0').size).toBe(6)
    await lab.stop()
  })

  it('a newer value overtakes an older one that still waits, and each change is told once', async () => {
    const lab = new Lab()
    const all = await lab.together(8)
    await lab.run(10_000)
    const changes = all.slice(1).map((c) => countOf(c, 'entryChanged'))
    for (let i = 0; i < 50; i++) all[0]?.publish('k', bytes(String(i)))
    await lab.run(5_000)
    expect(all.map((c) => text(c.entry('n0', 'k')))).toEqual(all.map(() => '49'))
    expect(changes.map((c) => c.count)).toEqual(changes.map(() => 1))
    await lab.stop()
  })

  it('go with their owner: with its death, its restart, its leave', async () => {
    const lab = new Lab()
    const all = await lab.together(4)
    for (const cluster of all) cluster.publish('k', bytes('v'))
    await lab.run(5_000)
    const [a, dying, leaving, restarting] = all as [Cluster, Cluster, Cluster, Cluster]
    await lab.crash(dying)
    await lab.clock.run(leaving.leave())
    await lab.crash(restarting)
    await lab.start('n3', { seeds: ['n0:1'] })
    await lab.run(60_000)
    expect(['n1', 'n2', 'n3'].map((name) => [a.entry(name, 'k'), a.entries(name).size])).toEqual(
      Array.from({ length: 3 }, () => [undefined, 0]),
    )
    expect(text(a.entry('n0', 'k'))).toBe('v')
    await lab.stop()
  })

  it('have bounds, and what is there stays', async () => {
    const lab = new Lab()
    const a = await lab.start('a')
    const limit = expect.objectContaining({ code: 'LIMIT_EXCEEDED' }) as Error
    const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
    a.publish('k', bytes('old'))
    expect(() => a.publish('k', new Uint8Array(1_025))).toThrow(limit)
    expect(() => a.publish('k'.repeat(65), bytes('v'))).toThrow(limit)
    expect(() => a.publish('', bytes('v'))).toThrow(invalid)
    expect(() => a.publish('k', 'v' as never)).toThrow(invalid)
    expect(() => a.publish('k', bytes('v'), { spread: 'shout' as never })).toThrow(invalid)
    expect(text(a.entry('a', 'k'))).toBe('old')
    for (let i = 1; i < 1_024; i++) a.publish(`k${i}`, bytes('v'))
    expect(() => a.publish('one more', bytes('v'))).toThrow(limit)
    a.publish('k', new Uint8Array(1_024))
    a.retract('k')
    a.publish('one more', bytes('v'))
    expect(a.entries('a').size).toBe(1_024)
    await lab.stop()
  })

  it('are not starved by membership news (memberlist#299)', async () => {
    const lab = new Lab()
    const all = await lab.together(6, { maxPacketBytes: 512 })
    await lab.run(10_000)
    all[0]?.publish('k', bytes('v'.repeat(100)))
    for (let i = 0; i < 40; i++) lab.make(`x${i}`, { seeds: ['n0:1'], maxPacketBytes: 512 })
    for (const cluster of lab.clusters.slice(6)) await cluster.start()
    await lab.until(() => all.every((c) => c.entry('n0', 'k') !== undefined), 5_000)
    await lab.stop()
  })
})

describe('Messages (SWIM-28)', () => {
  it('reach the last handler of their topic, with who sent them', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(2)) as [Cluster, Cluster]
    const heard: unknown[] = []
    b.onMessage('greet', () => heard.push('the first handler'))
    const off = b.onMessage('greet', (payload, from) => heard.push([text(payload), from.name]))
    expect(a.send('n1', 'greet', bytes('hello'))).toBe(true)
    expect(a.send('n1', 'nobody listens', bytes('hello'))).toBe(true)
    expect(a.send('nobody', 'greet', bytes('hello'))).toBe(false)
    await lab.run(10)
    expect(heard).toEqual([['hello', 'n0']])
    off()
    a.send('n1', 'greet', bytes('again'))
    await lab.run(10)
    expect(heard).toHaveLength(1)
    await lab.stop()
  })

  it('reach oneself too', async () => {
    const lab = new Lab()
    const a = await lab.start('a')
    const heard: unknown[] = []
    a.onMessage('t', (payload, from) => heard.push([text(payload), from.name]))
    expect(a.send('a', 't', bytes('me'))).toBe(true)
    await lab.run(10)
    expect(heard).toEqual([['me', 'a']])
    await lab.stop()
  })

  it('are bounded by the packet', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(2)) as [Cluster, Cluster]
    let heard = 0
    b.onMessage('t'.repeat(100), (payload) => (heard = payload.length))
    expect(a.send('n1', 't'.repeat(100), new Uint8Array(1_144))).toBe(true)
    await lab.run(10)
    expect(heard).toBe(1_144)
    expect(() => a.send('n1', 't', new Uint8Array(1_145))).toThrow(
      expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }),
    )
    expect(() => a.send('n1', '', new Uint8Array())).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => a.send('n1', 't', 'text' as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => a.onMessage('t', undefined as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => a.onMessage('t'.repeat(101), () => undefined)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    await lab.stop()
  })

  it('to the dead are sent: they may live', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(2)) as [Cluster, Cluster]
    lab.split([a], [b])
    await lab.until(() => a.member('n1')?.status === 'dead')
    expect(a.send('n1', 't', bytes('x'))).toBe(true)
    await lab.stop()
  })

  it('a handler that throws is reported; the packet and the process go on', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(2)) as [Cluster, Cluster]
    let heard = 0
    b.onMessage('t', () => {
      heard++
      throw new Error('no room')
    })
    b.events.on('memberUpdated', () => {
      throw new Error('no patience')
    })
    a.send('n1', 't', bytes('x'))
    a.setMeta({ a: '1' })
    a.send('n1', 't', bytes('y'))
    await lab.run(5_000)
    expect([heard, b.member('n0')?.meta, b.size]).toEqual([2, { a: '1' }, 2])
    const errors = lab.logger.at('error').map(({ message }) => message)
    expect(errors).toContainEqual(expect.stringContaining('no room'))
    expect(errors).toContainEqual(expect.stringContaining('no patience'))
    await lab.stop()
  })

  it('one may be sent from within a handler', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(2)) as [Cluster, Cluster]
    const heard: (string | undefined)[] = []
    b.onMessage('t', (payload, from) => b.send(from.name, 't', payload))
    a.onMessage('t', (payload) => heard.push(text(payload)))
    a.send('n1', 't', bytes('there and back'))
    await lab.run(10)
    expect(heard).toEqual(['there and back'])
    await lab.stop()
  })
})

describe('Round trips (SWIM-39..41)', () => {
  it('are a guess first, then measured, then by coordinates', async () => {
    const lab = new Lab()
    const all = await lab.together(8)
    expect(all[0]?.rtt('nobody')).toEqual({ rttMs: 100, upperBoundMs: 200, quality: 0, source: 'default' })
    await lab.run(60_000)
    expect(all[0]?.rtt('n1')).toMatchObject({ source: 'measured', quality: 1 })
    expect(all[0]?.rtt('n1').rttMs).toBeCloseTo(2, 1)
    expect(all[0]?.rtt('n1').upperBoundMs).toBeLessThan(3)
    expect(all[0]?.coordinate.error).toBeLessThan(0.5)
    // No ack of n1 comes for so long that what was measured is old.
    lab.passes = (from, to, kind) => kind === 'rpc' || from !== 'n1:1' || to !== 'n0:1'
    await lab.run(400_000)
    const estimate = all[0]?.rtt('n1')
    expect(estimate?.source).toBe('coordinates')
    expect(estimate?.rttMs).toBeLessThan(10)
    expect(estimate?.quality).toBeLessThan(1)
    await lab.stop()
  })

  it('ping measures one, and says what went wrong', async () => {
    const lab = new Lab()
    const [a] = (await lab.together(2)) as [Cluster]
    expect(await lab.clock.run(a.ping('n1'))).toBe(2)
    expect(await a.ping('n0')).toBe(0)
    await expect(a.ping('nobody')).rejects.toMatchObject({ code: 'UNKNOWN_MEMBER' })
    await expect(a.ping('n1', { timeoutMs: -1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    lab.passes = () => false
    const lost = await lab.clock.run(a.ping('n1', { timeoutMs: 300 }).catch((error: unknown) => error))
    expect(lost).toMatchObject({ code: 'PROBE_TIMEOUT' })
    await lab.stop()
  })
})
