/**
 * Retries and overload together: a fleet that retries, with and without a budget, in front of a server that fails, fails
 * partly and is back; and what a server with shedding makes of more than it can do.
 */
import type { MessagePriority } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'
import { Admission, GradientLimit, OverloadDetector, PriorityExecutor } from '@hs/overload'
import { RetryBudget } from '@hs/retry-budget'
import { describe, expect, it } from 'vitest'
import { CAPACITY_PER_SECOND, Fleet, type Answer, type FleetOptions } from './support/overload-fleet.js'

const DEAD_FROM = 10
const PARTLY_FROM = 30
const BACK_FROM = 40
const END = 65
/** Promises and timers by the hundred thousand. */
const timeout = 120_000
const budgetOptions = { ratio: 0.2, minPerSecond: 2, ttlMs: 10_000 }

const admissionOn = (clock: VirtualClock) =>
  new Admission({ clock, executor: new PriorityExecutor({ clock, limit: new GradientLimit({ clock }) }) })

/** Dead for 20 s, refusing a fifth for 10 more, then as well as before. */
async function outage(clock: VirtualClock, options: Omit<FleetOptions, 'seed' | 'clock'>): Promise<Fleet> {
  const fleet = new Fleet({ seed: 3, clock, ...options })
  await fleet.run(DEAD_FROM * 1_000)
  fleet.failing = 1
  await fleet.run((PARTLY_FROM - DEAD_FROM) * 1_000)
  fleet.failing = 0.2
  await fleet.run((BACK_FROM - PARTLY_FROM) * 1_000)
  fleet.failing = 0
  await fleet.run((END - BACK_FROM) * 1_000)
  return fleet
}

const total = ({ seconds }: Fleet, figure: 'attempts' | 'requests', from: number, to: number) =>
  seconds.slice(from, to).reduce((sum, second) => sum + second[figure], 0)

/** Seconds from when the server is back until nothing fails any more; Infinity if that does not come. */
function recoverySeconds({ seconds }: Fleet): number {
  const lastBad = seconds.slice(0, END).findLastIndex(({ failed }) => failed > 0)
  return lastBad >= END - 10 ? Infinity : Math.max(0, lastBad + 1 - BACK_FROM)
}

describe('A fleet that retries, and a server that fails, fails partly and is back (RB-17)', { timeout }, () => {
  it('without retries is over it as soon as the server is', async () => {
    const fleet = await outage(new VirtualClock(), { retry: { maxAttempts: 1 } })
    expect(total(fleet, 'attempts', 0, END)).toBe(total(fleet, 'requests', 0, END))
    expect(recoverySeconds(fleet)).toBeLessThanOrEqual(1)
  })

  it('without a budget is a storm that keeps the server down when it is back', async () => {
    const fleet = await outage(new VirtualClock(), {})
    const requests = total(fleet, 'requests', DEAD_FROM, PARTLY_FROM)
    expect(total(fleet, 'attempts', DEAD_FROM, PARTLY_FROM)).toBeGreaterThan(3.5 * requests)
    // Nothing is wrong with the server any more, but it works for callers that are gone, and they come again.
    expect(recoverySeconds(fleet)).toBe(Infinity)
    expect(total(fleet, 'attempts', END - 10, END) / 10).toBeGreaterThan(1.5 * CAPACITY_PER_SECOND)
    expect(fleet.inside).toBeGreaterThan(CAPACITY_PER_SECOND)
  })

  it('with one stays within its formula at any time, and is over it as soon as without retries', async () => {
    const clock = new VirtualClock()
    const budget = new RetryBudget({ clock, ...budgetOptions })
    const log: { deposits: number; withdrawals: number }[] = []
    const note = () => {
      log.push(budget.snapshot())
      if (log.length <= END) clock.setTimer(1_000, note)
    }
    note()
    const fleet = await outage(clock, { budget })
    const { ratio, minPerSecond, ttlMs } = budgetOptions
    const at = (second: number) => log[Math.max(0, second)] ?? { deposits: NaN, withdrawals: NaN }
    for (let from = 0; from < END; from++) {
      for (let to = from + 1; to <= END; to++) {
        const retries = at(to).withdrawals - at(from).withdrawals
        const deposits = at(to).deposits - at(from - ttlMs / 1_000).deposits
        expect(retries).toBeLessThanOrEqual(
          ratio * deposits + (minPerSecond * ((to - from) * 1_000 + 1.1 * ttlMs)) / 1_000,
        )
      }
    }
    const whileDown = total(fleet, 'attempts', DEAD_FROM, BACK_FROM) / total(fleet, 'requests', DEAD_FROM, BACK_FROM)
    expect(whileDown).toBeGreaterThan(1.15) // it retried
    expect(whileDown).toBeLessThan(1.3)
    const without = await outage(new VirtualClock(), { retry: { maxAttempts: 1 } })
    expect(recoverySeconds(fleet)).toBeLessThanOrEqual(recoverySeconds(without) + 1)
    expect(fleet.inside).toBeLessThan(CAPACITY_PER_SECOND / 10)
  })

  it('is over it within seconds even without a budget where Admission stands in front of the server', async () => {
    const clock = new VirtualClock()
    const admission = admissionOn(clock)
    const fleet = await outage(clock, { admission })
    expect(recoverySeconds(fleet)).toBeLessThanOrEqual(5)
    expect(admission.snapshot().refused.full).toBeGreaterThan(100) // the storm did come
    expect(fleet.inside).toBeLessThan(60)
  })

  it('leaves no timer and nothing inside when it is closed', async () => {
    const clock = new VirtualClock()
    const fleet = await outage(clock, { budget: new RetryBudget({ clock, ...budgetOptions }), admission: admissionOn(clock) }) // prettier-ignore
    fleet.close()
    await fleet.run(20_000)
    expect([fleet.inside, clock.pendingTimers]).toEqual([0, 0])
  })
})

describe('A server that sheds (OVER-8, OVER-9)', { timeout }, () => {
  const CALM = 30
  const BUSY_UNTIL = 60
  const CALM_FROM = 85
  const UNTIL = 105

  const p99 = (answers: readonly Answer[]): number => {
    const sorted = answers.map(({ latencyMs = NaN }) => latencyMs).toSorted((a, b) => a - b)
    return sorted[Math.floor(0.99 * sorted.length)] ?? NaN
  }

  it('keeps the latency of what is critical, refuses what is low with a time to come back, and takes it again later', async () => {
    const clock = new VirtualClock()
    // The mean of a second of a server this small trembles by 7 %: what is to be noticed must be well above.
    const detector = new OverloadDetector({ clock, deltaThresholds: [0.4, 0.8, 1.6] })
    const states = new Set<string>()
    detector.events.on('change', (now) => states.add(now))
    const executor = new PriorityExecutor({ clock, limit: new GradientLimit({ clock }) })
    const admission = new Admission({ clock, detector, executor })
    const fleet = new Fleet({
      ...{ seed: 4, clock, admission, retry: { maxAttempts: 2 } },
      mix: { critical: 0.06, high: 0.14, normal: 0.4, low: 0.4 },
      budget: new RetryBudget({ clock, ...budgetOptions }),
    })
    fleet.keepsAnswers = true
    fleet.perSecond = 0.4 * CAPACITY_PER_SECOND
    await fleet.run(CALM * 1_000)
    fleet.perSecond = 3 * CAPACITY_PER_SECOND
    await fleet.run((BUSY_UNTIL - CALM) * 1_000)
    fleet.perSecond = 0.4 * CAPACITY_PER_SECOND
    await fleet.run((UNTIL - BUSY_UNTIL) * 1_000)

    const between = (priority: MessagePriority, from: number, to: number) => {
      const found = fleet.answers.filter((each) => each.priority === priority && each.atMs >= from * 1_000 && each.atMs < to * 1_000) // prettier-ignore
      return {
        done: found.filter(({ latencyMs }) => latencyMs !== undefined),
        refused: found.filter(({ latencyMs }) => latencyMs === undefined),
      }
    }
    const criticalCalm = between('critical', 0, CALM)
    const criticalBusy = between('critical', CALM, BUSY_UNTIL)
    expect(criticalBusy.done.length).toBeGreaterThan(2_000)
    expect([criticalCalm.refused, criticalBusy.refused]).toEqual([[], []])
    expect(p99(criticalBusy.done)).toBeLessThanOrEqual(1.5 * p99(criticalCalm.done))

    const lowBusy = between('low', CALM, BUSY_UNTIL)
    expect(lowBusy.refused.length).toBeGreaterThan(0.9 * (lowBusy.refused.length + lowBusy.done.length))
    expect(new Set(lowBusy.refused.map(({ retryAfterMs }) => retryAfterMs))).toEqual(new Set([1_000]))
    const share = (priority: MessagePriority) => {
      const { done, refused } = between(priority, CALM, BUSY_UNTIL)
      return done.length / (done.length + refused.length)
    }
    expect(share('high')).toBeGreaterThan(share('normal'))
    expect(share('normal')).toBeGreaterThan(share('low'))
    expect(states).toContain('busy')
    expect(admission.snapshot().refused.shed).toBeGreaterThan(0)

    const lowAfter = between('low', CALM_FROM, UNTIL)
    expect(detector.state).toBe('healthy')
    expect(lowAfter.refused.length).toBeLessThan(0.02 * lowAfter.done.length)
    expect(lowAfter.done.length).toBeGreaterThan(1_000)
    expect(executor.snapshot().refused.critical).toBe(0)
  })
})
