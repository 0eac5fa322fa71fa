/** What a budget costs: its calls beside the look at the clock that each of them takes, and its heap. */
import { SystemClock } from '@hs/core'
import { RetryBudget, RetryBudgetRegistry } from '@hs/retry-budget'
import type { Report } from '../swim/report.js'

const clock = new SystemClock()
const ROUNDS = 15

/** Nanoseconds a call, the median of rounds in turn; a look at the clock is the floor. */
function callCosts(n: number): { floor: number; deposit: number; tryWithdraw: number } {
  const budget = new RetryBudget({ clock, minPerSecond: 1e6, ttlMs: 60_000 })
  let sum = 0
  const calls = {
    floor: () => (sum += clock.now()),
    deposit: () => budget.deposit(),
    tryWithdraw: () => (sum += budget.tryWithdraw() ? 1 : 0),
  }
  const samples = { floor: [] as number[], deposit: [] as number[], tryWithdraw: [] as number[] }
  for (let round = 0; round <= ROUNDS; round++) {
    for (const name of ['floor', 'deposit', 'tryWithdraw'] as const) {
      const call = calls[name]
      const start = performance.now()
      for (let i = 0; i < n; i++) call()
      if (round > 0) samples[name].push(((performance.now() - start) / n) * 1e6) // the first round warms up
    }
  }
  if (Number.isNaN(sum)) throw new Error('no sum')
  return { floor: median(samples.floor), deposit: median(samples.deposit), tryWithdraw: median(samples.tryWithdraw) }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

/** Bytes of heap a target, names not counted: the caller has those. */
function heapPerTarget(targets: number): number {
  const collect = globalThis.gc
  if (collect === undefined) throw new Error('run with --expose-gc')
  const names = Array.from({ length: targets }, (_, i) => `target-${i}`)
  const used = () => {
    collect()
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const fill = () => {
    const registry = new RetryBudgetRegistry({ clock, maxTargets: targets })
    for (const name of names) registry.for(name).deposit()
    return registry
  }
  fill() // what the first use alone allocates
  // The least of some, for whatever else the process allocates meanwhile comes on top.
  const each = Array.from({ length: 5 }, () => {
    const before = used()
    const registry = fill()
    return (used() - before) / registry.size
  })
  return Math.min(...each)
}

export function printBudgets(report: Report, isSmoke: boolean): void {
  const { floor, deposit, tryWithdraw } = callCosts(isSmoke ? 100 : 200_000)
  const above = (cost: number) => cost - floor
  const figures = [
    { what: 'deposit: ns above a look at the clock', figure: above(deposit), atMost: 20 },
    { what: 'tryWithdraw: ns above a look at the clock', figure: above(tryWithdraw), atMost: 20 },
    { what: 'heap of 1,000 budgets: bytes each', figure: heapPerTarget(isSmoke ? 100 : 1_000), atMost: 500 },
  ]
  console.log(`a look at the clock: ${floor.toFixed(0)} ns`)
  for (const judged of figures) {
    console.log(`${judged.what}: ${judged.figure.toFixed(0)}, at most ${judged.atMost}: ${report.verdict(judged)}`)
  }
}
