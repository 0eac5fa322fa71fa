/** Decodes either built-in kind of sketch. Kinds of one's own are decoded by their own factory. */
import { ExponentialSketch } from './exponential-sketch.js'
import type { QuantileSketch, SketchFactory } from './quantile-sketch.js'
import { tdigestSketch } from './tdigest-sketch.js'
import { wireError, wireObject } from './wire-checks.js'

let tdigest: SketchFactory | undefined

/** @throws DecodeError */
export function sketchFromWire(wire: unknown): QuantileSketch {
  switch (wireObject(wire, 'sketch')['k']) {
    case 'e':
      return ExponentialSketch.fromWire(wire)
    case 't':
      return (tdigest ??= tdigestSketch()).fromWire(wire)
    default:
      throw wireError('sketch.k', '"e" or "t"')
  }
}
