import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NodeDisk } from '@hs/core/node'
import { diskConformance } from '@hs/core/testing'

let folder: string
const children: ChildProcess[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hs-disk-'))
})

afterEach(async () => {
  for (const child of children.splice(0))
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

describe('NodeDisk keeps the disk contract (CORE-36)', () => {
  for (const { name, run } of diskConformance(async () => {
    const root = await mkdtemp(join(tmpdir(), 'hs-disk-'))
    return {
      create: (disk) => NodeDisk.open(join(root, disk)),
      settle: () => new Promise((resolve) => setImmediate(resolve)),
      close: () => rm(root, { recursive: true, force: true }),
    }
  }))
    it(name, run)
})

describe('NodeDisk on the file system (CORE-36)', () => {
  it('creates its folder with those above it, and takes one that is there', async () => {
    const deep = join(folder, 'a', 'b')
    await NodeDisk.open(deep)
    const again = await NodeDisk.open(deep)
    expect(await again.list()).toEqual([])
  })

  it('rejects where a file is in the way, and for no path at all', async () => {
    await writeFile(join(folder, 'file'), '')
    await expect(NodeDisk.open(join(folder, 'file'))).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(NodeDisk.open('')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  it('makes files that only their owner may read and write', async () => {
    const disk = await NodeDisk.open(folder)
    const file = await disk.open('a', { create: true })
    await file.close()
    expect((await stat(join(folder, 'a'))).mode & 0o777).toBe(0o600)
    const release = await disk.lock()
    expect((await stat(join(folder, '.lock'))).mode & 0o777).toBe(0o600)
    await release()
  })

  it('lists neither folders nor names that are not its own', async () => {
    const disk = await NodeDisk.open(folder)
    await mkdir(join(folder, 'sub'))
    await writeFile(join(folder, '.hidden'), '')
    await writeFile(join(folder, 'not a name'), '')
    await writeFile(join(folder, 'a'), '')
    await symlink('a', join(folder, 'link'))
    expect(await disk.list()).toEqual(['a'])
  })

  it('makes no buffer for what is not there', async () => {
    const disk = await NodeDisk.open(folder)
    const file = await disk.open('a', { create: true })
    await file.write(0, Uint8Array.of(1, 2, 3))
    expect(await file.read(1, 2 ** 40)).toEqual(Uint8Array.of(2, 3))
    expect(await file.read(10, 2 ** 40)).toEqual(new Uint8Array(0))
    await file.close()
  })

  it('stays in its folder when the process changes its own', async () => {
    const before = process.cwd
    process.cwd = () => folder
    const disk = await NodeDisk.open('relative').finally(() => {
      process.cwd = before
    })
    await (await disk.open('a', { create: true })).close()
    expect(await readdir(join(folder, 'relative'))).toEqual(['a'])
  })

  it('passes on what the file system says', async () => {
    const disk = await NodeDisk.open(folder)
    await mkdir(join(folder, 'sub'))
    await expect(disk.open('sub')).rejects.toMatchObject({ code: 'EISDIR' })
    await expect(disk.remove('sub')).rejects.toThrow()
    await rm(folder, { recursive: true })
    await expect(disk.list()).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(disk.syncDirectory()).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(disk.lock()).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('the lock of NodeDisk among processes (CORE-36)', () => {
  it('names the process that owns it, and is free when that has released it', async () => {
    const disk = await NodeDisk.open(folder)
    const owner = await startOwner()
    expect(owner.said).toBe('locked')
    await expect(disk.lock()).rejects.toMatchObject({
      code: 'DISK_LOCKED',
      message: expect.stringContaining(String(owner.child.pid)) as string,
      details: { pid: owner.child.pid },
    })
    owner.child.stdin?.end()
    await once(owner.child, 'exit')
    const release = await disk.lock()
    await release()
  })

  it('is taken over from a process that was killed', async () => {
    const disk = await NodeDisk.open(folder)
    const owner = await startOwner()
    expect(owner.said).toBe('locked')
    await kill(owner.child)
    const release = await disk.lock()
    await expect(disk.lock()).rejects.toMatchObject({ code: 'DISK_LOCKED', details: { pid: process.pid } })
    await release()
    expect(await readdir(folder)).toEqual([])
  })

  it('goes to one of several processes that find a dead owner at once', async () => {
    const first = await startOwner()
    expect(first.said).toBe('locked')
    await kill(first.child)
    const said = (await Promise.all([startOwner(), startOwner(), startOwner()])).map((owner) => owner.said).sort()
    expect(said).toEqual(['DISK_LOCKED', 'DISK_LOCKED', 'locked'])
  })

  it('goes to one of many that find a dead owner at once, again and again', async () => {
    const dead = JSON.stringify({ pid: await deadPid() })
    for (let round = 0; round < 20; round++) {
      await writeFile(join(folder, '.lock'), dead)
      const disks = await Promise.all(Array.from({ length: 8 }, () => NodeDisk.open(folder)))
      const outcomes = await Promise.allSettled(disks.map((disk) => disk.lock()))
      const won = outcomes.filter((outcome) => outcome.status === 'fulfilled')
      expect(won.length).toBe(1)
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'DISK_LOCKED' })
      await won[0]?.value()
      expect(await readdir(folder)).toEqual([])
    }
  })

  it('takes over from a process id that another process has now', async () => {
    const disk = await NodeDisk.open(folder)
    const release = await disk.lock()
    const mine = JSON.parse(await readFile(join(folder, '.lock'), 'utf8')) as { pid: number; started: string }
    await release()
    expect(mine.pid).toBe(process.pid)
    expect(mine.started).toMatch(/^[0-9a-f-]{36}\/\d+$/)

    await writeFile(join(folder, '.lock'), JSON.stringify({ ...mine, started: `${mine.started}0` }))
    await (
      await disk.lock()
    )()
    await writeFile(join(folder, '.lock'), JSON.stringify(mine))
    await expect(disk.lock()).rejects.toMatchObject({ code: 'DISK_LOCKED' })
    // Where the system did not tell the start, the id alone must do.
    await writeFile(join(folder, '.lock'), JSON.stringify({ pid: process.pid }))
    await expect(disk.lock()).rejects.toMatchObject({ code: 'DISK_LOCKED' })
  })

  it('takes over from a killed process that its parent has not noticed', async () => {
    // The shell becomes a `sleep`, which never asks for its child.
    const parent = spawn('sh', ['-c', 'sleep 1000 & echo $!; exec sleep 1000'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(parent)
    const pid = Number(await firstLine(parent))
    const started = await startOf(pid)
    await writeFile(join(folder, '.lock'), JSON.stringify({ pid, started }))
    const disk = await NodeDisk.open(folder)
    await expect(disk.lock()).rejects.toMatchObject({ code: 'DISK_LOCKED', details: { pid } })
    process.kill(pid, 'SIGKILL')
    while ((await startOf(pid)) !== undefined) await new Promise((resolve) => setImmediate(resolve))
    await (
      await disk.lock()
    )()
  })

  it('is taken over although a process was killed while it took it over', async () => {
    const dead = JSON.stringify({ pid: await deadPid() })
    await writeFile(join(folder, '.lock'), dead)
    await writeFile(join(folder, '.lock~'), dead)
    await writeFile(join(folder, '.lock~~'), dead)
    const disk = await NodeDisk.open(folder)
    const release = await disk.lock()
    await release()
    expect(await readdir(folder)).toEqual([])
  })

  it('is not taken from a lock that names no process', async () => {
    const disk = await NodeDisk.open(folder)
    for (const text of ['', 'nonsense', 'null', '{"pid":"1"}']) {
      await writeFile(join(folder, '.lock'), text)
      await expect(disk.lock()).rejects.toMatchObject({ code: 'DISK_LOCKED' })
    }
  })

  it('releases nothing that another took after it was deleted by hand', async () => {
    const one = await NodeDisk.open(folder)
    const two = await NodeDisk.open(folder)
    const release = await one.lock()
    await rm(join(folder, '.lock'))
    const other = await two.lock()
    await release()
    await expect(one.lock()).rejects.toMatchObject({ code: 'DISK_LOCKED' })
    await other()
  })
})

async function startOwner(): Promise<{ child: ChildProcess; said: string }> {
  const script = fileURLToPath(new URL('node-disk-owner.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', script, folder], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  return { child, said: await firstLine(child) }
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the child has no stdout')
  for await (const line of createInterface(child.stdout)) return line
  throw new Error('the child said nothing')
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** The id of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  return child.pid ?? 0
}

async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
  return fields[0] === 'Z' ? undefined : `${boot}/${fields[19]}`
}
