/**
 * Requests that are held until something happens to their job. A slow client slows only itself, and one that is gone
 * frees its place at once.
 */
import type { Clock } from '@hs/core'

export class Watchers {
  readonly #clock: Clock
  readonly #max: number
  readonly #waiting = new Map<string, Set<() => void>>()
  #count = 0

  constructor(clock: Clock, max: number) {
    this.#clock = clock
    this.#max = max
  }

  get count(): number {
    return this.#count
  }

  get full(): boolean {
    return this.#count >= this.#max
  }

  /** Resolves when the job has news, after `waitMs`, or when the caller is gone. */
  wait(jobId: string, waitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted || waitMs <= 0) {
        resolve()
        return
      }
      const done = () => {
        timer.cancel()
        signal.removeEventListener('abort', done)
        const waiting = this.#waiting.get(jobId)
        if (waiting?.delete(done) !== true) return
        this.#count--
        if (waiting.size === 0) this.#waiting.delete(jobId)
        resolve()
      }
      const timer = this.#clock.setTimer(waitMs, done)
      signal.addEventListener('abort', done, { once: true })
      const waiting = this.#waiting.get(jobId)
      if (waiting === undefined) this.#waiting.set(jobId, new Set([done]))
      else waiting.add(done)
      this.#count++
    })
  }

  isWatched(jobId: string): boolean {
    return this.#waiting.has(jobId)
  }

  wake(jobId: string): void {
    for (const done of [...(this.#waiting.get(jobId) ?? [])]) done()
  }

  wakeAll(): void {
    for (const jobId of [...this.#waiting.keys()]) this.wake(jobId)
  }
}
