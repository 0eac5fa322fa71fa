/** What an earlier leader had settled of a job: results that count, and the plans they belong to. */
import type { Dispatcher } from './dispatcher.js'
import type { JobRecord, ShardRecord } from './job-record.js'
import type { Settling } from './settling.js'
import { parseShardKey } from './shard-key.js'
import { isPlanFor, onlyPlanOf } from './shard-plan.js'
import type { ShardResult } from './shard-result.js'

export interface RecoveredJob {
  /** Settled results of its shards. A result whose plan is not known does not count: the work is done again. */
  readonly results?: readonly ShardResult[]
  /** Virtual users of each shard, by workflow. */
  readonly plans?: Readonly<Record<string, readonly number[]>>
}

/**
 * To be called before anything of the job is released.
 * @throws HsError `'INVALID_ARGUMENT'` for a key that is none; to be called with keys that were checked.
 */
export function recover(
  job: JobRecord,
  { results = [], plans = {} }: RecoveredJob,
  settling: Settling,
  dispatcher: Dispatcher,
): void {
  for (const [workflowId, plan] of Object.entries(plans)) {
    const workflow = job.workflow(workflowId)
    if (workflow?.plan === null && isPlanFor(workflow.spec, plan)) settling.divide(workflow, plan)
  }
  for (const result of results) {
    dispatcher.observeFence(result.fence)
    const shard = shardOf(job, result.key, settling)
    if (shard === undefined || shard.isOver) continue
    shard.fence = result.fence
    shard.attempts = result.attempt ?? 1
    if (result.status === 'failed') job.trouble(result.error?.code ?? 'WORKFLOW_FAILED', result.key, '')
    if (result.status === 'timed-out') job.trouble(result.error?.code ?? 'TIMED_OUT', result.key, '')
    settling.decide(shard, result)
  }
}

function shardOf(job: JobRecord, key: string, settling: Settling): ShardRecord | undefined {
  const { jobId, workflowId, shard } = parseShardKey(key)
  const workflow = jobId === job.id ? job.workflow(workflowId) : undefined
  if (workflow === undefined) return undefined
  if (workflow.plan === null) {
    const plan = onlyPlanOf(workflow.spec)
    if (plan !== null) settling.divide(workflow, plan)
  }
  return workflow.shards[shard]
}
