/**
 * A request that a handler of this end serves. Its abort signal, and the timer behind it, are made only when a handler
 * asks for the signal.
 */
import { TransportError, type Clock, type RpcCall, type TimingWheel, type WheelTimer } from '@hs/core'
import type { ServedMethod } from './methods.js'

export interface CallEnvironment {
  readonly clock: Clock
  readonly wheel: TimingWheel
}

/** CANCEL does not say why. One that comes this close to the deadline comes because of it: see `cancel`. */
const NEAR_DEADLINE_MS = 25
const NEAR_DEADLINE_SHARE = 0.1

export class InboundCall implements RpcCall {
  readonly id: number
  readonly method: ServedMethod
  readonly #environment: CallEnvironment
  readonly #timeoutMs: number
  readonly #deadlineMs: number
  #controller: AbortController | null = null
  #timer: WheelTimer | null = null
  #reason: TransportError | null = null
  #ended = false

  constructor(environment: CallEnvironment, id: number, method: ServedMethod, nowMs: number, timeoutMs: number) {
    this.#environment = environment
    this.id = id
    this.method = method
    this.#timeoutMs = timeoutMs
    this.#deadlineMs = nowMs + timeoutMs
  }

  get signal(): AbortSignal {
    return (this.#controller ?? this.#makeController()).signal
  }

  remainingMs(): number {
    return this.#reason === null ? Math.max(0, this.#leftMs()) : 0
  }

  /** Whether nobody waits for the answer any more. */
  get isAborted(): boolean {
    return this.#reason !== null
  }

  /**
   * The caller has sent CANCEL: because it gave up, or because its deadline has passed. The two ends see the deadline
   * pass at slightly different times, so near it the deadline is the reason.
   */
  cancel(): void {
    const near = Math.min(Math.max(NEAR_DEADLINE_MS, this.#timeoutMs * NEAR_DEADLINE_SHARE), this.#timeoutMs / 2)
    if (this.#leftMs() <= near) this.#pass()
    else this.abort(new TransportError('CANCELLED', `The caller of ${this.method.name} has cancelled it`))
  }

  abort(reason: TransportError): void {
    if (this.#ended || this.#reason !== null) return
    this.#reason = reason
    this.#timer?.cancel()
    this.#controller?.abort(reason)
  }

  /**
   * The handler has answered: the signal will never abort. After the deadline nobody waits for the answer, whether the
   * caller has sent CANCEL or not.
   */
  end(): void {
    if (this.#reason === null && this.#leftMs() <= 0) this.#reason = this.#deadlineExceeded()
    this.#ended = true
    this.#timer?.cancel()
  }

  #leftMs(): number {
    return this.#deadlineMs - this.#environment.clock.now()
  }

  #makeController(): AbortController {
    const controller = new AbortController()
    this.#controller = controller
    if (this.#reason !== null) controller.abort(this.#reason)
    else if (!this.#ended) this.#watchDeadline()
    return controller
  }

  #watchDeadline(): void {
    const leftMs = this.#leftMs()
    if (leftMs <= 0) this.#pass()
    else this.#timer = this.#environment.wheel.schedule(leftMs, () => this.#pass())
  }

  #pass(): void {
    this.abort(this.#deadlineExceeded())
  }

  #deadlineExceeded(): TransportError {
    return new TransportError('DEADLINE_EXCEEDED', `The ${this.#timeoutMs} ms for ${this.method.name} have passed`)
  }
}
