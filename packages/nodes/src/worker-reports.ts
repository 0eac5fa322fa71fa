/**
 * What a worker tells its leader, one report at a time: results as soon as there are any, the rest every `reportMs`,
 * and all that runs with every heartbeat. What finishes while a report is on its way goes with the next one.
 */
import type { BackpressureLevel, Clock, Timer } from '@hs/core'
import type { RunningShard, ShardTable } from '@hs/jobs'
import type { BackpressureView } from '@hs/overload'
import type { Execution, ProgressFrame } from './execution.js'
import { inLaterTurn } from './later-turn.js'
import { isLinkFailure } from './link-failure.js'
import type { LeaderLink } from './leader-link.js'
import type { RpcPeer } from './rpc-peer.js'
import type { StatsStreams } from './stats-stream.js'
import type { NodeTiming } from './timing.js'
import type { ExecutionRef } from './wire/fields.js'
import { workerReport, type StatsRecordWire, type WorkerHealth, type WorkerResources } from './wire/manager-worker.js'
import { asWire, sizeOf, type ShardResultWire } from './wire/shard-result.js'

export interface WorkerReportsOptions {
  readonly peer: RpcPeer
  readonly link: LeaderLink
  readonly table: ShardTable
  readonly streams: StatsStreams
  readonly executions: ReadonlyMap<string, Execution>
  readonly clock: Clock
  readonly timing: Readonly<NodeTiming>
  readonly signal: AbortSignal
  readonly workerId: string
  readonly incarnation: number
  /** What the leader asks for. */
  readonly asked: BackpressureView
  health(draining: boolean): WorkerHealth
  resources(): WorkerResources | undefined
  onAnswer(acknowledged: readonly ExecutionRef[], abort: readonly ExecutionRef[]): void
  onError(error: unknown): void
}

/** Of one report; a single result may take more. */
const REPORT_BYTES = 1_048_576
const MAX_RESULTS = 512
const FAREWELL_ROUNDS = 8
/** By how much rarer progress and statistics leave, at each level that the leader asks for; results always go at once. */
const RARER: Readonly<Record<BackpressureLevel, number>> = { none: 1, throttle: 2, batch: 4, reject: Infinity }

interface Report {
  readonly running: RunningShard[] | null
  readonly progress: ProgressFrame[]
  readonly results: ShardResultWire[]
  readonly stats: StatsRecordWire[]
}

export class WorkerReports {
  readonly #options: WorkerReportsOptions
  /** Results that are due and did not fit the last report. */
  #outbox: ShardResultWire[] = []
  #timer: Timer | undefined
  #inFlight: Promise<void> | null = null
  #woken = false
  #version = 0
  /** Progress and statistics. */
  #dataSentAt = -Infinity
  #listedAt = -Infinity
  #draining = false
  #stopping = false

  constructor(options: WorkerReportsOptions) {
    this.#options = options
  }

  /** A leader is found: begins to report to it. */
  begin(): void {
    this.#listedAt = -Infinity
    this.#outbox = []
    this.#schedule()
  }

  /** There is a result: it goes out with those that finish in the same turn. */
  wake(): void {
    if (this.#woken) return
    this.#woken = true
    if (this.#inFlight === null) this.#flushSoon()
  }

  #flushSoon(): void {
    inLaterTurn(this.#options.clock, () => {
      if (this.#inFlight !== null) return
      this.#woken = false
      this.#flush()
    })
  }

  stop(): void {
    this.#draining = true
    this.#stopping = true
    this.#timer?.cancel()
  }

  /** Tells the leader at once that no more work is taken; what runs is still reported. */
  drain(): void {
    this.#draining = true
    this.#listedAt = -Infinity
    this.#flush()
  }

  /** Delivers all results and gives back what still runs. For a graceful end. */
  async farewell(): Promise<void> {
    const { link, table, clock, timing } = this.#options
    this.stop()
    await this.#inFlight
    for (let round = 1; round <= FAREWELL_ROUNDS && link.leader !== null; round++) {
      const report = this.#compose(true)
      await this.#send(report)
      const { pendingResults } = table.snapshot()
      if (pendingResults === 0 && report.results.length === 0) return
      // The leader passes results on before it acknowledges them.
      if (pendingResults > 0) await clock.sleep(timing.reportMs)
    }
  }

  #flush(): void {
    const { link, signal, timing, clock } = this.#options
    if (this.#inFlight !== null || this.#stopping || link.leader === null || signal.aborted) return
    const now = clock.now()
    const heartbeat = now - this.#listedAt >= timing.heartbeatMs
    const report = this.#compose(heartbeat)
    const news = report.progress.length > 0 || report.stats.length > 0
    const due = heartbeat || (news && now - this.#dataSentAt >= timing.reportMs)
    if (report.results.length === 0 && !due) {
      this.#schedule()
      return
    }
    this.#inFlight = this.#send(report).then(() => {
      this.#inFlight = null
      if (this.#woken) this.#flushSoon()
      else if (this.#outbox.length > 0) this.wake()
      this.#schedule()
    })
  }

  /**
   * Looks again when `reportMs` has passed, or the heartbeat is due, whichever comes first; but at least 1 ms later, for
   * rounding may leave a fraction that never passes.
   */
  #schedule(): void {
    if (this.#stopping || this.#options.link.leader === null) return
    const { clock, timing } = this.#options
    const untilHeartbeatMs = this.#listedAt + timing.heartbeatMs - clock.now()
    this.#timer?.cancel()
    this.#timer = clock.setTimer(Math.max(1, Math.min(timing.reportMs, untilHeartbeatMs)), () => this.#flush())
  }

  #compose(withRunning: boolean): Report {
    const { table, streams, executions } = this.#options
    if (this.#outbox.length < MAX_RESULTS)
      this.#outbox.push(...table.dueResults(MAX_RESULTS - this.#outbox.length).map(asWire))
    const results: ShardResultWire[] = []
    let size = 0
    for (const result of this.#outbox) {
      size += sizeOf(result)
      if (results.length > 0 && size > REPORT_BYTES) break
      results.push(result)
    }
    const progress: ProgressFrame[] = []
    const withData = this.#takesData(results.length > 0)
    if (withData)
      for (const execution of executions.values()) if (execution.progress !== null) progress.push(execution.progress)
    const stats = withData ? streams.outgoing() : []
    return { running: withRunning ? table.running() : null, progress, results, stats }
  }

  /**
   * Read at this very moment: what was asked for earlier may be over. A result takes along what was counted on the way
   * to it, for it may end its job.
   */
  #takesData(hasResults: boolean): boolean {
    const { asked, clock, timing } = this.#options
    const rarer = RARER[asked.level()]
    if (rarer === 1 || this.#stopping) return true
    return (hasResults && rarer < Infinity) || clock.now() - this.#dataSentAt >= rarer * timing.reportMs
  }

  /** Never rejects: what goes wrong ends the bond with the leader. */
  async #send({ running, progress, results, stats }: Report): Promise<void> {
    const { peer, link, clock, signal, workerId, incarnation, executions, streams } = this.#options
    const { asked, health, resources, onAnswer, onError } = this.#options
    const leader = link.leader
    if (leader === null) return
    const now = clock.now()
    if (progress.length > 0 || stats.length > 0) this.#dataSentAt = now
    if (running !== null) this.#listedAt = now
    this.#version++
    const stopping = this.#draining
    const over = this.#stopping
    const measured = resources()
    const about = { ...(running && { running }), ...(measured && { resources: measured }) }
    const version = this.#version
    const report = { workerId, incarnation, version, progress, results, stats, stopping, health: health(stopping) }
    try {
      const answer = await peer.ask(leader.address, workerReport, { ...about, ...report }, over ? {} : { signal })
      if (!answer.ok) {
        link.lost(leader, answer)
        return
      }
      this.#outbox.splice(0, results.length)
      for (const { key, fence, sequence } of progress) {
        const execution = executions.get(key)
        if (execution?.fence === fence) execution.progressTaken(sequence)
      }
      streams.taken(stats)
      link.heard(answer.leader)
      asked.receive(answer.leader.id, answer.backpressure)
      onAnswer(answer.acknowledged, answer.abort)
    } catch (error) {
      if (signal.aborted) return
      if (!isLinkFailure(error)) onError(error)
      link.lost(leader, error)
    }
  }
}
