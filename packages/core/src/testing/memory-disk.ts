/**
 * A folder in memory that behaves like one of a POSIX file system that never fails: a write is there at once, an open
 * file survives its renaming and removal. What a crash may take away is the business of `@hs/sim`'s disk.
 */

import { checkBytes } from '../arguments.js'
import type { Disk, DiskFile, DiskOpenOptions } from '../disk.js'
import { checkDiskCount, checkDiskName, missingFile } from '../disk-arguments.js'
import { ClosedError, HsError } from '../errors.js'

/** A folder in memory that never fails. */
export class MemoryDisk implements Disk {
  readonly #files = new Map<string, MemoryContent>()
  #locked = false

  async open(name: string, options: DiskOpenOptions = {}): Promise<DiskFile> {
    checkDiskName(name)
    let content = this.#files.get(name)
    if (content === undefined) {
      if (options.create !== true) throw missingFile(name)
      content = new MemoryContent()
      this.#files.set(name, content)
    }
    return new MemoryFile(name, content)
  }

  async list(): Promise<string[]> {
    return [...this.#files.keys()].sort()
  }

  async rename(from: string, to: string): Promise<void> {
    checkDiskName(from)
    checkDiskName(to)
    const content = this.#files.get(from)
    if (content === undefined) throw missingFile(from)
    this.#files.delete(from)
    this.#files.set(to, content)
  }

  async remove(name: string): Promise<void> {
    checkDiskName(name)
    this.#files.delete(name)
  }

  /** Nothing to do: creations, renames and removals are kept at once. */
  async syncDirectory(): Promise<void> {}

  async lock(): Promise<() => Promise<void>> {
    if (this.#locked) throw new HsError('DISK_LOCKED', 'The folder is locked by another owner in this process')
    this.#locked = true
    let held = true
    return async () => {
      if (held) this.#locked = false
      held = false
    }
  }
}

/** The bytes of a file, whatever its name is now; grows by doubling. */
class MemoryContent {
  size = 0
  #bytes = new Uint8Array(0)

  read(offset: number, length: number): Uint8Array {
    return this.#bytes.slice(Math.min(offset, this.size), Math.min(offset + length, this.size))
  }

  write(offset: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#reserve(offset + bytes.length)
    this.#bytes.set(bytes, offset)
    this.size = Math.max(this.size, offset + bytes.length)
  }

  truncate(size: number): void {
    this.#reserve(size)
    // What is beyond the end must read as zeros when the file grows again.
    if (size < this.size) this.#bytes.fill(0, size, this.size)
    this.size = size
  }

  #reserve(size: number): void {
    if (size <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(size, this.#bytes.length * 2))
    larger.set(this.#bytes.subarray(0, this.size))
    this.#bytes = larger
  }
}

class MemoryFile implements DiskFile {
  readonly #name: string
  readonly #content: MemoryContent
  #closed = false

  constructor(name: string, content: MemoryContent) {
    this.#name = name
    this.#content = content
  }

  async size(): Promise<number> {
    return this.#open().size
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkDiskCount('offset', offset)
    checkDiskCount('length', length)
    return this.#open().read(offset, length)
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    checkDiskCount('offset', offset)
    checkBytes('write', bytes)
    this.#open().write(offset, bytes)
  }

  async sync(): Promise<void> {
    this.#open()
  }

  async truncate(size: number): Promise<void> {
    checkDiskCount('size', size)
    this.#open().truncate(size)
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #open(): MemoryContent {
    if (this.#closed) throw new ClosedError(`The file ${this.#name}`)
    return this.#content
  }
}
