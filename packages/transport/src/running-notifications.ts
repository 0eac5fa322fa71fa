/**
 * Notifications whose handlers still work. Nobody waits for them, and they outlive the connection that brought them,
 * for whoever notifies and goes away meant it; but `stop()` grants them time, and aborts what is left then.
 */
import type { TransportError } from '@hs/core'
import type { InboundCall } from './inbound-call.js'

export class RunningNotifications {
  readonly #calls = new Set<InboundCall>()
  readonly #onEmpty: () => void

  constructor(onEmpty: () => void) {
    this.#onEmpty = onEmpty
  }

  get size(): number {
    return this.#calls.size
  }

  begin(call: InboundCall): void {
    this.#calls.add(call)
  }

  end(call: InboundCall): void {
    call.end()
    if (this.#calls.delete(call) && this.#calls.size === 0) this.#onEmpty()
  }

  abortAll(reason: TransportError): void {
    for (const call of this.#calls) call.abort(reason)
    this.#calls.clear()
    this.#onEmpty()
  }
}
