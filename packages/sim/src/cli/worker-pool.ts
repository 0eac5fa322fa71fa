/**
 * Spreads the seeds of a campaign over threads and hands out their outcomes in seed order, so that nobody can tell how
 * many threads there were.
 */

import { Worker } from 'node:worker_threads'
import { deferred, type Deferred } from '@hs/core'
import type { CampaignSettings } from '../campaign-options.js'
import type { SeedOutcome } from '../run-seed.js'
import { UsageError } from './usage-error.js'
import type { SeedTask, WorkerAnswer, WorkerError, WorkerPlan } from './worker-messages.js'

/** Seeds that a worker may be ahead of the slowest: bounds what is kept, and hides the way there and back. */
const AHEAD_PER_WORKER = 4

export interface WorkerPoolOptions extends WorkerPlan {
  /** The module that a worker runs. */
  readonly entry: URL
  readonly workers: number
}

/** The outcomes of a campaign whose seeds are run on threads. Ends the threads when nobody asks for more. */
export async function* runOnWorkers(
  settings: CampaignSettings,
  { entry, workers: count, ...plan }: WorkerPoolOptions,
): AsyncGenerator<SeedOutcome> {
  const waiting = new Map<number, Deferred<SeedOutcome>>()
  const workers = Array.from({ length: count }, () => startWorker(entry, plan, waiting))
  const seeds = settings.seeds[Symbol.iterator]()
  let asked = 0
  /** The promises are looked at one by one, in order; until then a rejection is not lost but waits. */
  const ask = (worker: PooledWorker | undefined) => {
    const next = seeds.next()
    if (next.done === true || worker === undefined) return
    const index = asked++
    const outcome = deferred<SeedOutcome>()
    outcome.promise.catch((error: unknown) => error)
    waiting.set(index, outcome)
    worker.ask({ index, seed: next.value, twice: index === 0 && settings.checkDeterminism })
  }
  try {
    for (let i = 0; i < count * AHEAD_PER_WORKER; i++) ask(workers[i % count])
    for (let index = 0; index < asked; index++) {
      const outcome = await waiting.get(index)?.promise
      waiting.delete(index)
      if (outcome === undefined) return
      ask(idlest(workers))
      yield outcome
    }
  } finally {
    await Promise.all(workers.map((worker) => worker.end()))
  }
}

interface PooledWorker {
  /** Seeds it was asked for and has not answered. */
  readonly open: number
  ask(task: SeedTask): void
  end(): Promise<unknown>
}

function idlest(workers: readonly PooledWorker[]): PooledWorker | undefined {
  return workers.reduce((best, worker) => (worker.open < best.open ? worker : best))
}

function startWorker(entry: URL, plan: WorkerPlan, waiting: ReadonlyMap<number, Deferred<SeedOutcome>>): PooledWorker {
  const worker = new Worker(entry, { workerData: plan })
  const fail = (error: Error) => {
    for (const outcome of waiting.values()) outcome.reject(error)
  }
  let open = 0
  worker.on('message', (answer: WorkerAnswer) => {
    open--
    if ('outcome' in answer) waiting.get(answer.index)?.resolve(answer.outcome)
    else fail(revived(answer.error))
  })
  worker.on('error', fail)
  worker.on('exit', (code) => fail(new Error(`a worker ended with exit code ${code}`)))
  return {
    get open() {
      return open
    },
    ask(task) {
      open++
      worker.postMessage(task)
    },
    end: () => worker.terminate(),
  }
}

function revived({ message, stack, usage }: WorkerError): Error {
  const error = usage ? new UsageError(message) : new Error(message)
  if (stack !== undefined) error.stack = stack
  return error
}
