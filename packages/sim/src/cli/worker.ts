/** A thread that loads the scenario for itself and runs the seeds it is told, one after the other. */

import { parentPort, workerData } from 'node:worker_threads'
import { runOne } from '../campaign.js'
import { forbidGlobals } from '../forbidden-globals.js'
import type { Scenario } from '../scenario.js'
import { isMisuse } from './misuse.js'
import { loadScenario } from './load-scenario.js'
import type { SeedTask, WorkerAnswer, WorkerPlan } from './worker-messages.js'

export function serve(): void {
  const port = parentPort
  if (port === null) throw new Error('a worker needs a parent')
  const answer = (message: WorkerAnswer) => port.postMessage(message)
  const { file, faults } = workerData as WorkerPlan
  // Loaded once, at the first task; whether it could be is told to whoever asked.
  let loading: Promise<Scenario> | undefined
  const work = async ({ index, seed, twice }: SeedTask) => {
    loading ??= loadScenario(file)
    answer({ index, outcome: await runOne(await loading, seed, faults, twice) })
  }
  // Once for all runs instead of by each: nothing else is on this thread.
  forbidGlobals()
  // One at a time: a run is entitled to the thread.
  let last = Promise.resolve()
  port.on('message', (task: SeedTask) => {
    last = last
      .then(() => work(task))
      .catch((error: unknown) => {
        const { message, stack } = error instanceof Error ? error : new Error(String(error))
        answer({ error: { message, stack, usage: isMisuse(error) } })
      })
  })
}
