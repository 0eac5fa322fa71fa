/**
 * `KeyedMutex` beside async-mutex, whose mutex knows no keys: one section after the other, and 100 at a time on one
 * key. Sections are asynchronous and do nothing, so that only the lock counts.
 */
import { KeyedMutex } from '@hs/core'
import { Mutex } from 'async-mutex'
import type { Workload } from '../harness.js'
import { contend } from './contend.js'

const CONTENDERS = 100

const mutex = new KeyedMutex()
const peer = new Mutex()
let entered = 0
const section = async () => {
  entered++
}
const ours = () => mutex.run('key', section)
const theirs = () => peer.runExclusive(section)
const goals = [{ peer: 'async-mutex', ratio: 3 }]

export const workloads: Workload[] = [1, CONTENDERS].map((concurrency) => ({
  name: concurrency === 1 ? 'mutex: uncontended' : `mutex: ${concurrency} contenders`,
  contenders: [
    { name: 'KeyedMutex.run', ours: true, run: async (n) => (await contend(ours, concurrency, n)) + entered },
    { name: 'async-mutex', run: async (n) => (await contend(theirs, concurrency, n)) + entered },
  ],
  goals,
}))
