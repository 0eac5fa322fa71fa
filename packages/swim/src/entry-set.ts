/**
 * The entries of one member: small values under a key, each with a version that only the member itself raises. So the
 * newer version is right, and there is nothing to merge.
 */
import type { EntryNews } from './packet-reader.js'
import { hashText, mixNumber } from './text.js'
import type { ItemHolder, TransmitItem } from './transmit-heap.js'

/** Keys with a value, of one member. */
export const MAX_KEYS = 1_024
/** Retracted keys that are remembered; the oldest gives way. Versions rise over all keys, so it may. */
const MAX_RETRACTED = 1_024

export class Entry implements ItemHolder {
  readonly key: string
  readonly version: number
  readonly direct: boolean
  readonly value: Uint8Array | undefined
  item: TransmitItem | undefined = undefined

  constructor({ key, version, direct, value }: EntryNews) {
    this.key = key
    this.version = version
    this.direct = direct
    this.value = value
  }
}

export class EntrySet implements Iterable<Entry> {
  /** In the order of their versions here, oldest first. */
  readonly #entries = new Map<string, Entry>()
  #live = 0
  #digest = 0

  /** Of what is spread by gossip and not retracted: differs where that differs. */
  get digest(): number {
    return this.#digest
  }

  /** Keys with a value. */
  get live(): number {
    return this.#live
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key)
  }

  /** The entry as it is held now; undefined if the news is none, or if there are too many keys. */
  take(news: EntryNews): Entry | undefined {
    const held = this.#entries.get(news.key)
    if (held !== undefined && held.version >= news.version) return undefined
    const isNewKey = news.value !== undefined && held?.value === undefined
    if (isNewKey && this.#live >= MAX_KEYS) return undefined
    if (held !== undefined) this.#remove(held)
    const entry = new Entry(news)
    this.#entries.set(entry.key, entry)
    this.#count(entry, 1)
    if (entry.value === undefined) this.#trim()
    return entry
  }

  [Symbol.iterator](): Iterator<Entry> {
    return this.#entries.values()
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.key)
    this.#count(entry, -1)
  }

  #count(entry: Entry, change: 1 | -1): void {
    if (entry.value === undefined) return
    this.#live += change
    if (!entry.direct) this.#digest ^= mixNumber(hashText(entry.key), entry.version)
  }

  #trim(): void {
    if (this.#entries.size - this.#live <= MAX_RETRACTED) return
    for (const entry of this.#entries.values()) {
      if (entry.value !== undefined) continue
      this.#remove(entry)
      return
    }
  }
}
