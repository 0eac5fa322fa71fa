/** A bound on what runs at the same time that learns from what ran. */
export interface ConcurrencyLimit {
  /** The bound now. */
  readonly limit: number
  /**
   * A call has ended.
   * @param latencyMs how long it took
   * @param inFlight how many ran when it ended, itself included
   * @param outcome `'dropped'`: it was too much. @default 'ok'
   */
  sample(latencyMs: number, inFlight: number, outcome?: 'ok' | 'dropped'): void
}

export function isConcurrencyLimit(value: unknown): value is ConcurrencyLimit {
  if (typeof value !== 'object' || value === null) return false
  const { limit, sample } = value as Partial<Record<keyof ConcurrencyLimit, unknown>>
  return typeof limit === 'number' && typeof sample === 'function'
}
