/** Whether a sketch that came with a record can be merged, asked before anything of the record is applied. */
import { sketchMismatch, type QuantileSketch, type SketchFactory } from './quantile-sketch.js'

const METHODS = ['quantile', 'merge', 'clone', 'toWire'] as const

export class SketchCheck {
  readonly #factory: SketchFactory
  /** Of the factory's own sketches: one with another may only look like one, for example if it is from another copy. */
  readonly #prototype: unknown

  constructor(factory: SketchFactory) {
    this.#factory = factory
    this.#prototype = Object.getPrototypeOf(factory.create())
  }

  /**
   * False: it is no sketch.
   * @throws HsError `'SKETCH_MISMATCH'`, or what trying to merge it throws.
   */
  isSketch(value: unknown): value is QuantileSketch {
    if (typeof value !== 'object' || value === null) return false
    const sketch = value as QuantileSketch
    if (typeof sketch.kind !== 'string') return false
    if (sketch.kind !== this.#factory.kind) throw sketchMismatch(this.#factory.kind, sketch.kind)
    if (METHODS.some((method) => typeof sketch[method] !== 'function')) return false
    if (Object.getPrototypeOf(sketch) !== this.#prototype) this.#factory.create().merge(sketch)
    return true
  }
}
