/**
 * The effects of a scheduler on their way out: collected while the state changes, delivered when it has settled, one
 * after the other. What a delivery causes joins the end of the line, so deliveries never nest.
 */
import type { ErrorReporter } from '@hs/core'
import type { DcJobResult, DcJobSnapshot } from './job-report.js'
import type { ShardResult } from './shard-result.js'
import type { AbortRequest, Dispatch, JobSuspicion, SchedulerPort, TimeoutReport } from './scheduler-port.js'

/** A line that was longer than this is given up with its memory. */
const LONG_LINE = 4_096

type Send<T> = (message: T) => void

/** One method of the port. */
interface Delivery {
  readonly source: string
  readonly deliver: (message: never) => unknown
}

export class Outbox {
  readonly dispatch: Send<Dispatch>
  readonly abort: Send<AbortRequest>
  readonly shardSettled: Send<ShardResult> | null
  readonly jobChanged: Send<DcJobSnapshot> | null
  readonly jobFinished: Send<DcJobResult> | null
  readonly timeoutReport: Send<TimeoutReport>
  readonly suspicion: Send<JobSuspicion>
  /** Deliveries and their messages by turns, from `#next` to `#end`; the array is used again and again. */
  #line: unknown[] = []
  readonly #reporter: ErrorReporter
  #next = 0
  #end = 0
  #delivering = false

  constructor(port: SchedulerPort, reporter: ErrorReporter) {
    this.#reporter = reporter
    const line = <T>(name: keyof SchedulerPort, deliver: ((message: T) => unknown) | undefined): Send<T> | null => {
      if (deliver === undefined) return null
      const delivery: Delivery = { source: `SchedulerPort.${name}`, deliver }
      return (message) => {
        this.#line[this.#end++] = delivery
        this.#line[this.#end++] = message
      }
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
    if (this.#delivering || this.#end === 0) return
    this.#delivering = true
    try {
      while (this.#next < this.#end) {
        const delivery = this.#line[this.#next] as Delivery
        const message = this.#line[this.#next + 1]
        this.#line[this.#next + 1] = undefined
        this.#next += 2
        this.#deliver(delivery, message as never)
      }
    } finally {
      this.#delivering = false
      this.clear()
    }
  }

  /** What is still in the line is not delivered. */
  clear(): void {
    if (this.#next < this.#end || this.#line.length > LONG_LINE) this.#line = []
    this.#next = 0
    this.#end = 0
  }

  /** As `ErrorReporter.guard` does it, without a closure a call. */
  #deliver({ source, deliver }: Delivery, message: never): void {
    try {
      const returned = deliver(message)
      if (typeof returned === 'object' && returned !== null) this.#reporter.guard(source, () => returned)()
    } catch (error) {
      this.#reporter.report(source, error)
    }
  }
}
