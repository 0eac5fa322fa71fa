import { VirtualClock } from '@hs/core/testing'
import {
  combineBudgets,
  JobRetryBudget,
  RetryBudget,
  RetryBudgetRegistry,
  type Budget,
  type RetryBudgetOptions,
} from '@hs/retry-budget'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const invalid: unknown = expect.objectContaining({ code: 'INVALID_ARGUMENT' })
const drain = (budget: Budget, most = 100_000): number => {
  let taken = 0
  while (taken < most && budget.tryWithdraw()) taken++
  return taken
}
const deposit = (budget: Budget, times: number): void => {
  for (let i = 0; i < times; i++) budget.deposit()
}
const misconfigured = (...paths: string[]): unknown =>
  expect.objectContaining({
    code: 'CONFIG_INVALID',
    issues: paths.map((path) => expect.objectContaining({ path }) as unknown),
  })

describe('RetryBudget (RB-16)', () => {
  it('starts with its reserve, and has 10 a second and a fifth of the traffic by default', () => {
    const budget = new RetryBudget({ clock: new VirtualClock() })
    expect(budget.snapshot()).toEqual({ balance: 100, deposits: 0, withdrawals: 0, refusals: 0 })
    deposit(budget, 12)
    expect(budget.snapshot().balance).toBe(102)
    expect(drain(budget)).toBe(102)
    expect(budget.snapshot()).toEqual({ balance: 0, deposits: 12, withdrawals: 102, refusals: 1 })
    expect(Object.isFrozen(budget.snapshot())).toBe(true)
  })

  it('takes one only if a whole one is there', () => {
    const budget = new RetryBudget({ ratio: 0.25, minPerSecond: 0, clock: new VirtualClock() })
    deposit(budget, 3)
    expect([budget.canWithdraw(), budget.tryWithdraw()]).toEqual([false, false])
    budget.deposit()
    expect([budget.canWithdraw(), budget.tryWithdraw(), budget.tryWithdraw()]).toEqual([true, true, false])
  })

  it.each([0, 37, 99])('counts what happens %d ms into a bucket for at least 0.9 and at most 1 ttlMs', (offset) => {
    const options = { ratio: 1, minPerSecond: 1, ttlMs: 1_000 }
    const clock = new VirtualClock({ startMs: 12_345.6 })
    const budget = new RetryBudget({ ...options, clock })
    clock.advance(offset)
    deposit(budget, 5)
    expect(drain(budget)).toBe(6)
    clock.advance(900)
    expect(budget.snapshot().balance).toBe(0)
    clock.advance(100)
    expect(budget.snapshot().balance).toBe(1)
  })

  it('slides: what is old goes bucket by bucket', () => {
    const clock = new VirtualClock()
    const budget = new RetryBudget({ ratio: 1, minPerSecond: 0, ttlMs: 1_000, clock })
    for (let bucket = 0; bucket < 10; bucket++) {
      budget.deposit()
      clock.advance(100)
    }
    const balances = Array.from({ length: 11 }, () => {
      const { balance } = budget.snapshot()
      clock.advance(100)
      return balance
    })
    expect(balances).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0])
  })

  it('is empty, with its reserve back, after a gap of hours', () => {
    const clock = new VirtualClock()
    const budget = new RetryBudget({ minPerSecond: 1, clock })
    deposit(budget, 50)
    drain(budget)
    clock.advance(7 * 86_400_000)
    expect(budget.snapshot().balance).toBe(10)
    clock.advance(2 ** 50)
    expect(budget.snapshot().balance).toBe(10)
    expect(drain(budget)).toBe(10)
  })

  it('bears a clock that steps back', () => {
    let now = 5_000
    const clock = new VirtualClock()
    const stepping = {
      now: () => now,
      wallNow: () => clock.wallNow(),
      setTimer: clock.setTimer.bind(clock),
      sleep: clock.sleep.bind(clock),
    }
    const budget = new RetryBudget({ ratio: 1, minPerSecond: 0, ttlMs: 1_000, clock: stepping })
    now = 5_500
    budget.deposit()
    now = 5_450
    budget.deposit()
    now = 3_000
    expect(budget.snapshot().balance).toBe(2)
    now = 6_450
    expect(budget.snapshot().balance).toBe(2)
    now = 6_600
    expect(budget.snapshot().balance).toBe(0)
  })

  it("passes tower's vectors", () => {
    const clock = new VirtualClock()
    const make = (minPerSecond: number, ratio: number) => new RetryBudget({ ttlMs: 1_000, minPerSecond, ratio, clock })
    expect(make(0, 1).tryWithdraw()).toBe(false)

    const leaky = make(0, 1)
    leaky.deposit()
    clock.advance(3_000)
    expect(leaky.tryWithdraw()).toBe(false)

    const slots = make(0, 0.5)
    deposit(slots, 2)
    clock.advance(901)
    expect(slots.tryWithdraw()).toBe(true)
    clock.advance(2_001)
    slots.deposit()
    clock.advance(301)
    slots.deposit()
    clock.advance(801)
    slots.deposit()
    expect(slots.tryWithdraw()).toBe(true)

    expect(drain(make(5, 1))).toBe(5)
  })

  const finagle: [ratio: number, minPerSecond: number, ttlMs: number][] = [
    ...[0.1, 0.5, 0.25, 0.75, 0.99, 0.999, 0.9999, 0.01, 0.001, 0.0001].map((ratio): [number, number, number] => [
      ratio,
      0,
      60_000,
    ]),
    [0, 10, 1_000],
    [0, 5, 2_000],
    [0.1, 10, 1_000],
    [0.5, 5, 2_000],
  ]
  it.each(finagle)("passes Finagle's vectors: ratio %d, %d a second, ttl %d", (ratio, minPerSecond, ttlMs) => {
    const budget = new RetryBudget({ ratio, minPerSecond, ttlMs, clock: new VirtualClock() })
    const reserve = (minPerSecond * ttlMs) / 1_000
    expect(budget.snapshot().balance).toBe(reserve)
    let retried = 0
    for (let i = 0; i < 10_000; i++) {
      budget.deposit()
      if (budget.tryWithdraw()) retried++
      else expect(budget.snapshot().balance).toBe(0)
    }
    expect(Math.abs(retried - (Math.floor(10_000 * ratio) + reserve))).toBeLessThanOrEqual(1)
  })

  it.each([
    [{ ratio: -0.1 }, ['ratio']],
    [{ ratio: 10.1, minPerSecond: 1e6 + 1, ttlMs: 999 }, ['ratio', 'minPerSecond', 'ttlMs']],
    [{ ttlMs: 60_001 }, ['ttlMs']],
    [{ minPerSecond: Infinity }, ['minPerSecond']],
    [{ ratios: 0.1 }, ['ratios']],
    [{ clock: {} }, ['clock']],
  ])('refuses %j', (bad, paths) => {
    expect(() => new RetryBudget(bad as RetryBudgetOptions)).toThrow(misconfigured(...paths))
  })
})

describe('The bound of RetryBudget (RB-17)', () => {
  const schedule = fc.array(
    fc.record({ waitMs: fc.double({ min: 0, max: 700, noNaN: true }), deposits: fc.nat(8), tries: fc.nat(12) }),
    { maxLength: 80 },
  )
  const options = fc.record({
    ratio: fc.double({ min: 0, max: 2, noNaN: true }),
    minPerSecond: fc.double({ min: 0, max: 5, noNaN: true }),
    ttlMs: fc.integer({ min: 1_000, max: 5_000 }),
  })

  it('holds over any time, whatever is done', () => {
    fc.assert(
      fc.property(schedule, options, (steps, { ratio, minPerSecond, ttlMs }) => {
        const clock = new VirtualClock()
        const budget = new RetryBudget({ ratio, minPerSecond, ttlMs, clock })
        const log: { atMs: number; deposits: number; withdrawals: number }[] = []
        for (const { waitMs, deposits, tries } of steps) {
          clock.advance(waitMs)
          deposit(budget, deposits)
          log.push({ atMs: clock.now(), deposits, withdrawals: drain(budget, tries) })
        }
        for (let from = 0; from < log.length; from++) {
          let withdrawals = 0
          for (let to = from; to < log.length; to++) {
            withdrawals += log[to]!.withdrawals
            // Requests that still counted when the time began paid for retries within it.
            const countedSince = log[from]!.atMs - ttlMs
            const earned = log.filter(({ atMs }) => atMs >= countedSince && atMs <= log[to]!.atMs)
            const deposits = earned.reduce((sum, entry) => sum + entry.deposits, 0)
            const spanMs = log[to]!.atMs - log[from]!.atMs
            const bound = ratio * deposits + (minPerSecond * (spanMs + 1.1 * ttlMs)) / 1_000
            expect(withdrawals).toBeLessThanOrEqual(bound + 1e-9)
          }
        }
      }),
    )
  })

  it('holds from the start on with nothing but the deposits since', () => {
    fc.assert(
      fc.property(schedule, options, (steps, { ratio, minPerSecond, ttlMs }) => {
        const clock = new VirtualClock()
        const budget = new RetryBudget({ ratio, minPerSecond, ttlMs, clock })
        for (const { waitMs, deposits, tries } of steps) {
          clock.advance(waitMs)
          deposit(budget, deposits)
          drain(budget, tries)
          const { withdrawals, deposits: total } = budget.snapshot()
          const bound = ratio * total + (minPerSecond * (clock.now() + 1.1 * ttlMs)) / 1_000
          expect(withdrawals).toBeLessThanOrEqual(bound + 1e-9)
        }
      }),
    )
  })

  it('refuses nobody who fails steadily, but less often than ratio', () => {
    const clock = new VirtualClock()
    const budget = new RetryBudget({ ratio: 0.2, minPerSecond: 1, clock })
    for (let request = 0; request < 20_000; request++) {
      budget.deposit()
      if (request % 6 === 0) expect(budget.tryWithdraw()).toBe(true)
      clock.advance(7)
    }
  })
})

describe('combineBudgets (RB-18)', () => {
  const make = (balance: number) => {
    const budget = new RetryBudget({ ratio: 0, minPerSecond: balance, ttlMs: 1_000, clock: new VirtualClock() })
    return { budget, taken: () => budget.snapshot().withdrawals }
  }

  it('changes nothing when it is only asked', () => {
    const { budget } = make(2)
    for (let i = 0; i < 5; i++) expect(budget.canWithdraw()).toBe(true)
    expect(budget.snapshot()).toMatchObject({ balance: 2, withdrawals: 0, refusals: 0 })
    drain(budget)
    expect(budget.canWithdraw()).toBe(false)
    expect(budget.snapshot().refusals).toBe(1)
  })

  it('withdraws from all or from none, in whatever order they stand', () => {
    for (const order of [0, 1]) {
      const rich = make(5)
      const poor = make(1)
      const both = order === 0 ? [rich.budget, poor.budget] : [poor.budget, rich.budget]
      const combined = combineBudgets(...both)
      expect([combined.canWithdraw(), combined.tryWithdraw()]).toEqual([true, true])
      expect([combined.canWithdraw(), combined.tryWithdraw()]).toEqual([false, false])
      expect([rich.taken(), poor.taken()]).toEqual([1, 1])
    }
  })

  it('deposits in all', () => {
    const [one, two] = [make(0), make(0)]
    combineBudgets(one.budget, combineBudgets(two.budget)).deposit()
    expect([one.budget.snapshot().deposits, two.budget.snapshot().deposits]).toEqual([1, 1])
  })

  it('charges a budget once that is given twice', () => {
    const { budget, taken } = make(1)
    const combined = combineBudgets(budget, combineBudgets(budget, budget))
    expect([combined.tryWithdraw(), taken(), combined.tryWithdraw()]).toEqual([true, 1, false])
  })

  it('joins job, workflow and target', () => {
    const job = new JobRetryBudget({ total: 2, perWorkflow: 1 })
    const { budget, taken } = make(9)
    const first = combineBudgets(job.workflow('a'), budget)
    const second = combineBudgets(job.workflow('b'), budget)
    const third = combineBudgets(job.workflow('c'), budget)
    expect([first, first, second, third].map((each) => each.tryWithdraw())).toEqual([true, false, true, false])
    expect([job.snapshot().consumed, taken()]).toEqual([2, 2])
  })

  it('refuses what is no budget', () => {
    expect(() => combineBudgets({} as Budget)).toThrow(invalid)
  })
})

describe('RetryBudgetRegistry (RB-19)', () => {
  it('gives each target a budget of its own', () => {
    const registry = new RetryBudgetRegistry({ minPerSecond: 1, ttlMs: 1_000, clock: new VirtualClock() })
    expect(registry.for('a')).toBe(registry.for('a'))
    expect(registry.for('a')).toBeInstanceOf(RetryBudget)
    expect(drain(registry.for('a'))).toBe(1)
    expect(registry.for('b').canWithdraw()).toBe(true)
    expect(registry.size).toBe(2)
    expect(registry.snapshot()).toEqual({
      a: { balance: 0, deposits: 0, withdrawals: 1, refusals: 1 },
      b: { balance: 1, deposits: 0, withdrawals: 0, refusals: 0 },
    })
    expect(registry.forget('a')).toBe(true)
    expect(registry.forget('a')).toBe(false)
    expect(registry.for('a').canWithdraw()).toBe(true)
  })

  it('keeps the recently used of a million targets', () => {
    const registry = new RetryBudgetRegistry({ maxTargets: 100, minPerSecond: 1, clock: new VirtualClock() })
    const kept = registry.for('kept')
    drain(kept)
    for (let i = 0; i < 1_000_000; i++) {
      registry.for(`target-${i}`)
      if (i % 50 === 0) registry.for('kept')
    }
    expect(registry.size).toBe(100)
    expect(registry.for('kept')).toBe(kept)
    expect(registry.for('target-0').snapshot()).toMatchObject({ balance: 10 })
  })

  it('keeps 1,000 by default', () => {
    const registry = new RetryBudgetRegistry()
    for (let i = 0; i < 1_001; i++) registry.for(`${i}`)
    expect(registry.size).toBe(1_000)
  })

  it('takes any name that is text, and no other', () => {
    const registry = new RetryBudgetRegistry({ minPerSecond: 1, clock: new VirtualClock() })
    registry.for('__proto__')
    expect(Object.keys(registry.snapshot())).toEqual(['__proto__'])
    expect(() => registry.for(7 as unknown as string)).toThrow(invalid)
    expect(registry.size).toBe(1)
  })

  it('refuses bad options', () => {
    const bad = { maxTargets: 0, ratio: 11, targets: 5 } as object
    expect(() => new RetryBudgetRegistry(bad)).toThrow(misconfigured('ratio', 'maxTargets', 'targets'))
  })
})

describe('JobRetryBudget (RB-20)', () => {
  it('shares its total among the workflows, and caps each', () => {
    const job = new JobRetryBudget({ total: 4, perWorkflow: 2 })
    expect(job.tryConsume('a')).toEqual({ granted: true, jobRemaining: 3, workflowRemaining: 1 })
    expect(job.tryConsume('a')).toEqual({ granted: true, jobRemaining: 2, workflowRemaining: 0 })
    expect(job.tryConsume('a')).toEqual({ granted: false, reason: 'workflow-exhausted' })
    expect(job.tryConsume('b')).toEqual({ granted: true, jobRemaining: 1, workflowRemaining: 1 })
    expect(job.tryConsume('c')).toEqual({ granted: true, jobRemaining: 0, workflowRemaining: 1 })
    expect(job.tryConsume('c')).toEqual({ granted: false, reason: 'job-exhausted' })
    expect(job.snapshot()).toEqual({
      total: 4,
      perWorkflow: 2,
      consumed: 4,
      remaining: 0,
      workflows: { a: 2, b: 1, c: 1 },
      successes: 0,
      failures: 0,
      successesAfterRetry: 0,
    })
  })

  it.each([
    [{}, 10, 3],
    [{ total: 500, perWorkflow: 9 }, 50, 5],
    [{ total: 80, maxTotal: 100, perWorkflow: 9, maxPerWorkflow: 20 }, 80, 9],
    [{ total: 2 }, 2, 2],
    [{ total: 0 }, 0, 0],
  ])('with %j has %d in all and %d for each', (options, total, perWorkflow) => {
    expect(new JobRetryBudget(options).snapshot()).toMatchObject({ total, perWorkflow })
  })

  it('spends no more than its total on a job of 100 workflows of which each fails five times', () => {
    const job = new JobRetryBudget()
    let granted = 0
    for (let round = 0; round < 5; round++) {
      for (let workflow = 0; workflow < 100; workflow++) if (job.tryConsume(`w${workflow}`).granted) granted++
    }
    expect(granted).toBe(10)
    expect(Object.keys(job.snapshot().workflows)).toHaveLength(10)
  })

  it('counts outcomes, which earn nothing', () => {
    const job = new JobRetryBudget({ total: 1 })
    job.recordFailure('a')
    job.tryConsume('a')
    job.recordSuccess('a')
    job.recordSuccess('b')
    expect(job.snapshot()).toMatchObject({ successes: 2, failures: 1, successesAfterRetry: 1, remaining: 0 })
    expect(job.tryConsume('b').granted).toBe(false)
  })

  it('gives views that hold nothing of their own', () => {
    const job = new JobRetryBudget({ total: 3, perWorkflow: 2 })
    const [one, two] = [job.workflow('a'), job.workflow('a')]
    one.deposit()
    expect([one.tryWithdraw(), two.tryWithdraw(), one.canWithdraw(), two.tryWithdraw()]).toEqual([
      true,
      true,
      false,
      false,
    ])
    expect(job.snapshot().workflows).toEqual({ a: 2 })
  })

  it('grants within both caps, whatever the order', () => {
    const operations = fc.array(
      fc.tuple(fc.constantFrom('consume', 'view', 'success', 'failure'), fc.constantFrom('a', 'b', 'c', '__proto__')),
      { maxLength: 60 },
    )
    fc.assert(
      fc.property(operations, fc.nat(12), fc.nat(6), fc.nat(12), fc.nat(6), (steps, total, each, maxTotal, maxEach) => {
        const job = new JobRetryBudget({ total, perWorkflow: each, maxTotal, maxPerWorkflow: maxEach })
        const granted = new Map<string, number>()
        for (const [operation, workflow] of steps) {
          if (operation === 'success') job.recordSuccess(workflow)
          else if (operation === 'failure') job.recordFailure(workflow)
          else {
            const isGranted =
              operation === 'view' ? job.workflow(workflow).tryWithdraw() : job.tryConsume(workflow).granted
            if (isGranted) granted.set(workflow, (granted.get(workflow) ?? 0) + 1)
          }
        }
        const sum = [...granted.values()].reduce((all, count) => all + count, 0)
        expect(sum).toBeLessThanOrEqual(Math.min(total, maxTotal))
        for (const count of granted.values()) expect(count).toBeLessThanOrEqual(Math.min(each, maxEach))
        expect(job.snapshot().consumed).toBe(sum)
        expect(job.snapshot().workflows).toEqual(Object.fromEntries(granted))
      }),
    )
  })

  it('refuses bad options and names that are no text', () => {
    const bad = { total: -1, perWorkflow: 0.5, max: 3 } as object
    expect(() => new JobRetryBudget(bad)).toThrow(misconfigured('total', 'perWorkflow', 'max'))
    expect(() => new JobRetryBudget().tryConsume(undefined as unknown as string)).toThrow(invalid)
  })
})
