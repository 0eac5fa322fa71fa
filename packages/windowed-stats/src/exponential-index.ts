/**
 * The bucket of a number in a base-2 exponential histogram: base = 2^(2^-scale), bucket i holds (base^i, base^(i+1)].
 * Exact for every double: the boundaries within an octave are kept as the largest doubles not above the true, irrational
 * ones, and the mantissa's top bits lead to the bucket, or to the one boundary that lies among numbers of these bits;
 * no logarithm is taken.
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
const EXPONENT_BIAS = 1_023
/** Cells a bucket, as a power of two: few of so many cells have a boundary in them that must be compared with. */
const CELL_BITS = 5

export interface IndexTable {
  readonly scale: number
  /** What a bucket's lower end is multiplied by to estimate what lies in it: 2 base / (base + 1). */
  readonly middle: number
  /** Boundary k of an octave, 2^(k / 2^scale), k from 0 to 2^scale; only for scales above 0. */
  readonly boundaries: Float64Array
  /** By the mantissa's top bits: the bucket in the octave, or minus 1 minus the boundary that lies in the cell. */
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
  const base = 2 ** (2 ** -scale)
  const table = { scale, middle: (2 * base) / (base + 1), ...(scale > 0 ? octaveOf(scale) : NO_OCTAVE) }
  tables.set(scale, table)
  return table
}

/** @param value a normal positive double. */
export function bucketIndex(table: IndexTable, value: number): number {
  float[0] = value
  const word = words[high] ?? 0
  const exponent = (word >>> HIGH_MANTISSA_BITS) - EXPONENT_BIAS
  const { scale, cells } = table
  if (scale <= 0) return coarseIndex(scale, exponent)
  const k = cells[(word & HIGH_MANTISSA) >>> (HIGH_MANTISSA_BITS - CELL_BITS - scale)] ?? 0
  return (exponent << scale) + (k < 0 ? besideBoundary(table, ~k) : k)
}

function coarseIndex(scale: number, exponent: number): number {
  // A power of two is the upper end of the bucket below it.
  return (mantissa() === 1 ? exponent - 1 : exponent) >> -scale
}

function besideBoundary({ boundaries }: IndexTable, boundary: number): number {
  return mantissa() > (boundaries[boundary] ?? 2) ? boundary : boundary - 1
}

/** Of the number at hand, from 1 to below 2. */
function mantissa(): number {
  words[high] = ((words[high] ?? 0) & HIGH_MANTISSA) | EXPONENT_OF_ONE
  return float[0] ?? 1
}

/** The lower end of bucket `index`; its upper end is that of `index + 1`. */
export function lowerBound(scale: number, index: number): number {
  return 2 ** (index * 2 ** -scale)
}

const NO_OCTAVE: Octave = { boundaries: new Float64Array(0), cells: new Int16Array(0) }

type Octave = Pick<IndexTable, 'boundaries' | 'cells'>

function octaveOf(scale: number): Octave {
  const buckets = 1 << scale
  const fine = finestBoundaries()
  const boundaries = new Float64Array(buckets + 1)
  for (let k = 0; k <= buckets; k++) boundaries[k] = fine[k << (MAX_SCALE - scale)] ?? 2

  // A cell is much narrower than a bucket: at most one boundary lies within it.
  const cells = new Int16Array(buckets << CELL_BITS)
  let boundary = 0
  for (let cell = 0; cell < cells.length; cell++) {
    const end = 1 + (cell + 1) / cells.length
    const isInside = (boundaries[boundary] ?? 2) < end
    cells[cell] = isInside ? ~boundary : boundary - 1
    if (isInside) boundary++
  }
  return { boundaries, cells }
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
