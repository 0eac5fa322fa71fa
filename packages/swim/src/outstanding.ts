/** Pings that wait for their ack, by sequence number: one number a ping, so an ack is never taken for another's. */
import type { Random } from '@hs/core'
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

export class OutstandingPings {
  readonly #bySequence = new Map<number, Outstanding>()
  #last: number

  constructor(random: Random) {
    this.#last = random.int(0x1_0000_0000)
  }

  get size(): number {
    return this.#bySequence.size
  }

  /** Returns its number. */
  add(ping: Outstanding): number {
    do this.#last = (this.#last + 1) >>> 0
    while (this.#bySequence.has(this.#last))
    this.#bySequence.set(this.#last, ping)
    return this.#last
  }

  get(sequence: number): Outstanding | undefined {
    return this.#bySequence.get(sequence)
  }

  /** False if it is none. */
  delete(sequence: number): boolean {
    return this.#bySequence.delete(sequence)
  }

  clear(): void {
    this.#bySequence.clear()
  }
}
