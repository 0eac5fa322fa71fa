/**
 * Counts by slot, and what was folded out of them: the state under `GCounter`, `PNCounter` and `VectorClock`.
 *
 * Counts c and folds f both merge by maximum; the value is the sum of c[s] minus the sum of f[s][t]. Folding s into t
 * adds the same amount to c[t] and to f[s][t], so it never changes the value, and two replicas that fold the same slot
 * at once are exact too: s is then over-drawn. This is what Akka's `RemovedNodePruning` does, without its coordinator.
 *
 * A count without its fold would be counted twice, so whatever is linked by folds travels together, also when only one
 * of it has changed: then no loss of an earlier delta can make a peer count too much.
 */
import { checkCount, checkName, MAX_COUNT, overflow } from './arguments.js'
import { ExactSum } from './exact-sum.js'
import type { Limits } from './limits.js'
import { Marks } from './marks.js'
import { wireError, wireFields, wireInteger, wireList, wireName, wireOptionalList } from './wire.js'

interface Slot {
  readonly name: string
  count: number
  /** What was folded out of it, by the slot that took it. */
  folds: Map<string, number> | undefined
  marked: boolean
}

export interface SlotsWire {
  readonly c: readonly (string | number)[]
  readonly f?: readonly (string | number)[]
}

export class Slots {
  readonly #limits: Limits
  readonly #slots = new Map<string, Slot>()
  readonly #marks = new Marks<Slot>()
  readonly #sum = new ExactSum()
  /** Slots that have folds; undefined until there is one. */
  #folded: Set<Slot> | undefined
  /** Pairs of folds. */
  #pairs = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#slots.size
  }

  get sum(): ExactSum {
    return this.#sum
  }

  names(): string[] {
    return [...this.#slots.keys()].sort()
  }

  has(name: string): boolean {
    return this.#slots.has(name)
  }

  count(name: string): number {
    return this.#slots.get(name)?.count ?? 0
  }

  /** What the slot contributes; below 0 where it is over-drawn. */
  contribution(name: string): number {
    const slot = this.#slots.get(name)
    return slot === undefined ? 0 : rest(slot)
  }

  /** Returns the new count. */
  increment(name: string, amount: number): number {
    checkCount('An amount', amount)
    const slot = this.#slots.get(name)
    if (slot === undefined) return this.#start(name, amount)
    if (amount > MAX_COUNT - slot.count) throw overflow(`Slot ${name}`)
    if (amount === 0) return slot.count
    slot.count += amount
    this.#sum.add(amount)
    if (!slot.marked) this.#marks.add(slot)
    return slot.count
  }

  advance(name: string, total: number): boolean {
    checkCount('A total', total)
    const slot = this.#slots.get(name)
    if (slot === undefined) return this.#start(name, total) > 0
    if (total <= slot.count) return false
    this.#raise(slot, total)
    this.#marks.add(slot)
    return true
  }

  fold(name: string, into: string): number {
    const amount = this.checkFold(name, into)
    if (amount === 0) return 0
    const slot = this.#slots.get(name) ?? this.#open(name)
    this.#marks.add(slot)
    this.increment(into, amount)
    this.#raiseFold(slot, into, (slot.folds?.get(into) ?? 0) + amount)
    return amount
  }

  /** What `fold` would move. @throws whatever `fold` would */
  checkFold(name: string, into: string): number {
    checkName('A slot', name, this.#limits.maxNameLength)
    checkName('A slot', into, this.#limits.maxNameLength)
    const slot = this.#slots.get(name)
    const amount = slot === undefined ? 0 : rest(slot)
    if (slot === undefined || amount <= 0 || name === into) return 0
    if (amount > MAX_COUNT - this.count(into)) throw overflow(`Slot ${into}`)
    if (!this.#slots.has(into)) this.#limits.checkEntries('Slots', this.#slots.size + 1)
    if (slot.folds?.has(into) !== true) this.#limits.checkEntries('Folds', this.#pairs + 1)
    return amount
  }

  /** Whether it is here and contributes nothing. */
  canForget(name: string): boolean {
    checkName('A slot', name, this.#limits.maxNameLength)
    const slot = this.#slots.get(name)
    return slot !== undefined && rest(slot) === 0
  }

  forget(name: string): boolean {
    const slot = this.canForget(name) ? this.#slots.get(name) : undefined
    if (slot === undefined) return false
    this.#drop(slot)
    this.#marks.prune(this.#slots.size, (marked) => this.#slots.get(marked.name) === marked)
    return true
  }

  compare(other: Slots): 'equal' | 'before' | 'after' | 'concurrent' {
    const lower = this.#isBelow(other)
    const higher = other.#isBelow(this)
    if (lower) return higher ? 'equal' : 'before'
    return higher ? 'after' : 'concurrent'
  }

  /** Whether `merge` stays within the limits. @throws LimitError */
  check(other: Slots): void {
    if (other === this) return
    if (this.#limits.stricterOnNamesThan(other.#limits)) {
      for (const slot of other.#slots.values()) {
        this.#limits.checkLength(slot.name)
        for (const into of slot.folds?.keys() ?? []) this.#limits.checkLength(into)
      }
    }
    const { maxEntries } = this.#limits
    if (this.#slots.size + other.#slots.size > maxEntries) {
      let size = this.#slots.size
      for (const name of other.#slots.keys()) if (!this.#slots.has(name)) size++
      this.#limits.checkEntries('Slots', size)
    }
    if (this.#pairs + other.#pairs > maxEntries) {
      let pairs = this.#pairs
      for (const slot of other.#folded ?? []) {
        const mine = this.#slots.get(slot.name)?.folds
        for (const into of slot.folds?.keys() ?? []) if (mine?.has(into) !== true) pairs++
      }
      this.#limits.checkEntries('Folds', pairs)
    }
  }

  /** After `check`: cannot fail. */
  merge(other: Slots): boolean {
    if (other === this) return false
    let changed = false
    for (const theirs of other.#slots.values()) {
      const slot = this.#slots.get(theirs.name)
      if (slot !== undefined && theirs.count <= slot.count && theirs.folds === undefined) continue
      changed = this.#join(theirs, slot) || changed
    }
    return changed
  }

  takeDelta(): Slots | null {
    const marked = this.#marks.take()
    if (marked.length === 0) return null
    const delta = new Slots(this.#limits)
    for (const slot of this.#folded === undefined ? marked : this.#linked(marked)) delta.#copy(slot)
    return delta
  }

  clone(): Slots {
    const copy = new Slots(this.#limits)
    for (const slot of this.#slots.values()) copy.#copy(slot)
    return copy
  }

  equals(other: Slots): boolean {
    if (this.#slots.size !== other.#slots.size || this.#pairs !== other.#pairs) return false
    for (const slot of this.#slots.values()) {
      const theirs = other.#slots.get(slot.name)
      if (theirs === undefined || theirs.count !== slot.count) return false
      for (const [into, amount] of slot.folds ?? []) if (theirs.folds?.get(into) !== amount) return false
    }
    return true
  }

  /** Slot and count in turn. */
  counts(): (string | number)[] {
    const counts: (string | number)[] = []
    for (const slot of this.#slots.values()) counts.push(slot.name, slot.count)
    return counts
  }

  toWire(): SlotsWire {
    const c = this.counts()
    if (this.#folded === undefined || this.#folded.size === 0) return { c }
    const f: (string | number)[] = []
    /** Slots that took a fold and were forgotten: they count nothing, but a fold names slots that are there. */
    const gone = new Set<string>()
    for (const slot of this.#folded) {
      for (const [into, amount] of slot.folds ?? []) {
        f.push(slot.name, into, amount)
        if (!this.#slots.has(into)) gone.add(into)
      }
    }
    for (const name of gone) c.push(name, 0)
    return { c, f }
  }

  static fromWire(wire: unknown, path: string, limits: Limits): Slots {
    const fields = wireFields(wire, path)
    const { maxEntries } = limits
    // Slots that folds name and that were forgotten come on top of those that count.
    const slots = Slots.fromCounts(fields['c'], `${path}c`, limits, 2 * maxEntries)
    slots.#readFolds(wireOptionalList(fields['f'], `${path}f`, 3, maxEntries), `${path}f`)
    if (slots.dropEmpty().size > maxEntries) throw wireError(`${path}c`, `at most ${maxEntries} entries`)
    return slots
  }

  /** May hold slots with count 0, for folds to name. */
  static fromCounts(wire: unknown, path: string, limits: Limits, maxEntries = limits.maxEntries): Slots {
    const list = wireList(wire, path, 2, maxEntries)
    const slots = new Slots(limits)
    for (let i = 0, end = list.length; i < end; i += 2) {
      const name = wireName(list, i, path, limits.maxNameLength)
      const count = wireInteger(list, i + 1, path, 0)
      if (slots.#slots.has(name)) throw wireError(`${path}.${i}`, 'each name once')
      slots.#raise(slots.#open(name), count)
    }
    return slots
  }

  #readFolds(list: readonly unknown[], path: string): void {
    const { maxNameLength } = this.#limits
    for (let i = 0, end = list.length; i < end; i += 3) {
      const name = wireName(list, i, path, maxNameLength)
      const into = wireName(list, i + 1, path, maxNameLength)
      const amount = wireInteger(list, i + 2, path, 0)
      const slot = this.#slots.get(name)
      if (slot === undefined || !this.#slots.has(into)) throw wireError(`${path}.${i}`, 'slots that have a count')
      if (name === into) throw wireError(`${path}.${i + 1}`, 'another slot')
      if (slot.folds?.has(into) === true) throw wireError(`${path}.${i}`, 'each pair once')
      if (amount > 0) this.#raiseFold(slot, into, amount)
    }
  }

  /** A slot that counts nothing is the same as none. */
  dropEmpty(): this {
    for (const slot of this.#slots.values()) if (slot.count === 0 && slot.folds === undefined) this.#drop(slot)
    return this
  }

  #start(name: string, count: number): number {
    checkName('A slot', name, this.#limits.maxNameLength)
    if (count === 0) return 0
    this.#limits.checkEntries('Slots', this.#slots.size + 1)
    const slot = this.#open(name)
    this.#raise(slot, count)
    this.#marks.add(slot)
    return count
  }

  #open(name: string): Slot {
    const slot: Slot = { name, count: 0, folds: undefined, marked: false }
    this.#slots.set(name, slot)
    return slot
  }

  #drop(slot: Slot): void {
    this.#slots.delete(slot.name)
    this.#pairs -= slot.folds?.size ?? 0
    this.#folded?.delete(slot)
    this.#sum.subtract(slot.count)
    for (const amount of slot.folds?.values() ?? []) this.#sum.add(amount)
  }

  #raise(slot: Slot, count: number): void {
    this.#sum.add(count - slot.count)
    slot.count = count
  }

  #raiseFold(slot: Slot, into: string, amount: number): void {
    if (slot.folds === undefined) {
      slot.folds = new Map()
      ;(this.#folded ??= new Set()).add(slot)
    }
    const before = slot.folds.get(into)
    if (before === undefined) this.#pairs++
    slot.folds.set(into, amount)
    this.#sum.subtract(amount - (before ?? 0))
  }

  #join(theirs: Slot, known: Slot | undefined): boolean {
    const slot = known ?? this.#open(theirs.name)
    const changed = this.#raiseTo(slot, theirs)
    if (changed) this.#marks.add(slot)
    return changed
  }

  /** For deltas and clones, in which nothing is marked. */
  #copy(slot: Slot): void {
    this.#raiseTo(this.#slots.get(slot.name) ?? this.#open(slot.name), slot)
  }

  #raiseTo(slot: Slot, theirs: Slot): boolean {
    let changed = false
    if (theirs.count > slot.count) {
      this.#raise(slot, theirs.count)
      changed = true
    }
    if (theirs.folds === undefined) return changed
    for (const [into, amount] of theirs.folds) {
      if (amount <= (slot.folds?.get(into) ?? 0)) continue
      this.#raiseFold(slot, into, amount)
      changed = true
    }
    return changed
  }

  /** The slots, and all that folds link with them. */
  #linked(slots: readonly Slot[]): Iterable<Slot> {
    const sources = new Map<string, Slot[]>()
    for (const slot of this.#folded ?? []) {
      for (const into of slot.folds?.keys() ?? []) {
        const list = sources.get(into)
        if (list === undefined) sources.set(into, [slot])
        else list.push(slot)
      }
    }
    const linked = new Set(slots)
    // A set is iterated in the order of insertion, with what is added meanwhile.
    for (const slot of linked) {
      for (const source of sources.get(slot.name) ?? []) linked.add(source)
      for (const into of slot.folds?.keys() ?? []) {
        const target = this.#slots.get(into)
        if (target !== undefined) linked.add(target)
      }
    }
    return linked
  }

  #isBelow(other: Slots): boolean {
    if (this.#slots.size > other.#slots.size) return false
    for (const slot of this.#slots.values()) if (slot.count > other.count(slot.name)) return false
    return true
  }
}

function rest(slot: Slot): number {
  if (slot.folds === undefined) return slot.count
  const sum = new ExactSum()
  sum.add(slot.count)
  for (const amount of slot.folds.values()) sum.subtract(amount)
  return sum.value
}
