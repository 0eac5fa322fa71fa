/**
 * One-core workflows from submit over dispatch and acceptance to the counted result, on 64 cores; p-queue runs as many
 * tasks that do nothing, without retry or accounting. And the same with a backlog that stays: what waits must not
 * make what runs slower.
 */
import { defaultLogger } from '@hs/core'
import { JobScheduler, type Dispatch, type JobSpec } from '@hs/jobs'
import PQueue from 'p-queue'
import type { Contender, Workload } from '../harness.js'

const CORES = 64
/** Workflows of one operation; p-queue is slower the more wait. */
const BATCH = 100_000
/** Workflows of a job: as many as it may have. */
const JOB = 10_000
const input = new Uint8Array(32)

class Bench {
  readonly #line: Dispatch[] = []
  readonly #scheduler: JobScheduler
  #next = 0
  #jobs = 0
  #finished: string[] = []
  #waiting = 0

  constructor() {
    this.#scheduler = new JobScheduler({
      datacenter: 'bench',
      logger: defaultLogger,
      agingMs: 1e9,
      maxJobs: 1_000_000,
      port: {
        dispatch: (dispatch) => {
          this.#line.push(dispatch)
        },
        jobFinished: ({ jobId }) => {
          this.#finished.push(jobId)
        },
      },
    })
    for (let worker = 0; worker < CORES / 8; worker++) {
      this.#scheduler.register({ workerId: `w${worker}`, incarnation: 1, address: '-', cores: 8 })
    }
  }

  submit(workflows: number): void {
    this.#jobs++
    const spec: JobSpec = {
      jobId: `j${this.#jobs}`,
      timeoutMs: 1e9,
      workflows: Array.from({ length: workflows }, (_, index) => ({ id: `w${index}`, workflow: 'noop', input })),
    }
    this.#scheduler.submit(spec)
    this.#waiting += workflows
  }

  get waiting(): number {
    return this.#waiting
  }

  /** The oldest execution is accepted and completes. False: nothing runs. */
  step(): boolean {
    const dispatch = this.#line[this.#next]
    if (dispatch === undefined) return false
    if (++this.#next === 1_024) {
      this.#line.splice(0, this.#next)
      this.#next = 0
    }
    const { key, fence } = dispatch
    this.#scheduler.dispatchAccepted(key, fence)
    this.#scheduler.result({ key, fence, status: 'completed' })
    this.#waiting--
    return true
  }

  forgetFinished(): void {
    for (const jobId of this.#finished) this.#scheduler.forget(jobId)
    this.#finished = []
  }

  stop(): void {
    this.#scheduler.stop()
  }
}

/** All are submitted first, then done; the scheduler lives on from round to round, as one does. */
function pipeline(): Contender {
  let bench = new Bench()
  return {
    name: 'JobScheduler',
    ours: true,
    setup: () => {
      bench = new Bench()
    },
    run: (n) => {
      let done = 0
      for (let batch = 0; batch < n; batch++) {
        for (let left = BATCH; left > 0; left -= JOB) bench.submit(JOB)
        while (bench.step()) {
          done++
          if (done % 1_000 === 0) bench.forgetFinished()
        }
        bench.forgetFinished()
      }
      return done
    },
    teardown: () => bench.stop(),
  }
}

function peer(): Contender {
  const queue = new PQueue({ concurrency: CORES })
  let done = 0
  const task = async () => {
    done++
  }
  return {
    name: 'p-queue',
    run: async (n) => {
      for (let batch = 0; batch < n; batch++) {
        for (let index = 0; index < BATCH; index++) void queue.add(task)
        await queue.onIdle()
      }
      return done
    },
  }
}

/** `backlog` workflows wait at any time: as many are submitted as are done. */
function withBacklog(backlog: number): Contender {
  let bench = new Bench()
  return {
    name: `${backlog.toLocaleString('en')} waiting`,
    setup: () => {
      bench = new Bench()
      while (bench.waiting < backlog) bench.submit(100)
    },
    run: (n) => {
      for (let done = 0; done < n; done++) {
        bench.step()
        if (bench.waiting < backlog) bench.submit(100)
        if (done % 1_000 === 0) bench.forgetFinished()
      }
      return bench.waiting
    },
    teardown: () => bench.stop(),
  }
}

export const workloads: Workload[] = [
  {
    name: 'scheduler: 100,000 one-core workflows on 64 cores',
    contenders: [pipeline(), peer()],
    goals: [{ peer: 'p-queue', ratio: 4 }],
  },
  {
    name: 'scheduler: what waits does not slow what runs',
    contenders: [withBacklog(1_000), withBacklog(100_000)],
    goals: [{ ours: '100,000 waiting', peer: '1,000 waiting', ratio: 0.5 }],
  },
]
