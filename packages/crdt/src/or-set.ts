/**
 * A set to which elements are added and from which they are removed anywhere; an add wins over a concurrent removal.
 * Without tombstones: the state is elements, replicas and gaps, whatever the history.
 * Sources: A. Bieniusa et al.: "An optimized conflict-free replicated set", INRIA RR-8083, 2012; the deltas:
 * Almeida, Shoker, Baquero, JPDC 2018.
 */
import { deepFreeze } from '@hs/core'
import { checkName, checkSame, MAX_COUNT, overflow } from './arguments.js'
import type { Crdt } from './crdt.js'
import { Limits, type CrdtLimits } from './limits.js'
import { OrSetState, type Dot, type Replica } from './or-set-state.js'
import { orSetFromWire, orSetToWire, type ORSetWire } from './or-set-wire.js'
import { PendingDots } from './pending-dots.js'
import type { SeenDots } from './seen-dots.js'
import { decoding } from './wire.js'

export interface ORSetSnapshot {
  readonly size: number
  /** Sorted. */
  readonly values: readonly string[]
}

/** A set whose adds win over concurrent removals. */
export class ORSet implements Crdt<ORSet>, Iterable<string> {
  /** Who adds here. */
  readonly replica: string
  readonly #limits: Limits
  #state = new OrSetState()

  /**
   * @param replica unique for each start of a process, a `NodeId` for instance, and never used again after its state
   * was lost: the new dots would look already seen, and what it adds would vanish at its peers. `NodeId`s have a
   * generation for that.
   * @throws HsError `'INVALID_ARGUMENT'`; ConfigError
   */
  constructor(replica: string, limits?: CrdtLimits) {
    this.#limits = Limits.of('ORSet', limits)
    checkName('A replica id', replica, this.#limits.maxNameLength)
    this.replica = replica
  }

  get size(): number {
    return this.#state.elements.size
  }

  /**
   * Adds the element, or adds it once more, so that it outlives removals that have not seen this add.
   * @throws HsError `'INVALID_ARGUMENT'`, `'CRDT_OVERFLOW'` if the replica's dots would pass 2^53 - 1; LimitError
   */
  add(element: string): void {
    const state = this.#state
    if (!state.elements.has(element)) {
      checkName('An element', element, this.#limits.maxNameLength)
      this.#limits.checkEntries('Elements', state.elements.size + 1)
    }
    const known = state.find(this.replica)
    if (known === undefined) this.#limits.checkEntries('Replicas', state.replicas.length + 1)
    const last = known?.seen.last ?? 0
    if (last === MAX_COUNT) throw overflow(`The dots of ${this.replica}`)
    const self = known ?? state.replica(this.replica)
    const older = state.put(element, self, last + 1)
    self.seen.add(last + 1)
    if (older !== 0) pend(self, older)
    pend(self, last + 1)
  }

  /** Removes what is here of the element; false if nothing is. @throws HsError `'INVALID_ARGUMENT'` */
  remove(element: string): boolean {
    const first = this.#state.elements.get(element)
    if (first === undefined) {
      checkName('An element', element, this.#limits.maxNameLength)
      return false
    }
    for (let dot: Dot | undefined = first; dot !== undefined; dot = dot.next) {
      dot.replica.dots?.delete(dot.counter)
      pend(dot.replica, dot.counter)
    }
    return this.#state.delete(element)
  }

  /** Removes every element that is here. */
  clear(): void {
    for (const element of this.#state.elements.keys()) this.remove(element)
  }

  has(element: string): boolean {
    return this.#state.elements.has(element)
  }

  /** In the order in which they came here. */
  values(): IterableIterator<string> {
    return this.#state.elements.keys()
  }

  [Symbol.iterator](): IterableIterator<string> {
    return this.values()
  }

  /** @throws LimitError if there would be more than `maxEntries` elements, replicas or gaps; HsError `'INVALID_ARGUMENT'` */
  merge(other: ORSet): boolean {
    checkSame('ORSet', ORSet.#is(other), other)
    if (other === this) return false
    this.#check(other)
    return this.#join(other.#state)
  }

  takeDelta(): ORSet | null {
    let delta: ORSet | null = null
    for (const replica of this.#state.replicas) {
      if (replica.pending === undefined || replica.pending.isEmpty) continue
      delta ??= new ORSet(this.replica, this.#limits)
      delta.#tell(this.#state, replica, replica.pending.take())
    }
    return delta
  }

  /** The same state under another replica id, or under the same one for reading: two must not add under one id. */
  clone(replica = this.replica): ORSet {
    return ORSet.#of(replica, this.#limits, this.#state.clone())
  }

  equals(other: ORSet): boolean {
    return ORSet.#is(other) && this.#state.equals(other.#state)
  }

  toWire(): ORSetWire {
    return orSetToWire(this.#state)
  }

  snapshot(): ORSetSnapshot {
    return deepFreeze({ size: this.size, values: [...this.values()].sort() })
  }

  /**
   * @param replica who will add to it: the receiver, not the sender
   * @throws DecodeError; HsError `'INVALID_ARGUMENT'`; ConfigError
   */
  static fromWire(wire: unknown, replica: string, limits?: CrdtLimits): ORSet {
    const set = new ORSet(replica, limits)
    set.#state = decoding(() => orSetFromWire(wire, set.#limits))
    return set
  }

  #check(other: ORSet): void {
    const mine = this.#state
    const theirs = other.#state
    if (this.#limits.stricterOnNamesThan(other.#limits)) {
      for (const element of theirs.elements.keys()) this.#limits.checkLength(element)
      for (const { id } of theirs.replicas) this.#limits.checkLength(id)
    }
    const { maxEntries } = this.#limits
    const fits =
      mine.elements.size + theirs.elements.size <= maxEntries &&
      mine.replicas.length + theirs.replicas.length <= maxEntries &&
      mine.gapCount + theirs.gapCount <= maxEntries
    if (fits) return
    // Close to a limit only trying it tells: what is merged may take away as much as it brings.
    const trial = this.clone()
    trial.#join(theirs)
    this.#limits.checkEntries('Elements', trial.#state.elements.size)
    this.#limits.checkEntries('Replicas', trial.#state.replicas.length)
    this.#limits.checkEntries('Gaps', trial.#state.gapCount)
  }

  /** After `#check`: cannot fail. */
  #join(theirs: OrSetState): boolean {
    const mine = this.#state
    const dropped = this.#dropRemoved(theirs)
    const replicas = theirs.replicas.map(({ id }) => mine.replica(id))
    // All dots before any context: what the context has is what is not added.
    for (const first of theirs.elements.values()) {
      for (let dot: Dot | undefined = first; dot !== undefined; dot = dot.next) {
        const replica = replicas[dot.replica.index]
        if (replica === undefined || replica.seen.contains(dot.counter)) continue
        const lost = mine.put(dot.element, replica, dot.counter)
        if (lost !== 0) pend(replica, lost)
      }
    }
    let changed = dropped
    for (const [index, replica] of replicas.entries()) {
      const seen = theirs.replicas[index]?.seen
      const gained = seen === undefined ? [] : replica.seen.absorb(seen)
      if (gained.length === 0) continue
      changed = true
      ;(replica.pending ??= new PendingDots()).addRanges(gained)
    }
    return changed
  }

  /** Drops the dots that `theirs` has seen and has no more. */
  #dropRemoved(theirs: OrSetState): boolean {
    const mine = this.#state
    if (mine.elements.size === 0) return false
    let changed = false
    for (const { id, seen } of theirs.replicas) {
      const replica = mine.find(id)
      if (replica === undefined) continue
      for (const dot of common(mine.dots(replica), seen)) {
        if (theirs.has(dot.element, id, dot.counter)) continue
        mine.drop(dot)
        pend(replica, dot.counter)
        changed = true
      }
    }
    return changed
  }

  /** Makes this delta tell what `state` knows about the pending dots of one replica. */
  #tell(state: OrSetState, source: Replica, pending: SeenDots): void {
    const live = state.dots(source)
    const replica = this.#state.replica(source.id)
    // On the wire every dot beyond a gap stands by itself. Long histories are told by telling all of that replica.
    const all = pending.size > 2 * live.size + 8
    replica.seen.absorb(all ? source.seen : pending)
    for (const { element } of all ? live.values() : common(live, pending)) {
      // Told whole for the sake of another replica's dot.
      if (this.#state.elements.has(element)) continue
      for (let dot = state.elements.get(element); dot !== undefined; dot = dot.next) {
        const owner = this.#state.replica(dot.replica.id)
        this.#state.put(element, owner, dot.counter)
        owner.seen.add(dot.counter)
      }
    }
  }

  static #of(replica: string, limits: Limits, state: OrSetState): ORSet {
    const set = new ORSet(replica, limits)
    set.#state = state
    return set
  }

  static #is(value: unknown): boolean {
    return typeof value === 'object' && value !== null && #state in value
  }
}

function pend(replica: Replica, counter: number): void {
  ;(replica.pending ??= new PendingDots()).add(counter)
}

/** The dots that are in both, by going through the smaller; what is found may be dropped meanwhile. */
function* common(dots: Map<number, Dot>, seen: SeenDots): Generator<Dot> {
  if (dots.size <= seen.size) {
    for (const dot of dots.values()) if (seen.contains(dot.counter)) yield dot
    return
  }
  for (const counter of seen) {
    const dot = dots.get(counter)
    if (dot !== undefined) yield dot
  }
}
