import { describe, expect, it } from 'vitest'
import { diskConformance, SeededRandom, VirtualClock } from '@hs/core/testing'
import type { Disk, DiskFile } from '@hs/core'
import { SimDisk } from '@hs/sim'

const bytes = (...values: number[]) => Uint8Array.from(values)

/** A disk on a clock that runs as long as an operation takes. */
function world(options: ConstructorParameters<typeof SimDisk>[0] = {}) {
  const clock = new VirtualClock()
  const sim = new SimDisk({ random: new SeededRandom(1), ...options })
  return { clock, sim, run: <T>(promise: Promise<T>) => clock.run(promise) }
}

async function create(run: <T>(promise: Promise<T>) => Promise<T>, disk: Disk, name = 'a'): Promise<DiskFile> {
  const file = await run(disk.open(name, { create: true }))
  await run(disk.syncDirectory())
  return file
}

async function content(run: <T>(promise: Promise<T>) => Promise<T>, disk: Disk, name = 'a'): Promise<number[]> {
  const file = await run(disk.open(name))
  return [...(await run(file.read(0, 10_000)))]
}

describe('SimDisk keeps the disk contract (CORE-36, SIM-17)', () => {
  for (const latency of [0, 0.1, { kind: 'exponential', minMs: 0.1, meanMs: 5 } as const]) {
    const cases = diskConformance(async () => {
      const clock = new VirtualClock()
      return {
        create: async (name) => new SimDisk({ random: new SeededRandom(name), latency }).mount(clock),
        settle: () => clock.advanceAsync(50),
        close: async () => {},
      }
    })
    for (const { name, run } of cases) it(`${name} (latency ${JSON.stringify(latency)})`, run)
  }
})

describe('SimDisk takes its time (SIM-17)', () => {
  it('takes 0.1 ms for an operation unless told otherwise, on the clock of the mount', async () => {
    const { clock, sim, run } = world()
    const slow = sim.mount(clock.skewed({ driftPpm: -500_000 }))
    await run(slow.list())
    expect(clock.now()).toBeCloseTo(0.2)
  })

  it('draws the latency of every operation', async () => {
    const { clock, sim, run } = world({ latency: { kind: 'uniform', minMs: 1, maxMs: 3 } })
    const disk = sim.mount(clock)
    const took = new Set<number>()
    for (let i = 0; i < 20; i++) {
      const before = clock.now()
      await run(disk.list())
      took.add(clock.now() - before)
    }
    expect(took.size).toBe(20)
    expect(Math.min(...took)).toBeGreaterThanOrEqual(1)
    expect(Math.max(...took)).toBeLessThanOrEqual(3)
  })

  it('shows a write to a reader who asks before it is done', async () => {
    const { clock, sim, run } = world({ latency: 10 })
    const disk = sim.mount(clock)
    const file = await create(run, disk)
    const write = file.write(0, bytes(1, 2))
    const read = file.read(0, 2)
    await run(write)
    expect([...(await run(read))]).toEqual([1, 2])
  })

  it('keeps a change of latency for the operations after it', async () => {
    const { clock, sim, run } = world()
    sim.faults({ latency: 50 })
    await run(sim.mount(clock).list())
    expect(clock.now()).toBe(50)
    sim.faults({})
    await run(sim.mount(clock).list())
    expect(clock.now()).toBeCloseTo(50.1)
  })
})

describe('SimDisk loses only what a crash may take (SIM-17)', () => {
  it('keeps what was synced, under a name that was synced', async () => {
    const { clock, sim, run } = world()
    const file = await create(run, sim.mount(clock))
    await run(file.write(0, bytes(1, 2, 3)))
    await run(file.sync())
    for (let i = 0; i < 50; i++) sim.crash()
    expect(await content(run, sim.mount(clock))).toEqual([1, 2, 3])
  })

  it('may lose a synced file whose creation was not synced', async () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 50; seed++) {
      const { clock, sim, run } = world({ random: new SeededRandom(seed) })
      const file = await run(sim.mount(clock).open('a', { create: true }))
      await run(file.write(0, bytes(1)))
      await run(file.sync())
      sim.crash()
      seen.add(String(await run(sim.mount(clock).list())))
    }
    expect([...seen].sort()).toEqual(['', 'a'])
  })

  it('covers with a sync what was written before it, not what comes while it runs', async () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 50; seed++) {
      const { clock, sim, run } = world({ random: new SeededRandom(seed) })
      const file = await create(run, sim.mount(clock))
      await run(file.write(0, bytes(1)))
      const sync = file.sync()
      await run(Promise.all([sync, file.write(1, bytes(2))]))
      sim.crash()
      seen.add(String(await content(run, sim.mount(clock))))
    }
    expect([...seen].sort()).toEqual(['1', '1,2'])
  })

  it('may lose what a sync that is not done would have covered', async () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 50; seed++) {
      const { clock, sim, run } = world({ random: new SeededRandom(seed) })
      const file = await create(run, sim.mount(clock))
      await run(file.write(0, bytes(1)))
      void file.sync()
      sim.crash()
      seen.add(String(await content(run, sim.mount(clock))))
    }
    expect([...seen].sort()).toEqual(['', '1'])
  })

  it('takes back only from the end what changed in the folder', async () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 200; seed++) {
      const { clock, sim, run } = world({ random: new SeededRandom(seed) })
      const disk = sim.mount(clock)
      await create(run, disk, 'old')
      await run(disk.open('new', { create: true }))
      await run(disk.rename('new', 'old'))
      await run(disk.open('other', { create: true }))
      await run(disk.remove('old'))
      sim.crash()
      seen.add(String(await run(sim.mount(clock).list())))
    }
    expect([...seen].sort()).toEqual(['new,old', 'old', 'old,other', 'other'])
  })

  it('loses nothing at a graceful end, and frees the lock', async () => {
    const { clock, sim, run } = world()
    const disk = sim.mount(clock)
    const file = await run(disk.open('a', { create: true }))
    await run(file.write(0, bytes(1)))
    await run(disk.lock())
    sim.unmount()
    const next = sim.mount(clock)
    expect(await content(run, next)).toEqual([1])
    await run(next.lock())
  })

  it('is empty after wipe', async () => {
    const { clock, sim, run } = world()
    const file = await create(run, sim.mount(clock))
    await run(file.write(0, bytes(1)))
    await run(file.sync())
    sim.crash()
    sim.wipe()
    sim.crash()
    expect(await run(sim.mount(clock).list())).toEqual([])
  })
})

describe('SimDisk and the end of an incarnation (SIM-15, SIM-17)', () => {
  it('never completes an operation that was under way, and ignores what the dead still try', async () => {
    const { clock, sim, run } = world({ latency: 10 })
    const disk = sim.mount(clock)
    const file = await create(run, disk)
    const settled: string[] = []
    const watch = (name: string, promise: Promise<unknown>) =>
      void promise.then(
        () => settled.push(name),
        () => settled.push(name),
      )
    watch('write', file.write(0, bytes(1)))
    watch('missing', disk.open('missing'))
    sim.crash()
    watch('late write', file.write(0, bytes(7)))
    watch('late create', disk.open('b', { create: true }))
    watch('late lock', disk.lock())
    await clock.advanceAsync(1_000)
    expect(settled).toEqual([])
    const next = sim.mount(clock)
    expect(await run(next.list())).toEqual(['a'])
    expect(await content(run, next)).not.toContain(7)
    await run(next.lock())
  })

  it('has one lock for all who mounted it', async () => {
    const { clock, sim, run } = world()
    const release = await run(sim.mount(clock).lock())
    await expect(run(sim.mount(clock).lock())).rejects.toMatchObject({ code: 'DISK_LOCKED' })
    await run(release())
    await run(sim.mount(clock).lock())
  })

  it('frees the lock of the dead, whose release does not touch that of the next', async () => {
    const { clock, sim, run } = world()
    const release = await run(sim.mount(clock).lock())
    sim.crash()
    await run(sim.mount(clock).lock())
    void release()
    await clock.advanceAsync(10)
    await expect(run(sim.mount(clock).lock())).rejects.toMatchObject({ code: 'DISK_LOCKED' })
  })
})

describe('SimDisk fails as told (SIM-17)', () => {
  it('fails reads, writes and truncations with DISK_IO, and such a write changes nothing', async () => {
    const { clock, sim, run } = world()
    const file = await create(run, sim.mount(clock))
    await run(file.write(0, bytes(1)))
    sim.faults({ readErrorRate: 1, writeErrorRate: 1 })
    await expect(run(file.read(0, 1))).rejects.toMatchObject({ code: 'DISK_IO' })
    await expect(run(file.write(0, bytes(2)))).rejects.toMatchObject({ code: 'DISK_IO' })
    await expect(run(file.truncate(0))).rejects.toMatchObject({ code: 'DISK_IO' })
    await run(file.sync())
    sim.faults({})
    expect([...(await run(file.read(0, 9)))]).toEqual([1])
  })

  it('fails a part of the operations where the rate is one', async () => {
    const { clock, sim, run } = world({ readErrorRate: 0.3 })
    const file = await create(run, sim.mount(clock))
    let failures = 0
    for (let i = 0; i < 500; i++) await run(file.read(0, 1).catch(() => failures++))
    expect(failures).toBeGreaterThan(100)
    expect(failures).toBeLessThan(200)
  })

  it('never makes durable what a failed sync covered, though readers see it and a later sync succeeds', async () => {
    for (let seed = 0; seed < 50; seed++) {
      const { clock, sim, run } = world({ random: new SeededRandom(seed) })
      const file = await create(run, sim.mount(clock))
      await run(file.write(0, bytes(1)))
      await run(file.sync())
      await run(file.write(1, bytes(2)))
      sim.faults({ syncErrorRate: 1 })
      await expect(run(file.sync())).rejects.toMatchObject({ code: 'DISK_IO' })
      sim.faults({})
      await run(file.write(2, bytes(3)))
      await run(file.sync())
      expect([...(await run(file.read(0, 9)))]).toEqual([1, 2, 3])
      sim.crash()
      expect(await content(run, sim.mount(clock))).toEqual([1, 0, 3])
    }
  })

  it('is full when its files together would have more bytes than it has: DISK_FULL, and nothing is written', async () => {
    const { clock, sim, run } = world({ capacityBytes: 10 })
    const disk = sim.mount(clock)
    const a = await create(run, disk, 'a')
    const b = await create(run, disk, 'b')
    await run(a.write(0, new Uint8Array(6)))
    await expect(run(b.write(0, new Uint8Array(5)))).rejects.toMatchObject({ code: 'DISK_FULL' })
    await expect(run(b.truncate(5))).rejects.toMatchObject({ code: 'DISK_FULL' })
    expect(await run(b.size())).toBe(0)
    await run(b.write(0, new Uint8Array(4)))
    await run(a.write(0, new Uint8Array(6)))
    await run(disk.remove('a'))
    await run(b.write(4, new Uint8Array(6)))
  })

  it('refuses faults that are none', () => {
    const { sim } = world()
    expect(() => sim.faults({ syncErrorRate: 2 })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
    expect(() => new SimDisk({ latency: { kind: 'uniform', minMs: 2, maxMs: 1 } })).toThrow(/minMs <= maxMs/)
    expect(() => new SimDisk({ capacity: 1 } as never)).toThrow(/capacity/)
  })
})
