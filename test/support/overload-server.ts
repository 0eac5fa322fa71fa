/**
 * A server of some cores with a queue in front of them, first come first served, on virtual time. It knows nothing of
 * who waits: work of a caller that gave up is done like any other. How much may be in it is for others to decide.
 */
import type { Clock, Random } from '@hs/core'

export interface ServerOptions {
  readonly clock: Clock
  readonly random: Random
  readonly cores: number
  /** Mean of the time that a call keeps a core busy; exponential, as in the textbook's M/M/n. May change with time. */
  readonly serviceMs: (nowMs: number) => number
}

/** Told when the work of a call is done. `arrivedMs` and `tag` are what was given with it. */
export type OnServed<T> = (arrivedMs: number, tag: T) => void

export class QueueingServer<T> {
  readonly #options: ServerOptions
  readonly #onServed: OnServed<T>
  readonly #waiting = new Backlog<T>()
  #running = 0

  constructor(options: ServerOptions, onServed: OnServed<T>) {
    this.#options = options
    this.#onServed = onServed
  }

  /** Calls that wait or run. */
  get inside(): number {
    return this.#waiting.size + this.#running
  }

  submit(arrivedMs: number, tag: T): void {
    if (this.#running < this.#options.cores) this.#run(arrivedMs, tag)
    else this.#waiting.push(arrivedMs, tag)
  }

  #run(arrivedMs: number, tag: T): void {
    const { clock, random, serviceMs } = this.#options
    this.#running++
    clock.setTimer(exponential(random, serviceMs(clock.now())), () => {
      this.#running--
      this.#onServed(arrivedMs, tag)
      const next = this.#running < this.#options.cores ? this.#waiting.shift() : undefined
      if (next !== undefined) this.#run(next.arrivedMs, next.tag)
    })
  }
}

/** An exponential draw. */
export function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random.next()) * mean
}

const CHUNK = 4_096

/**
 * A queue of tens of millions, for a server that refuses nobody: arrivals take eight bytes each, and tags one entry
 * for each run of the same tag.
 */
class Backlog<T> {
  readonly #chunks: Float64Array[] = []
  readonly #tags: { readonly tag: T; count: number }[] = []
  #first = 0
  #firstTag = 0
  size = 0

  push(arrivedMs: number, tag: T): void {
    const place = this.#first + this.size
    const chunk = (this.#chunks[Math.floor(place / CHUNK)] ??= new Float64Array(CHUNK))
    chunk[place % CHUNK] = arrivedMs
    this.size++
    const run = this.#tags.at(-1)
    if (run?.tag === tag && this.#firstTag < this.#tags.length) run.count++
    else this.#tags.push({ tag, count: 1 })
  }

  shift(): { arrivedMs: number; tag: T } | undefined {
    const run = this.#tags[this.#firstTag]
    const [chunk] = this.#chunks
    if (run === undefined || chunk === undefined || this.size === 0) return undefined
    const arrivedMs = chunk[this.#first] as number
    this.size--
    if (++this.#first === CHUNK) {
      this.#chunks.shift()
      this.#first = 0
    }
    if (--run.count === 0 && ++this.#firstTag === CHUNK) {
      this.#tags.splice(0, CHUNK)
      this.#firstTag = 0
    }
    return { arrivedMs, tag: run.tag }
  }
}
