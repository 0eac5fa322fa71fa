/** Which alert the peers' states add up to: the first rule that holds. */
import type { OverloadState } from '@hs/core'

export type AlertCode =
  'peer-overloaded' | 'peer-recovered' | 'high-stress' | 'majority-overloaded' | 'leader-overloaded' | 'all-unhealthy'

export type AlertSeverity = 'info' | 'warning' | 'alert' | 'critical'

export type AggregateCode = Exclude<AlertCode, 'peer-overloaded' | 'peer-recovered'>

export const alertSeverities: Readonly<Record<AlertCode, AlertSeverity>> = {
  'peer-overloaded': 'warning',
  'peer-recovered': 'info',
  'high-stress': 'warning',
  'majority-overloaded': 'alert',
  'leader-overloaded': 'alert',
  'all-unhealthy': 'critical',
}

/** One peer says nothing about all of them, unless it leads them. */
export function aggregateOf(
  counts: Readonly<Record<OverloadState, number>>,
  isLeaderOverloaded: boolean,
  { majority, stress }: { readonly majority: number; readonly stress: number },
): AggregateCode | null {
  const all = counts.healthy + counts.busy + counts.stressed + counts.overloaded
  const isGroup = all >= 2
  if (isGroup && counts.healthy === 0) return 'all-unhealthy'
  if (isLeaderOverloaded) return 'leader-overloaded'
  if (isGroup && counts.overloaded / all >= majority) return 'majority-overloaded'
  if (isGroup && (all - counts.healthy) / all >= stress) return 'high-stress'
  return null
}
