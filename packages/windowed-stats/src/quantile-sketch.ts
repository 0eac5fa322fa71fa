/**
 * What a quantile sketch is: a small, mergeable summary of many samples. Samples are finite numbers from 0
 * (milliseconds, bytes); `count`, `sum`, `min` and `max` are exact, and no sketch rolls dice, so the same calls give the
 * same quantiles in every process.
 */
import { HsError } from '@hs/core'

export interface QuantileSketch {
  readonly kind: string
  readonly count: number
  readonly sum: number
  /** Infinity when empty. */
  readonly min: number
  /** -Infinity when empty. */
  readonly max: number
  /**
   * @param weight how often the value was seen, a positive integer. @default 1
   * @throws HsError `'INVALID_ARGUMENT'`; nothing is added then.
   */
  add(value: number, weight?: number): void
  /** `add` for each, or for none if one is refused; only where a kind does it faster than one by one. */
  addAll?(values: readonly number[]): void
  /**
   * @param q 0 to 1; 0 and 1 are the exact minimum and maximum.
   * @returns undefined when empty.
   * @throws HsError `'INVALID_ARGUMENT'` for another q.
   */
  quantile(q: number): number | undefined
  /** Takes in what `other` holds and leaves it alone. @throws HsError `'SKETCH_MISMATCH'` for one of another kind. */
  merge(other: QuantileSketch): void
  clone(): QuantileSketch
  toWire(): SketchWire
}

/** Plain data; what it holds beside `k`, the kind, is the kind's own business. */
export type SketchWire = { k: string }

export interface SketchFactory {
  readonly kind: string
  create(): QuantileSketch
  /** @throws DecodeError */
  fromWire(wire: unknown): QuantileSketch
}

export function isSketchFactory(value: unknown): boolean {
  const factory = value as Partial<SketchFactory> | null | undefined
  return typeof factory?.kind === 'string' && typeof factory.create === 'function'
}

/** @throws HsError `'INVALID_ARGUMENT'` */
export function checkSample(value: unknown): asserts value is number {
  if (typeof value === 'number' && value >= 0 && value < Infinity) return
  throw new HsError('INVALID_ARGUMENT', `A sample is a finite number from 0, found ${String(value)}`)
}

/** @throws HsError `'INVALID_ARGUMENT'` */
export function checkWeight(weight: unknown): asserts weight is number {
  if (Number.isSafeInteger(weight) && (weight as number) > 0) return
  throw new HsError('INVALID_ARGUMENT', `A weight is a positive integer, found ${String(weight)}`)
}

/** @throws HsError `'INVALID_ARGUMENT'` */
export function checkQuantile(q: unknown): asserts q is number {
  if (typeof q === 'number' && q >= 0 && q <= 1) return
  throw new HsError('INVALID_ARGUMENT', `A quantile is a number from 0 to 1, found ${String(q)}`)
}

/** @param found what was given instead of a sketch of that kind: its kind, or anything at all. */
export function sketchMismatch(expected: string, found: unknown): HsError {
  return new HsError('SKETCH_MISMATCH', `A sketch of kind ${expected} cannot take in one of kind ${String(found)}`, {
    details: { expected, found },
  })
}

/** A sum that stays finite, so that it can travel. */
export function addToSum(sum: number, amount: number): number {
  const total = sum + amount
  return total <= Number.MAX_VALUE ? total : Number.MAX_VALUE // Math.min is several times as slow here
}

/** Exact minimum and maximum on the wire: nothing when empty. */
export function extremesToWire(sketch: {
  readonly count: number
  readonly min: number
  readonly max: number
}): number[] {
  return sketch.count === 0 ? [] : [sketch.min, sketch.max]
}
