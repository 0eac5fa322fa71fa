/** How far a long run is: a line that is written over on a terminal, else a line now and then. */
import { createLogUpdate } from 'log-update'

const LINES = 20

export class Progress {
  readonly #title: string
  readonly #total: number
  readonly #beganMs = performance.now()
  readonly #show = createLogUpdate(process.stderr)
  #done = 0

  constructor(title: string, total: number) {
    this.#title = title
    this.#total = total
  }

  step(): void {
    this.#done++
    const isMark = Math.floor((this.#done * LINES) / this.#total) > Math.floor(((this.#done - 1) * LINES) / this.#total)
    if (process.stderr.isTTY) this.#show(this.#line())
    else if (isMark) process.stderr.write(`${this.#line()}\n`)
  }

  end(): void {
    if (process.stderr.isTTY) this.#show.clear()
  }

  #line(): string {
    const spentMs = performance.now() - this.#beganMs
    const leftMs = (spentMs / this.#done) * (this.#total - this.#done)
    return `${this.#title}: ${this.#done} of ${this.#total}, ${minutes(spentMs)} min, about ${minutes(leftMs)} to go`
  }
}

const minutes = (ms: number) => (ms / 60_000).toFixed(1)
