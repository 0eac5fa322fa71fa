/** A frame on its way to the socket that is no request: an answer, a notification, or a word between the two ends. */
import type { InboundCall } from './inbound-call.js'
import type { Linked } from './linked-list.js'
import type { Lane, Method } from './methods.js'
import { FRAME_TYPES, HEADER_BYTES } from './wire.js'

export const NO_BODY = new Uint8Array(0)

export class OutgoingFrame implements Linked<OutgoingFrame> {
  previous: OutgoingFrame | null = null
  next: OutgoingFrame | null = null
  readonly type: number
  readonly id: number
  readonly lane: Lane
  readonly body: Uint8Array
  /** Of a notification. */
  readonly method: Method | null
  /** The call that it answers. */
  readonly answers: InboundCall | null
  /** Whether it was moved here from a connection whose peer said goodbye. */
  moved = false
  /** Settle the promise of a notification. */
  resolve: (() => void) | null = null
  reject: ((error: unknown) => void) | null = null

  private constructor(
    type: number,
    id: number,
    lane: Lane,
    body: Uint8Array,
    method: Method | null,
    answers: InboundCall | null,
  ) {
    this.type = type
    this.id = id
    this.lane = lane
    this.body = body
    this.method = method
    this.answers = answers
  }

  static answer(type: number, id: number, lane: Lane, body: Uint8Array, answers: InboundCall | null): OutgoingFrame {
    return new OutgoingFrame(type, id, lane, body, null, answers)
  }

  static notification(method: Method, body: Uint8Array): OutgoingFrame {
    return new OutgoingFrame(FRAME_TYPES.notify, 0, method.lane, body, method, null)
  }

  /** CANCEL, PING, PONG and GOAWAY, which pass everything else. */
  static control(type: number, id: number, body: Uint8Array): OutgoingFrame {
    return new OutgoingFrame(type, id, 0, body, null, null)
  }

  /** What it takes on the wire, uncompressed. */
  get bytes(): number {
    return HEADER_BYTES + (this.method === null ? 0 : this.method.encoded.length) + this.body.length
  }
}
