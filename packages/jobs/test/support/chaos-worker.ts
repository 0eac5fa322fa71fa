/**
 * A worker of the simulation: a `ShardTable`, executions that take random time and end in random ways, heartbeats that
 * carry what runs, and results that are offered until they are acknowledged.
 */
import type { Random, Timer } from '@hs/core'
import type { VirtualClock } from '@hs/core/testing'
import {
  ShardTable,
  decodePayload,
  type AdmissionOutcome,
  type Dispatch,
  type RunningShard,
  type ShardOutcome,
  type ShardResult,
  type WorkerHeartbeat,
} from '@hs/jobs'

export interface WorkerReport {
  readonly beat: WorkerHeartbeat
  readonly results: readonly ShardResult[]
}

export interface WorkerHooks {
  started(workerId: string, key: string, fence: number): void
  ended(workerId: string, key: string, fence: number): void
  progress(workerId: string, frame: { key: string; fence: number; sequence: number; done: number }): void
}

interface Execution {
  readonly timers: Timer[]
}

export class ChaosWorker {
  readonly workerId: string
  readonly cores: number
  readonly workflows: readonly string[] | undefined
  incarnation = 0
  isAlive = false
  /** Whether the leader it knows has accepted its registration. */
  isRegistered = false
  table: ShardTable
  readonly #clock: VirtualClock
  readonly #random: Random
  readonly #hooks: WorkerHooks
  readonly #executions = new Map<string, Execution>()
  #version = 0

  constructor(options: {
    workerId: string
    cores: number
    workflows?: readonly string[]
    clock: VirtualClock
    random: Random
    hooks: WorkerHooks
  }) {
    this.workerId = options.workerId
    this.cores = options.cores
    this.workflows = options.workflows
    this.#clock = options.clock
    this.#random = options.random
    this.#hooks = options.hooks
    this.table = this.#newTable()
  }

  boot(): void {
    this.incarnation++
    this.isAlive = true
    this.isRegistered = false
    this.table = this.#newTable()
    this.#version = 0
  }

  /** As a crash: everything on it is gone. */
  kill(): void {
    this.isAlive = false
    this.isRegistered = false
    for (const [name, execution] of this.#executions) {
      for (const timer of execution.timers) timer.cancel()
      const [key = '', fence = ''] = name.split('#')
      this.#hooks.ended(this.workerId, key, Number(fence))
    }
    this.#executions.clear()
  }

  admit(dispatch: Dispatch): AdmissionOutcome {
    const { key, fence, cores, attempt } = dispatch
    const payload = decodePayload(dispatch.payload)
    const outcome = this.table.admit({ key, fence, cores, attempt, plan: payload.plan })
    if (outcome.kind === 'run') this.#run(key, fence, attempt, payload.workflow, payload.timeoutMs)
    if (outcome.kind === 'superseded') this.abort(key, outcome.fence)
    return outcome
  }

  abort(key: string, fence: number): 'aborting' | 'finished' | 'unknown' {
    const state = this.table.abort(key, fence)
    // Ends soon, not at once: an abort is a request.
    if (state === 'aborting')
      this.#after(this.#execution(key, fence), this.#random.next() * 100, () => {
        this.#end(key, fence, 'cancelled')
      })
    return state
  }

  running(): RunningShard[] {
    return this.table.running()
  }

  report(): WorkerReport {
    this.#version++
    const { workerId, incarnation } = this
    const beat = { workerId, incarnation, version: this.#version, running: this.running() }
    return { beat, results: this.table.dueResults() }
  }

  get executing(): number {
    return this.#executions.size
  }

  #newTable(): ShardTable {
    return new ShardTable({
      cores: this.cores,
      clock: this.#clock,
      random: this.#random,
      retry: { baseMs: 100, maxMs: 1_000 },
      maxPendingResults: 20,
    })
  }

  #execution(key: string, fence: number): Execution {
    const name = `${key}#${fence}`
    const known = this.#executions.get(name)
    if (known !== undefined) return known
    const execution: Execution = { timers: [] }
    this.#executions.set(name, execution)
    return execution
  }

  #run(key: string, fence: number, attempt: number, workflow: string, timeoutMs: number): void {
    this.#hooks.started(this.workerId, key, fence)
    const execution = this.#execution(key, fence)
    const dice = this.#random.next()
    // A hanging execution ends by abort or by its own timeout only.
    const hangs = workflow === 'hangs' && dice < 0.5
    const durationMs = hangs ? timeoutMs : Math.min(timeoutMs, this.#random.next() * 600)
    const frames = hangs ? this.#random.int(2) : this.#random.int(4)
    for (let sequence = 0; sequence < frames; sequence++) {
      this.#after(execution, (durationMs * (sequence + 0.5)) / frames, () => {
        this.#hooks.progress(this.workerId, { key, fence, sequence, done: sequence + 1 })
      })
    }
    const fails = workflow === 'fails' ? this.#random.next() < 0.5 : this.#random.next() < 0.03
    const status = durationMs >= timeoutMs ? 'timed-out' : fails ? 'failed' : 'completed'
    this.#after(execution, durationMs, () => this.#end(key, fence, status, attempt))
  }

  #after(execution: Execution, delayMs: number, fn: () => void): void {
    execution.timers.push(this.#clock.setTimer(delayMs, fn))
  }

  #end(key: string, fence: number, status: ShardOutcome, attempt?: number): void {
    const name = `${key}#${fence}`
    const execution = this.#executions.get(name)
    if (execution === undefined) return
    for (const timer of execution.timers) timer.cancel()
    this.#executions.delete(name)
    this.#hooks.ended(this.workerId, key, fence)
    const version = this.#random.int(3)
    this.table.finish(key, fence, {
      status,
      value: `${key}#${fence}`,
      ...(attempt === undefined ? {} : { attempt }),
      ...(status === 'failed' ? { error: { code: 'BROKEN', message: 'as the dice fell' } } : {}),
      ...(status === 'completed' ? { context: { by: { value: key, version } } } : {}),
    })
  }
}
