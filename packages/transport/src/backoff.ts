/** How long a peer that could not be reached is left alone (CONN-1): exponential with "equal jitter". */

/**
 * d·(0.5 + 0.5·u) with d = min(maxMs, baseMs·2^(failures-1)).
 * @param failures dials that failed in a row, 1 or more
 * @param u uniform in [0, 1)
 */
export function reconnectDelayMs(failures: number, baseMs: number, maxMs: number, u: number): number {
  return Math.min(maxMs, baseMs * 2 ** (failures - 1)) * (0.5 + 0.5 * u)
}
