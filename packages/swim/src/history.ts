/** What happened to whom, the newest `capacity` entries: columns of numbers, as they are many and seldom read. */
import { deepFreeze } from '@hs/core'

export type AuditKind = 'joined' | 'updated' | 'suspected' | 'recovered' | 'refuted' | 'dead' | 'left' | 'forgotten'

export interface AuditEntry {
  /** Monotonic time of this node's clock. */
  readonly atMs: number
  /** Wall time, for people. */
  readonly wallMs: number
  readonly kind: AuditKind
  readonly member: string
  readonly incarnation: number
  readonly detail?: Readonly<Record<string, unknown>>
}

type Detail = Readonly<Record<string, unknown>>

/** Numbers of an entry: time, wall time, incarnation. */
const NUMBERS = 3
const MIN_SLOTS = 16

export class History {
  readonly #capacity: number
  #numbers = new Float64Array(0)
  readonly #kinds: AuditKind[] = []
  readonly #members: string[] = []
  readonly #details: (Detail | undefined)[] = []
  /** Where the next one goes once the columns are full. */
  #next = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  add(atMs: number, wallMs: number, kind: AuditKind, member: string, incarnation: number, detail?: Detail): void {
    if (this.#capacity === 0) return
    const slot = this.#next
    this.#next = (slot + 1) % this.#capacity
    if ((slot + 1) * NUMBERS > this.#numbers.length) this.#grow()
    this.#numbers.set([atMs, wallMs, incarnation], slot * NUMBERS)
    this.#kinds[slot] = kind
    this.#members[slot] = member
    this.#details[slot] = detail
  }

  /** Oldest first. */
  entries(): readonly AuditEntry[] {
    const size = this.#kinds.length
    const first = size < this.#capacity ? 0 : this.#next
    return Object.freeze(Array.from({ length: size }, (_, i) => this.#entry((first + i) % size)))
  }

  #entry(slot: number): AuditEntry {
    const [atMs = 0, wallMs = 0, incarnation = 0] = this.#numbers.subarray(slot * NUMBERS)
    const kind = this.#kinds[slot] as AuditKind
    const member = this.#members[slot] as string
    const detail = this.#details[slot]
    return deepFreeze({ atMs, wallMs, kind, member, incarnation, ...(detail === undefined ? {} : { detail }) })
  }

  #grow(): void {
    const slots = Math.min(this.#capacity, Math.max(MIN_SLOTS, (2 * this.#numbers.length) / NUMBERS))
    const larger = new Float64Array(slots * NUMBERS)
    larger.set(this.#numbers)
    this.#numbers = larger
  }
}
