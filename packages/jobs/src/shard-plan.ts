/** Checks of plans that come from elsewhere: the virtual users of each shard of a workflow. */
import type { ParsedWorkflowSpec } from './job-spec.js'

/** Whether `plan` divides the virtual users of the workflow among its shards. */
export function isPlanFor({ vus }: ParsedWorkflowSpec, plan: readonly number[]): boolean {
  let sum = 0
  for (const part of plan) {
    if (!Number.isSafeInteger(part) || part < 1) return false
    sum += part
  }
  return sum === vus
}

/** The plan of a workflow that can have one shard only; null if there could be several. */
export function onlyPlanOf({ cores, vus }: ParsedWorkflowSpec): readonly number[] | null {
  return cores !== 'auto' || vus === 1 ? [vus] : null
}

export function isSamePlan(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((vus, index) => vus === b[index])
}
