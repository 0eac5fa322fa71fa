/** Virtual time against @sinonjs/fake-timers, which vitest and jest use, and against bare turns of the event loop. */

import FakeTimers, { type Clock as FakeClock } from '@sinonjs/fake-timers'
import { SeededRandom, VirtualClock } from '@hs/core/testing'
import type { Workload } from '../harness.js'

const PERIODIC = 1_000
const BATCH = 100_000
const SPAN_MS = 100_000

const random = new SeededRandom('bench')
const periods = Array.from({ length: PERIODIC }, (_, i) => 500 + i)
const firedPerMs = periods.reduce((sum, period) => sum + 1 / period, 0)
const delays = Array.from({ length: BATCH }, () => random.int(SPAN_MS))

// As a loop limit only: a run that never ends.
const fakeClock = (): FakeClock => FakeTimers.createClock(0, Number.MAX_SAFE_INTEGER)

let fired = 0
const fire = () => {
  fired++
}
const settled = Promise.resolve()
const fireAfterTwoAwaits = async () => {
  await settled
  await settled
  fired++
}

/** Calls `run` with as many timers as a batch has, until `n` are done. */
function inBatches(n: number, run: (count: number) => void): number {
  for (let left = n; left > 0; left -= BATCH) run(Math.min(left, BATCH))
  return fired
}

async function inBatchesAsync(n: number, run: (count: number) => Promise<unknown>): Promise<number> {
  for (let left = n; left > 0; left -= BATCH) await run(Math.min(left, BATCH))
  return fired
}

function ourBatch(count: number, fn: () => unknown): VirtualClock {
  const clock = new VirtualClock()
  for (let i = 0; i < count; i++) clock.setTimer(delays[i] ?? 0, fn)
  return clock
}

function fakeBatch(count: number, fn: () => unknown): FakeClock {
  const clock = fakeClock()
  for (let i = 0; i < count; i++) clock.setTimeout(fn, delays[i] ?? 0)
  return clock
}

function bareTurns(n: number): Promise<number> {
  return new Promise((resolve) => {
    let left = n
    const turn = () => {
      if (--left > 0) setImmediate(turn)
      else resolve(n)
    }
    setImmediate(turn)
  })
}

export const workloads: Workload[] = [
  {
    name: 'virtual-clock: advance, 1,000 periodic timers (300 s are 330,000 of them)',
    contenders: [
      {
        name: 'VirtualClock.advance',
        ours: true,
        run(n) {
          const clock = new VirtualClock()
          for (const period of periods) {
            const tick = () => {
              fired++
              clock.setTimer(period, tick)
            }
            clock.setTimer(period, tick)
          }
          clock.advance(n / firedPerMs)
          return fired
        },
      },
      {
        name: 'fake-timers tick, setTimeout',
        run(n) {
          const clock = fakeClock()
          for (const period of periods) {
            const tick = () => {
              fired++
              clock.setTimeout(tick, period)
            }
            clock.setTimeout(tick, period)
          }
          clock.tick(Math.ceil(n / firedPerMs))
          return fired
        },
      },
      {
        name: 'fake-timers tick, setInterval',
        run(n) {
          const clock = fakeClock()
          for (const period of periods) clock.setInterval(fire, period)
          clock.tick(Math.ceil(n / firedPerMs))
          return fired
        },
      },
    ],
    goals: [{ peer: 'fake-timers tick, setTimeout', ratio: 10 }],
  },
  {
    name: 'virtual-clock: advance, 100k random timers',
    contenders: [
      {
        name: 'VirtualClock.advance',
        ours: true,
        run: (n) => inBatches(n, (count) => ourBatch(count, fire).advance(SPAN_MS)),
      },
      { name: 'fake-timers tick', run: (n) => inBatches(n, (count) => fakeBatch(count, fire).tick(SPAN_MS)) },
    ],
    goals: [{ peer: 'fake-timers tick', ratio: 5 }],
  },
  {
    name: 'virtual-clock: advanceAsync, 100k timers, synchronous bodies',
    contenders: [
      {
        name: 'VirtualClock.advanceAsync',
        ours: true,
        run: (n) => inBatchesAsync(n, (count) => ourBatch(count, fire).advanceAsync(SPAN_MS)),
      },
      {
        name: 'fake-timers tickAsync',
        run: (n) => inBatchesAsync(n, (count) => fakeBatch(count, fire).tickAsync(SPAN_MS)),
      },
    ],
    goals: [{ peer: 'fake-timers tickAsync', ratio: 5 }],
  },
  {
    name: 'virtual-clock: advanceAsync, 100k timers, bodies with two awaits',
    contenders: [
      {
        name: 'VirtualClock.advanceAsync',
        ours: true,
        run: (n) => inBatchesAsync(n, (count) => ourBatch(count, fireAfterTwoAwaits).advanceAsync(SPAN_MS)),
      },
      {
        name: 'fake-timers tickAsync',
        run: (n) => inBatchesAsync(n, (count) => fakeBatch(count, fireAfterTwoAwaits).tickAsync(SPAN_MS)),
      },
      { name: 'bare setImmediate turns', run: bareTurns },
    ],
    goals: [
      { peer: 'fake-timers tickAsync', ratio: 2 },
      { peer: 'bare setImmediate turns', ratio: 0.6 },
    ],
  },
]
