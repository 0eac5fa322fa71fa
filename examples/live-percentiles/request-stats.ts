/** What is known of the requests: a window a second for those who watch, and the objective over the last minute. */
import {
  evaluateSlo,
  exponentialSketch,
  latencySlo,
  mergeWindows,
  StatsPusher,
  summarize,
  TimeWindowedDigest,
  WindowedStats,
  type DigestSummary,
  type WindowResult,
} from '@hs/windowed-stats'

export interface Second {
  readonly time: string
  readonly requests: number
  readonly errors: number
  readonly latency: DigestSummary | undefined
  /** How the latency of the last minute stands to the objective. */
  readonly level: string
}

const SERVER = 'http'
const OBJECTIVE = latencySlo({ p50Ms: 20, p95Ms: 60, p99Ms: 150 })

export class RequestStats {
  readonly #stats = new WindowedStats({ windowMs: 1_000, sketch: exponentialSketch() })
  readonly #pusher = new StatsPusher({ stats: this.#stats, maxSubscribersPerJob: 100 })
  readonly #minute = new TimeWindowedDigest({ windowMs: 10_000, windows: 6, sketch: exponentialSketch() })
  #total = 0

  /** Requests that watchers were told of. */
  get total(): number {
    return this.#total
  }

  constructor() {
    this.watch(({ requests }) => (this.#total += requests))
  }

  answered(route: string, latencyMs: number, status: number): void {
    const counts = { requests: 1, errors: status >= 500 ? 1 : 0 }
    const values = { latencyMs }
    this.#stats.record({ jobId: SERVER, workflowId: route, source: 'this server', atMs: Date.now(), counts, values })
    this.#minute.add(latencyMs)
  }

  /**
   * Told every second in which something was answered, all routes together, then that it is over; returns how to stop.
   * @throws LimitError beyond 100 watchers
   */
  watch(told: (second: Second) => void, over?: () => void): () => void {
    return this.#pusher.subscribe(SERVER, (update) => {
      if (update.tier !== 'periodic') return
      if (update.windows.length > 0) told(this.#second(update.windows))
      if (update.final) over?.()
    })
  }

  start(): Promise<void> {
    return this.#pusher.start()
  }

  /** The last windows reach whoever watches. */
  stop(): Promise<void> {
    return this.#pusher.stop()
  }

  #second(windows: readonly WindowResult[]): Second {
    const { endMs, counts, values } = mergeWindows(windows)
    return {
      time: new Date(endMs).toISOString().slice(11, 19),
      requests: counts['requests'] ?? 0,
      errors: counts['errors'] ?? 0,
      latency: values['latencyMs'] && summarize(values['latencyMs']),
      level: evaluateSlo(this.#minute.summary(), OBJECTIVE).level,
    }
  }
}
