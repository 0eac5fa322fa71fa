/**
 * A bounded memory of jobs that ended a while ago, so that their stragglers are told from records of a new job. Its time
 * is a monotonic clock's: a wall clock that once stood in the future would have ids refused until then.
 */

export class FinishedJobs {
  readonly #ttlMs: number
  readonly #maxEntries: number
  /** By time of ending, because the time to live is one for all. */
  readonly #until = new Map<string, number>()

  constructor(ttlMs: number, maxEntries: number) {
    this.#ttlMs = ttlMs
    this.#maxEntries = maxEntries
  }

  add(jobId: string, now: number): void {
    this.#until.delete(jobId)
    this.#until.set(jobId, now + this.#ttlMs)
    for (const [oldest, until] of this.#until) {
      if (this.#until.size <= this.#maxEntries && until > now) return
      this.#until.delete(oldest)
    }
  }

  has(jobId: string, now: number): boolean {
    const until = this.#until.get(jobId)
    if (until === undefined) return false
    if (now < until) return true
    this.#until.delete(jobId)
    return false
  }
}
