/** How bad it is that several datacenters fail at once: the rules as functions of counts and names. */
import type { CorrelationState } from './correlation-state.js'

export type CorrelationSeverity = 'none' | 'low' | 'medium' | 'high'

export interface SeverityCounts {
  /** Datacenters that are known. */
  readonly known: number
  /** Of them: failed or flapping. */
  readonly affected: number
  readonly failing: number
}

/** Two are needed for a correlation, whatever their share; one that may yet recover counts for half. */
export function severityOf(
  { known, affected, failing }: SeverityCounts,
  { mediumFraction, highFraction }: { readonly mediumFraction: number; readonly highFraction: number },
): CorrelationSeverity {
  if (affected >= 2 && affected / known >= highFraction) return 'high'
  if (affected >= 2 && affected / known >= mediumFraction) return 'medium'
  return affected + failing / 2 >= 2 ? 'low' : 'none'
}

/** Whether all affected lie in one region, and every datacenter elsewhere, of which there is one, is healthy. */
export function isRegional(
  affected: readonly string[],
  states: ReadonlyMap<string, CorrelationState>,
  regions: ReadonlyMap<string, string>,
): boolean {
  const [first] = affected
  const region = first === undefined ? undefined : regions.get(first)
  if (region === undefined || affected.some((name) => regions.get(name) !== region)) return false
  const elsewhere = Array.from(states).filter(([name]) => regions.get(name) !== region)
  return elsewhere.length > 0 && elsewhere.every(([, state]) => state === 'healthy')
}
