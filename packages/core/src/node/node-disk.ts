/**
 * A folder of the file system. Short reads and writes are completed, `sync` is `fdatasync`, files are for their owner
 * only (0600), and `lock` keeps other processes out.
 */

import { mkdir, open, readdir, rename, unlink, type FileHandle } from 'node:fs/promises'
import { constants } from 'node:fs'
import { join, resolve } from 'node:path'
import { checkBytes } from '../arguments.js'
import type { Disk, DiskFile, DiskOpenOptions } from '../disk.js'
import { checkDiskCount, checkDiskName, isDiskName, missingFile } from '../disk-arguments.js'
import { ClosedError, HsError } from '../errors.js'
import { lockFolder } from './folder-lock.js'

/** Begins with a dot, so that it is no name of a file and `list` does not show it. */
const LOCK_NAME = '.lock'
/** A read that asks for more is first cut to the size of the file, so that no buffer is made for what is not there. */
const LARGE_READ = 1_048_576

/** The files of one folder of the file system. Made by `NodeDisk.open`. */
export class NodeDisk implements Disk {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** Creates the folder, and those above it, if it is missing. Rejects with the error of the file system. */
  static async open(folder: string): Promise<NodeDisk> {
    if (typeof folder !== 'string' || folder === '')
      throw new HsError('INVALID_ARGUMENT', `NodeDisk.open: expected the path of a folder, found ${String(folder)}`)
    const path = resolve(folder)
    await mkdir(path, { recursive: true })
    return new NodeDisk(path)
  }

  async open(name: string, options: DiskOpenOptions = {}): Promise<DiskFile> {
    const path = this.#pathOf(name)
    const flags = constants.O_RDWR | (options.create === true ? constants.O_CREAT : 0)
    return new NodeFile(name, await orMissing(name, open(path, flags, 0o600)))
  }

  async list(): Promise<string[]> {
    const entries = await readdir(this.#folder, { withFileTypes: true })
    return entries
      .filter((entry) => entry.isFile() && isDiskName(entry.name))
      .map((entry) => entry.name)
      .sort()
  }

  async rename(from: string, to: string): Promise<void> {
    const fromPath = this.#pathOf(from)
    await orMissing(from, rename(fromPath, this.#pathOf(to)))
  }

  async remove(name: string): Promise<void> {
    try {
      await unlink(this.#pathOf(name))
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }

  async syncDirectory(): Promise<void> {
    // Windows keeps folders by itself and does not let them be opened.
    if (process.platform === 'win32') return
    const folder = await open(this.#folder, constants.O_RDONLY)
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  }

  /**
   * Takes the folder for this process; a second lock, be it of the same process, is refused until the result is called.
   * A lock whose process no longer lives is taken over.
   * @throws HsError `'DISK_LOCKED'`, with the owner's `pid` in its message and `details`
   */
  lock(): Promise<() => Promise<void>> {
    return lockFolder(join(this.#folder, LOCK_NAME))
  }

  #pathOf(name: string): string {
    checkDiskName(name)
    return join(this.#folder, name)
  }
}

class NodeFile implements DiskFile {
  readonly #name: string
  readonly #handle: FileHandle
  #closing: Promise<void> | undefined

  constructor(name: string, handle: FileHandle) {
    this.#name = name
    this.#handle = handle
  }

  async size(): Promise<number> {
    return (await this.#open().stat()).size
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkDiskCount('offset', offset)
    checkDiskCount('length', length)
    const handle = this.#open()
    const wanted = length > LARGE_READ ? Math.min(length, Math.max(0, (await this.size()) - offset)) : length
    const bytes = new Uint8Array(wanted)
    let done = 0
    while (done < wanted) {
      const { bytesRead } = await handle.read(bytes, done, wanted - done, offset + done)
      if (bytesRead === 0) return bytes.slice(0, done)
      done += bytesRead
    }
    return bytes
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    checkDiskCount('offset', offset)
    checkBytes('write', bytes)
    const handle = this.#open()
    let done = 0
    while (done < bytes.length) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, offset + done)
      if (bytesWritten === 0) throw new HsError('DISK_IO', `Nothing more could be written to ${this.#name}`)
      done += bytesWritten
    }
  }

  async sync(): Promise<void> {
    await this.#open().datasync()
  }

  async truncate(size: number): Promise<void> {
    checkDiskCount('size', size)
    await this.#open().truncate(size)
  }

  async close(): Promise<void> {
    this.#closing ??= this.#handle.close()
    await this.#closing
  }

  #open(): FileHandle {
    if (this.#closing !== undefined) throw new ClosedError(`The file ${this.#name}`)
    return this.#handle
  }
}

async function orMissing<T>(name: string, call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    throw isMissing(error) ? missingFile(name, error) : error
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT'
}
