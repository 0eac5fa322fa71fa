/** What a bound on concurrency costs: bursts of 1,000 tasks that are done at once, ten at a time. */
import { PriorityExecutor } from '@hs/overload'
import { bulkhead } from 'cockatiel'
import pLimit from 'p-limit'
import PQueue from 'p-queue'
import type { Contender, Workload } from '../harness.js'

const BURST = 1_000
const LIMIT = 10
const task = async () => 1

const inBursts = (name: string, run: (i: number) => Promise<unknown>, ours = false): Contender => ({
  name,
  ours,
  run: async (n) => {
    for (let done = 0; done < n; done += BURST) {
      await Promise.all(Array.from({ length: Math.min(BURST, n - done) }, (_, i) => run(i)))
    }
    return n
  },
})

const executor = new PriorityExecutor({ limit: LIMIT, maxQueue: BURST, maxQueueMs: 60_000 })
const limit = pLimit(LIMIT)
const wall = bulkhead(LIMIT, BURST)
const queue = new PQueue({ concurrency: LIMIT })
const priorities = ['normal', 'high'] as const

export const executors: Workload[] = [
  {
    name: 'run, bursts of 1,000 at one priority, limit 10',
    contenders: [
      inBursts('PriorityExecutor.run', () => executor.run('high', task), true),
      inBursts('p-limit 7', () => limit(task)),
      inBursts('cockatiel 3.2 bulkhead', () => wall.execute(task)),
    ],
    goals: [
      { peer: 'p-limit 7', ratio: 1 / 0.9 },
      { peer: 'cockatiel 3.2 bulkhead', ratio: 1 / 0.9 },
    ],
  },
  {
    name: 'run, bursts of 1,000 at two priorities, limit 10',
    contenders: [
      inBursts('PriorityExecutor.run', (i) => executor.run(priorities[i & 1]!, task), true),
      inBursts('p-queue 8', (i) => queue.add(task, { priority: i & 1 })),
    ],
    goals: [{ peer: 'p-queue 8', ratio: 1 / 0.6 }],
  },
]
