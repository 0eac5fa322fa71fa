/**
 * Requests that are held until something happens to their job. A slow client slows only itself, and one that is gone
 * frees its place at once.
 */
import type { Clock, Timer } from '@hs/core'

/** News gathers for this long before watchers are woken, unless it is the end. */
const GATHER_MS = 25

export class Watchers {
  readonly #clock: Clock
  readonly #max: number
  readonly #waiting = new Map<string, Set<() => void>>()
  /** Jobs whose watchers are to be woken soon. */
  readonly #news = new Map<string, Timer>()
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

  /** Wakes the watchers of a job soon, once for all that happens meanwhile. */
  wakeSoon(jobId: string): void {
    if (this.#news.has(jobId) || !this.#waiting.has(jobId)) return
    this.#news.set(
      jobId,
      this.#clock.setTimer(GATHER_MS, () => this.wake(jobId)),
    )
  }

  /** At once, and not again for what was gathered. */
  wake(jobId: string): void {
    this.#news.get(jobId)?.cancel()
    this.#news.delete(jobId)
    for (const done of [...(this.#waiting.get(jobId) ?? [])]) done()
  }

  wakeAll(): void {
    for (const jobId of [...this.#waiting.keys(), ...this.#news.keys()]) this.wake(jobId)
  }
}
