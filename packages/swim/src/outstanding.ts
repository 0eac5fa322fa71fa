/**
 * Pings that wait for their ack. Each has a number of its own, so an ack is never taken for another's: the lower half
 * says where the ping stands, the upper half how many there were before it, so that a number comes again only after
 * 65,536 pings at the same place.
 */
import { LimitError, type Random } from '@hs/core'
import type { MemberRecord } from './member-record.js'

export interface Outstanding {
  /** Whose ack counts. */
  readonly target: string
  readonly sentMs: number
  /** The target has answered; `generation` is that of the process that did. */
  answered(generation: number): void
  /** The target has answered a proxy. */
  relayed?(): void
  /** A proxy has had no answer yet. */
  nacked?(proxy: MemberRecord): void
}

const PLACES = 0x1_0000

export class OutstandingPings {
  readonly #pings: (Outstanding | undefined)[] = []
  readonly #sequences: number[] = []
  readonly #free: number[] = []
  #count: number

  constructor(random: Random) {
    this.#count = random.int(PLACES)
  }

  get size(): number {
    return this.#pings.length - this.#free.length
  }

  /** Returns its number. @throws LimitError above 65,536 at once */
  add(ping: Outstanding): number {
    const place = this.#free.pop() ?? this.#pings.length
    if (place === PLACES) throw new LimitError('Pings that wait for an answer', PLACES)
    this.#count = (this.#count + 1) % PLACES
    const sequence = this.#count * PLACES + place
    this.#pings[place] = ping
    this.#sequences[place] = sequence
    return sequence
  }

  get(sequence: number): Outstanding | undefined {
    const place = sequence % PLACES
    return this.#sequences[place] === sequence ? this.#pings[place] : undefined
  }

  /** False if it is none. */
  delete(sequence: number): boolean {
    if (this.get(sequence) === undefined) return false
    const place = sequence % PLACES
    this.#pings[place] = undefined
    this.#free.push(place)
    return true
  }
}
