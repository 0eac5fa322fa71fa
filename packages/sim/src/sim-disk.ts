/**
 * A disk that may be slow, full and broken, and that loses at a crash what a real one may lose: `disk-content.ts` says
 * it of bytes, `disk-folder.ts` of names. A change is seen by readers when it is asked for; it counts as durable only
 * when its `sync` is done. Operations take their latency on the clock of whoever mounted the disk, and those of an
 * incarnation that has ended are never done.
 */

import * as z from 'zod'
import {
  ClosedError,
  HsError,
  parseOptions,
  runtimeShape,
  type Clock,
  type Disk,
  type DiskFile,
  type DiskOpenOptions,
  type Random,
} from '@hs/core'
import type { DiskContent } from './disk-content.js'
import { diskFaultsShape, type DiskFaults } from './disk-faults.js'
import { DiskFolder, missingFile } from './disk-folder.js'
import { drawLatency } from './latency.js'

export interface SimDiskOptions extends DiskFaults {
  /** Dice for errors, latencies and what a crash takes. @default systemRandom */
  random?: Random
}

const DEFAULT_LATENCY_MS = 0.1

let cachedSchemas: ReturnType<typeof makeSchemas> | undefined
const schemas = () => (cachedSchemas ??= makeSchemas())
const makeSchemas = () => ({
  faults: z.strictObject(diskFaultsShape()),
  options: z.strictObject({ random: runtimeShape.random, ...diskFaultsShape() }),
})

export class SimDisk {
  readonly #medium: Medium

  /** @throws ConfigError */
  constructor(options: SimDiskOptions = {}) {
    const { random, ...faults } = parseOptions(schemas().options, options, 'SimDisk')
    this.#medium = new Medium(random, withDefaults(faults))
  }

  /** The disk as an incarnation of a node sees it. Operations take their time on `clock`. */
  mount(clock: Clock): Disk {
    return new MountedDisk(this.#medium, clock)
  }

  /** Replaces the faults; what is not named is as it is by default, so `{}` is none. @throws ConfigError */
  faults(change: DiskFaults): void {
    this.#medium.faults = withDefaults(parseOptions(schemas().faults, change, 'SimDisk.faults'))
  }

  /** Ends all mounts as a power failure does: what was not synced is, by draw, lost, kept or torn. */
  crash(): void {
    this.unmount()
    this.#medium.folder.crash(this.#medium.random)
  }

  /** Ends all mounts as the end of a process does: nothing is lost, and the lock is free. */
  unmount(): void {
    this.#medium.life++
    this.#medium.lock = undefined
  }

  /** Removes all files, as a new disk would have none. */
  wipe(): void {
    this.#medium.folder.wipe()
  }
}

type KnownFaults = Required<DiskFaults>

function withDefaults(faults: { [K in keyof DiskFaults]?: DiskFaults[K] | undefined }): KnownFaults {
  return {
    latency: faults.latency ?? DEFAULT_LATENCY_MS,
    readErrorRate: faults.readErrorRate ?? 0,
    writeErrorRate: faults.writeErrorRate ?? 0,
    syncErrorRate: faults.syncErrorRate ?? 0,
    capacityBytes: faults.capacityBytes ?? Infinity,
  }
}

/** What all mounts of a disk share. */
class Medium {
  readonly folder = new DiskFolder()
  readonly random: Random
  faults: KnownFaults
  /** Numbers the lives of mounts: those of an earlier one are over. */
  life = 0
  /** The claim of whoever holds the lock. */
  lock: object | undefined

  constructor(random: Random, faults: KnownFaults) {
    this.random = random
    this.faults = faults
  }

  /** Draws only where there is something to decide, so that a disk without faults costs no dice. */
  fails(rate: number): boolean {
    return rate > 0 && this.random.next() < rate
  }
}

class MountedDisk implements Disk {
  readonly #medium: Medium
  readonly #clock: Clock
  readonly #life: number

  constructor(medium: Medium, clock: Clock) {
    this.#medium = medium
    this.#clock = clock
    this.#life = medium.life
  }

  async open(name: string, options: DiskOpenOptions = {}): Promise<DiskFile> {
    checkName(name)
    return this.operate(() => {
      const { folder } = this.#medium
      const content = folder.get(name) ?? (options.create === true ? folder.create(name) : undefined)
      if (content === undefined) throw missingFile(name)
      return () => new OpenFile(name, content, this.#medium, this)
    })
  }

  async list(): Promise<string[]> {
    return this.operate(() => {
      const names = this.#medium.folder.names()
      return () => names
    })
  }

  async rename(from: string, to: string): Promise<void> {
    checkName(from)
    checkName(to)
    return this.operate(() => {
      if (from !== to) this.#medium.folder.rename(from, to)
      else if (this.#medium.folder.get(from) === undefined) throw missingFile(from)
      return nothing
    })
  }

  async remove(name: string): Promise<void> {
    checkName(name)
    return this.operate(() => {
      this.#medium.folder.remove(name)
      return nothing
    })
  }

  async syncDirectory(): Promise<void> {
    return this.operate(() => {
      const { made } = this.#medium.folder
      return () => this.#medium.folder.settle(made)
    })
  }

  async lock(): Promise<() => Promise<void>> {
    return this.operate(() => {
      if (this.#medium.lock !== undefined)
        throw new HsError('DISK_LOCKED', 'The folder is locked by another owner on this node')
      const claim = {}
      this.#medium.lock = claim
      return () => () => this.#release(claim)
    })
  }

  async #release(claim: object): Promise<void> {
    return this.operate(() => {
      if (this.#medium.lock === claim) this.#medium.lock = undefined
      return nothing
    })
  }

  /**
   * Runs one operation: `begin` at once, and what it returns when the latency has passed, where the promise is settled
   * too. After the mount's end nothing runs and nothing is settled: the process that asked is no more.
   */
  operate<T>(begin: () => () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#ended()) return
      const finish = begun(begin)
      const done = () => {
        if (this.#ended()) return
        try {
          resolve(finish())
        } catch (error) {
          reject(error)
        }
      }
      const latencyMs = drawLatency(this.#medium.faults.latency, this.#medium.random)
      if (latencyMs > 0) this.#clock.setTimer(latencyMs, done)
      else done()
    })
  }

  #ended(): boolean {
    return this.#life !== this.#medium.life
  }
}

class OpenFile implements DiskFile {
  readonly #name: string
  readonly #content: DiskContent
  readonly #medium: Medium
  readonly #mount: MountedDisk
  #closed = false

  constructor(name: string, content: DiskContent, medium: Medium, mount: MountedDisk) {
    this.#name = name
    this.#content = content
    this.#medium = medium
    this.#mount = mount
  }

  async size(): Promise<number> {
    this.#checkOpen()
    return this.#mount.operate(() => {
      const { size } = this.#content
      return () => size
    })
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkCount('offset', offset)
    checkCount('length', length)
    this.#checkOpen()
    return this.#mount.operate(() => {
      if (this.#medium.fails(this.#medium.faults.readErrorRate)) throw this.#failure('read')
      const bytes = this.#content.read(offset, length)
      return () => bytes
    })
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    checkCount('offset', offset)
    this.#checkOpen()
    return this.#mount.operate(() => {
      if (bytes.length > 0) this.#checkRoom(offset + bytes.length)
      if (this.#medium.fails(this.#medium.faults.writeErrorRate)) throw this.#failure('write')
      if (bytes.length > 0) this.#content.write(offset, bytes.slice())
      return nothing
    })
  }

  async truncate(size: number): Promise<void> {
    checkCount('size', size)
    this.#checkOpen()
    return this.#mount.operate(() => {
      this.#checkRoom(size)
      if (this.#medium.fails(this.#medium.faults.writeErrorRate)) throw this.#failure('truncate')
      this.#content.truncate(size)
      return nothing
    })
  }

  async sync(): Promise<void> {
    this.#checkOpen()
    return this.#mount.operate(() => {
      const { made } = this.#content
      if (!this.#medium.fails(this.#medium.faults.syncErrorRate)) return () => this.#content.settle(made)
      return () => {
        this.#content.forsake(made)
        throw this.#failure('sync')
      }
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    return this.#mount.operate(() => nothing)
  }

  #checkOpen(): void {
    if (this.#closed) throw new ClosedError(`The file ${this.#name}`)
  }

  #checkRoom(size: number): void {
    const { folder, faults } = this.#medium
    const grownBy = size - this.#content.size
    if (faults.capacityBytes === Infinity || grownBy <= 0) return
    const needed = folder.bytes() + grownBy
    if (needed <= faults.capacityBytes) return
    const message = `${this.#name} needs ${needed} bytes of the disk, which has ${faults.capacityBytes}`
    throw new HsError('DISK_FULL', message, { details: { file: this.#name, capacityBytes: faults.capacityBytes } })
  }

  #failure(operation: string): HsError {
    const message = `The disk failed to ${operation} ${this.#name}`
    return new HsError('DISK_IO', message, { details: { file: this.#name, operation } })
  }
}

/** An operation that cannot even begin fails when its latency has passed, like one that fails on the way. */
function begun<T>(begin: () => () => T): () => T {
  try {
    return begin()
  } catch (error) {
    return () => {
      throw error
    }
  }
}

function nothing(): void {}

const validName = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/

function checkName(name: unknown): void {
  if (typeof name !== 'string' || !validName.test(name))
    throw new HsError('INVALID_ARGUMENT', `A file's name must match ${validName.source}, found ${JSON.stringify(name)}`)
}

function checkCount(what: string, count: number): void {
  if (!Number.isSafeInteger(count) || count < 0)
    throw new HsError('INVALID_ARGUMENT', `${what} must be an integer of at least 0, found ${count}`)
}
