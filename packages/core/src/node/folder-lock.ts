/**
 * One owner for a folder, across processes. The lock is a file that names its owner's process id and, where the system
 * tells it, the process's start time, so that a reused id is not taken for the owner. It is made in one step with its
 * content (a link to a finished file), so nobody ever reads half of it.
 *
 * An owner that was killed leaves its lock behind. Only whoever holds the right to take over, itself such a lock, may
 * remove it: of two that find it at once, none can remove the lock that the other has made since.
 */

import { link, open, readFile, unlink } from 'node:fs/promises'
import { threadId } from 'node:worker_threads'
import { HsError } from '../errors.js'

export interface LockOwner {
  readonly pid: number
  /** Boot and start time of the process; absent where the system does not tell. */
  readonly started?: string
}

/** A right to take over the right to take over …: each level means that one more process was killed just there. */
const MAX_DEPTH = 8

let locks = 0

/**
 * Takes the lock at `path`; the result releases it.
 * @throws HsError `'DISK_LOCKED'` with `details.pid` while its owner lives
 */
export async function lockFolder(path: string): Promise<() => Promise<void>> {
  // Unlike any other lock of this process, in other threads too.
  const id = `${process.pid}.${threadId}.${locks++}`
  const content = JSON.stringify({ ...(await ownerFor(process.pid)), id })
  const temporary = `${path}.${id}`
  await writeNew(temporary, content)
  try {
    await acquire(path, temporary, 0)
  } finally {
    await removeFile(temporary)
  }
  let held = true
  return async () => {
    if (!held) return
    held = false
    // Somebody who thought it stale may have deleted it by hand, and another may have taken it since.
    if ((await readText(path)) === content) await removeFile(path)
  }
}

/** Links `path` to the finished file `temporary`, as soon as no living process has it. */
async function acquire(path: string, temporary: string, depth: number): Promise<void> {
  while (!(await linkIfAbsent(temporary, path))) {
    const owner = await readOwner(path)
    if (owner === 'gone') continue
    if (owner === 'unknown' || depth > MAX_DEPTH || (await isAlive(owner))) throw lockedBy(path, owner)
    await removeDead(path, temporary, depth)
  }
}

async function removeDead(path: string, temporary: string, depth: number): Promise<void> {
  const right = `${path}~`
  await acquire(right, temporary, depth + 1)
  try {
    // Looked at again: before the right was ours, another may have taken over.
    const owner = await readOwner(path)
    if (typeof owner === 'object' && !(await isAlive(owner))) await removeFile(path)
  } finally {
    await removeFile(right)
  }
}

async function linkIfAbsent(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

async function writeNew(path: string, content: string): Promise<void> {
  // Of a killed process that had our id: nobody else uses the name.
  await removeFile(path)
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(content)
    await file.datasync()
  } finally {
    await file.close()
  }
}

async function readOwner(path: string): Promise<LockOwner | 'gone' | 'unknown'> {
  const text = await readText(path)
  if (text === undefined) return 'gone'
  try {
    const owner = JSON.parse(text) as Partial<LockOwner> | null
    return Number.isSafeInteger(owner?.pid) ? (owner as LockOwner) : 'unknown'
  } catch {
    return 'unknown'
  }
}

/** Undefined if there is no such file. */
async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function isAlive(owner: LockOwner): Promise<boolean> {
  try {
    process.kill(owner.pid, 0)
  } catch (error) {
    // EPERM: it lives, and belongs to someone else.
    if (codeOf(error) !== 'EPERM') return false
  }
  if (owner.started === undefined) return true
  const { started } = await ownerFor(owner.pid)
  // What the system no longer tells is no proof of death, unless it tells that of this very process.
  if (started === undefined) return (await ownerFor(process.pid)).started === undefined
  return started === owner.started
}

/** The process that has this id now. On Linux field 22 of /proc/<pid>/stat is its start in ticks since boot. */
async function ownerFor(pid: number): Promise<LockOwner> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The second field is the name, in brackets, and may hold spaces and brackets itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state] = fields
    const ticks = fields[19]
    if (ticks === undefined || state === 'Z' || state === 'X') return { pid }
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
    return { pid, started: `${boot.trim()}/${ticks}` }
  } catch {
    // No such process, or a system without /proc.
    return { pid }
  }
}

function lockedBy(path: string, owner: LockOwner | 'unknown'): HsError {
  if (owner === 'unknown') {
    return new HsError('DISK_LOCKED', `${path} exists and names no process: delete it if nobody uses the folder`, {
      details: { path },
    })
  }
  return new HsError('DISK_LOCKED', `The folder is locked by process ${owner.pid} (${path})`, {
    details: { path, pid: owner.pid },
  })
}

/** An absent one is fine. */
async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
}
