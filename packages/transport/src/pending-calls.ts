/**
 * Requests of this end that were written and wait for their answers, by id: an answer reaches only its own request.
 * Ids rise, so that a peer's GOAWAY can say up to where it came; the lower bits of an id are its place, and an id whose
 * place is taken is passed over. So finding a request costs one look, and adding one hardly more.
 */
import type { OutboundCall } from './outbound-call.js'
import { MAX_ID } from './wire.js'

const MIN_PLACES = 8

export class PendingCalls {
  /** A power of two of them, at least twice as many as calls. Made when used: most connections answer only. */
  #places: (OutboundCall | undefined)[] = []
  #mask = -1
  #size = 0
  #nextId = 1

  get size(): number {
    return this.#size
  }

  /** Gives the call an id that no other one has now. */
  add(call: OutboundCall): void {
    if (this.#size * 2 > this.#mask) this.#grow()
    while (this.#places[this.#nextId & this.#mask] !== undefined) this.#step()
    call.id = this.#nextId
    this.#places[this.#nextId & this.#mask] = call
    this.#size++
    this.#step()
  }

  /** The call that this id stands for, which is no longer pending then. */
  take(id: number): OutboundCall | undefined {
    const place = id & this.#mask
    const call = this.#size === 0 ? undefined : this.#places[place]
    if (call === undefined || call.id !== id) return undefined
    this.#places[place] = undefined
    this.#size--
    return call
  }

  /** All whose id is greater, in the order in which they were written. */
  takeAbove(id: number): OutboundCall[] {
    const taken: OutboundCall[] = []
    for (const call of this.#places) {
      if (call !== undefined && call.id > id) taken.push(call)
    }
    for (const call of taken) this.take(call.id)
    return taken.sort((a, b) => age(b, this.#nextId) - age(a, this.#nextId))
  }

  #step(): void {
    this.#nextId = this.#nextId === MAX_ID ? 1 : this.#nextId + 1
  }

  /** Calls with places of their own have such among twice as many, too. */
  #grow(): void {
    const before = this.#places
    const length = Math.max(MIN_PLACES, before.length * 2)
    this.#places = new Array<OutboundCall | undefined>(length).fill(undefined)
    this.#mask = length - 1
    for (const call of before) {
      if (call !== undefined) this.#places[call.id & this.#mask] = call
    }
  }
}

/** How many ids were given since: right also when they have begun anew. */
function age(call: OutboundCall, nextId: number): number {
  return (nextId - call.id) >>> 0
}
