/** Why work waits, for people: computed when somebody asks. */
import type { Fleet } from './fleet.js'
import type { JobRecord, WorkflowRecord } from './job-record.js'

export type WaitReason =
  | 'waiting-for-dependencies'
  | 'no-workers'
  | 'no-worker-runs-it'
  | 'no-worker-large-enough'
  | 'waiting-for-cores'
  | 'backing-off'

export interface WaitExplanation {
  readonly workflowId: string
  readonly reason: WaitReason
}

/** One entry a workflow that waits, or of which a shard waits, in the order given. */
export function explain(job: JobRecord, fleet: Fleet): WaitExplanation[] {
  const reasons: WaitExplanation[] = []
  for (const workflow of job.workflows) {
    const reason = reasonOf(workflow, fleet)
    if (reason !== null) reasons.push({ workflowId: workflow.spec.id, reason })
  }
  return reasons
}

function reasonOf(workflow: WorkflowRecord, fleet: Fleet): WaitReason | null {
  if (workflow.isOver) return null
  if (workflow.status === 'waiting') return 'waiting-for-dependencies'
  const idle = workflow.shards.filter(({ status }) => status === 'queued')
  if (workflow.candidate === null && idle.length === 0) return null
  if (workflow.candidate === null && idle.every(({ isBackingOff }) => isBackingOff)) return 'backing-off'
  if (workflow.openDependencies > 0) return 'waiting-for-dependencies'
  if (!fleet.hasUsable) return 'no-workers'
  const { workflow: name, cores } = workflow.spec
  if (!fleet.isRunnable(name)) return 'no-worker-runs-it'
  const needed = cores === 'auto' ? 1 : cores
  return fleet.countCapable(name, needed, []) > 0 ? 'waiting-for-cores' : 'no-worker-large-enough'
}
