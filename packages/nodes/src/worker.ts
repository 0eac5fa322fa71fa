/**
 * A worker owns cores and runs shards on them. It keeps each result until the leader of its datacenter has taken it
 * over, goes on while no leader is there, and tells all that it runs to whoever leads next.
 */
import { availableParallelism } from 'node:os'
import { deepFreeze, parseOptions, TypedEmitter } from '@hs/core'
import { decodePayload, ShardTable, type Dispatch, type DispatchPayload, type RunningShard } from '@hs/jobs'
import { BackpressureView } from '@hs/overload'
import * as z from 'zod'
import { askLeaderForTime } from './ask-for-time.js'
import { Execution, type AbortCode, type AskForTime } from './execution.js'
import { inLaterTurn } from './later-turn.js'
import { LeaderLink, type Registration } from './leader-link.js'
import { NodeLife } from './node-life.js'
import { datacenterName, type NodeOptions, nodeShape, oneNetwork, peerAddress } from './node-options.js'
import type { Node, ReadyOptions } from './node.js'
import type { RpcPeer } from './rpc-peer.js'
import { StatsStreams } from './stats-stream.js'
import { refuse, type ExecutionRef, type LeaderRef, type Refusal } from './wire/fields.js'
import { jobForget } from './wire/gate-manager.js'
import { shardAbort, shardRun, workerPing, type Admission, type WorkerHealth } from './wire/manager-worker.js'
import { WorkerReports } from './worker-reports.js'
import { isWorkflowDefinition, type WorkflowDefinition } from './workflow.js'

export interface WorkerOptions extends NodeOptions {
  datacenter: string
  /** Addresses of managers of the datacenter, at least one. */
  managers: readonly string[]
  workflows: readonly WorkflowDefinition[]
  /** @default availableParallelism() */
  cores?: number
  /** How long `stop` waits for what runs, in milliseconds. @default 10_000 */
  drainMs?: number
}

export interface WorkerEvents {
  registered: [leader: string]
  leaderLost: []
  shardStarted: [key: string]
  shardFinished: [key: string, status: string]
  orphaned: [key: string]
}

export interface WorkerCounters {
  readonly [name: string]: number
  readonly started: number
  readonly completed: number
  readonly failed: number
  readonly aborted: number
  readonly refused: number
  readonly malformed: number
  readonly expiredResults: number
}

export interface WorkerSnapshot {
  readonly id: string
  readonly address: string
  readonly http: string | null
  readonly datacenter: string
  readonly registered: boolean
  /** The name of the manager that leads. */
  readonly leader: string | null
  readonly running: number
  readonly pendingResults: number
  readonly totalCores: number
  readonly freeCores: number
  readonly backpressure: string
  readonly counters: WorkerCounters
}

/** Results wait here for one round to the gate; at the default of 1,000 a fast job would have to wait for it. */
const MAX_PENDING_RESULTS = 8_192

/** Beyond what a busy gate takes to acknowledge: each repetition counts as a duplicate. */
const RESULT_RETRY_MS = 3_000

const schema = /* @__PURE__ */ (() =>
  z
    .strictObject({
      ...nodeShape(),
      datacenter: datacenterName(),
      managers: z.array(peerAddress()).min(1),
      workflows: z.array(z.custom<WorkflowDefinition>(isWorkflowDefinition, 'expected what defineWorkflow returns')),
      cores: z
        .int()
        .min(1)
        .default(() => availableParallelism()),
      drainMs: z.number().min(0).max(2_147_483_647).default(10_000),
    })
    .refine(oneNetwork.test, oneNetwork.params)
    .refine((o) => new Set(o.workflows.map((w) => w.name)).size === o.workflows.length, {
      path: ['workflows'],
      message: 'expected each name once',
    }))()

const abortCodes = Object.freeze({ cancel: 'CANCELLED', timeout: 'TIMED_OUT', stuck: 'STUCK' } as const)

export class Worker implements Node {
  readonly id: string
  readonly events: TypedEmitter<WorkerEvents>
  readonly #options: z.output<typeof schema>
  readonly #life: NodeLife
  readonly #workflows: ReadonlyMap<string, WorkflowDefinition>
  readonly #table: ShardTable
  readonly #streams: StatsStreams
  readonly #executions = new Map<string, Execution>()
  /** Executions that have ended and whose results nobody has taken over, by shard key. */
  readonly #undelivered = new Map<string, RunningShard>()
  readonly #counters = { started: 0, completed: 0, failed: 0, aborted: 0, refused: 0 }
  readonly #asked: BackpressureView
  /** Progress of executions that have ended, and one for each. */
  #doneBefore = 0
  #link: LeaderLink | undefined
  #reports: WorkerReports | undefined
  /** Resolved when the last execution has ended. */
  #whenIdle: (() => void)[] = []
  #stopping = false

  /** @throws ConfigError */
  constructor(options: WorkerOptions) {
    const parsed = parseOptions(schema, options, 'Worker')
    this.#options = parsed
    this.id = parsed.id
    this.#life = new NodeLife('Worker', parsed, { worksHard: true })
    const { runtime, timing } = this.#life
    this.events = new TypedEmitter(`Worker ${this.id}`, this.#life.reporter)
    this.#workflows = new Map(parsed.workflows.map((workflow) => [workflow.name, workflow]))
    this.#streams = new StatsStreams(runtime.clock)
    this.#asked = new BackpressureView(runtime)
    this.#table = new ShardTable({
      ...runtime,
      cores: parsed.cores,
      orphanGraceMs: timing.workerOrphanMs,
      maxPendingResults: MAX_PENDING_RESULTS,
      // A broken bond offers all again at once; this is for an acknowledgement that was lost alone.
      retry: { baseMs: RESULT_RETRY_MS },
    })
  }

  get address(): string {
    return this.#life.address
  }

  start(): Promise<void> {
    return this.#life.open((peer) => this.#begin(peer))
  }

  ready(options?: ReadyOptions): Promise<void> {
    return this.#life.ready(options, () => this.#link?.leader != null)
  }

  /** Waits `drainMs` for what runs, delivers results, and gives back the rest. */
  stop(): Promise<void> {
    return this.#life.close(async () => {
      this.#stopping = true
      this.#reports?.drain()
      await this.#drained(this.#options.drainMs)
      this.#abortAll('NODE_STOPPED')
      await this.#drained(0)
      await this.#reports?.farewell()
      this.#halt()
    })
  }

  kill(): Promise<void> {
    return this.#life.close(async () => {
      this.#stopping = true
      this.#halt()
      this.#abortAll('NODE_STOPPED')
    })
  }

  snapshot(): WorkerSnapshot {
    const { running, pendingResults, freeCores, totalCores, expiredResults } = this.#table.snapshot()
    const leader = this.#link?.leader ?? null
    return deepFreeze({
      id: this.id,
      address: this.address,
      http: null,
      datacenter: this.#options.datacenter,
      registered: leader !== null,
      leader: leader === null ? null : nameOf(leader),
      running,
      pendingResults,
      totalCores,
      freeCores,
      backpressure: this.#asked.level(),
      counters: { ...this.#counters, malformed: this.#life.started ? this.#life.peer.malformed : 0, expiredResults },
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #begin(peer: RpcPeer): void {
    const { runtime, timing, scope } = this.#life
    const { clock, random } = runtime
    const report = (what: string) => (error: unknown) =>
      this.#life.reporter.report(`${this.#life.label}.${what}`, error)
    const link = new LeaderLink({
      peer,
      managers: this.#options.managers,
      clock,
      random,
      signal: scope.signal,
      registration: () => this.#registration(),
      onFound: (leader, abort) => this.#leaderFound(leader, abort),
      onLost: () => this.#leaderLost(),
      onError: report('register'),
    })
    this.#link = link
    this.#reports = new WorkerReports({
      peer,
      link,
      table: this.#table,
      streams: this.#streams,
      executions: this.#executions,
      clock,
      timing,
      signal: scope.signal,
      workerId: this.id,
      incarnation: this.#life.generation,
      asked: this.#asked,
      health: (draining) => this.#health(draining),
      resources: () => this.#life.load.resources,
      onAnswer: (acknowledged, abort) => {
        for (const ref of acknowledged) this.#delivered(ref)
        this.#abortListed(abort)
      },
      onError: report('report'),
    })
    peer.serve(workerPing, ({ leader }) => {
      if (leader !== undefined) link.called(leader)
      return { ok: true, workerId: this.id, incarnation: this.#life.generation }
    })
    peer.serve(shardRun, ({ leader, dispatches }) => this.#run(leader, dispatches))
    peer.serve(shardAbort, ({ leader, aborts }) => this.#abort(leader, aborts))
    peer.serve(jobForget, ({ jobIds }) => this.#forget(jobIds))
    scope.every('orphans', Math.max(50, timing.workerOrphanMs / 10), () => this.#abortOrphans())
    link.search()
  }

  #registration(): Registration {
    const { datacenter, cores } = this.#options
    return {
      workerId: this.id,
      incarnation: this.#life.generation,
      address: this.address,
      datacenter,
      cores,
      workflows: [...this.#workflows.keys()],
      running: this.#table.running(),
      undelivered: this.#table.snapshot().pendingResults === 0 ? [] : [...this.#undelivered.values()],
    }
  }

  /** Of what runs only that counts as assigned which tells its progress: the rest says nothing of getting on or not. */
  #health(draining: boolean): WorkerHealth {
    let assigned = 0
    let done = this.#doneBefore
    for (const execution of this.#executions.values()) {
      if (execution.done === null) continue
      assigned++
      done += execution.done
    }
    const { freeCores } = this.#table.snapshot()
    return { ready: !draining, capacity: freeCores, overload: this.#life.load.state, assigned, done }
  }

  #leaderFound(leader: LeaderRef, abort: readonly ExecutionRef[]): void {
    this.#table.leaderFound()
    this.#abortListed(abort)
    this.#reports?.begin()
    this.events.emit('registered', nameOf(leader))
    this.#life.changed.notify()
  }

  #leaderLost(): void {
    this.#table.leaderLost()
    this.events.emit('leaderLost')
  }

  #run(
    leader: LeaderRef,
    dispatches: readonly Omit<Dispatch, 'workerId'>[],
  ): Refusal | { ok: true; admissions: Admission[] } {
    const stale = this.#refuseStale(leader)
    if (stale !== null) return stale
    const admitted: Execution[] = []
    const admissions = dispatches.map((dispatch) => {
      const { outcome, execution } = this.#admit(dispatch)
      if (execution !== undefined) admitted.push(execution)
      else if (outcome !== 'duplicate') this.#counters.refused++
      return outcome
    })
    // In a later turn, so that a `run` that blocks cannot hold the answer back.
    if (admitted.length > 0) {
      inLaterTurn(this.#life.runtime.clock, () => {
        for (const execution of admitted) this.#execute(execution)
      })
    }
    return { ok: true, admissions }
  }

  #admit(dispatch: Omit<Dispatch, 'workerId'>): { outcome: Admission; execution?: Execution } {
    if (this.#stopping) return { outcome: 'stopping' }
    let payload: DispatchPayload
    try {
      payload = decodePayload(dispatch.payload)
    } catch (error) {
      this.#life.reporter.report(`${this.#life.label}.payload`, error, { key: dispatch.key })
      return { outcome: 'malformed' }
    }
    const workflow = this.#workflows.get(payload.workflow)
    if (workflow === undefined) return { outcome: 'unknown-workflow' }
    const { key, fence, cores, attempt } = dispatch
    const admission = this.#table.admit({ key, fence, cores, attempt, plan: payload.plan })
    if (admission.kind === 'superseded') this.#executions.get(key)?.abort('CANCELLED')
    if (admission.kind !== 'run') return { outcome: admission.kind }
    const execution = new Execution({
      dispatch,
      payload,
      workflow,
      datacenter: this.#options.datacenter,
      workerId: this.id,
      runtime: this.#life.runtime,
      stream: this.#streams.open(dispatch.jobId, dispatch.workflowId),
      askForTime: (asked) => this.#askForTime(asked),
    })
    this.#executions.set(key, execution)
    this.#undelivered.delete(key)
    return { outcome: 'run', execution }
  }

  readonly #askForTime: AskForTime = (asked) =>
    this.#link === undefined ? Promise.resolve(0) : askLeaderForTime(this.#life, this.#link, asked)

  #execute(execution: Execution): void {
    const { key, fence } = execution
    this.#counters.started++
    this.events.emit('shardStarted', key)
    execution.run().then(
      (outcome) => {
        this.#executions.delete(key)
        this.#doneBefore += 1 + (execution.done ?? 0)
        this.#table.finish(key, fence, outcome)
        // One core, for it holds none any more, and a leader counts in cores what it believes to be there.
        this.#undelivered.set(key, { key, fence, cores: 1, attempt: execution.attempt, plan: execution.plan })
        if (execution.abortCode !== null && outcome.status !== 'completed') this.#counters.aborted++
        else if (outcome.status === 'completed') this.#counters.completed++
        else this.#counters.failed++
        this.events.emit('shardFinished', key, outcome.status)
        this.#reports?.wake()
        if (this.#executions.size === 0) for (const idle of this.#whenIdle.splice(0)) idle()
      },
      (error) => this.#life.reporter.report(`${this.#life.label}.execution`, error, { key }),
    )
  }

  #abort(
    leader: LeaderRef,
    aborts: readonly (ExecutionRef & { reason: keyof typeof abortCodes })[],
  ): Refusal | { ok: true; states: ('aborting' | 'finished' | 'unknown')[] } {
    const stale = this.#refuseStale(leader)
    if (stale !== null) return stale
    const states = aborts.map(({ key, fence, reason }) => {
      const state = this.#table.abort(key, fence)
      if (state === 'aborting') this.#executions.get(key)?.abort(abortCodes[reason])
      return state
    })
    return { ok: true, states }
  }

  #delivered({ key, fence }: ExecutionRef): void {
    this.#table.acknowledge(key, fence)
    if (this.#undelivered.get(key)?.fence === fence) this.#undelivered.delete(key)
  }

  /** The leader says that these shall not run here. */
  #abortListed(list: readonly ExecutionRef[]): void {
    for (const { key, fence } of list) {
      if (this.#table.abort(key, fence) === 'aborting') this.#executions.get(key)?.abort('CANCELLED')
    }
  }

  #abortOrphans(): void {
    for (const { key, fence } of this.#table.expiredOrphans()) {
      this.#table.abort(key, fence)
      this.#executions.get(key)?.abort('ORPHANED')
      this.events.emit('orphaned', key)
    }
  }

  #abortAll(code: AbortCode): void {
    for (const execution of this.#executions.values()) execution.abort(code)
  }

  /** The job is over and remembered nowhere: what is left of it here counts for nothing. */
  #forget(jobIds: readonly string[]): { ok: true; known: number } {
    const over = new Set(jobIds)
    const running = [...this.#executions.values()].filter(({ jobId }) => over.has(jobId))
    for (const execution of running) execution.abort('CANCELLED')
    return { ok: true, known: new Set(running.map(({ jobId }) => jobId)).size }
  }

  /** A leader of an older term than the one followed is none any more. */
  #refuseStale(leader: LeaderRef): Refusal | null {
    const link = this.#link
    if (link === undefined || leader.term >= link.term) return null
    const followed = link.leader
    return refuse(
      'NOT_LEADER',
      `${this.id} follows term ${link.term}, not ${leader.term}`,
      followed === null ? {} : { leader: followed },
    )
  }

  /** Resolves when nothing runs, or after `limitMs`; with 0 after what an abort ends at once. */
  async #drained(limitMs: number): Promise<void> {
    if (this.#executions.size === 0) return
    const { clock } = this.#life.runtime
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(limitMs, resolve)
      this.#whenIdle.push(() => {
        timer.cancel()
        resolve()
      })
    })
  }

  /** No reports and no search for a leader from now on. */
  #halt(): void {
    this.#reports?.stop()
    this.#link?.stop()
  }
}

function nameOf({ id }: LeaderRef): string {
  return id.slice(0, id.lastIndexOf('@'))
}
