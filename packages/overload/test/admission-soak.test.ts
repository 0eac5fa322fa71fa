/** What is left of very many clients and calls: what the bounds say. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { VirtualClock } from '@hs/core/testing'
import { PriorityExecutor, RateLimiter } from '@hs/overload'
import { describe, expect, it } from 'vitest'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function heap(): number {
  collect()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

describe('Soak (OVER-12, OVER-16)', () => {
  it('keeps 10,000 accounts of 10,000,000 clients, and the debts of the known', { timeout: 60_000 }, () => {
    const clock = new VirtualClock()
    const limiter = new RateLimiter({
      clock,
      rates: { '*': { limit: 5, perMs: 1_000 } },
      total: { limit: 1e9, perMs: 1 },
    })
    const before = heap()
    let known = 0
    let most = 0
    for (let i = 0; i < 10_000_000; i++) {
      // A minute of them.
      if (i % 1_000 === 0) {
        clock.advance(6)
        if (limiter.tryTake('known').allowed) known++
        most = Math.max(most, limiter.size)
      }
      limiter.tryTake(`client-${i}`)
    }
    expect(most).toBe(10_000)
    // A burst at the start and five a second: the flood has taken nothing from it, and given it nothing.
    expect(known).toBeGreaterThanOrEqual(300)
    expect(known).toBeLessThanOrEqual(5 + 300)
    expect(heap() - before).toBeLessThan(4_000_000)
  })

  it('keeps nothing of 300,000 runs that wait, expire or are aborted', { timeout: 60_000 }, async () => {
    const clock = new VirtualClock()
    const executor = new PriorityExecutor({ clock, limit: 50, maxQueue: 500, maxQueueMs: 40 })
    const { signal } = new AbortController()
    const round = async (rounds: number) => {
      for (let i = 0; i < rounds; i++) {
        const runs = Array.from({ length: 1_000 }, (_, n) => {
          const controller = n % 10 === 0 ? new AbortController() : undefined
          const run = executor.run('normal', () => clock.sleep(n % 30), { signal: controller?.signal ?? signal })
          controller?.abort()
          return run.then(
            () => 'done',
            () => 'refused',
          )
        })
        await clock.advanceAsync(100)
        await Promise.all(runs)
      }
    }
    await round(50)
    const before = heap()
    await round(250)
    expect(heap() - before).toBeLessThan(1_000_000)
    expect(executor.snapshot()).toMatchObject({ inFlight: 0, queued: { critical: 0, high: 0, normal: 0, low: 0 } })
    expect(clock.pendingTimers).toBe(0)
  })
})
