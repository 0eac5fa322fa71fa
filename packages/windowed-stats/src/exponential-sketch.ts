/**
 * The base-2 exponential histogram of OpenTelemetry as a quantile sketch: relative error at most
 * (base - 1) / (base + 1), 0.54 % at scale 6, and merging that is exactly commutative and associative, because the
 * final scale depends only on all samples together. `buckets()` is an OTLP data point's positive range as it stands.
 * Source: OpenTelemetry's data model, "ExponentialHistogram"; Prometheus native histograms.
 */
import { parseOptions } from '@hs/core'
import * as z from 'zod'
import { BucketCounts, MAX_NARROW_TOTAL } from './bucket-counts.js'
import {
  bucketIndex,
  indexTable,
  lowerBound,
  MAX_SCALE,
  MIN_NORMAL,
  MIN_SCALE,
  type IndexTable,
} from './exponential-index.js'
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

export interface ExponentialSketchOptions {
  /** Resolution to begin with: 2^scale buckets an octave, -4 to 8. @default 6 */
  scale?: number
  /** The widest range of buckets; a wider one halves the resolution until it fits. 160 to 65,536. @default 2_048 */
  maxBuckets?: number
}

export interface ExponentialBuckets {
  readonly scale: number
  readonly zeroCount: number
  /** Index of the first count. */
  readonly offset: number
  readonly counts: readonly number[]
}

export interface ExponentialSketchFactory extends SketchFactory {
  create(): ExponentialSketch
}

interface ExponentialWire extends SketchWire {
  readonly k: 'e'
  readonly e: number
  readonly z: number
  readonly o: number
  /** A count, or minus the number of empty buckets that follow. */
  readonly b: readonly number[]
  readonly s: number
  readonly m: readonly number[]
}

const KIND = 'e'
const MAX_WIRE_BUCKETS = 65_536

/** Options that were checked, so that a sketch a window need not check them again. */
class Limits {
  readonly scale: number
  readonly maxBuckets: number

  constructor(options: ExponentialSketchOptions, subject: string) {
    const { scale, maxBuckets } = parseOptions(schema, options, subject)
    this.scale = scale
    this.maxBuckets = maxBuckets
  }
}

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    scale: z.int().min(MIN_SCALE).max(MAX_SCALE).default(6),
    maxBuckets: z.int().min(160).max(MAX_WIRE_BUCKETS).default(2_048),
  }))()

/** What travels between nodes. @throws ConfigError */
export function exponentialSketch(options: ExponentialSketchOptions = {}): ExponentialSketchFactory {
  const limits = new Limits(options, 'exponentialSketch')
  return Object.freeze({
    kind: KIND,
    create: () => new ExponentialSketch(limits),
    fromWire: (wire: unknown) => ExponentialSketch.fromWire(wire, limits),
  })
}

export class ExponentialSketch implements QuantileSketch {
  readonly kind = KIND
  readonly #limits: Limits
  #table: IndexTable
  #buckets = new BucketCounts()
  #zeroCount = 0
  #count = 0
  #sum = 0
  #min = Infinity
  #max = -Infinity

  /** @throws ConfigError */
  constructor(options: ExponentialSketchOptions = {}) {
    this.#limits = options instanceof Limits ? options : new Limits(options, 'ExponentialSketch')
    this.#table = indexTable(this.#limits.scale)
  }

  /** @throws DecodeError */
  static fromWire(wire: unknown, options: ExponentialSketchOptions = {}): ExponentialSketch {
    const fields = wireObject(wire, 'sketch')
    if (fields['k'] !== KIND) throw wireError('sketch.k', `"${KIND}"`)
    const scale = wireInteger(fields['e'], 'sketch.e', MIN_SCALE, MAX_SCALE)
    const sketch = new ExponentialSketch(options)
    sketch.#table = indexTable(scale)
    sketch.#zeroCount = wireInteger(fields['z'], 'sketch.z', 0)
    sketch.#count = sketch.#zeroCount + fillFromWire(sketch.#buckets, fields, scale)
    if (!Number.isSafeInteger(sketch.#count)) throw wireError('sketch.b', 'counts whose sum is a safe integer')
    sketch.#sum = wireAmount(fields['s'], 'sketch.s')
    const { min, max } = wireExtremes(fields['m'], 'sketch.m', sketch.#count)
    sketch.#min = min
    sketch.#max = max
    sketch.#fit()
    return sketch
  }

  get scale(): number {
    return this.#table.scale
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
    if (weight !== 1) checkWeight(weight)
    const value = sample + 0 // -0 is 0
    const count = this.#count + weight
    if (count > MAX_NARROW_TOTAL) this.#buckets.widen()
    this.#place(value, weight)
    this.#count = count
    this.#sum = addToSum(this.#sum, value * weight)
    if (value < this.#min) this.#min = value
    if (value > this.#max) this.#max = value
  }

  addAll(samples: readonly number[]): void {
    // By index: an iterator would put each number into an object of its own.
    const { length } = samples
    let [sum, min, max] = [this.#sum, this.#min, this.#max]
    for (let i = 0; i < length; i++) {
      const sample: unknown = samples[i]
      checkSample(sample)
      const value = sample + 0
      sum = addToSum(sum, value)
      if (value < min) min = value
      if (value > max) max = value
    }
    const count = this.#count + length
    if (count > MAX_NARROW_TOTAL) this.#buckets.widen()
    for (let i = 0; i < length; i++) this.#place(samples[i] ?? 0, 1)
    this.#count = count
    this.#sum = sum
    this.#min = min
    this.#max = max
  }

  quantile(q: number): number | undefined {
    checkQuantile(q)
    const count = this.#count
    if (count === 0) return undefined
    if (q === 0) return this.#min
    if (q === 1) return this.#max
    const rank = Math.floor(q * (count - 1))
    if (rank < this.#zeroCount) return Math.min(Math.max(0, this.#min), this.#max)
    // From the nearer end: most of what is asked for lies at the top.
    const buckets = this.#buckets
    const index =
      rank * 2 < count ? buckets.indexOfRank(rank - this.#zeroCount) : buckets.indexOfRankFromTop(count - 1 - rank)
    // 2ab / (a + b) for the bounds a and b = a x base, written so that b need not be a finite double.
    const { scale, middle } = this.#table
    return Math.min(Math.max(lowerBound(scale, index) * middle, this.#min), this.#max)
  }

  merge(other: QuantileSketch): void {
    if (!(other instanceof ExponentialSketch)) throw sketchMismatch(KIND, (other as QuantileSketch | undefined)?.kind)
    if (other.#count === 0) return
    const scale = this.#jointScale(other)
    const theirScale = other.scale
    this.#rescale(scale)
    let theirs = other.#buckets
    if (theirScale !== scale && other !== this) {
      theirs = theirs.clone()
      theirs.shift(theirScale - scale)
    }
    const count = this.#count + other.#count
    if (count > MAX_NARROW_TOTAL) this.#buckets.widen()
    this.#buckets.addAll(theirs)
    this.#zeroCount += other.#zeroCount
    this.#count = count
    this.#sum = addToSum(this.#sum, other.#sum)
    this.#min = Math.min(this.#min, other.#min)
    this.#max = Math.max(this.#max, other.#max)
  }

  clone(): ExponentialSketch {
    const copy = new ExponentialSketch(this.#limits)
    copy.#table = this.#table
    copy.#buckets = this.#buckets.clone()
    copy.#zeroCount = this.#zeroCount
    copy.#count = this.#count
    copy.#sum = this.#sum
    copy.#min = this.#min
    copy.#max = this.#max
    return copy
  }

  /** For exporters: OTLP as it stands; with offset + 1 a Prometheus native histogram of schema = scale. */
  buckets(): ExponentialBuckets {
    const buckets = this.#buckets
    const counts = Array.from({ length: buckets.span }, (_, i) => buckets.at(buckets.low + i))
    return Object.freeze({
      scale: this.scale,
      zeroCount: this.#zeroCount,
      offset: buckets.isEmpty ? 0 : buckets.low,
      counts: Object.freeze(counts),
    })
  }

  toWire(): ExponentialWire {
    const buckets = this.#buckets
    const b: number[] = []
    let gap = 0
    for (let index = buckets.low; index <= buckets.high; index++) {
      const count = buckets.at(index)
      if (count === 0) gap++
      else {
        if (gap > 0) b.push(-gap)
        gap = 0
        b.push(count)
      }
    }
    const offset = buckets.isEmpty ? 0 : buckets.low
    return { k: KIND, e: this.scale, z: this.#zeroCount, o: offset, b, s: this.#sum, m: extremesToWire(this) }
  }

  #place(value: number, weight: number): void {
    if (value < MIN_NORMAL) {
      this.#zeroCount += weight
      return
    }
    const buckets = this.#buckets
    let index = bucketIndex(this.#table, value)
    if (!buckets.covers(index)) index = this.#cover(index)
    buckets.add(index, weight)
  }

  /** Extends the range to a bucket, at a coarser scale if it must be; returns the bucket's index at that scale. */
  #cover(index: number): number {
    const buckets = this.#buckets
    const low = buckets.isEmpty ? index : Math.min(buckets.low, index)
    const high = buckets.isEmpty ? index : Math.max(buckets.high, index)
    const shift = shiftToFit(low, high, this.#limits.maxBuckets)
    this.#rescale(this.scale - shift)
    buckets.cover(low >> shift, high >> shift)
    return index >> shift
  }

  #fit(): void {
    if (this.#buckets.span <= this.#limits.maxBuckets) return
    this.#rescale(this.scale - shiftToFit(this.#buckets.low, this.#buckets.high, this.#limits.maxBuckets))
  }

  #rescale(scale: number): void {
    if (scale === this.scale) return
    this.#buckets.shift(this.scale - scale)
    this.#table = indexTable(scale)
  }

  /** The finest scale, not finer than either, at which both fit together. */
  #jointScale(other: ExponentialSketch): number {
    const coarser = Math.min(this.scale, other.scale)
    const [mine, theirs] = [this.#buckets, other.#buckets]
    if (theirs.isEmpty) return coarser - shiftToFit(mine.low, mine.high, this.#limits.maxBuckets)
    let low = theirs.low >> (other.scale - coarser)
    let high = theirs.high >> (other.scale - coarser)
    if (!mine.isEmpty) {
      low = Math.min(low, mine.low >> (this.scale - coarser))
      high = Math.max(high, mine.high >> (this.scale - coarser))
    }
    return coarser - shiftToFit(low, high, this.#limits.maxBuckets)
  }
}

/** How often neighbours must be merged until the range fits. At scale -4 all doubles fit into 128 buckets. */
function shiftToFit(low: number, high: number, maxBuckets: number): number {
  let shift = 0
  while ((high >> shift) - (low >> shift) + 1 > maxBuckets) shift++
  return shift
}

/** Returns the sum of the counts. Lengths are checked before anything is allocated for them. */
function fillFromWire(buckets: BucketCounts, fields: Readonly<Record<string, unknown>>, scale: number): number {
  const entries = wireArray(fields['b'], 'sketch.b', MAX_WIRE_BUCKETS)
  let span = 0
  let count = 0
  entries.forEach((entry, i) => {
    const value = wireInteger(entry, `sketch.b.${i}`, -MAX_WIRE_BUCKETS)
    if (value === 0) throw wireError(`sketch.b.${i}`, 'a count or a gap')
    span += value > 0 ? 1 : -value
    if (value > 0) count += value
    else if (i === 0 || i === entries.length - 1) throw wireError(`sketch.b.${i}`, 'no gap at either end')
  })
  if (span > MAX_WIRE_BUCKETS) throw wireError('sketch.b', `at most ${MAX_WIRE_BUCKETS} buckets`)
  // All normal doubles lie within these buckets.
  const octave = 2 ** scale
  const lowest = Math.floor(-1_023 * octave)
  const highest = Math.ceil(1_024 * octave)
  let index = wireInteger(fields['o'], 'sketch.o', lowest, highest)
  if (index + span > highest + 1) throw wireError('sketch.b', 'buckets of doubles')
  if (count > MAX_NARROW_TOTAL) buckets.widen()
  if (span > 0) buckets.cover(index, index + span - 1)
  for (const entry of entries as readonly number[]) {
    if (entry > 0) buckets.add(index++, entry)
    else index -= entry
  }
  return count
}
