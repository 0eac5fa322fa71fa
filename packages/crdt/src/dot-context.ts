/**
 * The set of events a replica has seen: a vector plus single dots beyond gaps.
 * Sources: Almeida, Shoker, Baquero, JPDC 2018; Mattern, 1989, for the vector.
 */
import { checkName, checkSame, invalidArgument, MAX_COUNT, overflow } from './arguments.js'
import { Limits, type CrdtLimits } from './limits.js'
import { SeenDots } from './seen-dots.js'
import { decoding, wireError, wireFields, wireInteger, wireList, wireName, wireOptionalList } from './wire.js'

export interface DotContextWire {
  readonly v: readonly (string | number)[]
  readonly d?: readonly (string | number)[]
}

/** The set of events a replica has seen. */
export class DotContext {
  readonly #limits: Limits
  readonly #replicas = new Map<string, SeenDots>()

  /** @throws ConfigError */
  constructor(limits?: CrdtLimits) {
    this.#limits = Limits.of('DotContext', limits)
  }

  /**
   * The next event of `replica`, which counts as seen from now on; only the replica itself may ask.
   * @throws HsError `'INVALID_ARGUMENT'`, `'CRDT_OVERFLOW'` if it would pass 2^53 - 1; LimitError
   */
  next(replica: string): number {
    const last = this.#replicas.get(replica)?.last ?? 0
    if (last === MAX_COUNT) throw overflow(`The dots of ${replica}`)
    this.add(replica, last + 1)
    return last + 1
  }

  /**
   * The event was seen; false if it was already.
   * @param counter an integer from 1 to 2^53 - 1
   * @throws HsError `'INVALID_ARGUMENT'`; LimitError for a replica, or a gap, beyond `maxEntries`
   */
  add(replica: string, counter: number): boolean {
    if (!Number.isSafeInteger(counter) || counter < 1) {
      throw invalidArgument('A dot is an integer from 1 to 2^53 - 1', counter)
    }
    const seen = this.#replicas.get(replica)
    if (seen === undefined) {
      checkName('A replica id', replica, this.#limits.maxNameLength)
      this.#limits.checkEntries('Replicas', this.#replicas.size + 1)
    } else if (seen.contains(counter)) return false
    if (counter > (seen?.n ?? 0) + 1) this.#checkOneMoreGap(counter, seen)
    const dots = seen ?? new SeenDots()
    if (seen === undefined) this.#replicas.set(replica, dots)
    return dots.add(counter)
  }

  contains(replica: string, counter: number): boolean {
    return Number.isSafeInteger(counter) && counter >= 1 && (this.#replicas.get(replica)?.contains(counter) ?? false)
  }

  /** Dots that wait beyond a gap. */
  get gaps(): number {
    let sum = 0
    for (const seen of this.#replicas.values()) sum += seen.waiting
    return Math.min(sum, MAX_COUNT)
  }

  /** Joins `other` into this context. @throws LimitError beyond `maxEntries`; HsError `'INVALID_ARGUMENT'` */
  merge(other: DotContext): boolean {
    checkSame('DotContext', DotContext.#is(other), other)
    if (other === this) return false
    this.#check(other)
    return this.#absorb(other)
  }

  clone(): DotContext {
    const copy = new DotContext(this.#limits)
    for (const [replica, seen] of this.#replicas) copy.#replicas.set(replica, seen.clone())
    return copy
  }

  equals(other: DotContext): boolean {
    if (!DotContext.#is(other) || this.#replicas.size !== other.#replicas.size) return false
    for (const [replica, seen] of this.#replicas) {
      const theirs = other.#replicas.get(replica)
      if (theirs === undefined || !seen.equals(theirs)) return false
    }
    return true
  }

  toWire(): DotContextWire {
    const v: (string | number)[] = []
    const d: (string | number)[] = []
    for (const [replica, seen] of this.#replicas) {
      if (seen.n > 0) v.push(replica, seen.n)
      for (const counter of seen.beyond()) d.push(replica, counter)
    }
    return d.length === 0 ? { v } : { v, d }
  }

  /** @throws DecodeError, ConfigError */
  static fromWire(wire: unknown, limits?: CrdtLimits): DotContext {
    const context = new DotContext(limits)
    decoding(() => {
      context.#read(wireFields(wire, ''))
    })
    return context
  }

  #read(fields: Readonly<Record<string, unknown>>): void {
    const { maxEntries, maxNameLength } = this.#limits
    const read = new Map<string, { n: number; single: number[] }>()
    const v = wireList(fields['v'], 'v', 2, maxEntries)
    for (let i = 0, end = v.length; i < end; i += 2) {
      const replica = wireName(v, i, 'v', maxNameLength)
      if (read.has(replica)) throw wireError(`v.${i}`, 'each replica once')
      read.set(replica, { n: wireInteger(v, i + 1, 'v', 0), single: [] })
    }
    const d = wireOptionalList(fields['d'], 'd', 2)
    for (let i = 0, end = d.length; i < end; i += 2) {
      const replica = wireName(d, i, 'd', maxNameLength)
      const counter = wireInteger(d, i + 1, 'd', 1)
      const known = read.get(replica)
      if (known !== undefined) known.single.push(counter)
      else read.set(replica, { n: 0, single: [counter] })
    }
    for (const [replica, { n, single }] of read) {
      const seen = seenOnce(n, single, `d of ${replica}`)
      if (seen.last > 0) this.#replicas.set(replica, seen)
    }
    if (this.#replicas.size > maxEntries || this.#ranges > maxEntries) {
      throw wireError('d', `at most ${maxEntries} replicas and gaps`)
    }
  }

  /** Ranges beyond gaps, which is what they cost. */
  get #ranges(): number {
    let sum = 0
    for (const seen of this.#replicas.values()) sum += seen.gapCount
    return sum
  }

  #checkOneMoreGap(counter: number, seen: SeenDots | undefined): void {
    if (seen?.contains(counter - 1) === true || seen?.contains(counter + 1) === true) return
    this.#limits.checkEntries('Gaps', this.#ranges + 1)
  }

  #check(other: DotContext): void {
    if (this.#limits.stricterOnNamesThan(other.#limits)) {
      for (const replica of other.#replicas.keys()) this.#limits.checkLength(replica)
    }
    const { maxEntries } = this.#limits
    const mostReplicas = this.#replicas.size + other.#replicas.size
    if (mostReplicas <= maxEntries && this.#ranges + other.#ranges <= maxEntries) return
    const trial = this.clone()
    trial.#absorb(other)
    this.#limits.checkEntries('Replicas', trial.#replicas.size)
    this.#limits.checkEntries('Gaps', trial.#ranges)
  }

  #absorb(other: DotContext): boolean {
    let changed = false
    for (const [replica, theirs] of other.#replicas) {
      const seen = this.#replicas.get(replica)
      if (seen === undefined) this.#replicas.set(replica, theirs.clone())
      if (seen === undefined || seen.absorb(theirs).length > 0) changed = true
    }
    return changed
  }

  static #is(value: unknown): boolean {
    return typeof value === 'object' && value !== null && #replicas in value
  }
}

/** @throws DecodeError for a dot that is there twice */
export function seenOnce(n: number, single: number[], path: string): SeenDots {
  const seen = SeenDots.of(n, single)
  for (let i = 0; i < single.length; i++) {
    const counter = single[i] ?? 0
    if (counter <= n || counter === single[i - 1]) throw wireError(path, `each dot once, found ${counter} again`)
  }
  return seen
}
