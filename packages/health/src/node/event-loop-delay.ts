/**
 * How late the event loop was since somebody last asked. A histogram that is reset loses the interval under way, and
 * with it a block right after. So there are two, reset by turns: one has the time since the last question but for its
 * first interval, the other, which was running before, has that one too.
 */
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks'

const RESOLUTION_MS = 10
const NANOSECONDS = 1e6
const PERCENTILE = 99

export class EventLoopDelay {
  /** Reset at the last question. */
  #recent: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  /** Reset at the one before. */
  #before: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  /** The greatest interval that `#before` had at the last question, in nanoseconds. */
  #greatestBefore = 0

  constructor() {
    this.#recent.enable()
    this.#before.enable()
  }

  /** The 99th percentile since the last call, or since construction, in milliseconds; 0 is on time. */
  read(): number {
    const delayMs = Math.max(0, this.#percentile() / NANOSECONDS - RESOLUTION_MS)
    const asked = this.#before
    this.#before = this.#recent
    this.#greatestBefore = this.#before.max
    this.#recent = asked
    asked.reset()
    return delayMs
  }

  close(): void {
    this.#recent.disable()
    this.#before.disable()
  }

  #percentile(): number {
    const { count, max } = this.#recent
    const known = count === 0 ? 0 : this.#recent.percentile(PERCENTILE)
    const greatest = this.#before.max
    const isLost = this.#before.count > 0 && greatest > this.#greatestBefore && (count === 0 || greatest > max)
    // Of more than a hundred intervals the greatest is beyond the percentile.
    return isLost && count < 100 ? greatest : known
  }
}
