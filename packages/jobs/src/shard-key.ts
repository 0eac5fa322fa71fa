/** The name of a shard, `jobId/workflowId/index`: unambiguous, because no id contains a slash. */
import { invalidArgument } from './arguments.js'

/** What a job id and a workflow id look like: 1 to 128 of A-Z a-z 0-9 . _ : - */
export const idPattern = /^[A-Za-z0-9._:-]{1,128}$/

const keyPattern = /^([A-Za-z0-9._:-]{1,128})\/([A-Za-z0-9._:-]{1,128})\/(0|[1-9][0-9]{0,14})$/

export interface ParsedShardKey {
  readonly jobId: string
  readonly workflowId: string
  /** Index of the shard in its workflow's plan, from 0. */
  readonly shard: number
}

/** @throws HsError `'INVALID_ARGUMENT'` for an id with other characters, or an index that is no integer from 0. */
export function shardKey(jobId: string, workflowId: string, shard: number): string {
  if (idPattern.test(jobId) && idPattern.test(workflowId) && Number.isSafeInteger(shard) && shard >= 0) {
    return `${jobId}/${workflowId}/${shard}`
  }
  throw invalidArgument('a shard key needs two ids of 1-128 characters A-Z a-z 0-9 . _ : - and an index >= 0', {
    jobId,
    workflowId,
    shard,
  })
}

/** @throws HsError `'INVALID_ARGUMENT'` unless `key` is what `shardKey` returns. */
export function parseShardKey(key: string): ParsedShardKey {
  const [, jobId, workflowId, shard] = keyPattern.exec(key) ?? []
  if (jobId === undefined || workflowId === undefined || shard === undefined) {
    throw invalidArgument(`expected a shard key 'jobId/workflowId/index', found ${JSON.stringify(key)}`, { key })
  }
  return { jobId, workflowId, shard: Number(shard) }
}
