/**
 * Quantiles of the last few minutes: a ring of panes, each with a sketch, that move on with the clock. A sample counts
 * until its pane is `windows` behind. It takes no timestamps, so no clock but its own can empty it.
 */
import { parseOptions, runtimeShape, type Clock, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import { summarize, type DigestSummary } from './digest-summary.js'
import {
  checkSample,
  checkWeight,
  isSketchFactory,
  type QuantileSketch,
  type SketchFactory,
} from './quantile-sketch.js'
import { tdigestSketch } from './tdigest-sketch.js'

export interface TimeWindowedDigestOptions extends RuntimeOptions {
  /** Width of a pane in milliseconds, an integer from 1. @default 60_000 */
  windowMs?: number
  /** How many panes count, the current one included, 1 to 10,000. @default 5 */
  windows?: number
  /** @default tdigestSketch() */
  sketch?: SketchFactory
}

interface Pane {
  readonly number: number
  readonly sketch: QuantileSketch
}

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    windowMs: z.int().min(1).default(60_000),
    windows: z.int().min(1).max(10_000).default(5),
    sketch: z.custom<SketchFactory>(isSketchFactory, 'expected a sketch factory').default(() => tdigestSketch()),
  }))()

export class TimeWindowedDigest {
  readonly #clock: Clock
  readonly #windowMs: number
  readonly #windows: number
  readonly #factory: SketchFactory
  /** Oldest first; the last may be the current one. */
  #panes: Pane[] = []
  /** All but the last together, until one leaves or is added. */
  #closed: QuantileSketch | undefined
  /** All of them together, until something is added. */
  #whole: QuantileSketch | undefined

  /** @throws ConfigError */
  constructor(options: TimeWindowedDigestOptions = {}) {
    const { clock, windowMs, windows, sketch } = parseOptions(schema, options, 'TimeWindowedDigest')
    this.#clock = clock
    this.#windowMs = windowMs
    this.#windows = windows
    this.#factory = sketch
  }

  /**
   * @param weight how often the value was seen, a positive integer. @default 1
   * @throws HsError `'INVALID_ARGUMENT'`; nothing is added then.
   */
  add(value: number, weight = 1): void {
    checkSample(value)
    checkWeight(weight)
    this.#current().add(value, weight)
    this.#whole = undefined
  }

  /** Takes in samples of now. @throws HsError `'SKETCH_MISMATCH'` for a sketch of another kind. */
  merge(sketch: QuantileSketch): void {
    this.#current().merge(sketch)
    this.#whole = undefined
  }

  /** A copy of all that counts now. */
  sketch(): QuantileSketch {
    return this.#merged().clone()
  }

  /**
   * @param q 0 to 1. @returns undefined when nothing counts now.
   * @throws HsError `'INVALID_ARGUMENT'` for another q.
   */
  quantile(q: number): number | undefined {
    return this.#merged().quantile(q)
  }

  /** Frozen; undefined when nothing counts now. */
  summary(): DigestSummary | undefined {
    return summarize(this.#merged())
  }

  #current(): QuantileSketch {
    const number = this.#expire()
    const last = this.#panes.at(-1)
    if (last?.number === number) return last.sketch
    const pane = { number, sketch: this.#factory.create() }
    this.#panes.push(pane)
    this.#closed = undefined
    return pane.sketch
  }

  /** Drops what no longer counts. @returns the number of the current pane. */
  #expire(): number {
    // A monotonic clock does not go back; if one does, its samples belong to the newest pane there is.
    const number = Math.max(Math.floor(this.#clock.now() / this.#windowMs), this.#panes.at(-1)?.number ?? -Infinity)
    const oldest = this.#panes[0]
    if (oldest !== undefined && oldest.number <= number - this.#windows) {
      this.#panes = this.#panes.filter((pane) => pane.number > number - this.#windows)
      this.#closed = this.#whole = undefined
    }
    return number
  }

  #merged(): QuantileSketch {
    this.#expire()
    if (this.#whole !== undefined) return this.#whole
    this.#closed ??= union(this.#factory, this.#panes.slice(0, -1))
    this.#whole = this.#closed.clone()
    const last = this.#panes.at(-1)
    if (last !== undefined) this.#whole.merge(last.sketch)
    return this.#whole
  }
}

function union(factory: SketchFactory, panes: readonly Pane[]): QuantileSketch {
  const sketch = factory.create()
  for (const pane of panes) sketch.merge(pane.sketch)
  return sketch
}
