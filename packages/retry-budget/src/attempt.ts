/** What an attempt is told. Its signal is made when it is read, for most of what succeeds at once never looks at it. */
import type { Clock } from '@hs/core'

export interface AttemptContext {
  /** From 1. */
  readonly attempt: number
  /** Aborts when this attempt is of no use any more: timed out, cancelled, or outrun by another. */
  readonly signal: AbortSignal
  /** What the run has left, in milliseconds; Infinity without a deadline. */
  readonly remainingMs: number
}

/** Told when the signal is read for the first time. */
interface SignalReader {
  onSignalRead(): void
}

interface Bounds {
  readonly clock: Clock
  readonly deadlineMs: number
}

export class Attempt implements AttemptContext {
  readonly attempt: number
  /** When a limit or `fn` first made this look at the clock. */
  noticedAtMs: number | undefined = undefined
  readonly #bounds: Bounds
  readonly #owner: SignalReader | undefined
  #controller: AbortController | undefined = undefined
  #abortedWith: { readonly reason: unknown } | undefined = undefined

  constructor(attempt: number, bounds: Bounds, owner?: SignalReader) {
    this.attempt = attempt
    this.#bounds = bounds
    this.#owner = owner
  }

  get signal(): AbortSignal {
    if (this.#controller !== undefined) return this.#controller.signal
    this.#controller = new AbortController()
    this.noticedAtMs ??= this.#bounds.clock.now()
    if (this.#abortedWith !== undefined) this.#controller.abort(this.#abortedWith.reason)
    else this.#owner?.onSignalRead()
    return this.#controller.signal
  }

  get remainingMs(): number {
    const { clock, deadlineMs } = this.#bounds
    const nowMs = clock.now()
    this.noticedAtMs ??= nowMs
    return Math.max(0, deadlineMs - nowMs)
  }

  /** Aborts the signal, also if it is read only later. */
  abort(reason: unknown): void {
    if (this.#abortedWith !== undefined) return
    this.#abortedWith = { reason }
    this.#controller?.abort(reason)
  }
}
