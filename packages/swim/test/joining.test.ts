import { describe, expect, it } from 'vitest'
import { HsError, type ConfigError } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'
import { Cluster, type ClusterOptions } from '../src/index.js'
import { Lab, watch } from './lab.js'

const names = (cluster: Cluster) =>
  cluster
    .members()
    .map((m) => m.name)
    .sort()

describe('Joining (SWIM-10, SWIM-11)', () => {
  it('start resolves at once, whoever answers; the seeds are joined in the background', async () => {
    const lab = new Lab()
    const a = await lab.start('a', { seeds: ['b:1'] })
    expect([a.status, a.size]).toEqual(['running', 1])
    const b = await lab.start('b')
    const seen = watch(b)
    await lab.until(() => a.size === 2 && b.size === 2)
    expect(seen).toEqual([['memberJoined', 'a']])
    expect(a.member('b')).toMatchObject({ status: 'alive', confirmed: true, address: 'b:1', role: 'member' })
    await lab.stop()
  })

  it('brings everyone together through one seed, and says each join once', async () => {
    const lab = new Lab()
    const all = Array.from({ length: 12 }, (_, i) => lab.make(`n${i}`, { seeds: ['n0:1'] }))
    const seen = all.map(watch)
    for (const cluster of all) await cluster.start()
    await lab.run(60_000)
    for (const events of seen) {
      expect(events.map(([name]) => name)).toEqual(Array.from({ length: 11 }, () => 'memberJoined'))
      expect(new Set(events.map(([, member]) => member)).size).toBe(11)
    }
    await lab.stop()
  })

  it('its own address may be among the seeds, and is not asked', async () => {
    const lab = new Lab()
    const a = await lab.start('a', { seeds: ['a:1', 'b:1'] })
    await lab.start('b', { seeds: ['a:1', 'b:1'] })
    await lab.run(10_000)
    expect(names(a)).toEqual(['a', 'b'])
    expect(a.snapshot().seeds).toEqual([
      { address: 'a:1', confirmed: false, attempts: 0 },
      { address: 'b:1', confirmed: true, attempts: expect.any(Number) as number },
    ])
    await lab.stop()
  })

  it('a seed is no member: it is not counted, and not suspected', async () => {
    const lab = new Lab()
    const a = await lab.start('a', { seeds: ['nobody:1'] })
    const seen = watch(a)
    await lab.run(300_000)
    expect([a.size, a.members().length, seen]).toEqual([1, 1, []])
    await lab.stop()
  })

  it('seedUnreachable is said once after a minute, and the seed is tried on', async () => {
    const lab = new Lab()
    const a = await lab.start('a', { seeds: ['b:1'] })
    const told: unknown[] = []
    a.events.on('seedUnreachable', (seed) => told.push(seed))
    await lab.run(59_000)
    expect(told).toEqual([])
    await lab.run(300_000)
    expect(told).toEqual([
      { address: 'b:1', sinceMs: expect.any(Number) as number, attempts: expect.any(Number) as number },
    ])
    expect(lab.logger.at('warn').some(({ message }) => message.includes('seed'))).toBe(true)
    await lab.start('b')
    await lab.run(61_000)
    expect(names(a)).toEqual(['a', 'b'])
    await lab.stop()
  })

  it('join returns how many answered, and keeps the addresses as seeds', async () => {
    const lab = new Lab()
    await lab.start('b')
    await lab.start('c')
    const a = await lab.start('a')
    expect(await lab.clock.run(a.join(['b:1', 'c:1', 'nobody:1']))).toBe(2)
    expect(a.size).toBe(3)
    expect(a.snapshot().seeds.map(({ address, confirmed }) => [address, confirmed])).toEqual([
      ['b:1', true],
      ['c:1', true],
      ['nobody:1', false],
    ])
    await lab.stop()
  })

  it('join rejects with JOIN_FAILED when nobody answers', async () => {
    const lab = new Lab()
    const a = await lab.start('a')
    const failure = lab.clock.run(a.join(['nobody:1', 'nowhere:1']).catch((error: unknown) => error))
    expect(HsError.is(await failure, 'JOIN_FAILED')).toBe(true)
    await expect(a.join([])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await lab.stop()
  })

  it('join gives up after its timeout and when its signal aborts', async () => {
    const lab = new Lab()
    lab.rpc('mute:1').handle('swim/default/sync', () => new Promise<Uint8Array>(() => undefined))
    const a = await lab.start('a')
    const late = await lab.clock.run(a.join(['mute:1'], { timeoutMs: 700 }).catch((error: unknown) => error))
    expect(HsError.is(late, 'JOIN_FAILED')).toBe(true)
    expect(lab.clock.now()).toBeLessThan(800)
    const controller = new AbortController()
    const aborted = a.join(['mute:1'], { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    await expect(a.join(['mute:1'], { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before')
    await lab.stop()
  })

  it('a member told of in a later sync is hearsay: probed, and a member at its first word', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(2)) as [Cluster, Cluster]
    await lab.run(120_000)
    // c is known to b alone: a hears nothing of it but in syncs.
    lab.passes = (from, to, kind) => kind === 'rpc' || (from !== 'c:1' && to !== 'c:1')
    const c = await lab.start('c')
    await lab.clock.run(c.join(['n1:1']))
    lab.passes = (from, to, kind) => kind === 'rpc' || (from !== 'c:1' && to !== 'c:1' && from !== 'n1:1')
    const seen = watch(a)
    await lab.until(() => a.member('c') !== undefined)
    expect(a.member('c')?.status).toBe('unconfirmed')
    expect([a.members().map((m) => m.name), seen]).toEqual([['n0', 'n1'], []])
    expect(a.snapshot().members).toMatchObject({ unconfirmed: 1, alive: 2 })
    lab.heal()
    await lab.until(() => a.member('c')?.status === 'alive')
    expect(seen).toContainEqual(['memberJoined', 'c'])
    expect(b.size).toBe(3)
    await lab.stop()
  })

  it('hearsay that never speaks is dropped without a death', async () => {
    const lab = new Lab()
    const roles = { ghost: { unconfirmedTimeoutMs: 20_000, confirmationAttempts: 2 } }
    const [a] = (await lab.together(2, { roles })) as [Cluster, Cluster]
    await lab.run(120_000)
    lab.passes = (from, to, kind) => kind === 'rpc' || (from !== 'c:1' && to !== 'c:1' && from !== 'n1:1')
    const c = await lab.start('c', { role: 'ghost' })
    await lab.clock.run(c.join(['n1:1']))
    const seen = watch(a)
    await lab.until(() => a.member('c') !== undefined)
    await lab.crash(c)
    await lab.until(() => a.member('c') === undefined)
    expect(seen.filter(([, member]) => member === 'c')).toEqual([])
    await lab.stop()
  })
})

describe('Restarts and names (SWIM-5, SWIM-7, SWIM-8, SWIM-9)', () => {
  it('a restart is a death and a join, though the old process was never missed', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(3)) as [Cluster, Cluster, Cluster]
    const before = b.local
    const seen = watch(a)
    await lab.crash(b)
    await lab.run(100)
    const again = await lab.start('n1', { seeds: ['n0:1'] })
    await lab.run(5_000)
    expect(seen).toEqual([
      ['memberDead', 'n1', 'restarted'],
      ['memberJoined', 'n1'],
    ])
    expect(a.member('n1')).toMatchObject({ id: again.local.id, status: 'alive' })
    expect(again.local.generation).toBeGreaterThan(before.generation)
    expect(
      a
        .history()
        .filter(({ member }) => member === 'n1')
        .map(({ kind }) => kind),
    ).toEqual(['joined', 'dead', 'joined'])
    await lab.stop()
  })

  it('a name that comes back at another address waits until its predecessor is dead, and no longer', async () => {
    const lab = new Lab()
    const [a, , b] = (await lab.together(3)) as [Cluster, Cluster, Cluster]
    await lab.crash(b)
    const moved = lab.make('n2', { address: 'moved:1', seeds: ['n0:1'] })
    const errors: HsError[] = []
    moved.events.on('error', (error) => errors.push(error))
    await moved.start()
    await lab.run(1_000)
    expect(errors.map(({ code }) => code)).toEqual(['NAME_TAKEN'])
    const refused = await lab.clock.run(moved.join(['n0:1']).catch((error: unknown) => error))
    expect(HsError.is(refused, 'NAME_TAKEN')).toBe(true)
    await lab.until(() => a.member('n2')?.address === 'moved:1' && a.member('n2')?.status === 'alive')
    expect(lab.clock.now()).toBeLessThan(60_000)
    await lab.until(() => moved.size === 3)
    await lab.stop()
  })

  it('a clock that stepped back between two runs costs no visibility: the node renews', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(3)) as [Cluster, Cluster, Cluster]
    const before = b.local.generation
    await lab.crash(b)
    lab.clock.setWall(lab.clock.wallNow() - 3_600_000)
    const again = lab.make('n1', { seeds: ['n0:1'] })
    expect(again.local.generation).toBeLessThan(before)
    const renewed: string[] = []
    again.events.on('renewed', (id) => renewed.push(id))
    await again.start()
    await lab.run(10_000)
    expect(renewed).toEqual([again.local.id])
    expect(again.local.generation).toBeGreaterThan(before)
    expect(a.member('n1')).toMatchObject({ id: again.local.id, status: 'alive' })
    await lab.stop()
  })

  it('of two live duplicates one is superseded and falls silent', async () => {
    const lab = new Lab()
    const left = (await lab.together(2)) as [Cluster, Cluster]
    const twin = await lab.start('n1', { address: 'twin:1' })
    const other = await lab.start('other', { seeds: ['twin:1'] })
    await lab.until(() => twin.size === 2)
    const superseded: unknown[] = []
    for (const cluster of [left[1], twin]) cluster.events.on('superseded', (by) => superseded.push(by))
    await lab.clock.run(other.join(['n0:1']))
    await lab.run(60_000)
    expect(superseded).toEqual([{ id: twin.local.id, address: 'twin:1' }])
    expect([left[1].status, twin.status]).toEqual(['superseded', 'running'])
    expect(left[0].member('n1')).toMatchObject({ address: 'twin:1', status: 'alive' })
    const { packetsOut } = left[1].snapshot().counters
    await lab.run(10_000)
    expect(left[1].snapshot().counters.packetsOut).toBe(packetsOut)
    expect(() => left[1].setMeta({})).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    await lab.stop()
  })
})

describe('Life of a cluster object (SWIM-1, SWIM-34)', () => {
  it('start twice is nothing; stop is idempotent and leaves no timer', async () => {
    const lab = new Lab()
    const [a] = (await lab.together(3)) as [Cluster]
    await a.start()
    for (const cluster of lab.clusters) {
      await cluster.stop()
      await cluster.stop()
    }
    expect(lab.clock.pendingTimers).toBe(0)
    expect(a.status).toBe('stopped')
  })

  it('after stop everything is CLOSED, and what reads goes on answering', async () => {
    const lab = new Lab()
    const [a] = (await lab.together(2)) as [Cluster]
    await a.stop()
    const closed = expect.objectContaining({ code: 'CLOSED' }) as Error
    expect(() => a.setMeta({})).toThrow(closed)
    expect(() => a.publish('k', new Uint8Array())).toThrow(closed)
    expect(() => a.retract('k')).toThrow(closed)
    expect(() => a.send('n1', 't', new Uint8Array())).toThrow(closed)
    expect(() => a.onMessage('t', () => undefined)).toThrow(closed)
    await expect(a.ping('n1')).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(a.join(['n1:1'])).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(a.start()).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(a.leave()).rejects.toMatchObject({ code: 'CLOSED' })
    expect([a.size, a.members().length, a.member('n1')?.name, a.snapshot().status]).toEqual([2, 2, 'n1', 'stopped'])
    expect([a.history().length, a.entries('n1').size, a.rtt('n1').source]).toEqual([1, 0, 'default'])
  })

  it('answers the requests of others with CLOSED after stop', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(2)) as [Cluster, Cluster]
    await a.stop()
    const refused = await lab.clock.run(b.join(['n0:1']).catch((error: unknown) => error as HsError))
    expect(refused).toMatchObject({ code: 'JOIN_FAILED', cause: { remoteCode: 'CLOSED' } })
    await lab.stop()
  })

  it('stop ends what is waited for', async () => {
    const lab = new Lab()
    const [a] = (await lab.together(2)) as [Cluster]
    lab.passes = () => false
    const ping = a.ping('n1').catch((error: unknown) => error)
    await a.stop()
    expect(await ping).toMatchObject({ code: 'CLOSED' })
    await lab.stop()
  })

  it('leave tells the others, who do not miss it, and then stops', async () => {
    const lab = new Lab()
    const [a, b, c] = (await lab.together(3)) as [Cluster, Cluster, Cluster]
    const seen = [a, c].map(watch)
    b.setMeta({ version: '2' })
    await lab.clock.run(b.leave())
    expect(b.status).toBe('stopped')
    await lab.run(60_000)
    for (const events of seen) {
      expect(events.filter(([event]) => event !== 'memberUpdated')).toEqual([['memberLeft', 'n1']])
    }
    expect(a.member('n1')?.status).toBe('left')
    expect([a.size, c.size]).toEqual([2, 2])
    await lab.stop()
  })

  it('who leaves stays gone, although its metadata is replaced meanwhile (SWIM-34)', async () => {
    const lab = new Lab()
    const [a, b, c] = (await lab.together(3)) as [Cluster, Cluster, Cluster]
    const seen = [a, c].map(watch)
    const left = b.leave()
    b.setMeta({ state: 'draining' })
    const from = lab.clock.now()
    await lab.clock.run(left)
    expect(lab.clock.now() - from).toBeLessThan(5_000)
    expect(b.local.meta).toEqual({ state: 'draining' })
    await lab.run(60_000)
    for (const events of seen) expect(events).toEqual([['memberLeft', 'n1']])
    await lab.stop()
  })

  it('a leave that is refused has done nothing, and a later one leaves', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(2)) as [Cluster, Cluster]
    await expect(b.leave({ timeoutMs: -1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(b.status).toBe('running')
    await lab.clock.run(Promise.all([b.leave(), b.leave()]))
    await b.leave()
    await lab.run(1_000)
    expect([a.member('n1')?.status, b.status]).toEqual(['left', 'stopped'])
    await lab.stop()
  })

  it('leave is at once when alone, and ends after its timeout when nobody hears', async () => {
    const lab = new Lab()
    const alone = await lab.start('alone')
    await alone.leave()
    expect(alone.status).toBe('stopped')
    const [a] = (await lab.together(2, { gossipIntervalMs: 60_000, probeIntervalMs: 3_600_000 })) as [Cluster]
    const from = lab.clock.now()
    await lab.clock.run(a.leave({ timeoutMs: 1_000 }))
    expect(lab.clock.now() - from).toBeGreaterThanOrEqual(1_000)
    expect(lab.clock.now() - from).toBeLessThan(1_100)
    await lab.stop()
  })

  it('who left may come back', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(2)) as [Cluster, Cluster]
    await lab.clock.run(b.leave())
    await lab.crash(b)
    const seen = watch(a)
    await lab.start('n1', { seeds: ['n0:1'] })
    await lab.until(() => a.size === 2)
    expect(seen).toContainEqual(['memberJoined', 'n1'])
    await lab.stop()
  })

  it('is async-disposable', async () => {
    const lab = new Lab()
    const a = await lab.start('a')
    await a[Symbol.asyncDispose]()
    expect([a.status, lab.clock.pendingTimers]).toEqual(['stopped', 0])
  })
})

describe('Options of a cluster', () => {
  const lab = new Lab()
  let n = 0
  const make = (options: Partial<ClusterOptions>) => {
    const address = `option${n++}:1`
    const handlers = { datagram: 0, rpc: 0 }
    const datagram = { ...lab.datagram(address), onMessage: () => void handlers.datagram++ }
    const rpc = { ...lab.rpc(address), handle: () => void handlers.rpc++ }
    try {
      new Cluster({ name: 'a', clock: new VirtualClock(), datagram, rpc, ...options })
      return { issues: undefined, handlers }
    } catch (error) {
      return { issues: (error as ConfigError).issues?.map(({ path }) => path), handlers }
    }
  }

  it.each<[string, Partial<ClusterOptions>]>([
    ['name', { name: '-a' }],
    ['name', { name: 'a'.repeat(101) }],
    ['probeTimeoutMs', { probeTimeoutMs: 1_000 }],
    ['probeIntervalMs', { probeIntervalMs: 0 }],
    ['suspicionMaxMultiplier', { suspicionMaxMultiplier: 0.5 }],
    ['maxPacketBytes', { maxPacketBytes: 70_000 }],
    ['maxPacketBytes', { maxPacketBytes: 100 }],
    ['maxMembers', { maxMembers: 0 }],
    ['meta', { meta: { blob: 'x'.repeat(513) } }],
    ['maxPacketBytes', { maxPacketBytes: 512, meta: { blob: 'x'.repeat(500) } }],
    ['role', { role: 'r'.repeat(33) }],
    ['roles.worker.suspicionMultiplier', { roles: { worker: { suspicionMultiplier: 0 } } }],
    ['seeds.0', { seeds: ['a b'] }],
    ['datagram', { datagram: {} as never }],
    ['nosuch', { nosuch: 1 } as never],
  ])('%s is refused before anything is done', (path, options) => {
    const { issues, handlers } = make(options)
    expect(issues).toEqual([path])
    expect(handlers).toEqual({ datagram: 0, rpc: 0 })
  })

  it('a transport with smaller messages sets the size of packets', () => {
    const small = { ...lab.datagram('small:1'), maxMessageBytes: 1_200 }
    expect(make({ datagram: small }).issues).toBeUndefined()
    expect(make({ datagram: small, maxPacketBytes: 1_201 }).issues).toEqual(['maxPacketBytes'])
    expect(make({ datagram: { ...small, maxMessageBytes: 100 } }).issues).toEqual(['maxPacketBytes'])
  })

  it('sends nothing and sets no handler before start', () => {
    expect(make({}).handlers).toEqual({ datagram: 0, rpc: 0 })
  })
})
