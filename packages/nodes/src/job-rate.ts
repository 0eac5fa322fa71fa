/** How fast a job's shards report work as done: per second, over the last window, over all datacenters. */

export class JobRate {
  readonly #windowMs: number
  readonly #datacenters = new Map<string, { atMs: number; done: number }[]>()

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  record(datacenter: string, done: number, nowMs: number): void {
    let points = this.#datacenters.get(datacenter)
    if (points === undefined) this.#datacenters.set(datacenter, (points = []))
    points.push({ atMs: nowMs, done })
    // One point from before the window stays, to measure from; what is denser than needed goes.
    while (points.length > 2 && (points[1]?.atMs ?? nowMs) <= nowMs - this.#windowMs) points.shift()
    if (points.length > MAX_POINTS) points.splice(1, points.length - MAX_POINTS)
  }

  perSecond(nowMs: number): number {
    let rate = 0
    for (const points of this.#datacenters.values()) {
      const first = points[0]
      const last = points.at(-1)
      if (first === undefined || last === undefined || last.atMs <= nowMs - 2 * this.#windowMs) continue
      const spanMs = nowMs - first.atMs
      if (spanMs > 0) rate += (Math.max(0, last.done - first.done) / spanMs) * 1_000
    }
    return rate
  }
}

const MAX_POINTS = 64
