/** 108 takers of 8 cores, of whom 100 wait at any time, beside the semaphore of async-mutex. */
import { CoreAllocator } from '@hs/jobs'
import { Semaphore } from 'async-mutex'
import type { Workload } from '../harness.js'

const CORES = 8
const WAITERS = 100

async function takers(n: number, take: (owner: string) => Promise<void>): Promise<number> {
  const count = CORES + WAITERS
  const each = Math.ceil(n / count)
  let taken = 0
  const loop = async (owner: string) => {
    for (let round = 0; round < each; round++) {
      await take(owner)
      taken++
    }
  }
  await Promise.all(Array.from({ length: count }, (_, index) => loop(`owner-${index}`)))
  return taken
}

const cores = new CoreAllocator({ total: CORES })
const semaphore = new Semaphore(CORES)

export const workloads: Workload[] = [
  {
    name: 'allocator: acquire and release with 100 waiters',
    contenders: [
      {
        name: 'CoreAllocator',
        ours: true,
        run: (n) =>
          takers(n, async (owner) => {
            await cores.acquire(owner, 1)
            cores.release(owner)
          }),
      },
      {
        name: 'async-mutex Semaphore',
        run: (n) =>
          takers(n, async () => {
            const [, release] = await semaphore.acquire()
            release()
          }),
      },
    ],
    goals: [{ peer: 'async-mutex Semaphore', ratio: 2 }],
  },
]
