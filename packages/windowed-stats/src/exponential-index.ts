/**
 * The bucket of a number in a base-2 exponential histogram: base = 2^(2^-scale), bucket i holds (base^i, base^(i+1)].
 * Exact for every double: the boundaries within an octave are kept as the largest doubles not above the true, irrational
 * ones, and the mantissa's top bits lead to at most two of them; no logarithm is taken.
 * Source: OpenTelemetry's data model, "ExponentialHistogram".
 */

export const MIN_SCALE = -4
export const MAX_SCALE = 8
/** Below it doubles lose precision; they count as zero. */
export const MIN_NORMAL = 2 ** -1022

const MANTISSA_BITS = 52
const HIGH_MANTISSA_BITS = 20
const HIGH_MANTISSA = 0xfffff
const EXPONENT_OF_ONE = 0x3ff00000

export interface IndexTable {
  readonly scale: number
  /** Boundary k of an octave, 2^(k / 2^scale), k from 0 to 2^scale; only for scales above 0. */
  readonly boundaries: Float64Array
  /** By the mantissa's top scale + 1 bits: the largest k whose boundary is below all of the cell, or -1. */
  readonly cells: Int16Array
}

const tables = new Map<number, IndexTable>()
const float = new Float64Array(1)
const words = new Uint32Array(float.buffer)
const high = /* @__PURE__ */ (() => {
  float[0] = 1
  return words[1] === EXPONENT_OF_ONE ? 1 : 0
})()

/** Made once a scale. */
export function indexTable(scale: number): IndexTable {
  const known = tables.get(scale)
  if (known !== undefined) return known
  const table = scale > 0 ? makeTable(scale) : { scale, boundaries: new Float64Array(0), cells: new Int16Array(0) }
  tables.set(scale, table)
  return table
}

/** @param value a normal positive double. */
export function bucketIndex(table: IndexTable, value: number): number {
  float[0] = value
  const word = words[high] ?? 0
  const exponent = (word >>> HIGH_MANTISSA_BITS) - 1_023
  words[high] = (word & HIGH_MANTISSA) | EXPONENT_OF_ONE
  const mantissa = float[0] // from 1 to below 2
  const { scale, boundaries, cells } = table
  // A power of two is the upper end of the bucket below it.
  if (scale <= 0) return (mantissa === 1 ? exponent - 1 : exponent) >> -scale

  let k = cells[(word & HIGH_MANTISSA) >>> (HIGH_MANTISSA_BITS - scale - 1)] ?? 0
  if (mantissa > (boundaries[k + 1] ?? 2)) {
    k++
    if (mantissa > (boundaries[k + 1] ?? 2)) k++
  }
  return exponent * (1 << scale) + k
}

/** The lower end of bucket `index`; its upper end is that of `index + 1`. */
export function lowerBound(scale: number, index: number): number {
  return 2 ** (index * 2 ** -scale)
}

function makeTable(scale: number): IndexTable {
  const buckets = 1 << scale
  const fine = finestBoundaries()
  const boundaries = new Float64Array(buckets + 1)
  for (let k = 0; k <= buckets; k++) boundaries[k] = fine[k << (MAX_SCALE - scale)] ?? 2

  // A cell is 0.5 / 2^scale wide and a bucket at least 0.69 / 2^scale: one boundary at most lies within a cell.
  const cells = new Int16Array(buckets * 2)
  let k = -1
  for (let cell = 0; cell < cells.length; cell++) {
    const cellStart = 1 + cell / cells.length
    while ((boundaries[k + 1] ?? 2) < cellStart) k++
    cells[cell] = k
  }
  return { scale, boundaries, cells }
}

let cachedBoundaries: Float64Array | undefined

/** 2^(k / 256) for k from 0 to 256, each the largest double not above the true value. */
function finestBoundaries(): Float64Array {
  if (cachedBoundaries !== undefined) return cachedBoundaries
  const buckets = 1 << MAX_SCALE
  const boundaries = new Float64Array(buckets + 1)
  for (let k = 0; k <= buckets; k++) {
    let scaled = BigInt(Math.round(2 ** (k / buckets) * 2 ** MANTISSA_BITS))
    while (exceeds(scaled, k)) scaled--
    while (!exceeds(scaled + 1n, k)) scaled++
    boundaries[k] = Number(scaled) / 2 ** MANTISSA_BITS
  }
  cachedBoundaries = boundaries
  return boundaries
}

/** Whether scaled / 2^52 > 2^(k / 256), in whole numbers. */
function exceeds(scaled: bigint, k: number): boolean {
  const exponent = 1 << MAX_SCALE
  return scaled ** BigInt(exponent) > 1n << BigInt(k + MANTISSA_BITS * exponent)
}
