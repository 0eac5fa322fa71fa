/**
 * How long a suspicion waits for a refutation: long while one member alone says so, short once others confirm it
 * independently. Pure: numbers in, a number out.
 * Source: Dadgar, Phillips, Currey, "Lifeguard: Local Health Awareness for More Accurate Failure Detection"
 * (DSN-W 2018), LHA-Suspicion; bounds after memberlist's `suspicionTimeout`.
 */

export interface SuspicionBounds {
  readonly minMs: number
  readonly maxMs: number
}

export interface SuspicionBoundsOptions {
  /** α: the minimum in probe intervals of a cluster of ten. */
  readonly suspicionMultiplier: number
  /** β: the maximum in minima. */
  readonly suspicionMaxMultiplier: number
  readonly probeIntervalMs: number
}

/**
 * From the start of the suspicion to the verdict, in milliseconds: `maxMs` at first, `minMs` once there are
 * `expected` confirmations, falling with their logarithm between.
 * @param confirmations C: distinct accusers besides the first
 * @param expected K′: how many suffice; 0 or less: there is nobody to confirm, `minMs`
 */
export function suspicionTimeoutMs(confirmations: number, expected: number, minMs: number, maxMs: number): number {
  if (expected <= 0) return minMs
  const share = Math.log(confirmations + 1) / Math.log(expected + 1)
  return Math.max(minMs, Math.floor(maxMs - (maxMs - minMs) * share))
}

/** The bounds in a cluster of `n` active members, itself included: they grow with the digits of n. */
export function suspicionBoundsMs(n: number, options: SuspicionBoundsOptions): SuspicionBounds {
  const { suspicionMultiplier, suspicionMaxMultiplier, probeIntervalMs } = options
  const minMs = Math.floor(suspicionMultiplier * Math.max(1, Math.log10(n)) * probeIntervalMs)
  return { minMs, maxMs: suspicionMaxMultiplier * minMs }
}
