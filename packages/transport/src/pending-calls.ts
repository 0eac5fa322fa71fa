/** Requests of this end that were written and wait for their answers, by id. An answer reaches only its own request. */
import type { OutboundCall } from './outbound-call.js'
import { MAX_ID } from './wire.js'

export class PendingCalls {
  readonly #byId = new Map<number, OutboundCall>()
  #nextId = 1

  get size(): number {
    return this.#byId.size
  }

  /** Gives the call an id that no other one has now. Ids rise, so that a peer's GOAWAY can say up to where it came. */
  add(call: OutboundCall): void {
    while (this.#byId.has(this.#nextId)) this.#step()
    call.id = this.#nextId
    this.#byId.set(call.id, call)
    this.#step()
  }

  /** The call that this id stands for, which is no longer pending then. */
  take(id: number): OutboundCall | undefined {
    const call = this.#byId.get(id)
    if (call !== undefined) this.#byId.delete(id)
    return call
  }

  /** All whose id is greater, in the order in which they were written. */
  takeAbove(id: number): OutboundCall[] {
    const taken = [...this.#byId.values()].filter((call) => call.id > id)
    for (const call of taken) this.#byId.delete(call.id)
    return taken
  }

  #step(): void {
    this.#nextId = this.#nextId === MAX_ID ? 1 : this.#nextId + 1
  }
}
