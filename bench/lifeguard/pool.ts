/** Has jobs done by a few processes: each takes the next one when it is done with its last. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Job, ResultOf } from './jobs.js'

export interface Work<J extends Job> {
  readonly jobs: readonly J[]
  readonly workers: number
  /** No further job is begun once it is aborted. */
  readonly signal: AbortSignal
  readonly onDone: (job: J, result: ResultOf<J>) => void
}

/** Resolves when all is done, or what was begun when the signal came; rejects when a process ends, as by an error. */
export async function runJobs<J extends Job>({ jobs, workers, signal, onDone }: Work<J>): Promise<void> {
  if (signal.aborted) return
  const left = [...jobs].reverse()
  const children = Array.from({ length: Math.min(workers, jobs.length) }, () => {
    const child = fork(fileURLToPath(new URL('./worker.ts', import.meta.url)))
    const ended = new Promise<void>((resolve, reject) => {
      let current: J | undefined
      const next = () => {
        current = signal.aborted ? undefined : left.pop()
        if (current === undefined) resolve()
        else child.send(current)
      }
      child.on('message', (result) => {
        if (current !== undefined) onDone(current, result as ResultOf<J>)
        next()
      })
      child.on('exit', (code) => reject(new Error(`a worker ended with ${code} at ${JSON.stringify(current)}`)))
      next()
    })
    return { child, ended }
  })
  try {
    await Promise.all(children.map(({ ended }) => ended))
  } finally {
    for (const { child } of children) if (child.connected) child.disconnect()
  }
}
