/** Latencies of true crashes beside those of plain SWIM. */
import Table from 'cli-table3'
import { LIFEGUARD, LIFEGUARD_2, LIFEGUARD_4, SWIM } from './configurations.js'
import type { Latencies } from './latency.js'
import { verdictOf, type Verdict } from './verdict.js'

const SHARES = [0.5, 0.99, 0.999] as const
/** Of plain SWIM, at the most: the median, 99 % and 99.9 %. */
const WITHIN = [1.05, 1.25, 1.25] as const
const TUNED = { [LIFEGUARD_4.name]: 0.85, [LIFEGUARD_2.name]: 0.57 }

export interface LatencyRow {
  readonly configuration: string
  readonly crashes: number
  /** Of the median, 99 % and 99.9 %. */
  readonly firstMs: readonly number[]
  readonly fullMs: readonly number[]
  /** The same in shares of plain SWIM's. */
  readonly firstOfSwim: readonly number[]
  readonly fullOfSwim: readonly number[]
  readonly reach: string
  readonly verdict: Verdict
}

export const latencyConfigurations = [SWIM, LIFEGUARD, LIFEGUARD_4, LIFEGUARD_2]

export function latencyRows(measured: ReadonlyMap<string, Latencies>): LatencyRow[] {
  const swim = measured.get(SWIM.name)
  if (swim === undefined) return []
  return latencyConfigurations.flatMap(({ name }) => {
    const mine = measured.get(name)
    if (mine === undefined) return []
    const firstMs = SHARES.map((share) => quantile(mine.first, share))
    const fullMs = SHARES.map((share) => quantile(mine.full, share))
    const firstOfSwim = firstMs.map((ms, i) => ms / quantile(swim.first, SHARES[i] ?? 0))
    const fullOfSwim = fullMs.map((ms, i) => ms / quantile(swim.full, SHARES[i] ?? 0))
    const row = { configuration: name, crashes: mine.full.length, firstMs, fullMs, firstOfSwim, fullOfSwim }
    return [{ ...row, ...judge(row) }]
  })
}

export function latencyTable(rows: readonly LatencyRow[]): string {
  const seconds = (ms: readonly number[]) => ms.map((x) => (x / 1_000).toFixed(2)).join(' / ')
  const shares = (of: readonly number[]) => of.map(percent).join(' / ')
  const table = new Table({
    head: ['median / 99 % / 99.9 %', 'crashes', 'first, s', '% of SWIM', 'full, s', '% of SWIM', 'reach', ''],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'left', 'left'],
    style: { head: [], border: [] },
  })
  for (const row of rows)
    table.push([
      row.configuration,
      row.crashes,
      seconds(row.firstMs),
      shares(row.firstOfSwim),
      seconds(row.fullMs),
      shares(row.fullOfSwim),
      row.reach,
      row.verdict,
    ])
  return table.toString()
}

function judge({
  configuration,
  firstOfSwim,
  fullOfSwim,
}: Pick<LatencyRow, 'configuration' | 'firstOfSwim' | 'fullOfSwim'>): Pick<LatencyRow, 'reach' | 'verdict'> {
  const limit = TUNED[configuration]
  if (limit !== undefined)
    return { reach: `median full ≤ ${percent(limit)}`, verdict: verdictOf((fullOfSwim[0] ?? Infinity) <= limit) }
  if (configuration !== LIFEGUARD.name) return { reach: '', verdict: '' }
  const isWithin = (share: number, i: number) => share <= (WITHIN[i] ?? 0)
  return {
    reach: `≤ ${WITHIN.map(percent).join(' / ')}`,
    verdict: verdictOf(firstOfSwim.every(isWithin) && fullOfSwim.every(isWithin)),
  }
}

const percent = (share: number) => (100 * share).toFixed(0)

/** The smallest value that is not below that share of all. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN
}
