/**
 * Results of jobs that a new leader does not know yet: workers find it before the gate has assigned the job again. They
 * count as soon as it has, so that what is done is not done again. Nothing is lost with them: the worker keeps each
 * result until it is acknowledged.
 */
import { parseShardKey } from '@hs/jobs'
import type { ShardResultWire } from './wire/shard-result.js'

export interface EarlyResult {
  readonly result: ShardResultWire
  readonly workerId: string
}

const MAX_RESULTS = 10_000

export class EarlyResults {
  readonly #jobs = new Map<string, Map<string, EarlyResult>>()
  #count = 0
  #closed = false

  add(result: ShardResultWire, workerId: string): void {
    if (this.#closed || this.#count >= MAX_RESULTS) return
    const { jobId } = parseShardKey(result.key)
    let job = this.#jobs.get(jobId)
    if (job === undefined) this.#jobs.set(jobId, (job = new Map<string, EarlyResult>()))
    if (!job.has(result.key)) this.#count++
    job.set(result.key, { result, workerId })
  }

  take(jobId: string): EarlyResult[] {
    const results = [...(this.#jobs.get(jobId)?.values() ?? [])]
    this.#jobs.delete(jobId)
    this.#count -= results.length
    return results
  }

  /** The leader is new no longer: from now on what it does not know stays with the worker. */
  close(): void {
    this.#closed = true
    this.#jobs.clear()
    this.#count = 0
  }
}
