/** A scheduler on virtual time with everything it has said, in order. */
import type { Random } from '@hs/core'
import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import {
  JobScheduler,
  decodePayload,
  type AbortRequest,
  type DcJobResult,
  type DcJobSnapshot,
  type Dispatch,
  type DispatchPayload,
  type JobSchedulerOptions,
  type JobSpec,
  type JobSuspicion,
  type RunningShard,
  type SchedulerPort,
  type ShardResult,
  type TimeoutReport,
  type WorkerRegistration,
  type WorkflowSpec,
} from '@hs/jobs'

export interface RigOptions extends Partial<Omit<JobSchedulerOptions, 'port'>> {
  port?: Partial<SchedulerPort>
}

export class Rig {
  readonly clock: VirtualClock
  readonly logger = new MemoryLogger()
  readonly scheduler: JobScheduler
  readonly dispatches: Dispatch[] = []
  readonly aborts: AbortRequest[] = []
  readonly changes: DcJobSnapshot[] = []
  readonly settled: ShardResult[] = []
  readonly finished: DcJobResult[] = []
  readonly reports: TimeoutReport[] = []
  readonly suspicions: JobSuspicion[] = []
  /** Names of the effects, in order. */
  readonly log: string[] = []
  #version = 0

  constructor({ port = {}, clock = new VirtualClock(), ...options }: RigOptions = {}) {
    this.clock = clock as VirtualClock
    const keep =
      <T>(name: string, list: T[], more?: (message: T) => unknown) =>
      (message: T) => {
        this.log.push(name)
        list.push(message)
        return more?.(message)
      }
    this.scheduler = new JobScheduler({
      datacenter: 'dc',
      clock,
      logger: this.logger,
      random: new SeededRandom(1),
      ...options,
      port: {
        dispatch: keep('dispatch', this.dispatches, port.dispatch),
        abort: keep('abort', this.aborts, port.abort),
        jobChanged: keep('jobChanged', this.changes, port.jobChanged),
        shardSettled: keep('shardSettled', this.settled, port.shardSettled),
        jobFinished: keep('jobFinished', this.finished, port.jobFinished),
        timeoutReport: keep('timeoutReport', this.reports, port.timeoutReport),
        suspicion: keep('suspicion', this.suspicions, port.suspicion),
      },
    })
  }

  worker(workerId = 'w', cores = 4, more: Partial<WorkerRegistration> = {}, running?: readonly RunningShard[]) {
    return this.scheduler.register({ workerId, incarnation: 1, address: `${workerId}:1`, cores, ...more }, running)
  }

  submit(jobId: string, workflows: readonly Partial<WorkflowSpec>[], more: Partial<JobSpec> = {}) {
    return this.scheduler.submit(specOf(jobId, workflows, more))
  }

  /** The latest dispatch, of a shard if a key is given. */
  dispatch(key?: string): Dispatch {
    const found = this.dispatches.filter((one) => key === undefined || one.key === key).at(-1)
    if (found === undefined) throw new Error(`nothing was dispatched of ${key ?? 'anything'}`)
    return found
  }

  payload(key?: string): DispatchPayload {
    return decodePayload(this.dispatch(key).payload)
  }

  accept(key?: string): boolean {
    const { key: shard, fence } = this.dispatch(key)
    return this.scheduler.dispatchAccepted(shard, fence)
  }

  complete(key?: string, more: Partial<ShardResult> = {}) {
    const { key: shard, fence } = this.dispatch(key)
    return this.scheduler.result({ key: shard, fence, status: 'completed', ...more })
  }

  fail(key?: string, code = 'BROKEN') {
    return this.complete(key, { status: 'failed', error: { code, message: 'broken' } })
  }

  beat(running: readonly RunningShard[], workerId = 'w', incarnation = 1) {
    this.#version++
    return this.scheduler.heartbeat({ workerId, incarnation, version: this.#version, running })
  }

  get free(): number {
    return this.scheduler.snapshot().freeCores
  }

  get keys(): string[] {
    return this.dispatches.map(({ key }) => key)
  }
}

/** Workflows called a, b, c … of one virtual user, unless they say otherwise. */
export function specOf(
  jobId: string,
  workflows: readonly Partial<WorkflowSpec>[],
  more: Partial<JobSpec> = {},
): JobSpec {
  return {
    jobId,
    workflows: workflows.map((workflow, index) => ({
      id: String.fromCharCode(97 + index),
      workflow: 'w',
      input: new Uint8Array([index]),
      ...workflow,
    })),
    ...more,
  }
}

export function running(dispatch: Dispatch): RunningShard {
  const { key, fence, cores, attempt, payload } = dispatch
  return { key, fence, cores, attempt, plan: decodePayload(payload).plan }
}

/** Dice that always show the same. */
export function fixedRandom(u: number): Random {
  return {
    next: () => u,
    int: (max) => Math.floor(u * max),
    pick: <T>(xs: readonly T[]) => xs[0] as T,
    shuffle: (xs) => xs,
  }
}
