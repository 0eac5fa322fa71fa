/**
 * Whether a worker lives. A busy event loop must not look dead, so silence alone only makes a suspect: the worker is
 * asked. One that refuses twice, `heartbeatMs` apart, is gone (a crashed process refuses); one that neither answers nor
 * refuses gets no new work, and is given up after `workerSilenceMs` and what its work was granted beyond it.
 */
import { HsError, TransportError, type Clock, type Timer } from '@hs/core'
import type { NodeTiming } from './timing.js'

export interface WorkerMonitorOptions {
  readonly clock: Clock
  readonly timing: Readonly<NodeTiming>
  /** So much longer than `workerSilenceMs` it may be silent now: it was granted more time (AD-26). */
  extraSilenceMs(): number
  /** Resolves when the worker, in the life that is known, has answered. */
  ping(): Promise<void>
  onSuspected(suspected: boolean): void
  onLost(why: string): void
}

export class WorkerMonitor {
  readonly #options: WorkerMonitorOptions
  #heardAt: number
  /** When the last refusal came, if nothing was heard since. */
  #refusedAt: number | null = null
  #suspected = false
  #pinging = false
  #stopped = false
  #timer: Timer | undefined

  constructor(options: WorkerMonitorOptions) {
    this.#options = options
    this.#heardAt = options.clock.now()
    this.#watch()
  }

  get suspected(): boolean {
    return this.#suspected
  }

  /** The worker spoke. */
  heard(): void {
    this.#heardAt = this.#options.clock.now()
    this.#refusedAt = null
    if (this.#suspected) {
      this.#suspected = false
      this.#options.onSuspected(false)
    }
  }

  /** A request to it failed: asks at once instead of waiting for its silence. */
  doubt(): void {
    this.#ping()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** Wakes when it has been silent for two heartbeats; what it says meanwhile only moves the next look. */
  #watch(): void {
    const { clock, timing, extraSilenceMs } = this.#options
    const silentMs = clock.now() - this.#heardAt
    if (silentMs >= timing.workerSilenceMs + extraSilenceMs()) {
      this.#lose(`silent for ${Math.round(silentMs)} ms`)
      return
    }
    const patienceMs = 2 * timing.heartbeatMs
    if (silentMs >= patienceMs) {
      this.#ping()
      this.#arm(timing.heartbeatMs)
    } else this.#arm(patienceMs - silentMs)
  }

  #arm(delayMs: number): void {
    this.#timer?.cancel()
    if (!this.#stopped) this.#timer = this.#options.clock.setTimer(Math.max(1, delayMs), () => this.#watch())
  }

  #ping(): void {
    if (this.#pinging || this.#stopped) return
    this.#pinging = true
    this.#options.ping().then(
      () => {
        this.#pinging = false
        if (!this.#stopped) this.heard()
      },
      (error) => {
        this.#pinging = false
        if (!this.#stopped) this.#failed(error)
      },
    )
  }

  #failed(error: unknown): void {
    const { clock, timing, onSuspected } = this.#options
    if (!isRefusal(error)) {
      if (!this.#suspected) {
        this.#suspected = true
        onSuspected(true)
      }
      return
    }
    const now = clock.now()
    if (this.#refusedAt === null) this.#refusedAt = now
    else if (now - this.#refusedAt >= timing.heartbeatMs) {
      this.#lose(`refused twice: ${HsError.is(error) ? error.code : 'unknown'}`)
      return
    }
    // Between two refusals the next look is a ping, however lately it was heard.
    this.#timer?.cancel()
    this.#timer = clock.setTimer(Math.max(1, this.#refusedAt + timing.heartbeatMs - now), () => {
      if (this.#refusedAt !== null) this.#ping()
      this.#arm(timing.heartbeatMs)
    })
  }

  #lose(why: string): void {
    this.stop()
    this.#options.onLost(why)
  }
}

/** Nobody is there. A `CONNECT_FAILED` that only waits to dial again has dialled nothing and says nothing. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof TransportError)) return false
  if (error.code === 'CONNECTION_LOST') return true
  return error.code === 'CONNECT_FAILED' && error.retryAfterMs === undefined
}
