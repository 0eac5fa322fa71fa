/**
 * t-digest (Dunning): centroids that are fine at the tails and coarse in the middle. Never more than `maxCentroids` of
 * them stay or travel, and no dice are rolled: what the package underneath does at random, recompression, happens here
 * in a fixed order.
 *
 * Samples wait in a batch and enter the tree in an order that strides over it, because ascending input is the worst
 * case of a t-digest, and because a small window then costs a short array instead of a tree.
 */
import { TDigest, type Centroid } from 'tdigest'
import { parseOptions } from '@hs/core'
import * as z from 'zod'
import {
  addToSum,
  checkQuantile,
  checkSample,
  checkWeight,
  extremesToWire,
  sketchMismatch,
  type QuantileSketch,
  type SketchFactory,
  type SketchWire,
} from './quantile-sketch.js'
import { wireAmount, wireArray, wireError, wireExtremes, wireInteger, wireObject } from './wire-checks.js'

export interface TDigestSketchOptions {
  /** The largest share of all samples that one centroid may hold, above 0 to 0.1. @default 0.01 */
  delta?: number
  /** Centroids kept, at least 10 / delta. @default 1_500, or 10 / delta if that is more */
  maxCentroids?: number
}

interface TDigestWire extends SketchWire {
  readonly k: 't'
  readonly s: number
  readonly m: readonly number[]
  /** Mean, weight, mean, weight … by ascending mean. */
  readonly c: readonly number[]
}

const KIND = 't'
const MAX_BATCH = 256
const FIRST_BATCH = 16
const MAX_WIRE_CENTROIDS = 65_536
const COMPRESSIONS = 3
const GOLDEN = 0.618

interface Limits {
  readonly delta: number
  readonly maxCentroids: number
}

const schema = /* @__PURE__ */ (() =>
  z
    .strictObject({
      delta: z.number().positive().max(0.1).default(0.01),
      maxCentroids: z.int().min(100).max(MAX_WIRE_CENTROIDS).optional(),
    })
    .transform(({ delta, maxCentroids }) => ({
      delta,
      maxCentroids: maxCentroids ?? Math.max(1_500, Math.ceil(10 / delta)),
    }))
    .refine((o) => o.maxCentroids >= 10 / o.delta, {
      path: ['maxCentroids'],
      message: 'expected at least 10 / delta',
    }))()

/** The default sketch everywhere. @throws ConfigError */
export function tdigestSketch(options: TDigestSketchOptions = {}): SketchFactory {
  const limits: Limits = parseOptions(schema, options, 'tdigestSketch')
  return Object.freeze({
    kind: KIND,
    create: () => new TDigestSketch(limits),
    fromWire: (wire: unknown) => TDigestSketch.fromWire(wire, limits),
  })
}

class TDigestSketch implements QuantileSketch {
  readonly kind = KIND
  readonly #limits: Limits
  #digest: TDigest
  #batch = new Float64Array(FIRST_BATCH)
  #batched = 0
  #count = 0
  #sum = 0
  #min = Infinity
  #max = -Infinity

  constructor(limits: Limits) {
    this.#limits = limits
    this.#digest = emptyDigest(limits)
  }

  static fromWire(wire: unknown, limits: Limits): TDigestSketch {
    const fields = wireObject(wire, 'sketch')
    if (fields['k'] !== KIND) throw wireError('sketch.k', `"${KIND}"`)
    const flat = wireArray(fields['c'], 'sketch.c', MAX_WIRE_CENTROIDS * 2)
    if (flat.length % 2 !== 0) throw wireError('sketch.c', 'pairs of mean and weight')
    const centroids: Centroid[] = []
    let count = 0
    for (let i = 0; i < flat.length; i += 2) {
      const mean = wireAmount(flat[i], `sketch.c.${i}`)
      const n = wireInteger(flat[i + 1], `sketch.c.${i + 1}`, 1)
      const before = centroids.at(-1)
      if (before !== undefined && before.mean >= mean) throw wireError(`sketch.c.${i}`, 'ascending means')
      centroids.push({ mean, n })
      count += n
    }
    if (!Number.isSafeInteger(count)) throw wireError('sketch.c', 'weights whose sum is a safe integer')
    const sketch = new TDigestSketch(limits)
    sketch.#sum = wireAmount(fields['s'], 'sketch.s')
    const { min, max } = wireExtremes(fields['m'], 'sketch.m', count)
    sketch.#min = min
    sketch.#max = max
    sketch.#count = count
    sketch.#digest = digestOf(centroids, limits)
    sketch.#bound()
    return sketch
  }

  get count(): number {
    return this.#count
  }

  get sum(): number {
    return this.#sum
  }

  get min(): number {
    return this.#min
  }

  get max(): number {
    return this.#max
  }

  add(sample: number, weight = 1): void {
    checkSample(sample)
    const value = sample + 0 // -0 is 0
    checkWeight(weight)
    if (weight === 1) this.#enqueue(value)
    else {
      this.#flush()
      this.#digest.push(value, weight)
      this.#bound()
    }
    this.#count += weight
    this.#sum = addToSum(this.#sum, value * weight)
    if (value < this.#min) this.#min = value
    if (value > this.#max) this.#max = value
  }

  quantile(q: number): number | undefined {
    checkQuantile(q)
    if (this.#count === 0) return undefined
    if (q === 0) return this.#min
    if (q === 1) return this.#max
    this.#flush()
    // The package interpolates between means at their mid-ranks, which is type 5 of Hyndman and Fan.
    const estimate = this.#digest.percentile(q) ?? this.#min
    return Math.min(Math.max(estimate, this.#min), this.#max)
  }

  merge(other: QuantileSketch): void {
    if (!(other instanceof TDigestSketch)) throw sketchMismatch(KIND, (other as QuantileSketch | undefined)?.kind)
    if (other.#count === 0) return
    const batch = other.#batch.slice(0, other.#batched) // a copy: `other` may be this sketch itself
    const centroids = other.#digest.toArray()
    this.#flush()
    for (const i of strideOrder(centroids.length)) {
      const centroid = centroids[i]
      if (centroid !== undefined) this.#digest.push(centroid.mean, centroid.n)
    }
    this.#bound()
    for (const value of batch) this.#enqueue(value)
    this.#count += other.#count
    this.#sum = addToSum(this.#sum, other.#sum)
    this.#min = Math.min(this.#min, other.#min)
    this.#max = Math.max(this.#max, other.#max)
  }

  clone(): TDigestSketch {
    const copy = new TDigestSketch(this.#limits)
    copy.#digest = digestOf(this.#digest.toArray(), this.#limits)
    copy.#batch = this.#batch.slice()
    copy.#batched = this.#batched
    copy.#count = this.#count
    copy.#sum = this.#sum
    copy.#min = this.#min
    copy.#max = this.#max
    return copy
  }

  toWire(): TDigestWire {
    this.#flush()
    const c = this.#digest.toArray().flatMap(({ mean, n }) => [mean, n])
    return { k: KIND, s: this.#sum, m: extremesToWire(this), c }
  }

  #enqueue(value: number): void {
    if (this.#batched === this.#batch.length) {
      const larger = new Float64Array(Math.min(MAX_BATCH, this.#batch.length * 2))
      larger.set(this.#batch)
      this.#batch = larger
    }
    this.#batch[this.#batched++] = value
    if (this.#batched === MAX_BATCH) this.#flush()
  }

  #flush(): void {
    if (this.#batched === 0) return
    for (const i of strideOrder(this.#batched)) this.#digest.push(this.#batch[i] ?? 0)
    this.#batched = 0
    this.#bound()
  }

  /** Compresses only above the bound: each compression costs accuracy at the tail. */
  #bound(): void {
    const { maxCentroids } = this.#limits
    for (let i = 0; i < COMPRESSIONS && this.#digest.size() > maxCentroids; i++) {
      const centroids = this.#digest.toArray()
      this.#digest = emptyDigest(this.#limits)
      for (const at of strideOrder(centroids.length)) {
        const centroid = centroids[at]
        if (centroid !== undefined) this.#digest.push(centroid.mean, centroid.n)
      }
    }
    // No input is known that gets here, but the bound is a promise.
    while (this.#digest.size() > maxCentroids) {
      this.#digest = digestOf(mergedPairs(this.#digest.toArray()), this.#limits)
    }
  }
}

function emptyDigest({ delta }: Limits): TDigest {
  return new TDigest(delta, 0)
}

/** The very centroids, none merged. */
function digestOf(centroids: readonly Centroid[], limits: Limits): TDigest {
  const digest = emptyDigest(limits)
  let cumulative = 0
  for (const { mean, n } of centroids) {
    digest._new_centroid(mean, n, cumulative)
    cumulative += n
  }
  return digest
}

function mergedPairs(centroids: readonly Centroid[]): Centroid[] {
  const merged: Centroid[] = []
  for (let i = 0; i < centroids.length; i += 2) {
    const [a, b] = [centroids[i], centroids[i + 1]]
    if (a === undefined) break
    if (b === undefined) merged.push(a)
    else merged.push({ mean: a.mean + ((b.mean - a.mean) * b.n) / (a.n + b.n), n: a.n + b.n })
  }
  return merged
}

/** 0 to length - 1 in steps of about length x 0.618, coprime to the length: every index once, neighbours far apart. */
function* strideOrder(length: number): Generator<number> {
  let step = Math.max(1, Math.floor(length * GOLDEN))
  while (greatestCommonDivisor(step, length) !== 1) step++
  for (let i = 0, at = 0; i < length; i++, at = (at + step) % length) yield at
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
