/**
 * Runs the same work on several contenders, turn by turn in one process, and prints medians and ratios.
 * Machines are noisy, so only a ratio within one run means anything: contenders take turns round by round,
 * each round is about as long for everyone, and the median round counts.
 */

import { writeFileSync } from 'node:fs'
import { parseArgs, type ParseArgsConfig } from 'node:util'
import Table from 'cli-table3'

export interface Contender {
  readonly name: string
  /** The one that the goals speak of, unless a goal names another. */
  readonly ours?: boolean
  setup?(): unknown
  /** Does `n` operations. What it returns is kept, so that nothing is optimised away. */
  run(n: number): unknown
  teardown?(): unknown
}

/** `ours` must reach at least `ratio` times the operations per second of `peer`. */
export interface Goal {
  readonly ours?: string
  readonly peer: string
  readonly ratio: number
}

export interface Workload {
  readonly name: string
  readonly contenders: readonly Contender[]
  readonly goals?: readonly Goal[]
}

interface Plan {
  readonly rounds: number
  readonly roundMs: number
}

interface Figure {
  readonly name: string
  readonly median: number
  readonly min: number
  readonly max: number
}

interface GoalOutcome extends Goal {
  readonly reached: number
}

const FULL: Plan = { rounds: 5, roundMs: 200 }
const SMOKE: Plan = { rounds: 1, roundMs: 5 }

/** Keeps results reachable, so that the work cannot be removed as dead. */
const sink: { last: unknown } = { last: undefined }

/**
 * Runs the workloads and prints a table for each.
 * Flags: `--smoke` (one short round: does it run at all), `--only text` (workloads whose name contains it), `--json file`.
 * @param ownFlags of the bench, which it reads itself
 */
export async function runBench(
  title: string,
  workloads: readonly Workload[],
  ownFlags: ParseArgsConfig['options'] = {},
): Promise<void> {
  const { values } = parseArgs({
    options: { ...ownFlags, smoke: { type: 'boolean' }, only: { type: 'string' }, json: { type: 'string' } },
    strict: true,
  })
  const plan = values.smoke ? SMOKE : FULL
  const chosen = workloads.filter((w) => values.only === undefined || w.name.includes(values.only))
  if (chosen.length === 0) throw new Error(`no workload of ${title} has "${values.only}" in its name`)

  const report: { workload: string; figures: Figure[]; goals: GoalOutcome[] }[] = []
  let missed = 0
  console.log(
    `${title}: Node ${process.version}, ${plan.rounds} rounds of about ${plan.roundMs} ms, contenders in turn`,
  )
  for (const [index, workload] of chosen.entries()) {
    if (process.stderr.isTTY) process.stderr.write(`[${index + 1}/${chosen.length}] ${workload.name}\r`)
    const figures = await measure(workload, plan)
    const goals = judge(workload, figures)
    missed += goals.filter((goal) => goal.reached < goal.ratio).length
    print(workload, figures, goals)
    report.push({ workload: workload.name, figures, goals })
  }
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ title, node: process.version, report }, null, 2)}\n`)
  if (!values.smoke) console.log(missed === 0 ? 'every goal reached' : `${missed} goal(s) missed`)
}

async function measure(workload: Workload, plan: Plan): Promise<Figure[]> {
  for (const contender of workload.contenders) await contender.setup?.()
  try {
    const sizes: number[] = []
    for (const contender of workload.contenders) sizes.push(await calibrate(contender, plan.roundMs))

    const rounds: number[][] = workload.contenders.map(() => [])
    for (let round = 0; round < plan.rounds; round++) {
      for (const [index, contender] of workload.contenders.entries()) {
        globalThis.gc?.()
        const n = sizes[index] ?? 1
        rounds[index]?.push((n / (await time(contender, n))) * 1_000)
      }
    }
    return workload.contenders.map(({ name }, index) => figure(name, rounds[index] ?? []))
  } finally {
    for (const contender of workload.contenders) await contender.teardown?.()
  }
}

/** Grows n until a round takes long enough; this also warms the code up. */
async function calibrate(contender: Contender, roundMs: number): Promise<number> {
  let n = 1
  for (;;) {
    const elapsed = await time(contender, n)
    if (elapsed >= roundMs) return n
    const factor = elapsed < roundMs / 10 ? 10 : Math.max(1.2, (roundMs / elapsed) * 1.05)
    n = Math.ceil(n * factor)
  }
}

async function time(contender: Contender, n: number): Promise<number> {
  const start = performance.now()
  const result = contender.run(n)
  sink.last = result instanceof Promise ? await result : result
  return performance.now() - start
}

function figure(name: string, rounds: readonly number[]): Figure {
  const sorted = [...rounds].sort((a, b) => a - b)
  const at = (index: number) => sorted[index] ?? Number.NaN
  return { name, median: at(Math.floor(sorted.length / 2)), min: at(0), max: at(sorted.length - 1) }
}

function judge(workload: Workload, figures: readonly Figure[]): GoalOutcome[] {
  const speedOf = (name: string | undefined) => {
    const found = figures.find((f) => f.name === name)
    if (found === undefined) throw new Error(`${workload.name}: a goal names "${name}", which is no contender`)
    return found.median
  }
  const ours = workload.contenders.find((c) => c.ours)?.name
  return (workload.goals ?? []).map((goal) => ({ ...goal, reached: speedOf(goal.ours ?? ours) / speedOf(goal.peer) }))
}

function print(workload: Workload, figures: readonly Figure[], goals: readonly GoalOutcome[]): void {
  const fastest = Math.max(...figures.map((f) => f.median))
  const table = new Table({
    head: [workload.name, 'ops/s', 'slowest', 'fastest', 'of best'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  })
  for (const f of figures)
    table.push([f.name, rate(f.median), rate(f.min), rate(f.max), `${((f.median / fastest) * 100).toFixed(0)} %`])
  console.log(table.toString())
  for (const goal of goals) {
    const verdict = goal.reached >= goal.ratio ? 'reached' : 'MISSED'
    console.log(`  ${goal.ours ?? 'ours'} / ${goal.peer}: ${goal.reached.toFixed(2)}x, goal ${goal.ratio}x: ${verdict}`)
  }
}

function rate(perSecond: number): string {
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toFixed(2)} M`
  if (perSecond >= 1e3) return `${(perSecond / 1e3).toFixed(1)} k`
  return perSecond.toFixed(1)
}
