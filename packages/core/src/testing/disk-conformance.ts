/** The contract of a `Disk` that does not fail: run it for every implementation. Each `create` is an empty folder. */

import type { Disk } from '../disk.js'
import {
  casesOf,
  expectBytes,
  expectCode,
  expectEqual,
  expectTrue,
  sample,
  type ConformanceCase,
  type Fixture,
  type Scene,
} from './conformance.js'

type Disks = Scene<Disk>

export function diskConformance(make: () => Promise<Fixture<Disk>>): ConformanceCase[] {
  return casesOf(make, {
    'reads back what was written, at once and after opening it again': readsBack,
    'opens a missing file only with create, else ENOENT': opensMissing,
    'keeps the content of a file that is opened with create': createKeeps,
    'reads short at the end and nothing beyond it': readsShort,
    'fills the gap before a write beyond the end with zeros': fillsGap,
    'overwrites in place': overwrites,
    'lets the caller reuse the bytes of a write that is done, and keep those of a read': copies,
    'truncates to a shorter and to a longer size, with zeros': truncates,
    'shows a write to every open file of that name': sharesContent,
    'lists all names in order': lists,
    'lists nothing of its lock': hidesLock,
    'renames and replaces what is there': renames,
    'renames no file that is missing: ENOENT': renamesMissing,
    'keeps an open file through its renaming and removal': survivesRename,
    'removes a file, and one that is absent': removes,
    'refuses names that are not plain: INVALID_ARGUMENT': refusesNames,
    'takes every plain name': takesNames,
    'refuses offsets and sizes that are none: INVALID_ARGUMENT': refusesOffsets,
    'refuses a file that was closed, which may be closed twice: CLOSED': refusesClosed,
    'has one owner: DISK_LOCKED until it is released': locks,
    'syncs files and the folder': syncs,
  })
}

async function readsBack(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  const file = await scene.done(disk.open('a', { create: true }))
  expectEqual('size of a new file', await scene.done(file.size()), 0)
  await scene.done(file.write(0, sample(1_000)))
  expectEqual('size', await scene.done(file.size()), 1_000)
  expectBytes('content', await scene.done(file.read(0, 1_000)), sample(1_000))
  expectBytes('a part', await scene.done(file.read(100, 50)), sample(1_000).slice(100, 150))
  await scene.done(file.close())
  const again = await scene.done(disk.open('a'))
  expectBytes('content after opening again', await scene.done(again.read(0, 1_000)), sample(1_000))
  await scene.done(again.close())
}

async function opensMissing(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  expectCode('open', await scene.failure('open', disk.open('a')), 'ENOENT')
  expectCode('open', await scene.failure('open', disk.open('a', { create: false })), 'ENOENT')
  expectEqual('files', String(await scene.done(disk.list())), '')
}

async function createKeeps(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  await write(scene, disk, 'a', sample(10))
  expectBytes('content', await read(scene, disk, 'a', { create: true }), sample(10))
}

async function readsShort(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  const file = await scene.done(disk.open('a', { create: true }))
  await scene.done(file.write(0, sample(10)))
  expectBytes('over the end', await scene.done(file.read(6, 100)), sample(10).slice(6))
  expectBytes('at the end', await scene.done(file.read(10, 5)), new Uint8Array(0))
  expectBytes('beyond the end', await scene.done(file.read(1_000, 5)), new Uint8Array(0))
  expectBytes('no bytes', await scene.done(file.read(3, 0)), new Uint8Array(0))
  await scene.done(file.close())
}

async function fillsGap(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  const file = await scene.done(disk.open('a', { create: true }))
  await scene.done(file.write(0, sample(10)))
  await scene.done(file.write(5_000, sample(3)))
  const expected = new Uint8Array(5_003)
  expected.set(sample(10))
  expected.set(sample(3), 5_000)
  expectBytes('content', await scene.done(file.read(0, 6_000)), expected)
  await scene.done(file.close())
}

async function overwrites(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  const file = await scene.done(disk.open('a', { create: true }))
  await scene.done(file.write(0, sample(10)))
  await scene.done(file.write(4, Uint8Array.of(1, 2, 3)))
  const expected = sample(10)
  expected.set([1, 2, 3], 4)
  expectBytes('content', await scene.done(file.read(0, 20)), expected)
  await scene.done(file.close())
}

async function copies(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  const file = await scene.done(disk.open('a', { create: true }))
  const reused = sample(10)
  await scene.done(file.write(0, reused))
  reused.fill(0)
  const kept = await scene.done(file.read(0, 10))
  expectBytes('content', kept, sample(10))
  await scene.done(file.write(0, sample(10, 1)))
  expectBytes('what was read before', kept, sample(10))
  kept.fill(0)
  expectBytes('content after writing into what was read', await scene.done(file.read(0, 10)), sample(10, 1))
  await scene.done(file.close())
}

async function truncates(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  const file = await scene.done(disk.open('a', { create: true }))
  await scene.done(file.write(0, sample(10)))
  await scene.done(file.truncate(4))
  expectBytes('shorter', await scene.done(file.read(0, 20)), sample(10).slice(0, 4))
  await scene.done(file.truncate(8))
  const expected = new Uint8Array(8)
  expected.set(sample(10).slice(0, 4))
  expectBytes('longer', await scene.done(file.read(0, 20)), expected)
  await scene.done(file.truncate(0))
  expectEqual('size', await scene.done(file.size()), 0)
  await scene.done(file.close())
}

async function sharesContent(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  const one = await scene.done(disk.open('a', { create: true }))
  const two = await scene.done(disk.open('a'))
  await scene.done(one.write(0, sample(10)))
  expectBytes('content', await scene.done(two.read(0, 10)), sample(10))
  await scene.done(one.close())
  expectBytes('content after the other was closed', await scene.done(two.read(0, 10)), sample(10))
  await scene.done(two.close())
}

async function lists(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  const names = ['b', 'a10', 'a2', 'Z', '_x', 'a.log', '0']
  for (const name of names) await write(scene, disk, name, sample(1))
  expectEqual('files', String(await scene.done(disk.list())), String([...names].sort()))
}

async function hidesLock(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  await write(scene, disk, 'a', sample(1))
  const release = await scene.done(disk.lock())
  expectEqual('files while locked', String(await scene.done(disk.list())), 'a')
  await scene.done(release())
  expectEqual('files after that', String(await scene.done(disk.list())), 'a')
}

async function renames(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  await write(scene, disk, 'new', sample(10, 1))
  await scene.done(disk.rename('new', 'b'))
  expectEqual('files', String(await scene.done(disk.list())), 'b')
  await write(scene, disk, 'newer', sample(5, 2))
  await scene.done(disk.rename('newer', 'b'))
  expectEqual('files', String(await scene.done(disk.list())), 'b')
  expectBytes('content', await read(scene, disk, 'b'), sample(5, 2))
}

async function renamesMissing(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  await write(scene, disk, 'b', sample(3))
  expectCode('rename', await scene.failure('rename', disk.rename('a', 'b')), 'ENOENT')
  expectBytes('what is there', await read(scene, disk, 'b'), sample(3))
}

async function survivesRename(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  const file = await scene.done(disk.open('a', { create: true }))
  await scene.done(disk.rename('a', 'b'))
  await scene.done(file.write(0, sample(4)))
  expectBytes('content under the new name', await read(scene, disk, 'b'), sample(4))
  await scene.done(disk.remove('b'))
  expectEqual('files', String(await scene.done(disk.list())), '')
  expectBytes('content of the open file', await scene.done(file.read(0, 4)), sample(4))
  await scene.done(file.close())
}

async function removes(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  await write(scene, disk, 'a', sample(4))
  await scene.done(disk.remove('a'))
  await scene.done(disk.remove('a'))
  expectEqual('files', String(await scene.done(disk.list())), '')
  expectCode('open', await scene.failure('open', disk.open('a')), 'ENOENT')
}

async function refusesNames(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  await write(scene, disk, 'ok', sample(1))
  for (const name of ['', '.', '..', '.a', '-a', 'a/b', '../a', 'a\\b', 'a b', 'ä', 'a\n', 'a\0', 'x'.repeat(201)]) {
    const what = `the name ${JSON.stringify(name)}`
    for (const [call, run] of [
      ['open', () => disk.open(name, { create: true })],
      ['rename from', () => disk.rename(name, 'a')],
      ['rename to', () => disk.rename('ok', name)],
      ['remove', () => disk.remove(name)],
    ] as const)
      expectCode(`${call} with ${what}`, await scene.failure(`${call} with ${what}`, run()), 'INVALID_ARGUMENT')
  }
  expectEqual('files', String(await scene.done(disk.list())), 'ok')
}

async function takesNames(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  for (const name of ['0', '_', 'a.b-c_D', 'x'.repeat(200)]) {
    await write(scene, disk, name, sample(2))
    expectBytes(name, await read(scene, disk, name), sample(2))
  }
}

async function refusesOffsets(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  const file = await scene.done(disk.open('a', { create: true }))
  await scene.done(file.write(0, sample(4)))
  for (const bad of [-1, 0.5, NaN, Infinity]) {
    for (const [call, run] of [
      ['read at', () => file.read(bad, 1)],
      ['read of', () => file.read(0, bad)],
      ['write at', () => file.write(bad, sample(1))],
      ['truncate to', () => file.truncate(bad)],
    ] as const)
      expectCode(`${call} ${bad}`, await scene.failure(`${call} ${bad}`, run()), 'INVALID_ARGUMENT')
  }
  expectBytes('content', await scene.done(file.read(0, 10)), sample(4))
  await scene.done(file.close())
}

async function refusesClosed(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  const file = await scene.done(disk.open('a', { create: true }))
  await scene.done(file.close())
  await scene.done(file.close())
  for (const [call, run] of [
    ['size', () => file.size()],
    ['read', () => file.read(0, 1)],
    ['write', () => file.write(0, sample(1))],
    ['sync', () => file.sync()],
    ['truncate', () => file.truncate(0)],
  ] as const)
    expectCode(call, await scene.failure(call, run()), 'CLOSED')
}

async function locks(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  const release = await scene.done(disk.lock())
  const error = expectCode('a second lock', await scene.failure('a second lock', disk.lock()), 'DISK_LOCKED')
  expectTrue('the error must say something', error.message.length > 0)
  await scene.done(release())
  const again = await scene.done(disk.lock())
  await scene.done(release())
  expectCode(
    'a lock after the first owner released twice',
    await scene.failure('a second lock', disk.lock()),
    'DISK_LOCKED',
  )
  await scene.done(again())
}

async function syncs(scene: Disks): Promise<void> {
  const disk = await scene.create('disk')
  const file = await scene.done(disk.open('a', { create: true }))
  await scene.done(file.write(0, sample(100)))
  expectEqual('what sync resolves with', await scene.done(file.sync()), undefined)
  expectEqual('what syncDirectory resolves with', await scene.done(disk.syncDirectory()), undefined)
  expectBytes('content', await scene.done(file.read(0, 100)), sample(100))
  await scene.done(file.close())
}

async function write(scene: Disks, disk: Disk, name: string, bytes: Uint8Array): Promise<void> {
  const file = await scene.done(disk.open(name, { create: true }))
  await scene.done(file.truncate(0))
  await scene.done(file.write(0, bytes))
  await scene.done(file.close())
}

async function read(scene: Disks, disk: Disk, name: string, options?: { create: boolean }): Promise<Uint8Array> {
  const file = await scene.done(disk.open(name, options))
  const bytes = await scene.done(file.read(0, 100_000))
  await scene.done(file.close())
  return bytes
}
