/**
 * t-digest (Dunning): centroids that are fine at the tails and coarse in the middle. Never more than `maxCentroids` of
 * them stay or travel, and no dice are rolled: what the package underneath does at random, recompression, happens here
 * in a fixed order.
 *
 * Samples wait in a batch and enter the tree in an order that strides over it, because ascending input is the worst
 * case of a t-digest, and because a small window then costs a short array instead of a tree.
 */
import type { Centroid } from 'tdigest'
import { parseOptions } from '@hs/core'
import * as z from 'zod'
import { ListedTDigest } from './listed-tdigest.js'
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
import { SampleBatch } from './sample-batch.js'
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
  #digest: ListedTDigest
  #batch = new SampleBatch()
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
    if (weight === 1) this.#enqueue(value)
    else {
      checkWeight(weight)
      this.#flush()
      this.#digest._digest(value, weight)
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
    // Between means at their mid-ranks, which is type 5 of Hyndman and Fan.
    if (this.#batch.size === this.#count) return this.#batch.quantile(q)
    this.#flush()
    const estimate = this.#digest.percentile(q) ?? this.#min
    return Math.min(Math.max(estimate, this.#min), this.#max)
  }

  merge(other: QuantileSketch): void {
    if (!(other instanceof TDigestSketch)) throw sketchMismatch(KIND, (other as QuantileSketch | undefined)?.kind)
    if (other.#count === 0) return
    if (other === this) this.merge(this.clone())
    else this.#takeIn(other)
  }

  clone(): TDigestSketch {
    const copy = new TDigestSketch(this.#limits)
    copy.#digest = digestOf(this.#digest.held(), this.#limits)
    copy.#batch = this.#batch.clone()
    copy.#count = this.#count
    copy.#sum = this.#sum
    copy.#min = this.#min
    copy.#max = this.#max
    return copy
  }

  toWire(): TDigestWire {
    if (this.#batch.size < this.#count) this.#flush()
    const centroids = this.#batch.size > 0 ? this.#batch.centroids() : this.#digest.held()
    return { k: KIND, s: this.#sum, m: extremesToWire(this), c: centroids.flatMap(({ mean, n }) => [mean, n]) }
  }

  #takeIn(other: TDigestSketch): void {
    if (this.#count === 0) this.#digest = digestOf(other.#digest.held(), this.#limits)
    else if (other.#digest.size() > 0) {
      this.#flush()
      pushAll(this.#digest, other.#digest.held())
    }
    this.#bound()
    for (let i = 0; i < other.#batch.size; i++) this.#enqueue(other.#batch.at(i))
    this.#count += other.#count
    this.#sum = addToSum(this.#sum, other.#sum)
    this.#min = Math.min(this.#min, other.#min)
    this.#max = Math.max(this.#max, other.#max)
  }

  #enqueue(value: number): void {
    if (this.#batch.add(value)) this.#flush()
  }

  #flush(): void {
    const batch = this.#batch
    const { size } = batch
    if (size === 0) return
    const step = strideOf(size)
    for (let i = 0, at = 0; i < size; i++, at = (at + step) % size) this.#digest._digest(batch.at(at), 1)
    batch.clear()
    this.#bound()
  }

  /** Compresses only above the bound: each compression costs accuracy at the tail. */
  #bound(): void {
    const { maxCentroids } = this.#limits
    for (let i = 0; i < COMPRESSIONS && this.#digest.size() > maxCentroids; i++) {
      const centroids = this.#digest.held()
      this.#digest = emptyDigest(this.#limits)
      pushAll(this.#digest, centroids)
    }
    // No input is known that gets here, but the bound is a promise.
    while (this.#digest.size() > maxCentroids) {
      this.#digest = digestOf(mergedPairs(this.#digest.held()), this.#limits)
    }
  }
}

function emptyDigest({ delta }: Limits): ListedTDigest {
  return new ListedTDigest(delta)
}

/** @param centroids not those of the digest itself. */
function pushAll(digest: ListedTDigest, centroids: readonly Centroid[]): void {
  const { length } = centroids
  const step = strideOf(length)
  for (let i = 0, at = 0; i < length; i++, at = (at + step) % length) {
    const centroid = centroids[at]
    if (centroid !== undefined) digest._digest(centroid.mean, centroid.n)
  }
}

/** The very centroids, none merged. */
function digestOf(centroids: readonly Centroid[], limits: Limits): ListedTDigest {
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

/** In steps of about length x 0.618, coprime to the length, all indexes come once, and neighbours far apart. */
function strideOf(length: number): number {
  let step = Math.max(1, Math.floor(length * GOLDEN))
  while (greatestCommonDivisor(step, length) !== 1) step++
  return step
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
