/** What `bench/swim.ts` prints beside the tables of the harness: figures with their goals, and tables of figures. */
import Table from 'cli-table3'

/** A figure, and what it has to reach. */
export interface Judged {
  readonly what: string
  readonly figure: number
  readonly atMost?: number
  readonly atLeast?: number
}

export class Report {
  /** At the sizes of a smoke run nothing is judged. */
  readonly #isJudging: boolean
  readonly #lines: Judged[] = []
  #missed = 0

  constructor(isJudging: boolean) {
    this.#isJudging = isJudging
  }

  get lines(): readonly Judged[] {
    return this.#lines
  }

  get missed(): number {
    return this.#missed
  }

  /** Notes a figure and says how it compares. */
  verdict(judged: Judged): string {
    this.#lines.push(judged)
    if (!this.#isJudging) return 'not judged'
    const { figure, atMost = Infinity, atLeast = -Infinity } = judged
    if (figure <= atMost && figure >= atLeast) return 'reached'
    this.#missed++
    return 'MISSED'
  }
}

export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const table = new Table({ head: [...head], colAligns: head.map(() => 'right'), style: { head: [], border: [] } })
  for (const row of rows) table.push([...row])
  console.log(table.toString())
}
