/**
 * The names in a folder: what is seen now, and what a crash leaves. Metadata is journalled: of the creations, renames
 * and removals since the last `syncDirectory` a prefix survives, each whole.
 */

import { HsError, type Random } from '@hs/core'
import { DiskContent } from './disk-content.js'

type Names = Map<string, DiskContent>

type Entry =
  | { readonly kind: 'create'; readonly name: string; readonly content: DiskContent }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'remove'; readonly name: string }

export class DiskFolder {
  #seen: Names = new Map()
  #durable: Names = new Map()
  #journal: Entry[] = []
  /** Entries that have left the journal. */
  #settled = 0

  get(name: string): DiskContent | undefined {
    return this.#seen.get(name)
  }

  names(): string[] {
    return [...this.#seen.keys()].sort()
  }

  bytes(): number {
    let sum = 0
    for (const content of this.#seen.values()) sum += content.size
    return sum
  }

  create(name: string): DiskContent {
    const content = new DiskContent()
    this.#do({ kind: 'create', name, content })
    return content
  }

  /** @throws HsError `'ENOENT'` */
  rename(from: string, to: string): void {
    if (!this.#seen.has(from)) throw missingFile(from)
    this.#do({ kind: 'rename', from, to })
  }

  remove(name: string): void {
    if (this.#seen.has(name)) this.#do({ kind: 'remove', name })
  }

  /** The number of the last change: what a `syncDirectory` that begins now covers. */
  get made(): number {
    return this.#settled + this.#journal.length
  }

  /** The changes up to this number are durable. */
  settle(upTo: number): void {
    for (const entry of this.#journal.splice(0, Math.max(0, upTo - this.#settled))) {
      apply(entry, this.#durable)
      this.#settled++
    }
  }

  crash(random: Random): void {
    if (this.#journal.length > 0) this.settle(this.#settled + random.int(this.#journal.length + 1))
    this.#settled += this.#journal.length
    this.#journal = []
    this.#seen = new Map(this.#durable)
    for (const content of this.#seen.values()) content.crash(random)
  }

  wipe(): void {
    this.#settled += this.#journal.length
    this.#journal = []
    this.#seen = new Map()
    this.#durable = new Map()
  }

  #do(entry: Entry): void {
    this.#journal.push(entry)
    apply(entry, this.#seen)
  }
}

function apply(entry: Entry, names: Names): void {
  if (entry.kind === 'create') {
    names.set(entry.name, entry.content)
    return
  }
  if (entry.kind === 'remove') {
    names.delete(entry.name)
    return
  }
  const content = names.get(entry.from)
  if (content === undefined) return
  names.delete(entry.from)
  names.set(entry.to, content)
}

export function missingFile(name: string): HsError {
  return new HsError('ENOENT', `There is no file ${name}`)
}
