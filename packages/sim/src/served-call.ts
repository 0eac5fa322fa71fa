/** The handler's side of a request. The time left is counted from the arrival, as a server would, which knows no more. */

import type { RpcCall, Timer, TransportError } from '@hs/core'
import type { Incarnation } from './incarnation.js'
import { rpcFailure } from './rpc-failure.js'

export class ServedCall implements RpcCall {
  readonly #life: Incarnation
  readonly #deadline: number
  /** Made only for handlers that ask for it. */
  #controller: AbortController | undefined
  #timer: Timer | undefined
  #reason: TransportError | undefined
  #isDone = false

  constructor(life: Incarnation, timeoutMs: number) {
    this.#life = life
    this.#deadline = life.clock.now() + timeoutMs
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
      else if (!this.#isDone) {
        const late = () => this.abort(rpcFailure('DEADLINE_EXCEEDED', 'The caller waits no longer'))
        this.#timer = this.#life.clock.setTimer(this.remainingMs(), late)
      }
    }
    return this.#controller.signal
  }

  remainingMs(): number {
    return this.#reason === undefined ? Math.max(0, this.#deadline - this.#life.clock.now()) : 0
  }

  abort(reason: TransportError): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#timer?.cancel()
    if (!this.#life.isDead) this.#controller?.abort(reason)
  }

  /** It is answered: the signal will not abort any more. */
  end(): void {
    this.#isDone = true
    this.#timer?.cancel()
  }
}
