/**
 * What happened, in order: a hash of all of it, and the last entries in readable form. Two runs with one hash took the
 * same course. An entry costs a few multiplications and no object; text is put together when someone reads the tail.
 */

import { HsError } from '@hs/core'
import { blend, hashNumber, hashText, scramble } from './hash.js'

export interface TraceEntry {
  readonly atMs: number
  /** Empty for the workload. */
  readonly node: string
  readonly kind: string
  readonly detail: string | number
}

export interface Trace {
  /** 16 hex digits of all entries so far. */
  readonly hash: string
  /** Entries so far. */
  readonly length: number
  /** The last `n` entries, oldest first, of the last `traceTail` that are kept. @default 50 */
  tail(n?: number): readonly TraceEntry[]
}

/** Whom an entry is about. */
export interface TraceSubject {
  readonly name: string
  readonly traceSalt: number
}

interface TraceKind {
  readonly name: string
  readonly salt: number
}

const kind = (name: string): TraceKind => ({ name, salt: hashText(name, 0) })

/** The kinds of entries that the world itself makes. */
export const traceKinds = {
  timer: kind('timer'),
  send: kind('send'),
  deliver: kind('deliver'),
  drop: kind('drop'),
  request: kind('request'),
  serve: kind('serve'),
  response: kind('response'),
  answer: kind('answer'),
  log: kind('log'),
  start: kind('start'),
  stop: kind('stop'),
  crash: kind('crash'),
  pause: kind('pause'),
  resume: kind('resume'),
  clock: kind('clock'),
  fault: kind('fault'),
} as const

const DEFAULT_TAIL = 50

export class TraceLog implements Trace {
  readonly #capacity: number
  #length = 0
  #low = 0x243f6a88
  #high = 0x13198a2e
  #timeHash = 0
  #now = 0
  // A ring, as arrays side by side that grow to its capacity.
  readonly #times: number[] = []
  readonly #names: string[] = []
  readonly #kinds: string[] = []
  readonly #numbers: number[] = []
  readonly #texts: string[] = []

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get hash(): string {
    const low = scramble(blend(this.#low, this.#length))
    const high = scramble(blend(this.#high, low))
    return hex(high) + hex(low)
  }

  get length(): number {
    return this.#length
  }

  tail(n: number = DEFAULT_TAIL): readonly TraceEntry[] {
    if (!(n >= 0)) throw new HsError('INVALID_ARGUMENT', `tail: expected a number of entries, got ${n}`)
    const count = Math.min(Math.floor(n), this.#times.length)
    const entries: TraceEntry[] = []
    for (let i = this.#length - count; i < this.#length; i++) entries.push(this.#entryAt(i % this.#capacity))
    return Object.freeze(entries)
  }

  /** Time has moved: later entries are of this instant. */
  moveTo(now: number): void {
    this.#now = now
    this.#timeHash = hashNumber(now)
  }

  /** `value` is a whole number of up to 31 bits. */
  number(subject: TraceSubject, { name, salt }: TraceKind, value: number): void {
    this.#mix(subject.traceSalt, salt, value)
    this.#keep(subject.name, name, value, '')
  }

  /** About a node and another one; `value` as of `number`. */
  peer(subject: TraceSubject, { name, salt }: TraceKind, peer: TraceSubject, value: number): void {
    this.#mix(subject.traceSalt, salt ^ Math.imul(peer.traceSalt, 3), value)
    this.#keep(subject.name, name, value, peer.name)
  }

  text(subject: TraceSubject, { name, salt }: TraceKind, text: string): void {
    this.#mix(subject.traceSalt, salt, hashText(text, text.length))
    this.#keep(subject.name, name, NaN, text)
  }

  /** An entry of a kind that the program under test names. */
  custom(subject: TraceSubject, name: string, text: string): void {
    // Another seed than that of the world's own kinds: a program may use the same word.
    this.#mix(subject.traceSalt, hashText(name, 1), hashText(text, text.length))
    this.#keep(subject.name, name, NaN, text)
  }

  #mix(subject: number, what: number, detail: number): void {
    const low = blend(blend(this.#low, this.#timeHash ^ subject), detail)
    this.#low = low
    this.#high = blend(this.#high ^ low, what)
    this.#length++
  }

  #keep(name: string, what: string, value: number, text: string): void {
    if (this.#times.length < this.#capacity) {
      this.#times.push(this.#now)
      this.#names.push(name)
      this.#kinds.push(what)
      this.#numbers.push(value)
      this.#texts.push(text)
      return
    }
    const at = (this.#length - 1) % this.#capacity
    this.#times[at] = this.#now
    this.#names[at] = name
    this.#kinds[at] = what
    this.#numbers[at] = value
    this.#texts[at] = text
  }

  #entryAt(at: number): TraceEntry {
    const value = this.#numbers[at] as number
    const text = this.#texts[at] as string
    const detail = Number.isNaN(value) ? text : text === '' ? value : `${text} ${value}`
    return Object.freeze({
      atMs: this.#times[at] as number,
      node: this.#names[at] as string,
      kind: this.#kinds[at] as string,
      detail,
    })
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0')
}
