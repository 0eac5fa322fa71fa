/**
 * The content of a file, whatever its name is: what readers see, what is durable, and the changes in between. A crash
 * keeps the durable bytes and of each change since then, by draw, nothing, all, or any of its 512-byte sectors,
 * whatever became of those before it. A failed sync leaves what it covered to the readers and to nobody else: the
 * kernel has marked the pages clean and will not write them again.
 * Source: A. Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.
 */

import type { Random } from '@hs/core'
import { DiskBytes } from './disk-bytes.js'

/** What a disk writes whole or not at all. */
const SECTOR_BYTES = 512

type Change =
  | { readonly kind: 'write'; readonly number: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly number: number; readonly size: number }

export class DiskContent {
  readonly #seen = new DiskBytes()
  readonly #durable = new DiskBytes()
  #changes: Change[] = []
  #made = 0

  get size(): number {
    return this.#seen.size
  }

  read(offset: number, length: number): Uint8Array {
    return this.#seen.read(offset, length)
  }

  /** @param bytes belong to the content from now on. */
  write(offset: number, bytes: Uint8Array): void {
    this.#seen.write(offset, bytes)
    this.#changes.push({ kind: 'write', number: ++this.#made, offset, bytes })
  }

  truncate(size: number): void {
    this.#seen.truncate(size)
    this.#changes.push({ kind: 'truncate', number: ++this.#made, size })
  }

  /** The number of the last change: what a sync that begins now covers. */
  get made(): number {
    return this.#made
  }

  /** A sync has succeeded: the changes up to this number are durable. */
  settle(upTo: number): void {
    for (const change of this.#covered(upTo)) apply(change, this.#durable)
  }

  /** A sync has failed: the changes up to this number will never be durable. */
  forsake(upTo: number): void {
    this.#covered(upTo)
  }

  crash(random: Random): void {
    for (const change of this.#covered(this.#made)) applyTorn(change, this.#durable, random)
    this.#seen.copyFrom(this.#durable)
  }

  /** Takes the changes up to this number out of those that are pending. */
  #covered(upTo: number): Change[] {
    const rest = this.#changes.findIndex((change) => change.number > upTo)
    const covered = this.#changes
    this.#changes = rest === -1 ? [] : this.#changes.slice(rest)
    return rest === -1 ? covered : covered.slice(0, rest)
  }
}

function apply(change: Change, bytes: DiskBytes): void {
  if (change.kind === 'truncate') bytes.truncate(change.size)
  else bytes.write(change.offset, change.bytes)
}

function applyTorn(change: Change, bytes: DiskBytes, random: Random): void {
  const fate = random.pick(['lost', 'kept', 'torn'] as const)
  if (fate === 'lost') return
  // The size of a file is one number in its metadata: there is nothing to tear.
  if (fate === 'kept' || change.kind === 'truncate') {
    apply(change, bytes)
    return
  }
  for (const sector of sectorsOf(change.offset, change.bytes)) {
    if (random.int(2) === 1) bytes.write(sector.offset, sector.bytes)
  }
}

function* sectorsOf(offset: number, bytes: Uint8Array): Generator<{ offset: number; bytes: Uint8Array }> {
  for (let from = offset; from < offset + bytes.length;) {
    const to = Math.min(from - (from % SECTOR_BYTES) + SECTOR_BYTES, offset + bytes.length)
    yield { offset: from, bytes: bytes.subarray(from - offset, to - offset) }
    from = to
  }
}
