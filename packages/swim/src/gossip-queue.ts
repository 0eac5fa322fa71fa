/**
 * One queue for everything that spreads: records of members, and entries. Each item goes out from this node a number
 * of times that grows with the logarithm of the cluster, which is enough to reach everyone whatever is lost.
 * Source: Das, Gupta, Motivala, "SWIM" (DSN 2002), section 4.1.
 */
import { TransmitHeap, type ItemHolder, type TransmitItem } from './transmit-heap.js'

/** How often an item is sent: λ · ⌈ln(n + 1)⌉, for `n` active members. */
export function retransmitLimit(multiplier: number, n: number): number {
  return multiplier * Math.ceil(Math.log(n + 1))
}

export interface GossipQueueOptions {
  /** λ */
  multiplier: number
  /** Longer items are not taken: they would never fit. */
  maxItemBytes: number
  /** Told when something is queued. */
  onQueued: () => void
}

export class GossipQueue {
  /** What `choose` chose, to be written into the packet. */
  readonly records: TransmitItem[] = []
  readonly entries: TransmitItem[] = []
  readonly #recordHeap = new TransmitHeap()
  readonly #entryHeap = new TransmitHeap()
  readonly #multiplier: number
  readonly #maxItemBytes: number
  readonly #onQueued: () => void
  #limit = 0
  #size = 0

  constructor(options: GossipQueueOptions) {
    this.#multiplier = options.multiplier
    this.#maxItemBytes = options.maxItemBytes
    this.#onQueued = options.onQueued
  }

  /** Items that wait. Counted anew where it may change, as every packet asks. */
  get size(): number {
    return this.#size
  }

  /** Queues a record of a member; the holder's older one is dropped. */
  addRecord(bytes: Uint8Array, holder: ItemHolder, onGone?: () => void): void {
    this.#add(this.#recordHeap, bytes, holder, onGone)
  }

  /** Queues an entry; the holder's older value is dropped. */
  addEntry(bytes: Uint8Array, holder: ItemHolder): void {
    this.#add(this.#entryHeap, bytes, holder, undefined)
  }

  dropRecord(holder: ItemHolder): void {
    if (holder.item !== undefined) this.#withdraw(this.#recordHeap, holder.item)
  }

  dropEntry(holder: ItemHolder): void {
    if (holder.item !== undefined) this.#withdraw(this.#entryHeap, holder.item)
  }

  /**
   * Chooses what goes into a packet with `room` bytes, into `records` and `entries`; `settle` must follow when they
   * are written, and returns the bytes left. While entries wait they get a quarter of the room, so that membership noise cannot starve them.
   */
  choose(room: number, n: number): number {
    if (this.size === 0) return room
    this.#limit = retransmitLimit(this.#multiplier, n)
    const kept = this.#entryHeap.size === 0 ? 0 : Math.ceil(room / 4)
    const unused = this.#recordHeap.choose(room - kept, this.#limit, this.records)
    const left = this.#entryHeap.choose(unused + kept, this.#limit, this.entries)
    const rest = kept === 0 ? left : this.#recordHeap.choose(left, this.#limit, this.records)
    this.#count()
    return rest
  }

  settle(): void {
    if (this.records.length > 0) this.#recordHeap.settle(this.records, this.#limit)
    if (this.entries.length > 0) this.#entryHeap.settle(this.entries, this.#limit)
    this.#count()
  }

  clear(): void {
    this.#recordHeap.clear()
    this.#entryHeap.clear()
    this.#count()
  }

  #add(heap: TransmitHeap, bytes: Uint8Array, holder: ItemHolder, onGone: (() => void) | undefined): void {
    if (bytes.length > this.#maxItemBytes) {
      if (holder.item !== undefined) this.#withdraw(heap, holder.item)
      onGone?.()
      return
    }
    heap.add(bytes, holder, onGone)
    this.#count()
    this.#onQueued()
  }

  #withdraw(heap: TransmitHeap, item: TransmitItem): void {
    heap.withdraw(item)
    this.#count()
  }

  #count(): void {
    this.#size = this.#recordHeap.size + this.#entryHeap.size
  }
}
