/**
 * The slots of a hierarchical timing wheel, as numbers only: ticks go in, items come out in order of
 * (tick, order of placing). It knows no clock; `TimingWheel` does.
 *
 * The place of an item depends on nothing but its tick and the tick reached: its level is that of the highest bit
 * in which the two differ, its slot the digit of its tick there. So all items of one tick always stand in one list,
 * in order of placing, and taking a coarse slot apart keeps that order; nothing is ever sorted.
 * Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7; the rule for levels as in
 * tokio's and Linux's timers.
 *
 * The links of the lists lie in one typed array, not in the items: among 100,000 timers in no order, what moving one
 * costs is waiting for the memory of its neighbours. The array doubles when full and goes when the last item does.
 */

/** Bits of a tick per level: which slots of a level are occupied is one 32-bit word. */
const DIGIT_BITS = 5
const SLOTS_PER_LEVEL = 32
/** A tick is split where shifts of 32 bits still work; the lower 30 bits are the lower six levels. */
const LOW_LEVELS = 6
const HIGH_UNIT = 2 ** 30
/** 45 bits: a thousand years of ticks of 1 ms. */
const LEVELS = 9

/** What `first()` says when all slots are free: greater than any slot. */
export const NO_SLOT = LEVELS * SLOTS_PER_LEVEL
/** How many items of a slot are looked at to tell when the first is due. */
const MAX_LOOKED_AT = 4
/** No id. */
export const NONE = 0

/**
 * An id is where a record of four numbers begins: the next and the previous id of its ring, the lower part of its
 * tick, and the higher part above the number of its slot. The first records are the beginnings of the rings: one for
 * what is due, one for each slot.
 */
const PREVIOUS = 1
const LOW = 2
const HIGH_AND_SLOT = 3
const RECORD_LENGTH = 4
const SLOT_BITS = 9
const DUE = 0
const FIRST_RING = RECORD_LENGTH
const FIRST_ID = FIRST_RING + NO_SLOT * RECORD_LENGTH
const MIN_LENGTH = 1_024 * RECORD_LENGTH

export class TimerSlots<T> {
  #records = new Int32Array()
  #items: (T | undefined)[] = []
  #size = 0
  /** Ids to be used again, chained; and the first that was never used. */
  #free = NONE
  #unused = FIRST_ID
  /** For each level, the bits of its occupied slots. */
  readonly #occupied = new Int32Array(LEVELS)
  /** All that was placed at or before this tick is due or gone. In two parts too, for the bits. */
  #reached = 0
  #high = 0
  #low = 0

  constructor() {
    this.clear()
  }

  get size(): number {
    return this.#size
  }

  /** The tick reached. */
  get reached(): number {
    return this.#reached
  }

  /** Places an item at a tick; one before the tick reached counts as that. Returns the id that stands for it here. */
  add(item: T, tick: number): number {
    let id = this.#free
    if (id === NONE) {
      id = this.#unused
      this.#unused += RECORD_LENGTH
      if (id === this.#records.length) this.#grow()
    } else {
      this.#free = this.#records[id] as number
    }
    this.#items[(id - FIRST_ID) / RECORD_LENGTH] = item
    this.#size++
    this.put(id, tick)
    return id
  }

  /** Takes it out, wherever it stands. Its id is kept: `put` or `forget` must follow. Returns the slot it left. */
  take(id: number): number {
    const records = this.#records
    const next = records[id] as number
    const previous = records[id + PREVIOUS] as number
    records[next + PREVIOUS] = previous
    records[previous] = next
    // What is due still has the number of its old slot: that is looked at once more, harmlessly.
    const slot = (records[id + HIGH_AND_SLOT] as number) & ((1 << SLOT_BITS) - 1)
    if (this.isFree(slot)) this.#setFree(slot)
    return slot
  }

  /** Places what was taken, behind whatever is at that tick. Returns its slot. */
  put(id: number, tick: number): number {
    const at = tick < this.#reached ? this.#reached : tick
    const high = Math.floor(at / HIGH_UNIT)
    return this.#link(id, high, at - high * HIGH_UNIT)
  }

  /** Lets go of what was taken; the id will stand for another item. */
  forget(id: number): void {
    this.#items[(id - FIRST_ID) / RECORD_LENGTH] = undefined
    this.#size--
    this.#records[id] = this.#free
    this.#free = id
    if (this.#size === 0 && this.#records.length > MIN_LENGTH) this.clear()
  }

  slotOf(id: number): number {
    return (this.#records[id + HIGH_AND_SLOT] as number) & ((1 << SLOT_BITS) - 1)
  }

  isFree(slot: number): boolean {
    const ring = ringOf(slot)
    return this.#records[ring] === ring
  }

  /** The occupied slot whose turn comes first, or `NO_SLOT`. Slots in order are ticks in order. */
  first(): number {
    for (let level = 0; level < LEVELS; level++) {
      const bits = this.#occupied[level] as number
      if (bits !== 0) return level * SLOTS_PER_LEVEL + 31 - Math.clz32(bits & -bits)
    }
    return NO_SLOT
  }

  /** The tick at which a slot must be looked at: its items are due then or, above the lowest level, later. */
  startOf(slot: number): number {
    const level = slot >>> DIGIT_BITS
    const digit = slot % SLOTS_PER_LEVEL
    if (level < LOW_LEVELS) return this.#high * HIGH_UNIT + withDigit(this.#low, level, digit)
    return withDigit(this.#high, level - LOW_LEVELS, digit) * HIGH_UNIT
  }

  /** The first tick at which an item of an occupied slot is due, if that is found quickly; else `startOf`. */
  firstIn(slot: number): number {
    const records = this.#records
    const ring = ringOf(slot)
    let first = Infinity
    let id = records[ring] as number
    for (let i = 0; id !== ring; i++) {
      if (i === MAX_LOOKED_AT) return this.startOf(slot)
      const high = (records[id + HIGH_AND_SLOT] as number) >>> SLOT_BITS
      first = Math.min(first, high * HIGH_UNIT + (records[id + LOW] as number))
      id = records[id] as number
    }
    return first
  }

  /** Moves on to `tick`. Only right if no occupied slot starts at or before it. */
  skipTo(tick: number): void {
    this.#reached = tick
    this.#high = Math.floor(tick / HIGH_UNIT)
    this.#low = tick - this.#high * HIGH_UNIT
  }

  /** Moves on to `tick` and appends whatever was placed at or before it to what is due, in order. */
  advanceTo(tick: number): void {
    for (let slot = this.first(); slot !== NO_SLOT; slot = this.first()) {
      const start = this.startOf(slot)
      if (start > tick) break
      this.skipTo(start)
      if (slot < SLOTS_PER_LEVEL) this.#moveToDue(slot)
      else this.#takeApart(slot)
    }
    if (tick > this.#reached) this.skipTo(tick)
  }

  /** Removes the first of what is due and returns it; undefined if there is none. */
  takeDue(): T | undefined {
    const id = this.#records[DUE] as number
    if (id === DUE) return undefined
    const item = this.#items[(id - FIRST_ID) / RECORD_LENGTH]
    this.take(id)
    this.forget(id)
    return item
  }

  /** All items, in no order. */
  *[Symbol.iterator](): Iterator<T> {
    for (const item of this.#items) {
      if (item !== undefined) yield item
    }
  }

  /** Begins anew without any item, at the tick reached, with little memory. */
  clear(): void {
    this.#records = new Int32Array(MIN_LENGTH)
    this.#items = []
    this.#size = 0
    this.#free = NONE
    this.#unused = FIRST_ID
    this.#occupied.fill(0)
    for (let ring = DUE; ring < FIRST_ID; ring += RECORD_LENGTH) this.#emptyRing(ring)
  }

  #link(id: number, high: number, low: number): number {
    const slot = this.#slotAt(high, low)
    const ring = ringOf(slot)
    const records = this.#records
    const last = records[ring + PREVIOUS] as number
    records[id] = ring
    records[id + PREVIOUS] = last
    records[id + LOW] = low
    records[id + HIGH_AND_SLOT] = (high << SLOT_BITS) | slot
    records[last] = id
    records[ring + PREVIOUS] = id
    const level = slot >>> DIGIT_BITS
    this.#occupied[level] = (this.#occupied[level] as number) | (1 << slot)
    return slot
  }

  #slotAt(high: number, low: number): number {
    if (high === this.#high) {
      const level = levelOf(low ^ this.#low)
      return level * SLOTS_PER_LEVEL + digitAt(low, level)
    }
    const level = levelOf(high ^ this.#high)
    return (LOW_LEVELS + level) * SLOTS_PER_LEVEL + digitAt(high, level)
  }

  /** The whole ring in one step. */
  #moveToDue(slot: number): void {
    const records = this.#records
    const ring = ringOf(slot)
    const first = records[ring] as number
    const last = records[ring + PREVIOUS] as number
    const lastDue = records[DUE + PREVIOUS] as number
    records[lastDue] = first
    records[first + PREVIOUS] = lastDue
    records[last] = DUE
    records[DUE + PREVIOUS] = last
    this.#emptyRing(ring)
    this.#setFree(slot)
  }

  /** The slot's start is reached: its items go to lower levels, all of which are free now. */
  #takeApart(slot: number): void {
    const records = this.#records
    const ring = ringOf(slot)
    let id = records[ring] as number
    this.#emptyRing(ring)
    this.#setFree(slot)
    while (id !== ring) {
      const next = records[id] as number
      this.#link(id, (records[id + HIGH_AND_SLOT] as number) >>> SLOT_BITS, records[id + LOW] as number)
      id = next
    }
  }

  #emptyRing(ring: number): void {
    this.#records[ring] = ring
    this.#records[ring + PREVIOUS] = ring
  }

  #setFree(slot: number): void {
    const level = slot >>> DIGIT_BITS
    this.#occupied[level] = (this.#occupied[level] as number) & ~(1 << slot)
  }

  #grow(): void {
    const larger = new Int32Array(2 * this.#records.length)
    larger.set(this.#records)
    this.#records = larger
  }
}

function ringOf(slot: number): number {
  return FIRST_RING + slot * RECORD_LENGTH
}

/** The level of the highest differing bit; 0 when none differs. */
function levelOf(differing: number): number {
  return differing < SLOTS_PER_LEVEL ? 0 : ((31 - Math.clz32(differing)) / DIGIT_BITS) | 0
}

function digitAt(part: number, level: number): number {
  return (part >>> (level * DIGIT_BITS)) & (SLOTS_PER_LEVEL - 1)
}

/** `part` with this digit at this level, zeros below. */
function withDigit(part: number, level: number, digit: number): number {
  const shift = level * DIGIT_BITS
  const above = shift + DIGIT_BITS
  return ((part >>> above) << above) | (digit << shift)
}
