/**
 * A request of this end, from the call to its one settlement. The objects are used again, each with its timer, so that
 * a request costs a promise and nothing else that lives longer than the turn.
 */
import {
  unwatchAbort,
  watchAbort,
  type AbortWatcher,
  type Clock,
  type TimingWheel,
  type TransportError,
} from '@hs/core'
import { BytePool } from './byte-pool.js'
import { LazyTimer } from './lazy-timer.js'
import type { Linked } from './linked-list.js'
import type { Method } from './methods.js'
import { NO_BODY } from './outgoing-frame.js'
import { cancelled, deadlineExceeded } from './transport-errors.js'
import { HEADER_BYTES, REQUEST_PREFIX_BYTES } from './wire.js'

/** Whoever holds a call that is not settled. */
export interface CallHolder {
  /** Lets go of it, for its caller waits no more. */
  release(call: OutboundCall): void
}

type Resolve = (answer: Uint8Array) => void
type Reject = (error: unknown) => void

export class OutboundCall implements Linked<OutboundCall>, AbortWatcher {
  previous: OutboundCall | null = null
  next: OutboundCall | null = null
  /** On the wire; has a meaning only once written. */
  id = 0
  method!: Method
  to = ''
  body: Uint8Array = NO_BODY
  deadlineMs = 0
  /** Whether its whole frame, or part of it, was given to the socket. */
  written = false
  /** Whether it was moved here from a connection whose peer said goodbye. */
  moved = false
  /** Whether the socket's next batch still needs the body, whatever becomes of the call. */
  isBodyInUse = false
  holder: CallHolder | null = null
  #timeoutMs = 0
  #signal: AbortSignal | undefined
  #resolve: Resolve | null = null
  #reject: Reject | null = null
  readonly #timer: LazyTimer
  readonly #calls: OutboundCalls

  constructor(clock: Clock, wheel: TimingWheel, calls: OutboundCalls) {
    this.#timer = new LazyTimer(clock, wheel, () => this.#expire())
    this.#calls = calls
  }

  /** What it takes on the wire, uncompressed. */
  get bytes(): number {
    return HEADER_BYTES + REQUEST_PREFIX_BYTES - 1 + this.method.encoded.length + this.body.length
  }

  /** @param body is copied. */
  begin(
    to: string,
    method: Method,
    body: Uint8Array,
    nowMs: number,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    this.to = to
    this.method = method
    this.body = this.#calls.bodies.copy(body)
    this.deadlineMs = nowMs + timeoutMs
    this.#timeoutMs = timeoutMs
    this.#timer.set(nowMs, timeoutMs)
    if (signal !== undefined) {
      this.#signal = signal
      watchAbort(signal, this)
    }
    const promise = new Promise<Uint8Array>(capture)
    this.#resolve = capturedResolve
    this.#reject = capturedReject
    return promise
  }

  succeed(answer: Uint8Array): void {
    const resolve = this.#resolve
    this.#end()
    resolve?.(answer)
  }

  fail(error: TransportError): void {
    const reject = this.#reject
    this.#end()
    reject?.(error)
  }

  /** The signal has aborted. */
  onAbort(): void {
    const cause: unknown = this.#signal?.reason
    this.holder?.release(this)
    this.fail(cancelled(this.method.name, this.to, cause, !this.written))
  }

  #expire(): void {
    this.holder?.release(this)
    this.fail(deadlineExceeded(this.method.name, this.to, this.#timeoutMs, !this.written))
  }

  #end(): void {
    this.#timer.clear()
    if (this.#signal !== undefined) unwatchAbort(this.#signal, this)
    this.#signal = undefined
    this.#resolve = null
    this.#reject = null
    this.holder = null
    if (!this.isBodyInUse) this.#calls.bodies.recycle(this.body)
    this.isBodyInUse = false
    this.body = NO_BODY
    this.to = ''
    this.written = false
    this.moved = false
    if (!this.#calls.giveBack(this)) this.#timer.cancel()
  }
}

/** Calls that are over and wait to be used again. */
export class OutboundCalls {
  readonly bodies = new BytePool()
  readonly #clock: Clock
  readonly #wheel: TimingWheel
  readonly #over: OutboundCall[] = []

  constructor(clock: Clock, wheel: TimingWheel) {
    this.#clock = clock
    this.#wheel = wheel
  }

  take(): OutboundCall {
    return this.#over.pop() ?? new OutboundCall(this.#clock, this.#wheel, this)
  }

  /** False: there are enough. */
  giveBack(call: OutboundCall): boolean {
    if (this.#over.length >= MAX_POOLED) return false
    this.#over.push(call)
    return true
  }
}

const MAX_POOLED = 4_096

/** One executor for all promises: it runs within the constructor, so nothing can come between. */
let capturedResolve: Resolve | null = null
let capturedReject: Reject | null = null
function capture(resolve: Resolve, reject: Reject): void {
  capturedResolve = resolve
  capturedReject = reject
}
