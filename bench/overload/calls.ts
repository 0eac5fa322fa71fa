/** What single calls cost beside the look at the clock that most of them take, and all parts beside the whole. */
import { SystemClock } from '@hs/core'
import { Admission, GradientLimit, OverloadDetector, PriorityExecutor, RateLimiter, shouldShed } from '@hs/overload'
import type { Report } from '../swim/report.js'

const clock = new SystemClock()
const ROUNDS = 15
const rates = { '*': { limit: 1_000, perMs: 1_000, burst: 1e9 } }

/** Nanoseconds a call, the median of rounds in turn. */
function costs<K extends string>(calls: Record<K, () => unknown>, n: number): Record<K, number> {
  const names = Object.keys(calls) as K[]
  const samples = new Map<K, number[]>(names.map((name) => [name, []]))
  let last: unknown
  for (let round = 0; round <= ROUNDS; round++) {
    for (const name of names) {
      const call = calls[name]
      const start = performance.now()
      for (let i = 0; i < n; i++) last = call()
      if (round > 0) samples.get(name)?.push(((performance.now() - start) / n) * 1e6) // the first round warms up
    }
  }
  if (last === null) throw new Error('a call was refused')
  return Object.fromEntries(names.map((name) => [name, median(samples.get(name) ?? [])])) as Record<K, number>
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

const parts = () => ({
  detector: new OverloadDetector({ clock }),
  limiter: new RateLimiter({ clock, rates }),
  executor: new PriorityExecutor({ clock, limit: new GradientLimit({ clock }) }),
})

export function printCalls(report: Report, isSmoke: boolean): void {
  const { detector, limiter, executor } = parts()
  const admission = new Admission({ clock, ...parts() })
  const fixed = new PriorityExecutor({ clock })
  const cost = costs(
    {
      clock: () => clock.now(),
      fixed: () => fixed.tryAcquire('high')?.release(),
      learning: () => executor.tryAcquire('high')?.release(),
      record: () => detector.record(10),
      parts: () => {
        if (shouldShed(detector.state, 'high')) return null
        const permit = executor.tryAcquire('high')
        if (permit === null || !limiter.tryTake('a').allowed) return null
        const startMs = clock.now()
        permit.success()
        detector.record(clock.now() - startMs)
        return permit
      },
      admit: () => {
        const decision = admission.admit({ priority: 'high', client: 'a' })
        if (!decision.admitted) return null
        decision.permit.success()
        return decision
      },
    },
    isSmoke ? 100 : 200_000,
  )
  const two = 2 * cost.clock + 40
  console.log(`a look at the clock: ${cost.clock.toFixed(0)} ns`)
  for (const judged of [
    { what: 'tryAcquire + release, fixed limit: ns', figure: cost.fixed, atMost: two },
    { what: 'tryAcquire + release, GradientLimit: ns', figure: cost.learning, atMost: two },
    { what: 'detector.record: ns', figure: cost.record, atMost: cost.clock + 25 },
    { what: 'admit + success, beside its parts one by one: ns', figure: cost.admit, atMost: 1.1 * cost.parts },
  ]) {
    const { what, figure, atMost } = judged
    console.log(`${what}: ${figure.toFixed(0)}, at most ${atMost.toFixed(0)}: ${report.verdict(judged)}`)
  }
}
