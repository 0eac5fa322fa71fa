/** Members without a processor: false positives by how many they are, beside the paper's figure 1. */
import Table from 'cli-table3'
import { LIFEGUARD, SWIM } from './configurations.js'
import type { Accusations, Distress } from './exhaustion.js'
import { verdictOf } from './verdict.js'

export const distressedCounts = [1, 4, 8, 16, 32]
export const exhaustionConfigurations = [SWIM, LIFEGUARD]

const paper = { [SWIM.name]: '10 / 365 / 955 / 1,780 / 3,310', [LIFEGUARD.name]: '0 / 0 / 0 / 95 / 1,270' }

export interface Exhausted {
  readonly configuration: string
  readonly distress: Distress
  readonly accusations: Accusations
}

export function exhaustionTable(measured: readonly Exhausted[]): string {
  const table = new Table({
    head: ['distressed: 1 / 4 / 8 / 16 / 32', 'reported by them', 'by the others', 'paper: all', 'reach', ''],
    colAligns: ['left', 'right', 'right', 'right', 'left', 'left'],
    style: { head: [], border: [] },
  })
  for (const manner of ['paused', 'held'] as const) {
    for (const { name } of exhaustionConfigurations) {
      const mine = measured.filter((m) => m.configuration === name && m.distress.manner === manner)
      if (mine.length === 0) continue
      const means = (of: (accusations: Accusations) => number) =>
        distressedCounts
          .map((distressed) =>
            mean(mine.filter((m) => m.distress.distressed === distressed).map((m) => of(m.accusations))),
          )
          .join(' / ')
      const isPaused = manner === 'paused'
      table.push([
        `${name}, ${manner}`,
        means((accusations) => accusations.byDistressed),
        means((accusations) => accusations.byHealthy),
        paper[name] ?? '',
        isPaused ? 'none by them' : '',
        isPaused ? verdictOf(mine.every(({ accusations }) => accusations.byDistressed === 0)) : '',
      ])
    }
  }
  return table.toString()
}

const mean = (values: readonly number[]) =>
  values.length === 0
    ? '-'
    : (values.reduce((sum, value) => sum + value, 0) / values.length).toLocaleString('en', { maximumFractionDigits: 1 })
