import { ConfigError, HsError, type Disk } from '@hs/core'
import { MemoryDisk } from '@hs/core/testing'
import { DiskElectionStore, MemoryElectionStore, type ElectionState } from '@hs/swim'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32 } from '../src/crc32.js'

const corrupt = expect.objectContaining({ code: 'ELECTION_STATE_CORRUPT' }) as HsError
const state: ElectionState = { term: 7, votedFor: 'b', voters: ['a', 'b', 'c'], votersVersion: 2, votersTerm: 6 }

async function bytesOf(disk: MemoryDisk, name: string): Promise<Uint8Array> {
  const file = await disk.open(name)
  return file.read(0, await file.size())
}

async function put(disk: MemoryDisk, name: string, bytes: Uint8Array): Promise<void> {
  const file = await disk.open(name, { create: true })
  await file.truncate(0)
  await file.write(0, bytes)
  await file.close()
}

describe('DiskElectionStore (SWIM-57)', () => {
  it('refuses a name that no file can have, and other options', () => {
    const disk = new MemoryDisk()
    expect(() => new DiskElectionStore(disk, { file: 'a/b' })).toThrow(ConfigError)
    expect(() => new DiskElectionStore(disk, { path: 'x' } as object)).toThrow(ConfigError)
  })

  it('has nothing at first, then what was saved last, across stores', async () => {
    const disk = new MemoryDisk()
    const store = new DiskElectionStore(disk)
    expect(store.durable).toBe(true)
    expect(await store.load()).toBeUndefined()
    await store.save({ term: 1, votedFor: null })
    await store.save(state)
    expect(await new DiskElectionStore(disk).load()).toEqual(state)
    expect(await disk.list()).toEqual(['election.state'])
  })

  it('writes, syncs and renames before it syncs the folder, in this order', async () => {
    const disk = new MemoryDisk()
    const steps: string[] = []
    const watched: Disk = {
      open: async (name, options) => {
        steps.push(`open ${name}`)
        const file = await disk.open(name, options)
        const note =
          <A extends unknown[], R>(step: string, act: (...args: A) => R) =>
          (...args: A): R => {
            steps.push(step)
            return act(...args)
          }
        return {
          size: () => file.size(),
          read: (offset, length) => file.read(offset, length),
          write: note('write', (offset: number, bytes: Uint8Array) => file.write(offset, bytes)),
          sync: note('sync', () => file.sync()),
          truncate: note('truncate', (size: number) => file.truncate(size)),
          close: note('close', () => file.close()),
        }
      },
      list: () => disk.list(),
      rename: (from, to) => {
        steps.push(`rename ${from} ${to}`)
        return disk.rename(from, to)
      },
      remove: (name) => disk.remove(name),
      syncDirectory: () => {
        steps.push('syncDirectory')
        return disk.syncDirectory()
      },
      lock: () => disk.lock(),
    }
    await new DiskElectionStore(watched, { file: 'votes' }).save(state)
    expect(steps).toEqual([
      'open votes.tmp',
      'truncate',
      'write',
      'sync',
      'close',
      'rename votes.tmp votes',
      'syncDirectory',
    ])
  })

  it('refuses a file that is damaged in any byte, or cut anywhere', async () => {
    const disk = new MemoryDisk()
    const store = new DiskElectionStore(disk)
    await store.save(state)
    const good = await bytesOf(disk, 'election.state')
    for (let at = 0; at < good.length; at++) {
      const bad = good.slice()
      bad[at] = (bad[at] ?? 0) ^ 0x10
      await put(disk, 'election.state', bad)
      await expect(store.load()).rejects.toThrow(corrupt)
      await put(disk, 'election.state', good.slice(0, at))
      await expect(store.load()).rejects.toThrow(corrupt)
    }
    await put(disk, 'election.state', good)
    expect(await store.load()).toEqual(state)
  })

  it.each([
    'not json',
    '5',
    '{"term":1}',
    '{"term":1.5,"votedFor":null}',
    '{"term":1,"votedFor":null,"voters":[]}',
    '{"term":1,"votedFor":null,"voters":["a","a"]}',
  ])('refuses %s although its checksum is right', async (text) => {
    const body = new TextEncoder().encode(text)
    const bytes = new Uint8Array(12 + body.length)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, 0x48534531)
    view.setUint32(4, body.length)
    view.setUint32(8, crc32(body))
    bytes.set(body, 12)
    const disk = new MemoryDisk()
    await put(disk, 'election.state', bytes)
    await expect(new DiskElectionStore(disk).load()).rejects.toThrow(corrupt)
  })

  it('refuses a file that is too long to be one', async () => {
    const disk = new MemoryDisk()
    await put(disk, 'election.state', new Uint8Array(70_000))
    await expect(new DiskElectionStore(disk).load()).rejects.toThrow(corrupt)
  })

  it('keeps the state before when a save fails, and passes the error on', async () => {
    const disk = new MemoryDisk()
    const store = new DiskElectionStore(disk)
    await store.save({ term: 1, votedFor: null })
    disk.rename = async () => {
      throw new HsError('EIO', 'no')
    }
    await expect(store.save(state)).rejects.toThrow('no')
    expect(await store.load()).toEqual({ term: 1, votedFor: null })
  })

  it('passes on what the disk throws when it loads', async () => {
    const disk = new MemoryDisk()
    disk.open = async () => {
      throw new HsError('EIO', 'unreadable')
    }
    await expect(new DiskElectionStore(disk).load()).rejects.toThrow('unreadable')
  })

  it('is left by saves at once with the last of them', async () => {
    const disk = new MemoryDisk()
    const store = new DiskElectionStore(disk)
    await Promise.all([1, 2, 3].map((term) => store.save({ term, votedFor: 'a' })))
    expect(await store.load()).toEqual({ term: 3, votedFor: 'a' })
  })
})

describe('MemoryElectionStore', () => {
  it('says that it forgets, and keeps copies', async () => {
    const store = new MemoryElectionStore()
    expect(store.durable).toBe(false)
    expect(await store.load()).toBeUndefined()
    const mine = structuredClone(state)
    await store.save(mine)
    mine.term = 9
    expect(await store.load()).toEqual(state)
  })
})

describe('crc32', () => {
  it('is the one of the check value', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926)
  })

  it('changes with any byte', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 50 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (bytes, at, by) => {
          const other = bytes.slice()
          other[at % other.length] = (other[at % other.length] ?? 0) ^ by
          expect(crc32(other)).not.toBe(crc32(bytes))
        },
      ),
    )
  })
})
