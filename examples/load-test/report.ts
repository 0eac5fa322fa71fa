/** The end of the demo: the tables a person reads, and the same as JSON. */

import { writeFileSync } from 'node:fs'
import Table from 'cli-table3'
import type { JobResult } from '@hs/nodes'
import type { Kill } from './chaos.js'
import { ms } from './display.js'
import type { TimelineRow } from './timeline.js'
import type { StepRow, Verdict } from './verify.js'

export interface Report {
  readonly ok: boolean
  readonly durationMs: number
  readonly kills: readonly Omit<Kill, 'shards'>[]
  readonly accounting: JobResult['accounting']
  readonly requests: Verdict['requests']
  readonly windows: readonly TimelineRow[]
}

export function printReport(result: JobResult, verdict: Verdict, kills: readonly Kill[]): void {
  const head = ['step', 'outcome', 'executions', 'expected', 'counted', 'served']
  const table = new Table({
    head,
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  })
  for (const row of joinBatches(verdict.rows))
    table.push([row.step, row.status, row.executions, row.expected, row.counted, row.served])
  console.log(table.toString())

  const latency = result.stats['latency']
  if (latency !== undefined) {
    console.log(
      `latency     p50 ${ms(latency.p50)}   p95 ${ms(latency.p95)}   p99 ${ms(latency.p99)}   max ${ms(latency.max)}`,
    )
  }
  const { completed, workflows, executions, requeued, duplicates, stale } = result.accounting
  console.log(
    `workflows   ${completed} of ${workflows} completed, ${executions} executions, ${requeued} of them run again, ${duplicates} duplicate and ${stale} stale results refused`,
  )
  const { counted, served, uncounted } = verdict.requests
  console.log(
    `requests    ${counted} counted + ${uncounted} of executions that died = ${served} that the target served`,
  )
  for (const kill of kills) {
    const resumed = kill.resumedAfterMs === null ? 'nothing had to be done again' : resumption(kill)
    console.log(`killed      ${kill.role} ${kill.id} at ${(kill.atMs / 1_000).toFixed(1)} s: ${resumed}`)
  }
  for (const { execution, requests } of verdict.uncounted) console.log(`uncounted   ${execution}: ${requests} requests`)
}

/** How the work went on. */
export function resumption({ role, id, shards, resumedAfterMs }: Kill): string {
  const after = `${((resumedAfterMs ?? 0) / 1_000).toFixed(2)} s after the kill`
  return role === 'worker'
    ? `all ${shards} shards of ${id} ran again ${after}`
    : `all workers followed another manager ${after}`
}

/** Forty rows that say the same become one. */
function joinBatches(rows: readonly StepRow[]): StepRow[] {
  const batches = rows.filter((row) => row.step.startsWith('batch-'))
  const add = (key: 'executions' | 'expected' | 'counted' | 'served') => batches.reduce((sum, row) => sum + row[key], 0)
  const status = batches.find((row) => row.status !== 'completed')?.status ?? 'completed'
  const joined = {
    step: `batch × ${batches.length}`,
    status,
    executions: add('executions'),
    expected: add('expected'),
    counted: add('counted'),
    served: add('served'),
  }
  return [...rows.filter((row) => !row.step.startsWith('batch-')), joined]
}

export function writeJson(path: string, report: Report): void {
  writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`)
}
