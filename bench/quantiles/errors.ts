/** How far an estimate is from what the sorted samples say. */

export interface QuantileError {
  /** Distance from the nearest sample that q may mean, as a share of it. */
  readonly relative: number
  /** Share of all samples between the estimate and rank q. */
  readonly rank: number
}

/** @param sorted all samples, ascending. */
export function errorOf(sorted: Float64Array, estimate: number, q: number): QuantileError {
  // Definitions of a quantile differ by up to one sample: between these two none is wrong.
  const n = sorted.length
  const least = sorted[Math.floor(q * (n - 1))] ?? 0
  const most = sorted[Math.min(n - 1, Math.ceil(q * n))] ?? 0
  const truth = Math.min(Math.max(estimate, least), most)
  const below = firstAtLeast(sorted, estimate)
  const upTo = estimate === sorted[below] ? firstAbove(sorted, estimate) : below
  const rank = q * n
  return {
    relative: estimate === truth ? 0 : Math.abs(estimate - truth) / truth,
    rank: Math.max(0, below - rank, rank - upTo) / n,
  }
}

function firstAtLeast(sorted: Float64Array, x: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? 0) < x) low = middle + 1
    else high = middle
  }
  return low
}

function firstAbove(sorted: Float64Array, x: number): number {
  let at = firstAtLeast(sorted, x)
  while (sorted[at] === x) at++
  return at
}
