/**
 * The result of a job: what the datacenters report as counted, joined with the values and statistics that were settled
 * under exactly those fences. So whatever ran twice is in it once, and its counters are exact.
 */
import { shardKey, type GlobalJobResult } from '@hs/jobs'
import { summarize, type DigestSummary, type QuantileSketch } from '@hs/windowed-stats'
import { addEncodedTotals } from './execution-stats.js'
import type { JobTarget } from './job-target.js'
import type { JobResult, StepResult } from './job-types.js'
import { wholeCodec } from './wire/codecs.js'
import { resultSchema, type ResultWire } from './wire/client-gate.js'
import type { ShardResultWire } from './wire/shard-result.js'
import { decodeValue } from './wire/value.js'

export const resultCodec = /* @__PURE__ */ (() => wholeCodec(resultSchema()))()

type StepWire = ResultWire['workflows'][string][string]

/** @throws DecodeError for statistics that are none. */
export function buildResult(
  result: GlobalJobResult,
  steps: readonly string[],
  targets: Iterable<JobTarget>,
): ResultWire {
  const workflows = new Map<string, Record<string, StepWire>>(steps.map((id) => [id, {}]))
  const counters = new Map<string, number>()
  const sketches = new Map<string, QuantileSketch>()
  let duplicates = 0
  for (const target of targets) {
    duplicates += target.duplicates
    for (const { workflowId, status, shards } of target.final?.workflows ?? []) {
      const own = new Map<string, number>()
      const step: StepWire = { status, values: [], executions: [], error: null, counters: {} }
      for (const { shard, fence, error } of shards) {
        const key = shardKey(result.jobId, workflowId, shard)
        const settled = target.settledOf(key)
        const counted: ShardResultWire | undefined = settled?.fence === fence ? settled : undefined
        step.values[shard] = counted?.value ?? null
        if (counted !== undefined) step.executions.push(`${key}#${fence}`)
        step.error ??= counted?.error ?? error ?? null
        if (counted?.stats !== undefined) addEncodedTotals(counted.stats, [own, counters], sketches)
      }
      step.counters = Object.fromEntries(own)
      const datacenters = workflows.get(workflowId)
      if (datacenters !== undefined) datacenters[target.datacenter] = step
    }
  }
  const { jobId, status, reason, durationMs, accounting } = result
  return {
    jobId,
    status: status as JobResult['status'], // a finished job has one of the five
    reason,
    durationMs: Math.max(0, durationMs),
    accounting: { ...accounting, duplicates: accounting.duplicates + duplicates },
    workflows: Object.fromEntries(workflows),
    stats: summaries(sketches),
    counters: Object.fromEntries(counters),
  }
}

function summaries(sketches: ReadonlyMap<string, QuantileSketch>): Record<string, DigestSummary> {
  const stats: Record<string, DigestSummary> = {}
  for (const [name, sketch] of sketches) {
    const summary = summarize(sketch)
    if (summary !== undefined) stats[name] = summary
  }
  return stats
}

/** Opens the values. @throws DecodeError */
export function resultFromWire({ workflows, ...rest }: ResultWire): JobResult {
  const opened: Record<string, Record<string, StepResult>> = {}
  for (const [id, datacenters] of Object.entries(workflows)) {
    const steps: Record<string, StepResult> = {}
    for (const [datacenter, step] of Object.entries(datacenters)) {
      const values = step.values.map((bytes) => (bytes === null ? undefined : decodeValue(bytes)))
      steps[datacenter] = { ...step, values }
    }
    opened[id] = steps
  }
  return { ...rest, workflows: opened }
}
