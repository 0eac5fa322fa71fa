/** What the terminal shows while the job runs: one line, redrawn in place; on a pipe, a plain line a second. */

import logUpdate from 'log-update'
import type { TimelineRow } from './timeline.js'

export interface LiveState {
  readonly elapsedMs: number
  readonly fraction: number
  readonly row: TimelineRow | null
  readonly nodes: string
}

const BAR_WIDTH = 20

export class Display {
  readonly #inPlace = process.stdout.isTTY === true
  #shownStartMs: number | null = null

  /** Something that stays on the screen. */
  say(line: string): void {
    if (this.#inPlace) logUpdate.clear()
    console.log(line)
  }

  show(state: LiveState): void {
    if (this.#inPlace) return logUpdate(render(state))
    if (state.row === null || state.row.startMs === this.#shownStartMs) return
    this.#shownStartMs = state.row.startMs
    console.log(render(state))
  }

  done(): void {
    if (this.#inPlace) logUpdate.clear()
  }
}

function render({ elapsedMs, fraction, row, nodes }: LiveState): string {
  const filled = Math.round(fraction * BAR_WIDTH)
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled)
  const percent = `${Math.floor(fraction * 100)} %`.padStart(5)
  const time = `${(elapsedMs / 1_000).toFixed(0)} s`.padStart(5)
  return `${time}  ${bar} ${percent}  ${row === null ? 'waiting for the first window' : figures(row)}  ${nodes}`
}

function figures(row: TimelineRow): string {
  const quantiles = [`p50 ${ms(row.p50)}`, `p95 ${ms(row.p95)}`, `p99 ${ms(row.p99)}`].join('  ')
  return `${String(row.requests).padStart(5)} req/s  ${quantiles}  ${String(row.errors).padStart(3)} errors`
}

/** Milliseconds for a table cell. */
export function ms(value: number | null | undefined): string {
  return `${value === null || value === undefined ? '–' : value.toFixed(1)} ms`.padStart(8)
}
