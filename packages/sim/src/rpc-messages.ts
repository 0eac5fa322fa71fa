/** What requests, answers and the end of either side put on the streams between two nodes. */

import type { TransportError } from '@hs/core'
import type { Exchange } from './exchange.js'
import type { Incarnation } from './incarnation.js'
import { enterScope } from './scope.js'
import type { StreamMessage } from './stream.js'

/** What a message without a body takes on a link. */
const HEADER_BYTES = 64

export class RequestMessage implements StreamMessage {
  readonly sender: Incarnation
  readonly bytes: number
  readonly exchange: Exchange

  constructor(exchange: Exchange) {
    this.sender = exchange.caller
    this.exchange = exchange
    this.bytes = exchange.terms.body.length + HEADER_BYTES
  }

  deliver(life: Incarnation): void {
    if (life.rpc.isClosed) this.exchange.refuse()
    else this.exchange.serve(life)
  }

  refuse(): void {
    this.exchange.refuse()
  }
}

export class AnswerMessage implements StreamMessage {
  readonly sender: Incarnation | null
  readonly bytes: number
  readonly #exchange: Exchange
  readonly #answer: Uint8Array | TransportError

  constructor(exchange: Exchange, sender: Incarnation | null, answer: Uint8Array | TransportError) {
    this.#exchange = exchange
    this.sender = sender
    this.#answer = answer
    this.bytes = (answer instanceof Uint8Array ? answer.length : 0) + HEADER_BYTES
  }

  deliver(): void {
    this.#exchange.settle(this.#answer)
  }

  /** Whoever asked is gone. */
  refuse(): void {
    return
  }
}

export class CancelMessage implements StreamMessage {
  readonly sender: Incarnation | null
  readonly bytes = HEADER_BYTES
  readonly #exchange: Exchange
  readonly #reason: TransportError

  constructor(exchange: Exchange, sender: Incarnation | null, reason: TransportError) {
    this.#exchange = exchange
    this.sender = sender
    this.#reason = reason
  }

  deliver(life: Incarnation): void {
    enterScope(life)
    this.#exchange.abortCall(this.#reason)
  }

  /** Whoever served it is gone. */
  refuse(): void {
    return
  }
}

/** A request that was taken in by a process that ends before it could look at it. */
export function exchangeOf(message: StreamMessage): Exchange | undefined {
  return message instanceof RequestMessage ? message.exchange : undefined
}
