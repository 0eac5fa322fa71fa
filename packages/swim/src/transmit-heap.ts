/**
 * What waits to be sent, in order: fewest transmissions first, then newest. A binary heap whose items know their place,
 * so that adding, taking and withdrawing one are O(log q).
 */

/** Whoever an item speaks about; it is told that the item is gone by losing it. */
export interface ItemHolder {
  item: TransmitItem | undefined
}

/** Nothing that is sent is shorter: status, a name of one letter, generation, incarnation, accuser. */
const SHORTEST_BYTES = 7
/** How many items that do not fit are passed over for one packet, so that its cost is bounded. */
const MAX_MISSES = 16
/** A packet counts up to 255; what is not queued goes with these. */
const MAX_CHOSEN = 200

export class TransmitItem {
  /** Encoded once. */
  readonly bytes: Uint8Array
  readonly sequence: number
  readonly holder: ItemHolder
  /** Told once when it has been sent as often as it should be, or was withdrawn. */
  readonly onGone: (() => void) | undefined
  transmissions = 0
  /** Its place in the heap; -1 while it is in none. */
  index = -1

  constructor(bytes: Uint8Array, sequence: number, holder: ItemHolder, onGone: (() => void) | undefined) {
    this.bytes = bytes
    this.sequence = sequence
    this.holder = holder
    this.onGone = onGone
  }
}

export class TransmitHeap {
  readonly #heap: TransmitItem[] = []
  readonly #missed: TransmitItem[] = []
  #sequence = 0

  get size(): number {
    return this.#heap.length
  }

  /** Takes it in as the newest; what the holder had before is withdrawn. */
  add(bytes: Uint8Array, holder: ItemHolder, onGone?: () => void): void {
    if (holder.item !== undefined) this.withdraw(holder.item)
    const item = new TransmitItem(bytes, this.#sequence++, holder, onGone)
    holder.item = item
    this.#insert(item)
  }

  withdraw(item: TransmitItem): void {
    if (item.index >= 0) this.#removeAt(item.index)
    gone(item)
  }

  /**
   * Takes out what goes into a packet, in order, and appends it to `chosen`: `settle` must follow.
   * Items that do not fit stay; smaller ones behind them may pass.
   * @param limit how often an item is sent in all
   * @returns the bytes left of `room`
   */
  choose(room: number, limit: number, chosen: TransmitItem[]): number {
    const missed = this.#missed
    let left = room
    while (left >= SHORTEST_BYTES && missed.length < MAX_MISSES && chosen.length < MAX_CHOSEN) {
      const item = this.#heap[0]
      if (item === undefined) break
      this.#removeAt(0)
      if (item.transmissions >= limit) gone(item)
      else if (item.bytes.length > left) missed.push(item)
      else {
        left -= item.bytes.length
        chosen.push(item)
      }
    }
    for (const item of missed) this.#insert(item)
    missed.length = 0
    return left
  }

  /** The chosen were sent: they come back behind what was sent less often, or not at all. Empties `chosen`. */
  settle(chosen: TransmitItem[], limit: number): void {
    for (const item of chosen) {
      // Withdrawn meanwhile.
      if (item.holder.item !== item) continue
      item.transmissions++
      if (item.transmissions >= limit) gone(item)
      else this.#insert(item)
    }
    chosen.length = 0
  }

  clear(): void {
    for (const item of this.#heap) {
      item.index = -1
      gone(item)
    }
    this.#heap.length = 0
  }

  #insert(item: TransmitItem): void {
    this.#heap.push(item)
    this.#rise(item, this.#heap.length - 1)
  }

  #removeAt(index: number): void {
    const heap = this.#heap
    const removed = heap[index]
    const last = heap.pop()
    if (removed === undefined || last === undefined) return
    removed.index = -1
    if (removed === last) return
    if (index > 0 && isBefore(last, heap[(index - 1) >> 1] as TransmitItem)) this.#rise(last, index)
    else this.#sink(last, index)
  }

  #rise(item: TransmitItem, from: number): void {
    const heap = this.#heap
    let at = from
    while (at > 0) {
      const parentAt = (at - 1) >> 1
      const parent = heap[parentAt] as TransmitItem
      if (!isBefore(item, parent)) break
      heap[at] = parent
      parent.index = at
      at = parentAt
    }
    heap[at] = item
    item.index = at
  }

  #sink(item: TransmitItem, from: number): void {
    const heap = this.#heap
    const size = heap.length
    let at = from
    for (;;) {
      let childAt = 2 * at + 1
      if (childAt >= size) break
      if (childAt + 1 < size && isBefore(heap[childAt + 1] as TransmitItem, heap[childAt] as TransmitItem)) childAt++
      const child = heap[childAt] as TransmitItem
      if (!isBefore(child, item)) break
      heap[at] = child
      child.index = at
      at = childAt
    }
    heap[at] = item
    item.index = at
  }
}

function isBefore(a: TransmitItem, b: TransmitItem): boolean {
  return a.transmissions === b.transmissions ? a.sequence > b.sequence : a.transmissions < b.transmissions
}

function gone(item: TransmitItem): void {
  if (item.holder.item === item) item.holder.item = undefined
  item.onGone?.()
}
