/**
 * In front of every handler, whatever the framework: who may come in, and what the others are told. A limit of rate a
 * client (429), and, when the server has too much to do, the least important goes first (503); both with `Retry-After`.
 */
import type { ServerResponse } from 'node:http'
import { ResourceMonitor } from '@hs/health'
import { nodeResourceSource } from '@hs/health/node'
import {
  Admission,
  OverloadDetector,
  type OverloadDetectorOptions,
  PriorityExecutor,
  RateLimiter,
  type MessagePriority,
  type WorkPermit,
} from '@hs/overload'

export interface GuardOptions {
  /** Requests a second of one client, and how many at once. */
  readonly perSecond: number
  readonly burst: number
  /** Requests that are worked on at the same time. */
  readonly concurrency: number
  /** What counts as too much. */
  readonly detector?: OverloadDetectorOptions
}

export type Entry =
  | { readonly admitted: true; readonly permit: WorkPermit }
  | { readonly admitted: false; readonly status: 429 | 503; readonly retryAfter: string; readonly reason: string }

export class Guard {
  readonly detector: OverloadDetector
  readonly admission: Admission
  readonly #source = nodeResourceSource()
  readonly #monitor = new ResourceMonitor({ source: this.#source })

  constructor({ perSecond, burst, concurrency, detector }: GuardOptions) {
    this.detector = new OverloadDetector({
      gauges: { eventLoopDelayMs: [200, 500, 2_000] },
      // Most of the time is the upstream's, and that varies: only several times as slow as usual counts.
      deltaThresholds: [3, 6, 12],
      ...detector,
    })
    this.admission = new Admission({
      detector: this.detector,
      limiter: new RateLimiter({ rates: {}, perClient: { limit: perSecond, perMs: 1_000, burst } }),
      executor: new PriorityExecutor({ limit: concurrency }),
    })
    this.#monitor.events.on('sample', ({ cpu, memory, eventLoopDelayMs }) =>
      this.detector.observe({ cpu: cpu.value, memory: memory.value, eventLoopDelayMs }),
    )
  }

  /** From now on CPU, memory and the lateness of the event loop count too. */
  async start(): Promise<void> {
    await this.#monitor.start()
  }

  async stop(): Promise<void> {
    await this.#monitor.stop()
    this.#source.close()
  }

  enter(client: string, priority: MessagePriority): Entry {
    const decision = this.admission.admit({ client, priority })
    if (decision.admitted) return decision
    const { reason, retryAfterMs } = decision
    return {
      admitted: false,
      status: reason === 'rate' ? 429 : 503,
      retryAfter: retryAfterHeader(retryAfterMs),
      reason: reason === 'rate' ? 'you ask too often' : 'the server has too much to do',
    }
  }
}

/** Gives the permit back when the answer is over, also when the client has gone. */
export function settleWith(response: ServerResponse, permit: WorkPermit): void {
  response.once('close', () => {
    if (!response.writableFinished) permit.release()
    else if (response.statusCode < 500) permit.success()
    else permit.failure()
  })
}

/** Whole seconds, at least one (RFC 9110, section 10.2.3). */
export function retryAfterHeader(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1_000)))
}
