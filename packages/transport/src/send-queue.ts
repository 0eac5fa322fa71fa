/**
 * What waits for a connection's socket: strictly by priority, and within a priority answers and notifications before
 * requests, each in order. Bounds what callers may add (`maxQueued` messages of a priority, `maxQueuedBytes` in all);
 * answers are never refused, for whoever asks is bounded elsewhere, but they count as bytes.
 * What waits at a lower priority gives way to what a higher one brings, so that `low` can fill only its own.
 */
import type { TransportError } from '@hs/core'
import { LinkedList } from './linked-list.js'
import type { Lane } from './methods.js'
import { OutboundCall } from './outbound-call.js'
import type { OutgoingFrame } from './outgoing-frame.js'

export type Message = OutboundCall | OutgoingFrame

export interface SendQueueLimits {
  readonly maxQueued: number
  readonly maxQueuedBytes: number
}

const LANES = 4

class LaneQueue {
  /** Answers and notifications. */
  readonly frames = new LinkedList<OutgoingFrame>()
  readonly requests = new LinkedList<OutboundCall>()
  notifications = 0
  /** Of requests and notifications. */
  messageBytes = 0

  get messages(): number {
    return this.requests.size + this.notifications
  }
}

export class SendQueue {
  readonly #limits: SendQueueLimits
  /** Words between the two ends: few and short, so they pass everything. */
  readonly #control = new LinkedList<OutgoingFrame>()
  /** By priority, made when used. */
  readonly #lanes: (LaneQueue | undefined)[] = [undefined, undefined, undefined, undefined]
  #bytes = 0
  /** Of these, what is no request and no notification. */
  #answerBytes = 0
  #frames = 0

  constructor(limits: SendQueueLimits) {
    this.#limits = limits
  }

  /** All that waits, answers included. */
  get bytes(): number {
    return this.#bytes
  }

  /** Answers, and words between the two ends. */
  get answerBytes(): number {
    return this.#answerBytes
  }

  get isEmpty(): boolean {
    return this.#frames === 0
  }

  /** Requests and notifications that wait at a priority. */
  messages(lane: Lane): number {
    return this.#lanes[lane]?.messages ?? 0
  }

  /**
   * Whether a message may be added within the bounds.
   * @param freeSlots requests that wait only for the socket: these may be more than `maxQueued` by that many.
   */
  admits(lane: Lane, bytes: number, freeSlots: number): boolean {
    return this.#hasRoom(bytes) && (this.messages(lane) < this.#limits.maxQueued || this.#excess() < freeSlots)
  }

  /**
   * Makes room for the bytes of a message at the cost of lower priorities, newest first; nothing happens if that
   * cannot be enough. Returns what had to go.
   */
  displace(lane: Lane, bytes: number): Message[] {
    const displaced: Message[] = []
    let movable = 0
    for (let lower = lane + 1; lower < LANES; lower++) movable += this.#lanes[lower]?.messageBytes ?? 0
    if (!this.#hasRoom(bytes - movable)) return displaced
    for (let lower = LANES - 1; lower > lane; lower--) {
      const queue = this.#lanes[lower]
      while (queue !== undefined && queue.messages > 0 && !this.#hasRoom(bytes)) {
        const newest = queue.requests.last ?? lastNotification(queue)
        if (newest === null) break
        this.remove(newest)
        displaced.push(newest)
      }
    }
    return displaced
  }

  addRequest(call: OutboundCall): void {
    const queue = this.#lane(call.method.lane)
    queue.requests.push(call)
    queue.messageBytes += call.bytes
    this.#count(call, 1)
  }

  /** An answer or a notification. */
  addFrame(frame: OutgoingFrame): void {
    const queue = this.#lane(frame.lane)
    queue.frames.push(frame)
    if (frame.method !== null) {
      queue.notifications++
      queue.messageBytes += frame.bytes
    }
    this.#count(frame, 1)
  }

  addControl(frame: OutgoingFrame): void {
    this.#control.push(frame)
    this.#count(frame, 1)
  }

  /** The next one to be written; null if there is none, or only requests and none may go. */
  peek(mayRequest: boolean): Message | null {
    if (this.#frames === 0) return null
    if (this.#control.first !== null) return this.#control.first
    for (const queue of this.#lanes) {
      if (queue === undefined) continue
      if (queue.frames.first !== null) return queue.frames.first
      if (mayRequest && queue.requests.first !== null) return queue.requests.first
    }
    return null
  }

  /** Takes out what `peek` has just returned. */
  take(message: Message): void {
    if (message === this.#control.first) {
      this.#control.remove(this.#control.first)
      this.#count(message, -1)
    } else this.remove(message)
  }

  /** Takes out what waits at its priority. */
  remove(message: Message): void {
    if (message instanceof OutboundCall) {
      const queue = this.#lane(message.method.lane)
      queue.requests.remove(message)
      queue.messageBytes -= message.bytes
    } else {
      const queue = this.#lane(message.lane)
      queue.frames.remove(message)
      if (message.method !== null) {
        queue.notifications--
        queue.messageBytes -= message.bytes
      }
    }
    this.#count(message, -1)
  }

  /** Takes out all requests, and with `notifications` those too, in the order in which they would have gone. */
  drain(notifications: boolean): Message[] {
    const drained: Message[] = []
    for (const queue of this.#lanes) {
      if (queue === undefined) continue
      if (notifications) {
        for (let frame = queue.frames.first; frame !== null;) {
          const { next } = frame
          if (frame.method !== null) drained.push(frame)
          frame = next
        }
      }
      for (let call = queue.requests.first; call !== null; call = call.next) drained.push(call)
    }
    for (const message of drained) this.remove(message)
    return drained
  }

  #hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= this.#limits.maxQueuedBytes
  }

  /** Messages beyond `maxQueued` of their priority. */
  #excess(): number {
    let excess = 0
    for (const queue of this.#lanes) {
      if (queue !== undefined) excess += Math.max(0, queue.messages - this.#limits.maxQueued)
    }
    return excess
  }

  #lane(lane: Lane): LaneQueue {
    return (this.#lanes[lane] ??= new LaneQueue())
  }

  #count(message: Message, sign: 1 | -1): void {
    const bytes = sign * message.bytes
    this.#bytes += bytes
    if (message.method === null) this.#answerBytes += bytes
    this.#frames += sign
  }
}

/** Settles a message that will not be sent. */
export function failMessage(message: Message, error: TransportError): void {
  if (message instanceof OutboundCall) message.fail(error)
  else message.reject?.(error)
}

function lastNotification(queue: LaneQueue): OutgoingFrame | null {
  let frame = queue.frames.last
  while (frame !== null && frame.method === null) frame = frame.previous
  return frame
}
