/**
 * The effects of a scheduler on their way out: collected while the state changes, delivered when it has settled, one
 * after the other. What a delivery causes joins the end of the line, so deliveries never nest.
 */
import type { ErrorReporter } from '@hs/core'
import type { DcJobResult, DcJobSnapshot } from './job-report.js'
import type { ShardResult } from './shard-result.js'
import type { AbortRequest, Dispatch, JobSuspicion, SchedulerPort, TimeoutReport } from './scheduler-port.js'

type Send<T> = (message: T) => void

export class Outbox {
  readonly dispatch: Send<Dispatch>
  readonly abort: Send<AbortRequest>
  readonly shardSettled: Send<ShardResult> | null
  readonly jobChanged: Send<DcJobSnapshot> | null
  readonly jobFinished: Send<DcJobResult> | null
  readonly timeoutReport: Send<TimeoutReport>
  readonly suspicion: Send<JobSuspicion>
  /** Pairs of a delivery and its message, from `#next` on. */
  #line: (readonly [(message: never) => void, unknown])[] = []
  #next = 0
  #delivering = false

  constructor(port: SchedulerPort, reporter: ErrorReporter) {
    const line = <T>(name: keyof SchedulerPort, deliver: ((message: T) => unknown) | undefined): Send<T> | null => {
      if (deliver === undefined) return null
      const guarded = reporter.guard(`SchedulerPort.${name}`, deliver)
      return (message) => this.#line.push([guarded, message])
    }
    const ignore = () => undefined
    const { abort, shardSettled, jobChanged, jobFinished, timeoutReport, suspicion } = port
    this.dispatch = line('dispatch', (message: Dispatch) => port.dispatch(message)) ?? ignore
    this.abort = line('abort', abort?.bind(port)) ?? ignore
    this.shardSettled = line('shardSettled', shardSettled?.bind(port))
    this.jobChanged = line('jobChanged', jobChanged?.bind(port))
    this.jobFinished = line('jobFinished', jobFinished?.bind(port))
    this.timeoutReport = line('timeoutReport', timeoutReport?.bind(port)) ?? ignore
    this.suspicion = line('suspicion', suspicion?.bind(port)) ?? ignore
  }

  /** Delivers all there is, unless a delivery is under way: that one goes on to the end. */
  flush(): void {
    if (this.#delivering) return
    this.#delivering = true
    try {
      for (let entry = this.#line[this.#next]; entry !== undefined; entry = this.#line[this.#next]) {
        this.#next++
        const [deliver, message] = entry
        deliver(message as never)
      }
    } finally {
      this.#delivering = false
      this.clear()
    }
  }

  /** What is still in the line is not delivered. */
  clear(): void {
    this.#line = []
    this.#next = 0
  }
}
