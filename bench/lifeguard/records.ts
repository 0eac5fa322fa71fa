/** What was measured, kept in a file as it comes, so that a run of hours that is cut short goes on where it was. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { Job, ResultOf } from './jobs.js'

const SAVE_EVERY_MS = 10_000

export class Records {
  readonly #file: string | undefined
  /** The job as text: the result. */
  readonly #results = new Map<string, unknown>()
  #savedMs = 0

  /** Without a file nothing is kept. */
  constructor(file: string | undefined) {
    this.#file = file
    if (file === undefined) return
    if (existsSync(file)) {
      const kept = JSON.parse(readFileSync(file, 'utf8')) as { job: Job; result: unknown }[]
      for (const { job, result } of kept) this.#results.set(JSON.stringify(job), result)
    }
    process.once('exit', () => this.#save(file))
  }

  get<J extends Job>(job: J): ResultOf<J> | undefined {
    return this.#results.get(JSON.stringify(job)) as ResultOf<J> | undefined
  }

  keep<J extends Job>(job: J, result: ResultOf<J>): void {
    this.#results.set(JSON.stringify(job), result)
    if (this.#file === undefined || performance.now() - this.#savedMs < SAVE_EVERY_MS) return
    this.#save(this.#file)
    this.#savedMs = performance.now()
  }

  #save(file: string): void {
    const all = [...this.#results].map(([job, result]) => `{"job":${job},"result":${JSON.stringify(result)}}`)
    // Whole or not at all.
    writeFileSync(`${file}.new`, `[\n${all.join(',\n')}\n]\n`)
    renameSync(`${file}.new`, file)
  }
}
