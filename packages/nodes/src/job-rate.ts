/** How fast a job gets on in a datacenter: done per second, over the last window, by its reports. */

const MAX_POINTS = 64

export class JobRate {
  readonly #windowMs: number
  readonly #points: { atMs: number; done: number }[] = []

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  /** Takes what is done by now; returns the rate. */
  record(done: number, nowMs: number): number {
    const points = this.#points
    points.push({ atMs: nowMs, done })
    // One point from before the window stays, to measure from; what is denser than needed goes.
    while (points.length > 2 && (points[1]?.atMs ?? nowMs) <= nowMs - this.#windowMs) points.shift()
    if (points.length > MAX_POINTS) points.splice(1, points.length - MAX_POINTS)
    const [first] = points
    const spanMs = nowMs - (first?.atMs ?? nowMs)
    if (spanMs <= 0) return 0
    // Whatever a leader reports, a rate is finite.
    return Math.min(Number.MAX_VALUE, (Math.max(0, done - (first?.done ?? done)) / spanMs) * 1_000)
  }
}
