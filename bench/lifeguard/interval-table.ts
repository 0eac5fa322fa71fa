/** The interval experiment beside the paper's table: sums over all cells, in percent of plain SWIM's. */
import Table from 'cli-table3'
import { configurations, type Configuration } from './configurations.js'
import type { Cell, Outcome } from './interval.js'
import { verdictOf, type Verdict } from './verdict.js'

export interface Measured {
  readonly cell: Cell
  readonly configuration: string
  readonly outcome: Outcome
}

export interface IntervalRow extends Outcome {
  readonly configuration: string
  /** Cells that are in the sums: those that plain SWIM has been through too. */
  readonly cells: number
  readonly falsePercent: number
  readonly healthyPercent: number
  readonly messagesPercent: number
  readonly bytesPercent: number
  readonly verdict: Verdict
}

const keyOf = ({ members, held, heldMs, releasedMs, seed }: Cell) => [members, held, heldMs, releasedMs, seed].join(' ')

export function summarise(measured: readonly Measured[]): IntervalRow[] {
  const swim = new Map(
    measured
      .filter(({ configuration }) => configuration === configurations[0]?.name)
      .map(({ cell, outcome }) => [keyOf(cell), outcome]),
  )
  return configurations.flatMap((configuration) => {
    const mine = measured.filter((m) => m.configuration === configuration.name && swim.has(keyOf(m.cell)))
    if (mine.length === 0) return []
    const sum = sumOf(mine.map(({ outcome }) => outcome))
    const whole = sumOf(mine.flatMap(({ cell }) => swim.get(keyOf(cell)) ?? []))
    const percents = {
      falsePercent: percent(sum.falsePositives, whole.falsePositives),
      healthyPercent: percent(sum.healthyFalsePositives, whole.healthyFalsePositives),
      messagesPercent: percent(sum.messages, whole.messages),
      bytesPercent: percent(sum.bytes, whole.bytes),
    }
    const verdict = judge(configuration, percents)
    return [{ configuration: configuration.name, cells: mine.length, ...sum, ...percents, verdict }]
  })
}

export function intervalTable(rows: readonly IntervalRow[]): string {
  const table = new Table({
    head: ['', 'cells', 'FP', 'paper', 'FP-', 'paper', 'FP %', 'paper', 'FP- %', 'paper', 'msgs %', 'paper', 'bytes %', 'paper', 'reach FP, FP-, msgs, bytes %', ''], // prettier-ignore
    colAligns: ['left', ...Array.from({ length: 13 }, () => 'right' as const), 'left', 'left'],
    style: { head: [], border: [] },
  })
  for (const row of rows) {
    const configuration = configurations.find(({ name }) => name === row.configuration)
    const { paper, reach } = configuration ?? {}
    table.push([
      row.configuration,
      row.cells,
      count(row.falsePositives),
      count(paper?.falsePositives),
      count(row.healthyFalsePositives),
      count(paper?.healthyFalsePositives),
      row.falsePercent.toFixed(2),
      paper?.falsePercent ?? '',
      row.healthyPercent.toFixed(2),
      paper?.healthyPercent ?? '',
      row.messagesPercent.toFixed(1),
      paper?.messagesPercent ?? '',
      row.bytesPercent.toFixed(1),
      paper?.bytesPercent ?? '',
      [reach?.falsePercent, reach?.healthyPercent, reach?.messagesPercent, reach?.bytesPercent]
        .filter((limit) => limit !== undefined)
        .map((limit) => `≤ ${limit}`)
        .join(', '),
      row.verdict,
    ])
  }
  return table.toString()
}

function sumOf(outcomes: readonly Outcome[]): Outcome {
  const total = (of: (outcome: Outcome) => number) => outcomes.reduce((sum, outcome) => sum + of(outcome), 0)
  return {
    falsePositives: total((o) => o.falsePositives),
    healthyFalsePositives: total((o) => o.healthyFalsePositives),
    messages: total((o) => o.messages),
    bytes: total((o) => o.bytes),
  }
}

function judge(
  { reach }: Configuration,
  percents: Pick<IntervalRow, `${'false' | 'healthy' | 'messages' | 'bytes'}Percent`>,
): Verdict {
  if (reach === undefined) return ''
  return verdictOf(
    percents.falsePercent <= reach.falsePercent &&
      percents.healthyPercent <= (reach.healthyPercent ?? Infinity) &&
      percents.messagesPercent <= (reach.messagesPercent ?? Infinity) &&
      percents.bytesPercent <= (reach.bytesPercent ?? Infinity),
  )
}

/** Of nothing, nothing is 0 %, and more than nothing is without bounds. */
const percent = (part: number, whole: number) => (part === 0 ? 0 : (part / whole) * 100)
const count = (n: number | undefined) => n?.toLocaleString('en') ?? ''
