/** Holds the result of the job against what the target counted: nothing lost, nothing counted twice. */

import type { JobResult } from '@hs/nodes'
import { DATACENTER } from './messages.js'
import type { RequestCounts } from './target.js'
import { requestsOf, type ExpectedRequests } from './workflows.js'

export interface StepRow {
  readonly step: string
  readonly status: string
  readonly executions: number
  readonly expected: number
  readonly counted: number
  readonly served: number
}

export interface Verdict {
  readonly rows: readonly StepRow[]
  readonly requests: { readonly counted: number; readonly served: number; readonly uncounted: number }
  /** What the target saw of executions that do not count. */
  readonly uncounted: readonly { readonly execution: string; readonly worker: string; readonly requests: number }[]
  /** What differs; empty when all is exact. */
  readonly differences: readonly string[]
}

/**
 * What is not counted must be of a worker that was killed, or of an execution that a later one took the place of.
 * @param killed ids of workers
 */
export function verify(
  result: JobResult,
  expected: readonly ExpectedRequests[],
  served: RequestCounts,
  killed: ReadonlySet<string>,
): Verdict {
  const differences: string[] = []
  if (result.status !== 'completed') differences.push(`the job is ${result.status}, not completed`)

  const counted = new Set<string>()
  const rows = expected.map(({ step, requests }) => {
    const outcome = result.workflows[step]?.[DATACENTER]
    if (outcome === undefined) {
      differences.push(`${step} has no outcome`)
      return { step, status: 'missing', executions: 0, expected: requests, counted: 0, served: 0 }
    }
    if (outcome.status !== 'completed')
      differences.push(`${step} is ${outcome.status}: ${outcome.error?.message ?? 'no reason given'}`)
    let inResult = 0
    let atTarget = 0
    for (const [shard, execution] of outcome.executions.entries()) {
      if (counted.has(execution)) differences.push(`${execution} is counted twice`)
      counted.add(execution)
      const claimed = requestsOf(outcome.values[shard]).requests
      const seen = served[execution]?.requests ?? 0
      if (claimed !== seen) differences.push(`${execution} claims ${claimed} requests, the target saw ${seen}`)
      inResult += claimed
      atTarget += seen
    }
    const fromCounters = outcome.counters['requests'] ?? 0
    if (fromCounters !== inResult)
      differences.push(`${step}: its counters say ${fromCounters} requests, its values ${inResult}`)
    if (inResult !== requests) differences.push(`${step}: ${inResult} requests instead of ${requests}`)
    return {
      step,
      status: outcome.status,
      executions: outcome.executions.length,
      expected: requests,
      counted: inResult,
      served: atTarget,
    }
  })

  const total = sum(rows.map((row) => row.counted))
  if ((result.counters['requests'] ?? 0) !== total)
    differences.push(`the job's counters say ${result.counters['requests']} requests, its steps ${total}`)
  if ((result.stats['latency']?.count ?? 0) !== total)
    differences.push(`the job's latencies hold ${result.stats['latency']?.count} samples, not ${total}`)
  const { workflows, completed } = result.accounting
  if (workflows !== expected.length || completed !== expected.length)
    differences.push(`${completed} of ${workflows} workflows completed, not ${expected.length}`)

  const uncounted = Object.entries(served)
    .filter(([execution]) => !counted.has(execution))
    .map(([execution, { worker, requests }]) => ({ execution, worker, requests }))
  const countedFences = new Map([...counted].map(parseExecution))
  for (const { execution, worker } of uncounted) {
    const [shard, fence] = parseExecution(execution)
    const isSuperseded = fence < (countedFences.get(shard) ?? 0)
    if (!killed.has(worker) && !isSuperseded)
      differences.push(`${execution} sent requests from ${worker}, is not counted, and nobody killed it`)
  }
  const requests = {
    counted: total,
    served: sum(Object.values(served).map(({ requests: seen }) => seen)),
    uncounted: sum(uncounted.map((u) => u.requests)),
  }
  if (requests.served !== requests.counted + requests.uncounted)
    differences.push('what the target served is not the sum of counted and uncounted requests')
  return { rows, requests, uncounted, differences }
}

/** An execution id is `shardKey#fence`. */
function parseExecution(id: string): [shard: string, fence: number] {
  const at = id.lastIndexOf('#')
  return [id.slice(0, at), Number(id.slice(at + 1))]
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0)
}
