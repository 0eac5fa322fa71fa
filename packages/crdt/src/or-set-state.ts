/**
 * What an OR-set consists of: elements, each with the newest dot of every replica that added it, and for each replica
 * the dots that were seen and which element has which. All of it is found in one look-up, and none of it is history.
 */
import type { PendingDots } from './pending-dots.js'
import { SeenDots } from './seen-dots.js'

/** One add that nobody has removed. The dots of an element are a list: one in most cases. */
export interface Dot {
  readonly element: string
  readonly replica: Replica
  counter: number
  previous: Dot | undefined
  next: Dot | undefined
}

/** An element with more dots than it is quick to go through. */
interface Wide {
  readonly byReplica: Map<Replica, Dot>
  last: Dot
}

/** So many dots of an element are gone through one by one; beyond, hostile data would cost the square of its size. */
const MAX_CHAIN = 16

/** What is known of the dots of one replica. */
export interface Replica {
  readonly id: string
  /** Its place in `OrSetState.replicas`, and on the wire. */
  readonly index: number
  seen: SeenDots
  /** From dot to element; made when it is first needed, as deltas seldom need it. */
  dots: Map<number, Dot> | undefined
  pending: PendingDots | undefined
}

export class OrSetState {
  /** The first dot of each element. */
  readonly elements = new Map<string, Dot>()
  readonly replicas: Replica[] = []
  #byId: Map<string, Replica> | undefined
  /** The elements with more than `MAX_CHAIN` dots, and those that once had as many. */
  #wide: Map<string, Wide> | undefined
  #indexed = false

  find(id: string): Replica | undefined {
    if (this.#byId !== undefined) return this.#byId.get(id)
    // Few: comparing is faster than hashing, and costs no table.
    for (const replica of this.replicas) if (replica.id === id) return replica
    return undefined
  }

  replica(id: string): Replica {
    return this.find(id) ?? this.#open(id)
  }

  /** Whether the replica of that id gave the element that dot. */
  has(element: string, id: string, counter: number): boolean {
    const wide = this.#wide?.get(element)
    if (wide !== undefined) {
      const replica = this.find(id)
      return replica !== undefined && wide.byReplica.get(replica)?.counter === counter
    }
    for (let dot = this.elements.get(element); dot !== undefined; dot = dot.next) {
      if (dot.counter === counter && dot.replica.id === id) return true
    }
    return false
  }

  /** The element's dot of a replica becomes this one, if it is newer. Returns the dot that lost, 0 if there was none. */
  put(element: string, replica: Replica, counter: number): number {
    const wide = this.#wide?.get(element)
    let dot = wide === undefined ? this.elements.get(element) : wide.byReplica.get(replica)
    let last = wide?.last
    let passed = 0
    while (dot !== undefined && dot.replica !== replica) {
      last = dot
      dot = dot.next
      passed++
    }
    if (dot === undefined) {
      const created: Dot = { element, replica, counter, previous: last, next: undefined }
      if (last === undefined) this.elements.set(element, created)
      else last.next = created
      replica.dots?.set(counter, created)
      if (wide !== undefined) widen(wide, created)
      else if (passed === MAX_CHAIN) this.#widen(element, created)
      return 0
    }
    if (counter <= dot.counter) return counter
    const older = dot.counter
    dot.counter = counter
    if (replica.dots !== undefined) {
      replica.dots.delete(older)
      replica.dots.set(counter, dot)
    }
    return older
  }

  /** Takes one dot from its element, and the element from the set with its last dot. */
  drop(dot: Dot): void {
    const { element, replica, previous, next } = dot
    replica.dots?.delete(dot.counter)
    if (next !== undefined) next.previous = previous
    if (previous !== undefined) previous.next = next
    else if (next !== undefined) this.elements.set(element, next)
    else {
      this.delete(element)
      return
    }
    const wide = this.#wide?.get(element)
    if (wide === undefined) return
    wide.byReplica.delete(replica)
    if (wide.last === dot && previous !== undefined) wide.last = previous
  }

  /** Takes the element from the set with all of its dots, which stay in the indices by dot. */
  delete(element: string): boolean {
    this.#wide?.delete(element)
    return this.elements.delete(element)
  }

  /** From dot to element, for the dots of the replica. */
  dots(replica: Replica): Map<number, Dot> {
    if (replica.dots !== undefined) return replica.dots
    this.#index()
    return (replica.dots ??= new Map<number, Dot>())
  }

  /** Ranges of dots beyond gaps, over all replicas. */
  get gapCount(): number {
    let sum = 0
    for (const { seen } of this.replicas) sum += seen.gapCount
    return sum
  }

  clone(): OrSetState {
    const copy = new OrSetState()
    for (const { id, seen } of this.replicas) copy.replica(id).seen = seen.clone()
    for (const first of this.elements.values()) {
      for (let dot: Dot | undefined = first; dot !== undefined; dot = dot.next) {
        const replica = copy.replicas[dot.replica.index]
        if (replica !== undefined) copy.put(dot.element, replica, dot.counter)
      }
    }
    return copy
  }

  equals(other: OrSetState): boolean {
    if (this.elements.size !== other.elements.size || this.replicas.length !== other.replicas.length) return false
    for (const { id, seen } of this.replicas) if (other.find(id)?.seen.equals(seen) !== true) return false
    for (const [element, first] of this.elements) {
      if (chainLength(first) !== chainLength(other.elements.get(element))) return false
      for (let dot: Dot | undefined = first; dot !== undefined; dot = dot.next) {
        if (!other.has(element, dot.replica.id, dot.counter)) return false
      }
    }
    return true
  }

  #open(id: string): Replica {
    const replica: Replica = {
      id,
      index: this.replicas.length,
      seen: new SeenDots(),
      dots: this.#indexed ? new Map<number, Dot>() : undefined,
      pending: undefined,
    }
    this.replicas.push(replica)
    if (this.#byId !== undefined) this.#byId.set(id, replica)
    else if (this.replicas.length > 8) this.#byId = new Map(this.replicas.map((known) => [known.id, known]))
    return replica
  }

  #widen(element: string, last: Dot): void {
    const byReplica = new Map<Replica, Dot>()
    for (let dot = this.elements.get(element); dot !== undefined; dot = dot.next) byReplica.set(dot.replica, dot)
    ;(this.#wide ??= new Map<string, Wide>()).set(element, { byReplica, last })
  }

  #index(): void {
    this.#indexed = true
    for (const replica of this.replicas) replica.dots = new Map()
    for (const first of this.elements.values()) {
      for (let dot: Dot | undefined = first; dot !== undefined; dot = dot.next) dot.replica.dots?.set(dot.counter, dot)
    }
  }
}

function widen(wide: Wide, last: Dot): void {
  wide.byReplica.set(last.replica, last)
  wide.last = last
}

function chainLength(first: Dot | undefined): number {
  let length = 0
  for (let dot = first; dot !== undefined; dot = dot.next) length++
  return length
}
