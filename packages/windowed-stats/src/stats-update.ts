/** What a subscriber gets. */
import type { WindowResult } from './window-result.js'

/** `sequence` counts from 1 within a subscription; a repeat after a failure has the same. */
export type StatsUpdate =
  | {
      readonly tier: 'periodic'
      readonly jobId: string
      readonly sequence: number
      readonly windows: readonly WindowResult[]
      /** Nothing follows. */
      readonly final: boolean
    }
  | { readonly tier: 'immediate'; readonly jobId: string; readonly sequence: number; readonly payload: unknown }

/** A change of status, the first report included, cannot wait for the next round. */
export function classifyUpdate(previousStatus: string | undefined, nextStatus: string): 'immediate' | 'periodic' {
  return previousStatus === nextStatus ? 'periodic' : 'immediate'
}
