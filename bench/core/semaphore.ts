/**
 * `Semaphore` beside async-sema: 100 loops that share 4 permits. async-sema has no `run`: there the caller writes the
 * `finally` that `run` is.
 */
import { Semaphore } from '@hs/core'
import { Sema } from 'async-sema'
import type { Workload } from '../harness.js'
import { contend } from './contend.js'

const PERMITS = 4
const CONTENDERS = 100

const semaphore = new Semaphore(PERMITS)
const peer = new Sema(PERMITS)
let entered = 0
const section = async () => {
  entered++
}

const run = () => semaphore.run(section)

async function acquireOurs(): Promise<void> {
  const release = await semaphore.acquire()
  try {
    await section()
  } finally {
    release()
  }
}

async function acquireTheirs(): Promise<void> {
  await peer.acquire()
  try {
    await section()
  } finally {
    peer.release()
  }
}

export const workloads: Workload[] = [
  {
    name: `semaphore: ${PERMITS} permits, ${CONTENDERS} contenders`,
    contenders: [
      { name: 'Semaphore.run', ours: true, run: async (n) => (await contend(run, CONTENDERS, n)) + entered },
      { name: 'Semaphore.acquire', run: async (n) => (await contend(acquireOurs, CONTENDERS, n)) + entered },
      { name: 'async-sema', run: async (n) => (await contend(acquireTheirs, CONTENDERS, n)) + entered },
    ],
    goals: [
      { peer: 'async-sema', ratio: 1 },
      { ours: 'Semaphore.acquire', peer: 'async-sema', ratio: 1 },
    ],
  },
]
