/** What is left of many runs: nothing. */
import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { VirtualClock } from '@hs/core/testing'
import { RetryBudget, RetryBudgetRegistry, RetryPolicy } from '@hs/retry-budget'
import { describe, expect, it } from 'vitest'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes that `work` leaves behind, after a first round that warms it up. */
async function growth(work: () => Promise<void>): Promise<number> {
  const used = () => {
    collect()
    collect()
    return process.memoryUsage().heapUsed
  }
  await work()
  const before = used()
  await work()
  return used() - before
}

describe('Leaks (RB-12, RB-16)', () => {
  it('leaves no listener on one signal after 100,000 runs, some of which fail, wait or read their signal', async () => {
    const { signal } = new AbortController()
    const clock = new VirtualClock()
    const policy = new RetryPolicy({ clock, attemptTimeoutMs: 1_000, baseMs: 1 })
    const lost = Object.assign(new Error('lost'), { retryable: true })
    let most = 0
    const call = { signal }
    for (let batch = 0; batch < 100; batch++) {
      const runs = Array.from({ length: 1_000 }, (_, i) =>
        policy.run(async (context) => {
          if (i % 10 === 0) await clock.sleep(5, context.signal)
          if (i % 100 === 1 && context.attempt === 1) throw lost
          return i
        }, call),
      )
      await Promise.resolve()
      most = Math.max(most, getEventListeners(signal, 'abort').length)
      await clock.advanceAsync(20)
      await Promise.all(runs)
    }
    expect(most).toBeLessThanOrEqual(1)
    expect(getEventListeners(signal, 'abort')).toEqual([])
    expect(clock.pendingTimers).toBe(0)
    expect(policy.snapshot()).toMatchObject({ runs: 100_000, retries: 1_000, successes: 100_000 })
  })

  it('keeps no memory of a million runs', { timeout: 60_000 }, async () => {
    const policy = new RetryPolicy({ budget: new RetryBudget() })
    const { signal } = new AbortController()
    const answer = async () => 1
    const call = { signal }
    const grown = await growth(async () => {
      for (let i = 0; i < 500_000; i++) await policy.run(answer, i % 2 === 0 ? call : undefined)
    })
    expect(grown).toBeLessThan(1_000_000) // two bytes a run
  })

  it('keeps the targets of a registry within 500 bytes each', async () => {
    const clock = new VirtualClock()
    const names = Array.from({ length: 1_000 }, (_, i) => `target-${i}`)
    const kept: RetryBudgetRegistry[] = []
    const grown = await growth(async () => {
      const registry = new RetryBudgetRegistry({ clock })
      for (const name of names) registry.for(name).deposit()
      kept.push(registry)
    })
    expect(kept).toHaveLength(2)
    expect(grown).toBeLessThan(500 * 1_000)
  })
})
