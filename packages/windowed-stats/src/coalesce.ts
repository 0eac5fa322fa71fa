/** What a bounded list of windows does at its bound: it loses resolution in time, and no count. */
import { mergeWindows } from './merge-windows.js'
import type { WindowResult } from './window-result.js'

/**
 * Merges the two oldest windows of one workflow until the list fits: `max`, or one a workflow where there are more
 * workflows than that.
 * @param windows sorted by start; changed in place.
 * @returns how many were merged away.
 */
export function coalesce(windows: WindowResult[], max: number): number {
  let merged = 0
  while (windows.length > max) {
    const pair = oldestPair(windows)
    if (pair === undefined) break
    const [older, newer] = pair
    windows[older] = mergeWindows([windows[older], windows[newer]] as WindowResult[])
    windows.splice(newer, 1)
    merged++
  }
  return merged
}

function oldestPair(windows: readonly WindowResult[]): readonly [number, number] | undefined {
  const oldest = new Map<string, number>()
  let pair: readonly [number, number] | undefined
  for (const [at, { workflowId }] of windows.entries()) {
    const before = oldest.get(workflowId)
    if (before === undefined) oldest.set(workflowId, at)
    else if (pair === undefined || before < pair[0]) pair = [before, at]
    if (pair?.[0] === 0) break
  }
  return pair
}
